use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// An event with everything owned.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    name: Option<String>,
    data: String,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn take(event: &Event<'_>, events: &mut Vec<Owned>, raw: &mut Vec<u8>) {
    raw.extend_from_slice(event.raw);
    if !event.is_blank() {
        events.push(Owned { name: event.name.map(text), data: text(event.data) });
    }
}

/// Decodes the pieces; checks that the raw bytes add up to the input.
fn decode(pieces: &[&[u8]]) -> Vec<Owned> {
    let (mut decoder, mut events, mut raw) = (Decoder::new(), Vec::new(), Vec::new());
    for piece in pieces {
        decoder.push(&Bytes::copy_from_slice(piece)).expect("no event is too long");
        while let Some(event) = decoder.next_event() {
            take(&event, &mut events, &mut raw);
        }
    }
    decoder.finish();
    while let Some(event) = decoder.next_event() {
        take(&event, &mut events, &mut raw);
    }
    assert_eq!(raw, pieces.concat(), "raw bytes are kept");
    events
}

fn check(stream: &str, expected: &[(Option<&str>, &str)]) {
    let expected: Vec<Owned> = expected
        .iter()
        .map(|(name, data)| Owned { name: name.map(str::to_owned), data: (*data).to_owned() })
        .collect();
    assert_eq!(decode(&[stream.as_bytes()]), expected, "whole: {stream:?}");
    let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    assert_eq!(decode(&bytes), expected, "byte by byte: {stream:?}");
}

#[test]
fn line_ends_of_every_kind_end_lines() {
    for end in ["\n", "\r", "\r\n"] {
        check(&["event: a", "data: 1", "", "data: 2", "", ""].join(end), &[(Some("a"), "1"), (None, "2")]);
    }
    check("data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\n", &[(None, "1"), (None, "2"), (None, "3")]);
}

#[test]
fn oddities_of_providers_are_read() {
    check("\u{feff}data: 1\n\n", &[(None, "1")]);
    check(": OPENROUTER PROCESSING\n\n: ping\ndata:1\n\n", &[(None, "1")]);
    check("\n\n\r\n\n  \ndata: 1\n\n", &[(None, "1")]);
    check("data: a\ndata:  b\ndata\nid: 7\nretry: 3\n\n", &[(None, "a\n b\n")]);
    check("data: 1\n\ndata: [DONE]", &[(None, "1"), (None, "[DONE]")]);
    check("event: x\nevent: y\ndata: 1\n\n", &[(Some("y"), "1")]);
    check(
        "{\"base_resp\": {\"status_code\": 1008}}\n",
        &[(None, "{\"base_resp\": {\"status_code\": 1008}}\n")],
    );
    check("\u{feff}\ndata:1", &[(None, "1")]);
    check("database: no\ndatum\n\n", &[]);
    check("", &[]);
}

#[test]
fn an_event_inside_one_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
    let mut decoder = Decoder::new();
    decoder.push(&chunk).expect("short");
    let event = decoder.next_event().expect("an event");
    assert!(std::ptr::eq(event.raw.as_ptr(), chunk.as_ptr()));
    assert_eq!(event.span, 0..9);
    let event = decoder.next_event().expect("an event");
    assert!(std::ptr::eq(event.data.as_ptr(), chunk[15..].as_ptr()));
}

#[test]
fn an_endless_event_is_an_error_and_not_a_full_memory() {
    let mut decoder = Decoder::new();
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let refused = (0..20).find(|_| decoder.push(&chunk).is_err());
    assert_eq!(refused, Some(16));
}

#[test]
fn the_encoder_writes_what_the_decoder_reads() {
    let mut out = Vec::new();
    write(&mut out, Some("ping"), &serde_json::json!({"a": "line\nbreak"}));
    write(&mut out, None, "x");
    out.extend_from_slice(DONE);
    check(
        std::str::from_utf8(&out).expect("text"),
        &[(Some("ping"), r#"{"a":"line\nbreak"}"#), (None, "\"x\""), (None, "[DONE]")],
    );
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_events(
        stream in "(data: ?|event: |: |é|x|\n|\r|\r\n|\u{feff}|\\{){0,40}",
        cuts in proptest::collection::vec(0usize..200, 0..6),
    ) {
        let whole = decode(&[stream.as_bytes()]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> =
            cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode(&pieces), whole);
    }
}
