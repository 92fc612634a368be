use super::*;

fn of(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Framing, Malformed> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    Framing::of(StatusCode::from_u16(status).unwrap(), &map)
}

#[test]
fn the_head_says_where_the_body_ends() {
    const LENGTH: &str = "content-length";
    const CODING: &str = "transfer-encoding";
    let chunked = Framing::Chunked(Chunk::Size);
    for (status, headers, expected) in [
        (200, vec![(LENGTH, "5")], Some(Framing::Length(5))),
        (200, vec![(LENGTH, "0")], Some(Framing::None)),
        (200, vec![(LENGTH, "5"), (LENGTH, "5")], Some(Framing::Length(5))),
        (200, vec![(LENGTH, "5, 5")], Some(Framing::Length(5))),
        (200, vec![(CODING, "Chunked")], Some(chunked)),
        (200, vec![(CODING, "chunked"), (LENGTH, "5")], Some(chunked)),
        (200, vec![], Some(Framing::UntilClose)),
        (204, vec![(LENGTH, "5")], Some(Framing::None)),
        (304, vec![(CODING, "chunked")], Some(Framing::None)),
        (200, vec![(LENGTH, "5"), (LENGTH, "6")], None),
        (200, vec![(LENGTH, "5,")], None),
        (200, vec![(LENGTH, "+5")], None),
        (200, vec![(LENGTH, "0x5")], None),
        (200, vec![(LENGTH, "")], None),
        (200, vec![(LENGTH, "18446744073709551616")], None),
        (200, vec![(CODING, "gzip, chunked")], None),
        (200, vec![(CODING, "chunked, chunked")], None),
        (200, vec![(CODING, "chunked"), (CODING, "chunked")], None),
        (200, vec![(CODING, "identity")], None),
    ] {
        assert_eq!(of(status, &headers).ok(), expected, "{status} {headers:?}");
    }
}

/// All of the body, when the bytes arrive in pieces of `size`.
fn read(mut framing: Framing, input: &[u8], size: usize) -> Result<(String, &'static str), Malformed> {
    let mut unread = BytesMut::new();
    let mut body = Vec::new();
    let mut arriving = input.chunks(size);
    loop {
        match framing.next(&mut unread)? {
            Piece::Data(data) => {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
            Piece::End => {
                let left = unread.len() + arriving.map(<[u8]>::len).sum::<usize>();
                let end = if left == 0 { "whole" } else { "and more" };
                return Ok((String::from_utf8(body).unwrap(), end));
            }
            Piece::Incomplete => match arriving.next() {
                Some(piece) => unread.extend_from_slice(piece),
                None => return Ok((String::from_utf8(body).unwrap(), "cut")),
            },
        }
    }
}

#[track_caller]
fn check(framing: Framing, input: &str, expected: Option<(&str, &'static str)>) {
    for size in 1..=input.len().max(1) {
        let found = read(framing, input.as_bytes(), size).ok();
        let found = found.as_ref().map(|(body, end)| (body.as_str(), *end));
        assert_eq!(found, expected, "{input:?} in pieces of {size}");
    }
}

#[test]
fn a_body_is_the_same_however_it_arrives() {
    check(Framing::Length(5), "hello", Some(("hello", "whole")));
    check(Framing::Length(5), "hello!", Some(("hello", "and more")));
    check(Framing::Length(5), "hell", Some(("hell", "cut")));
    check(Framing::UntilClose, "hello", Some(("hello", "cut")));
    check(Framing::None, "", Some(("", "whole")));
    check(Framing::None, "x", Some(("", "and more")));
    let chunked = Framing::Chunked(Chunk::Size);
    for (input, expected) in [
        ("5\r\nhello\r\n0\r\n\r\n", Some(("hello", "whole"))),
        ("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", Some(("hello", "whole"))),
        ("05;a=b;c=\"d\"\r\nhello\r\n0\r\nx: 1\r\ny: 2\r\n\r\n", Some(("hello", "whole"))),
        ("a ;x\r\n0123456789\r\n000\r\n\r\n", Some(("0123456789", "whole"))),
        ("5\r\n\r\n\r\n\r\r\n0\r\n\r\n", Some(("\r\n\r\n\r", "whole"))),
        ("0\r\n\r\nHTTP/1.1 200 OK", Some(("", "and more"))),
        ("5\r\nhello\r\n0\r\n", Some(("hello", "cut"))),
        ("5\r\nhel", Some(("hel", "cut"))),
        ("5\r", Some(("", "cut"))),
        ("", Some(("", "cut"))),
        ("5\nhello\r\n0\r\n\r\n", None),
        ("5\r\nhello\n0\r\n\r\n", None),
        ("5\r\nhello!\r\n0\r\n\r\n", None),
        ("5\rx\r\nhello\r\n0\r\n\r\n", None),
        ("5 \r\nhello\r\n0\r\n\r\n", None),
        (" 5\r\nhello\r\n0\r\n\r\n", None),
        ("-5\r\nhello\r\n0\r\n\r\n", None),
        ("5 5\r\nhello\r\n0\r\n\r\n", None),
        ("\r\nhello", None),
        (";x\r\nhello", None),
        ("10000000000000000\r\nhello", None),
    ] {
        check(chunked, input, expected);
    }
}

#[test]
fn lines_between_chunks_are_bounded() {
    let chunked = Framing::Chunked(Chunk::Size);
    let extension = |length| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length));
    assert_eq!(read(chunked, extension(4000).as_bytes(), 1000), Ok(("x".to_owned(), "whole")));
    assert!(read(chunked, extension(5000).as_bytes(), 1000).is_err());
    assert!(read(chunked, "0".repeat(5000).as_bytes(), 1000).is_err());
    let trailers = |count| format!("0\r\n{}\r\n", "x: 1\r\n".repeat(count));
    assert!(read(chunked, trailers(100).as_bytes(), 1000).is_ok());
    assert!(read(chunked, trailers(101).as_bytes(), 1000).is_err());
}

#[test]
fn only_a_body_with_one_possible_end_leaves_the_connection_usable() {
    let mut headers = HeaderMap::new();
    assert!(Framing::Length(5).is_unambiguous(&headers));
    assert!(Framing::Chunked(Chunk::Size).is_unambiguous(&headers));
    assert!(!Framing::UntilClose.is_unambiguous(&headers));
    headers.insert("content-length", "5".parse().unwrap());
    assert!(!Framing::Chunked(Chunk::Size).is_unambiguous(&headers));
}
