//! What an upstream should not send, and what it is called.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use nova_upstream::{Kind, Retry, Source};

use crate::support::{ask, client, endpoint};

/// One upstream, one request, the whole answer.
async fn outcome(script: Script) -> String {
    let upstream = ScriptedUpstream::start([script]).await;
    let client = client();
    let outcome = match ask(&client, &endpoint(&upstream.url()), "{}").await {
        Ok(text) => format!("ok {text}"),
        Err(failure) => {
            assert!(std::error::Error::source(&failure).is_some(), "{failure} has no cause");
            failure.kind.as_str().to_owned()
        }
    };
    assert_eq!(client.stats().in_flight, 0);
    outcome
}

async fn check(answer: impl AsRef<[u8]>, expected: &str) {
    let answer = answer.as_ref();
    let found = outcome(Script::new().write(answer).close()).await;
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
    assert_eq!(found, expected, "{shown:?}");
    // In pieces it is the same.
    if answer.len() < 1000 {
        let found = outcome(Script::new().write(answer).byte_by_byte().close()).await;
        assert_eq!(found, expected, "byte by byte: {shown:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_no_http_is_a_protocol_failure() {
    let endless_line = [b"HTTP/1.1 200 ".as_slice(), &[b'a'; 200_000]].concat();
    let huge = format!("HTTP/1.1 200 OK\r\nx-big: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-many: 1\r\n".repeat(500));
    for answer in [
        b"\x15\x03\x01\x00\x02\x02\x46".as_slice(),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"garbage\r\n\r\n",
        b"{\"error\":\"no http\"}",
        b"<html></html>\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        &endless_line,
        huge.as_bytes(),
        many.as_bytes(),
    ] {
        check(answer, "protocol").await;
    }
}

#[tokio::test]
async fn no_head_at_all_is_a_broken_connection() {
    for answer in [b"".as_slice(), b"HTTP/1.1", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nx: 1\r\n"] {
        check(answer, "reset").await;
    }
    assert_eq!(outcome(Script::new().reset()).await, "reset");
}

#[tokio::test]
async fn a_body_that_ends_early_is_cut_and_never_complete() {
    for answer in [
        "content-length: 10\r\n\r\n",
        "content-length: 10\r\n\r\n123456789",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nab",
        "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
    ] {
        check(format!("HTTP/1.1 200 OK\r\n{answer}"), "cut").await;
    }
    let whole = Script::sse(&["data: {\"a\":1}\n\n", "data: [DONE]\n\n"]);
    let head = Script::sse_head(&[]).len();
    for at in head..whole.len() {
        assert_eq!(outcome(whole.clone().cut_at(at)).await, "cut", "cut at byte {at}");
    }
}

#[tokio::test]
async fn a_reset_in_the_body_is_a_reset() {
    let gate = Gate::new();
    gate.open();
    let script = Script::sse_head(&[]).chunk("1").wait_for(&gate).reset();
    assert_eq!(outcome(script).await, "reset");
}

#[tokio::test]
async fn framing_that_cannot_be_read_is_a_protocol_failure() {
    for chunks in [
        "zz\r\nab\r\n",
        "-1\r\nab\r\n",
        "\r\n",
        "fffffffffffffffff\r\nab",
        "2\r\nabc\r\n",
        "2 2\r\nab\r\n",
        "2\nab\r\n0\r\n\r\n",
        "0x2\r\nab\r\n",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        check(answer, "protocol").await;
    }
    let extension = format!("2;{}\r\nab\r\n0\r\n\r\n", "e".repeat(100_000));
    check(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{extension}"), "protocol").await;
}

#[tokio::test]
async fn unusual_answers_that_are_correct_are_read() {
    for (answer, expected) in [
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "ok ok"),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "ok ok",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nall of it", "ok all of it"),
        ("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", "ok ok"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", "ok ok"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\nok", "ok ok"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\no\r\n01\r\nk\r\n0\r\nx-t: 1\r\n\r\n",
            "ok ok",
        ),
    ] {
        check(answer, expected).await;
    }
}

#[tokio::test]
async fn a_compressed_answer_is_refused_in_words() {
    let answer = Script::json(200, &[("content-encoding", "gzip")], "\u{1f}");
    let upstream = ScriptedUpstream::start([answer]).await;
    let failure = ask(&client(), &endpoint(&upstream.url()), "").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.source, failure.retry),
        (Kind::Protocol, Source::Upstream, Retry::ElsewhereOnly)
    );
    assert_eq!(failure.status, Some(200));
    assert_eq!(failure.to_string(), "the provider's answer could not be read");
    assert_eq!(
        std::error::Error::source(&failure).unwrap().to_string(),
        "the answer is compressed (\"gzip\"), although `identity` was asked for"
    );
}

const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";

#[tokio::test]
async fn bytes_after_an_answer_are_not_read_as_the_next_one() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{POISON}");
    let upstream =
        ScriptedUpstream::start([Script::new().write(answer), Script::json(200, &[], "clean")]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "ok");
    assert_eq!(client.stats().open, 0);
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "clean");
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_close_an_idle_connection() {
    let gate = Gate::new();
    let late = Script::json(200, &[], "ok").wait_for(&gate).write(POISON);
    let upstream = ScriptedUpstream::start([late, Script::json(200, &[], "clean")]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "ok");
    assert_eq!(client.stats().open, 1);
    gate.open();
    // The reaper looks every five seconds.
    tokio::time::pause();
    while client.stats().open > 0 {
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
    }
    tokio::time::resume();
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "clean");
}
