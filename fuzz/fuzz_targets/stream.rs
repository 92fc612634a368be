//! However an upstream's stream is cut into chunks, the client gets the same events and the same counts.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use nova_wire::sse::Decoder;
use nova_wire::{Meter, ReplyContext, StreamRelay, UpstreamError};

fn relay(context: ReplyContext, chunks: &[Bytes]) -> (Vec<String>, Meter, Option<UpstreamError>) {
    let mut relay = StreamRelay::new(context);
    let mut out = Vec::new();
    for chunk in chunks {
        relay.push(chunk, &mut out);
    }
    relay.finish(&mut out);
    (events(&out.concat()), relay.meter().clone(), relay.error().cloned())
}

/// What a client reads: names and data, without comments and blank lines.
fn events(stream: &[u8]) -> Vec<String> {
    let mut decoder = Decoder::new();
    decoder.push(&Bytes::copy_from_slice(stream)).expect("fuzz inputs are shorter than the longest event");
    decoder.finish();
    let mut events = Vec::new();
    while let Some(event) = decoder.next_event() {
        if !event.is_blank() {
            let name = event.name.map(String::from_utf8_lossy);
            events.push(format!("{name:?}: {}", String::from_utf8_lossy(event.data)));
        }
    }
    events
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (first, second, message) = input;
    let Some((client, upstream, stream)) = nova_fuzz::dialects(message) else { return };
    let context = nova_fuzz::context(client, upstream);
    let whole = relay(context.clone(), &[Bytes::copy_from_slice(stream)]);
    let split = relay(context, &nova_fuzz::chunks([first, second], stream));
    assert_eq!(whole.0, split.0, "a split changes the answer");
    assert_eq!(whole.1, split.1, "a split changes the counts");
    assert_eq!(whole.2, split.2, "a split changes the failure");
});
