//! What the tests of this dialect share.

use super::stream::{Reader, Writer};
use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::support;
use crate::translate::{ReplyContext, Target};

/// A client of this dialect that wants to see thinking.
pub(crate) fn context() -> ReplyContext {
    support::context(Dialect::Gemini)
}

pub(crate) fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Gemini, model: "gemini", quirks, max_output: None }
}

/// The deltas of a stream that comes in pieces of these sizes, over and over, and how many events were
/// bad.
pub(crate) fn deltas(stream: &[u8], sizes: &[usize]) -> (Vec<Delta>, usize) {
    support::deltas((Reader::new(&Quirks::default()), Reader::event, Reader::end), stream, sizes)
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
