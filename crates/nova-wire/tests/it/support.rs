//! What the tests have in common.

use std::path::PathBuf;

use bytes::Bytes;
use nova_wire::{Dialect, Meter, Quirks, ReplyContext, StreamRelay, UpstreamError};

/// The dialects that are translated.
pub(crate) const DIALECTS: [Dialect; 4] =
    [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini];

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder of the shared material; says so and gives nothing where it is absent.
#[expect(clippy::print_stdout, reason = "a test that is skipped must say so")]
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let folder = repository().join("../shared").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared/{name} is absent");
    None
}

/// An answer that passes through the hub.
pub(crate) fn context(client: Dialect, upstream: Dialect, quirks: &Quirks) -> ReplyContext {
    ReplyContext {
        client,
        upstream,
        hub: true,
        model: "asked".into(),
        id: "0a".into(),
        created: 7,
        include_usage: true,
        want_thinking: true,
        prompt_estimate: 12,
        quirks: quirks.clone().into(),
        provider: Default::default(),
        check: None,
        names: Default::default(),
        echo: Default::default(),
        stops: Default::default(),
    }
}

/// What came out of a relay.
#[derive(Debug, PartialEq)]
pub(crate) struct Relayed {
    pub(crate) text: String,
    pub(crate) meter: Meter,
    pub(crate) error: Option<UpstreamError>,
}

/// Relays a stream in pieces of these sizes, over and over.
pub(crate) fn relay(ctx: ReplyContext, stream: &[u8], sizes: &[usize]) -> Relayed {
    let mut relay = StreamRelay::new(ctx);
    let mut out = Vec::new();
    let (mut rest, mut sizes) = (stream, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (piece, later) = rest.split_at(size);
        rest = later;
        relay.push(&Bytes::copy_from_slice(piece), &mut out);
        assert!(out.is_empty() || relay.meter().content_started, "nothing leaves before the content");
    }
    relay.finish(&mut out);
    Relayed {
        text: String::from_utf8(out.concat()).expect("text"),
        meter: relay.meter().clone(),
        error: relay.error().cloned(),
    }
}

/// Relays a stream whole and in several splits, which must all come to the same.
pub(crate) fn relay_any_way(ctx: &ReplyContext, stream: &[u8], name: &str) -> Relayed {
    let whole = relay(ctx.clone(), stream, &[usize::MAX]);
    for sizes in [&[1][..], &[3, 1, 7], &[64], &[1000, 13]] {
        assert_eq!(relay(ctx.clone(), stream, sizes), whole, "{name} in pieces of {sizes:?}");
    }
    whole
}
