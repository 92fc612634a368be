//! What the tests of this dialect share.

use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::support;
use crate::translate::{ReplyContext, Target};

use super::stream::{Reader, Writer};

/// A client of Messages that wants to see thinking.
pub(crate) fn context() -> ReplyContext {
    support::context(Dialect::Messages)
}

pub(crate) fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Messages, model: "claude", quirks, max_output: None }
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
