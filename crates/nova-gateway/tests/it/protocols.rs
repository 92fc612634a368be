//! One listener, HTTP/1.1 and HTTP/2.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nova_testkit::{Script, ScriptedUpstream, bounded};
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
