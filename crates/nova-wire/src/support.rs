//! What the tests of several dialects share.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::sse::{BadEvent, Decoder, Event};
use crate::translate::ReplyContext;

/// A client of this dialect that wants to see thinking.
pub(crate) fn context(dialect: Dialect) -> ReplyContext {
    ReplyContext {
        client: dialect,
        upstream: dialect,
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
        stops: Default::default(),
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The deltas of a stream that comes in pieces of these sizes, over and over, and how many events were bad.
/// `end` is what the reader says once the stream is over.
pub(crate) fn deltas<R>(
    (mut reader, read, end): (
        R,
        impl Fn(&mut R, &Event<'_>, &mut Vec<Delta>) -> Result<(), BadEvent>,
        impl FnOnce(&mut R, &mut Vec<Delta>),
    ),
    stream: &[u8],
    sizes: &[usize],
) -> (Vec<Delta>, usize) {
    let (mut decoder, mut out, mut bad, mut rest) = (Decoder::new(), Vec::new(), 0, stream);
    let mut drain = |decoder: &mut Decoder, reader: &mut R, out: &mut Vec<Delta>| {
        while let Some(event) = decoder.next_event() {
            bad += usize::from(read(reader, &event, out).is_err());
        }
    };
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        decoder.push(&Bytes::copy_from_slice(piece)).expect("no event is too long");
        drain(&mut decoder, &mut reader, &mut out);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    decoder.finish();
    drain(&mut decoder, &mut reader, &mut out);
    end(&mut reader, &mut out);
    (out, bad)
}
