//! What the tests of this module share.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::sse::Decoder;
use crate::translate::{ReplyContext, Target};

use super::stream::{Reader, Writer};

/// A client of Messages that wants to see thinking.
pub(crate) fn context() -> ReplyContext {
    ReplyContext {
        client: Dialect::Messages,
        upstream: Dialect::Messages,
        hub: true,
        model: "nova".to_owned(),
        id: "abc".to_owned(),
        created: 1,
        include_usage: true,
        want_thinking: true,
        prompt_estimate: 42,
        quirks: Quirks::default().into(),
        provider: Default::default(),
        check: None,
        names: Default::default(),
        echo: Default::default(),
    }
}

pub(crate) fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Messages, model: "claude", quirks, max_output: None }
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

/// Events without framing, as the wire has them.
pub(crate) fn framed(lines: &str) -> Vec<u8> {
    lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .flat_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
            format!("event: {}\ndata: {line}\n\n", value["type"].as_str().unwrap_or("message")).into_bytes()
        })
        .collect()
}
