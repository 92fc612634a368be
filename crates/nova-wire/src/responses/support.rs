//! What the tests of this module share.

use bytes::Bytes;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::sse::Decoder;
use crate::translate::{ReplyContext, Target};

use super::stream::{Reader, Writer};

/// A Responses client.
pub(crate) fn context() -> ReplyContext {
    ReplyContext {
        client: Dialect::Responses,
        upstream: Dialect::Responses,
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
    Target { dialect: Dialect::Responses, model: "gpt", quirks, max_output: None }
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
