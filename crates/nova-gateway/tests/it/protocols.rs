//! One listener, HTTP/1.1 and HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nova_testkit::{Script, ScriptedUpstream, bounded};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{TestGateway, chat_reply, hello, provider};

#[tokio::test]
async fn many_http_2_requests_share_one_connection() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = http::Request::post("http://localhost/v1/chat/completions")
            .header("x-api-key", &gateway.key)
            .body(Full::new(Bytes::from(hello())))
            .unwrap();
        let mut sender = sender.clone();
        requests.spawn(async move {
            let response = sender.send_request(request).await.unwrap();
            (response.status(), response.into_body().collect().await.unwrap().to_bytes())
        });
    }
    for (status, body) in bounded(requests.join_all(), "the replies").await {
        assert_eq!((status.as_u16(), &*body), (200, chat_reply("Hi.").as_bytes()));
    }
    drop(sender);
    bounded(connection, "the connection's end").await.unwrap().unwrap();
}

/// A connection, and what the gateway says first on it to a client whose bytes come one by one.
async fn first_words(gateway: &TestGateway, sent: &[u8], length: usize) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in sent {
        stream.write_all(std::slice::from_ref(byte)).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut words = vec![0; length];
    bounded(stream.read_exact(&mut words), "the first words").await.unwrap();
    (stream, words)
}

#[tokio::test]
async fn the_protocol_is_told_from_bytes_that_come_one_by_one() {
    let gateway = TestGateway::start(&provider("http://127.0.0.1:9", "chat")).await;
    let get = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(first_words(&gateway, get, 15).await.1, b"HTTP/1.1 200 OK");
    // The first letters of this method are those of HTTP/2's preface, too.
    let pri = b"PRINT /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(first_words(&gateway, pri, 8).await.1, b"HTTP/1.1");
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let (_, frame) = first_words(&gateway, preface, 9).await;
    assert_eq!(frame[3], 4, "HTTP/2 begins with a frame of settings");
}

#[tokio::test]
async fn connections_that_ask_for_nothing_do_not_hold_up_a_stop() {
    let mut gateway = TestGateway::start(&provider("http://127.0.0.1:9", "chat")).await;
    gateway.grace = Duration::from_secs(60 * 60);
    let silent = TcpStream::connect(gateway.address()).await.unwrap();
    let mut undecided = TcpStream::connect(gateway.address()).await.unwrap();
    undecided.write_all(b"PRI").await.unwrap();
    let (mut answered, words) = first_words(&gateway, b"GET /livez HTTP/1.1\r\n\r\n", 8).await;
    assert_eq!(words, b"HTTP/1.1");
    // The end of the gateway waits for its connections, for as long as an hour.
    let stopped = tokio::task::spawn_blocking(move || drop(gateway));
    bounded(stopped, "the stop").await.unwrap();
    bounded(answered.read_to_end(&mut Vec::new()), "the end").await.unwrap();
    drop((silent, undecided));
}
