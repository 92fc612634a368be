//! What the fuzz targets share: how bytes become choices.
//!
//! Each target states a property, beside "no panic, no hang, no memory without bound", which libFuzzer itself watches. The
//! first bytes of an input choose dialects and split points, the rest is the message.

use std::collections::BTreeMap;

use bytes::Bytes;
use nova_wire::{Dialect, Quirks, ReplyContext};
use serde_json::value::RawValue;

/// The dialects that clients speak.
pub const CLIENTS: [Dialect; 4] = [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini];

/// The dialects that upstreams speak.
pub const UPSTREAMS: [Dialect; 5] =
    [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini, Dialect::Converse];

/// Takes the first byte as a choice of two dialects, the client's and the upstream's; the rest is the message.
pub fn dialects(input: &[u8]) -> Option<(Dialect, Dialect, &[u8])> {
    let (&choice, message) = input.split_first()?;
    let upstream = usize::from(choice >> 2) % UPSTREAMS.len();
    Some((CLIENTS[usize::from(choice & 3)], UPSTREAMS[upstream], message))
}

/// Cuts the message into chunks whose lengths (1 to 16) repeat the four half bytes of `pattern`.
pub fn chunks(pattern: [u8; 2], message: &[u8]) -> Vec<Bytes> {
    let lengths = pattern.map(|byte| [usize::from(byte & 15) + 1, usize::from(byte >> 4) + 1]);
    let mut lengths = lengths.as_flattened().iter().copied().cycle();
    let mut rest = message;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        rest = after;
    }
    chunks
}

/// The fields of a JSON object, their values as they are written. Numbers that no machine number can hold are JSON too.
pub fn object(json: &[u8]) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_slice(json).expect("what is accepted or written is a JSON object")
}

/// An answer on its way from `upstream` to `client`.
pub fn context(client: Dialect, upstream: Dialect) -> ReplyContext {
    ReplyContext {
        client,
        upstream,
        hub: client != upstream,
        model: "asked".to_owned(),
        id: "0123456789abcdef".to_owned(),
        created: 1_700_000_000,
        include_usage: true,
        want_thinking: true,
        prompt_estimate: 7,
        quirks: Quirks::default().into(),
        provider: "provider".into(),
        check: None,
        names: Default::default(),
        echo: Default::default(),
        stops: Default::default(),
    }
}
