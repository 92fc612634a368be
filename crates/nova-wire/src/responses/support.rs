//! What the tests of this dialect share.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::support;
use crate::translate::{ReplyContext, Target};

use super::stream::{Reader, Writer};

/// A Responses client.
pub(crate) fn context() -> ReplyContext {
    support::context(Dialect::Responses)
}

pub(crate) fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Responses, model: "gpt", quirks, max_output: None }
}

/// The deltas of a stream that comes in pieces of these sizes, over and over, and how many events were
/// bad.
pub(crate) fn deltas(stream: &[u8], sizes: &[usize]) -> (Vec<Delta>, usize) {
    support::deltas((Reader::new(&Quirks::default()), Reader::event, Reader::end), stream, sizes)
}

/// The stream that a client gets for deltas.
pub(crate) fn written(ctx: &ReplyContext, deltas: &[Delta]) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::new(ctx), Vec::new());
    for delta in deltas {
        writer.delta(delta.clone(), &mut out);
    }
    writer.finish(&mut out);
    writer.finish(&mut out);
    out
}

/// Events without framing, as some recordings have them.
pub(crate) fn framed(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}
