//! However an upstream's stream is cut into chunks, the client gets the same bytes and the same counts.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use nova_wire::{Meter, ReplyContext, StreamRelay, UpstreamError};

fn relay(context: ReplyContext, chunks: &[Bytes]) -> (Vec<u8>, Meter, Option<UpstreamError>) {
    let mut relay = StreamRelay::new(context);
    let mut out = Vec::new();
    for chunk in chunks {
        relay.push(chunk, &mut out);
    }
    relay.finish(&mut out);
    (out.concat(), relay.meter().clone(), relay.error().cloned())
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (first, second, message) = input;
    let Some((client, upstream, stream)) = nova_fuzz::dialects(message) else { return };
    let context = nova_fuzz::context(client, upstream);
    let whole = relay(context.clone(), &[Bytes::copy_from_slice(stream)]);
    let split = relay(context, &nova_fuzz::chunks([first, second], stream));
    assert_eq!(
        String::from_utf8_lossy(&whole.0),
        String::from_utf8_lossy(&split.0),
        "a split changes the answer"
    );
    assert_eq!(whole.1, split.1, "a split changes the counts");
    assert_eq!(whole.2, split.2, "a split changes the failure");
});
