//! Reading a body whole, under a cap.

use nova_testkit::{Script, ScriptedUpstream, bounded};
use nova_upstream::Kind;
use nova_upstream::body::MAX_ERROR;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{client, endpoint, send};

const MEGABYTE: usize = 1 << 20;

fn chunked(pieces: usize, size: usize) -> Script {
    let script = Script::new().write(*b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n");
    (0..pieces).fold(script, |script, _| script.chunk(vec![b'x'; size])).end_chunks()
}

#[tokio::test]
async fn an_error_of_two_hundred_megabytes_is_read_up_to_the_cap_and_no_further() {
    let endless = Script::new().write(*b"HTTP/1.1 500 No\r\ncontent-length: 209715200\r\n\r\n");
    let piece = bytes::Bytes::from(vec![b'x'; MEGABYTE]);
    let endless = (0..200).fold(endless, |script, _| script.then(nova_testkit::Step::Write(piece.clone())));
    let upstream = ScriptedUpstream::start([endless]).await;
    let client = client();
    let response = send(&client, &endpoint(&upstream.url()), "").await.unwrap();
    let excerpt = bounded(response.body.excerpt(MAX_ERROR), "the excerpt was read").await;
    assert_eq!(excerpt.len(), MAX_ERROR);
    // The connection was closed under the upstream, which was still writing.
    upstream.wait_for_departures(1).await;
    assert_eq!(client.stats().open, 0);
}

#[tokio::test]
async fn an_excerpt_is_what_could_be_had() {
    let error = || Script::json(400, &[], "{\"error\":1}");
    let cut = error().cut_at(error().len() - 7);
    for (script, expected) in [
        (error(), "{\"error\":1}"),
        (cut, "{\"er"),
        (Script::json(400, &[], ""), ""),
        (Script::sse_head(&[]).chunk("a").chunk("b").write("zz\r\n"), "ab"),
    ] {
        let upstream = ScriptedUpstream::start([script]).await;
        let response = send(&client(), &endpoint(&upstream.url()), "").await.unwrap();
        assert_eq!(bounded(response.body.excerpt(MAX_ERROR), "it was read").await, expected);
    }
}

#[tokio::test]
async fn an_errors_body_that_never_ends_is_waited_for_briefly() {
    let upstream = ScriptedUpstream::start([Script::sse_head(&[]).chunk("{\"err").stall()]).await;
    let response = send(&client(), &endpoint(&upstream.url()), "").await.unwrap();
    let task = tokio::spawn(response.body.excerpt(MAX_ERROR));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(6)).await;
    assert_eq!(bounded(task, "patience ended").await.unwrap(), "{\"err");
    upstream.wait_for_departures(1).await;
}

#[tokio::test]
async fn a_whole_body_is_exactly_what_was_sent_or_too_large() {
    let length = |size: usize| Script::json(200, &[], vec![b'x'; size]);
    for (script, size) in [
        (length(0), 0),
        (length(1), 1),
        (length(100_000), 100_000),
        (length(3 * MEGABYTE), 3 * MEGABYTE),
        (chunked(1, 10), 10),
        (chunked(2, 10), 20),
        (chunked(1000, 100), 100_000),
        (chunked(30, 100_000), 3_000_000),
    ] {
        for (limit, fits) in [(size, true), (size + 1, true), (size.saturating_sub(1), size == 0)] {
            let upstream = ScriptedUpstream::start([script.clone()]).await;
            let response = send(&client(), &endpoint(&upstream.url()), "").await.unwrap();
            match bounded(response.body.collect(limit), "the body was read").await {
                Ok(body) => {
                    assert!(fits, "{} bytes with a limit of {limit}", body.len());
                    assert_eq!(body.len(), size);
                    assert!(body.iter().all(|byte| *byte == b'x'));
                }
                Err(failure) => {
                    assert!(!fits, "{size} bytes, limit {limit}: {failure}");
                    assert_eq!(failure.kind, Kind::TooLarge);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_large_request_is_sent_whole_while_the_answer_is_already_coming() {
    let upstream =
        ScriptedUpstream::answering(|request| Script::json(200, &[], request.body.len().to_string())).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for size in [0, 1, 8192, 65_536, 5 * MEGABYTE, 32 * MEGABYTE] {
        let body = "x".repeat(size);
        assert_eq!(crate::support::ask(&client, &endpoint, &body).await.unwrap(), size.to_string());
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(upstream.requests()[4].body.len(), 5 * MEGABYTE);
}

#[tokio::test]
async fn an_answer_to_half_of_a_request_is_read_and_its_connection_is_not_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 1000];
        stream.read_exact(&mut some).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").await.unwrap();
        // It reads on, without haste, until the client gives up.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest.len()
    };
    let client = client();
    let exchange = async {
        let response = send(&client, &endpoint(&url), &"x".repeat(32 * MEGABYTE)).await.unwrap();
        assert_eq!(response.status, 413);
        assert_eq!(response.body.excerpt(MAX_ERROR).await, "big");
        client.stats().open
    };
    // The request is far larger than what the sockets hold, and the server reads nothing meanwhile.
    let (open, ()) = tokio::join!(exchange, async {
        assert!(bounded(serve, "the client gave up").await < 32 * MEGABYTE);
    });
    assert_eq!(open, 0);
}
