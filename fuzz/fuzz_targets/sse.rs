//! However a stream is cut into chunks, its events are the same, and their raw bytes are the stream.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use nova_wire::sse::Decoder;

type Owned = (Option<Vec<u8>>, Vec<u8>);

fn events(chunks: &[Bytes]) -> (Vec<Owned>, Vec<u8>) {
    let mut decoder = Decoder::new();
    let (mut events, mut raw) = (Vec::new(), Vec::new());
    let mut drain = |decoder: &mut Decoder| {
        while let Some(event) = decoder.next_event() {
            raw.extend_from_slice(event.raw);
            if !event.is_blank() {
                events.push((event.name.map(<[u8]>::to_vec), event.data.to_vec()));
            }
        }
    };
    for chunk in chunks {
        decoder.push(chunk).expect("fuzz inputs are shorter than the longest event");
        drain(&mut decoder);
    }
    decoder.finish();
    drain(&mut decoder);
    (events, raw)
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (first, second, stream) = input;
    let whole = events(&[Bytes::copy_from_slice(stream)]);
    assert_eq!(whole.1, stream, "raw bytes are lost");
    assert_eq!(whole, events(&nova_fuzz::chunks([first, second], stream)), "a split changes events");
});
