//! What the tests of this module share.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::stream::{Reader, Writer};
use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::sse::Decoder;
use crate::translate::{ReplyContext, Target};

/// A client of this dialect that wants to see thinking.
pub(crate) fn context() -> ReplyContext {
    ReplyContext {
        client: Dialect::Gemini,
        upstream: Dialect::Gemini,
        hub: true,
        model: "nova".to_owned(),
        id: "abc".to_owned(),
        created: 1,
        include_usage: true,
        want_thinking: true,
        prompt_estimate: 42,
        quirks: Quirks::default().into(),
        provider: Default::default(),
        check: Default::default(),
        names: Default::default(),
        echo: Default::default(),
    }
}

pub(crate) fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Gemini, model: "gemini", quirks, max_output: None }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The deltas of a stream that comes in pieces of these sizes, over and over, and how many events were
/// bad.
pub(crate) fn deltas(stream: &[u8], sizes: &[usize]) -> (Vec<Delta>, usize) {
    let (mut decoder, mut reader) = (Decoder::new(), Reader::new(&Quirks::default()));
    let (mut out, mut bad, mut rest) = (Vec::new(), 0, stream);
    let mut read = |decoder: &mut Decoder, out: &mut Vec<Delta>| {
        while let Some(event) = decoder.next_event() {
            bad += usize::from(reader.event(&event, out).is_err());
        }
    };
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        decoder.push(&Bytes::copy_from_slice(piece)).expect("no event is too long");
        read(&mut decoder, &mut out);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    decoder.finish();
    read(&mut decoder, &mut out);
    reader.end(&mut out);
    (out, bad)
}

/// The stream that a client gets for deltas.
pub(crate) fn written(deltas: &[Delta]) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::new(&context()), Vec::new());
    for delta in deltas {
        writer.delta(delta.clone(), &mut out);
    }
    writer.finish(&mut out);
    writer.finish(&mut out);
    out
}

/// Chunks without framing, as Google frames them.
pub(crate) fn framed(lines: &str) -> Vec<u8> {
    let lines = lines.lines().filter(|line| !line.trim().is_empty());
    lines.flat_map(|line| format!("data: {line}\r\n\r\n").into_bytes()).collect()
}

/// The chunks of a stream, cut as Google's SDK for JavaScript cuts it, which is the strictest reader.
#[track_caller]
pub(crate) fn chunks(stream: &[u8]) -> Vec<serde_json::Value> {
    let mut rest = std::str::from_utf8(stream).expect("text");
    let mut chunks = Vec::new();
    while !rest.trim().is_empty() {
        let data = rest.trim_start().strip_prefix("data: ").expect("a frame");
        let end = data.find(['\n', '\r', '\u{2028}', '\u{2029}']).expect("the line ends");
        rest = data[end..].strip_prefix("\r\n\r\n").expect("an empty line follows");
        chunks.push(serde_json::from_str(&data[..end]).expect("JSON"));
    }
    chunks
}
