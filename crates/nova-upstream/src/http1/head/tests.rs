use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;

use super::*;
use crate::http1::framing::Piece;
use crate::{Credential, CredentialId, Endpoint};

#[test]
fn a_request_is_written_with_its_own_headers_and_ours() {
    let endpoint = Endpoint::parse("https://api.example.com/v1", "/messages?beta=true").unwrap();
    let name = HeaderName::from_static;
    let key = Credential::header(CredentialId::new("a"), name("x-api-key"), "sk-1").unwrap();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (name("x-api-key"), HeaderValue::from_static("not this one")),
        (header::HOST, HeaderValue::from_static("evil.example")),
        (header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        (name("keep-alive"), HeaderValue::from_static("timeout=5")),
    ];
    let request = Request {
        credential: Some(&key),
        headers: &headers,
        ..Request::post(&endpoint, Bytes::from_static(b"{\"a\":1}"))
    };
    let mut out = Vec::new();
    write(&mut out, &request);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: api.example.com\r\naccept-encoding: identity\r\n\
         x-api-key: sk-1\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"
    );
}

#[test]
fn a_length_is_written_where_a_body_could_be() {
    let endpoint = Endpoint::parse("http://h", "/").unwrap();
    let head = |request: &Request<'_>| {
        let mut out = Vec::new();
        write(&mut out, request);
        String::from_utf8(out).unwrap()
    };
    assert!(!head(&Request::get(&endpoint)).contains("content-length"));
    for length in [0, 1, 9, 10, 12_345, 33_554_432] {
        let request = Request::post(&endpoint, Bytes::from(vec![b'x'; length]));
        assert!(head(&request).ends_with(&format!("\r\ncontent-length: {length}\r\n\r\n")));
    }
}

#[test]
fn a_head_is_taken_when_it_is_complete_and_the_rest_is_left() {
    let whole = b"HTTP/1.1 201 Created\r\nX-Request-Id:  r1 \r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 2\r\n\r\nok";
    let length = whole.len() - 2;
    for read in 0..length {
        let mut unread = BytesMut::from(&whole[..read]);
        assert!(parse(&mut unread).unwrap().is_none(), "{read} bytes");
        assert_eq!(unread.len(), read);
    }
    let mut unread = BytesMut::from(&whole[..]);
    let parsed = parse(&mut unread).unwrap().unwrap();
    assert_eq!(unread, "ok");
    assert_eq!((parsed.head.status, parsed.framing), (StatusCode::CREATED, Framing::Length(2)));
    assert!(parsed.keep_alive);
    let headers = parsed.head.headers;
    assert_eq!(headers["x-request-id"], "r1");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_connection_is_kept_only_when_both_versions_and_words_allow_it() {
    for (head, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 1\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 1\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nconnection: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
    ] {
        let parsed = parse(&mut BytesMut::from(head)).unwrap().unwrap();
        assert_eq!(parsed.keep_alive, expected, "{head}");
    }
}

#[test]
fn interim_responses_are_passed_over_and_a_switch_is_refused() {
    let parsed = |head: &str| parse(&mut BytesMut::from(head)).unwrap().unwrap().unless_interim();
    assert!(parsed("HTTP/1.1 100 Continue\r\n\r\n").unwrap().is_none());
    assert!(parsed("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n").unwrap().is_none());
    assert!(parsed("HTTP/1.1 200 OK\r\n\r\n").unwrap().is_some());
    assert!(parsed("HTTP/1.1 101 Switching Protocols\r\n\r\n").is_err());
}

#[test]
fn a_head_is_bounded_in_length_and_lines() {
    let long = |length: usize| format!("HTTP/1.1 200 OK\r\nx: {}", "a".repeat(length));
    assert!(parse(&mut BytesMut::from(long(60_000).as_str())).unwrap().is_none());
    assert!(parse(&mut BytesMut::from(long(70_000).as_str())).is_err());
    let lines = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(count));
    assert!(parse(&mut BytesMut::from(lines(100).as_str())).is_ok());
    assert!(parse(&mut BytesMut::from(lines(101).as_str())).is_err());
}

/// Whether the bytes are a sequence of whole responses, the last one perhaps not finished.
fn is_readable(input: &[u8]) -> bool {
    let mut unread = BytesMut::from(input);
    while !unread.is_empty() {
        let mut framing = match parse(&mut unread) {
            Ok(Some(parsed)) => parsed.framing,
            Ok(None) => return true,
            Err(_) => return false,
        };
        loop {
            match framing.next(&mut unread) {
                Ok(Piece::Data(_)) => {}
                Ok(Piece::Incomplete) => return true,
                Ok(Piece::End) => break,
                Err(_) => return false,
            }
        }
    }
    true
}

/// What llhttp, the parser of Node, refuses in its strict mode and this does not.
const MORE_LENIENT_THAN_LLHTTP: [&str; 6] = [
    // A line of a head may end in LF alone (RFC 9112 §2.2); there is no second way to read it.
    "Only LFs present and no body",
    "Only LFs present",
    "No carriage ret",
    // What follows is never read: the connection is not used again.
    "HTTP/1.1 with keep-alive disabled and 204 status",
    // Extensions are passed over, whatever they hold.
    "No extension after semicolon",
    "Unbalanced chunk extensions quoting",
];

#[test]
fn what_another_strict_parser_refuses_is_refused() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/badinput/http1/llhttp_cases.jsonl");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: ../shared/badinput/http1 is absent");
        return;
    };
    let mut accepted = Vec::new();
    let mut refused = 0;
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let input = BASE64_STANDARD.decode(case["b64"].as_str().unwrap()).unwrap();
        // Requests are read as well: they are no responses, and must not make it panic.
        let readable = is_readable(&input);
        if case["kind"] == "response" && case["lenient"] == false && case["llhttp"] == "error" {
            if readable {
                accepted.push(case["title"].as_str().unwrap().to_owned());
            } else {
                refused += 1;
            }
        }
    }
    accepted.sort();
    let mut expected = MORE_LENIENT_THAN_LLHTTP;
    expected.sort_unstable();
    assert_eq!(accepted, expected);
    assert!(refused >= 10, "{refused} cases were refused");
}
