//! HTTP/2 over TLS: one connection, many streams.

use nova_testkit::http2::Http2End;
use nova_testkit::{Gate, Http2Reply, Http2Upstream, bounded, until};
use nova_upstream::{Client, ClientOptions, Credential, CredentialId, Kind, Request, Tls, TlsOptions};

use crate::support::{ask, authority_file, client, endpoint, patient, read, send};

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    let upstream = Http2Upstream::start(100, |request| Http2Reply::ok(request.body.clone())).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let key = Credential::bearer(CredentialId::new("a"), "sk-1").unwrap();
    let body = bytes::Bytes::from_static(b"{\"n\":1}");
    let request = Request { credential: Some(&key), deadlines: patient(), ..Request::post(&endpoint, body) };
    let response = bounded(client.send(request), "the request was answered").await.unwrap();
    assert_eq!(read(response).await.unwrap(), "{\"n\":1}");
    let request = upstream.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-1"));
    assert_eq!(request.header("content-length"), Some("7"));
    assert_eq!(request.header("host"), None);
}

#[tokio::test]
async fn many_requests_at_once_share_a_connection_up_to_what_the_peer_allows() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let upstream = Http2Upstream::start(4, move |request| match request.text() {
        "first" => Http2Reply::ok("first"),
        text => Http2Reply { before: Some(waiting.clone()), ..Http2Reply::ok(text.to_owned()) },
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "first").await.unwrap(), "first");
    let mut tasks = Vec::new();
    for number in 0..4 {
        let (client, endpoint) = (client.clone(), endpoint.clone());
        tasks.push(tokio::spawn(async move { ask(&client, &endpoint, &number.to_string()).await }));
        gate.wait_for_arrivals(number + 1).await;
    }
    assert_eq!(upstream.connections(), 1);
    // The fifth finds the connection full, and would wait for a stream to end.
    let (other, destination) = (client.clone(), endpoint.clone());
    tasks.push(tokio::spawn(async move { ask(&other, &destination, "4").await }));
    gate.wait_for_arrivals(5).await;
    assert_eq!(upstream.connections(), 2);
    assert_eq!(client.stats().in_flight, 5);
    gate.open();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(bounded(task, "it was answered").await.unwrap().unwrap(), number.to_string());
    }
    assert_eq!(client.stats().in_flight, 0);
}

#[tokio::test]
async fn a_connection_that_goes_away_is_replaced_and_its_streams_are_finished() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let upstream = Http2Upstream::start(100, move |request| match request.text() {
        "slow" => Http2Reply { before: Some(waiting.clone()), ..Http2Reply::ok("slow") },
        text => Http2Reply::ok(text.to_owned()),
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let (other, destination) = (client.clone(), endpoint.clone());
    let slow = tokio::spawn(async move { ask(&other, &destination, "slow").await });
    gate.wait_for_arrivals(1).await;
    upstream.go_away();
    // Whether or not the client has already read the GOAWAY, no request is lost.
    for _ in 0..20 {
        assert_eq!(ask(&client, &endpoint, "quick").await.unwrap(), "quick");
    }
    assert_eq!(upstream.connections(), 2);
    gate.open();
    assert_eq!(bounded(slow, "the old stream was finished").await.unwrap().unwrap(), "slow");
}

#[tokio::test]
async fn dropping_a_body_resets_its_stream_and_not_the_connection() {
    let upstream = Http2Upstream::start(100, |request| match request.text() {
        "stall" => Http2Reply { end: Http2End::Stall, ..Http2Reply::ok("data: 1\n\n") },
        text => Http2Reply::ok(text.to_owned()),
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let mut response = send(&client, &endpoint, "stall").await.unwrap();
    assert_eq!(bounded(response.body.frame(), "a frame").await.unwrap().unwrap(), "data: 1\n\n");
    assert_eq!(upstream.resets(), 0);
    drop(response);
    until(|| upstream.resets() == 1, "the stream was reset").await;
    assert_eq!(ask(&client, &endpoint, "next").await.unwrap(), "next");
    assert_eq!(upstream.connections(), 1);
    assert_eq!(client.stats().in_flight, 0);
}

#[tokio::test]
async fn a_stream_that_the_peer_resets_is_a_reset() {
    let upstream =
        Http2Upstream::start(100, |_| Http2Reply { end: Http2End::Reset, ..Http2Reply::ok("half") }).await;
    let failure = ask(&client(), &endpoint(&upstream.url()), "").await.unwrap_err();
    assert_eq!(failure.kind, Kind::Reset);
}

#[tokio::test]
async fn a_client_that_does_not_offer_http2_is_not_given_it() {
    let upstream = Http2Upstream::start(100, |_| Http2Reply::ok("")).await;
    let options = TlsOptions { authorities: Some(authority_file()), http2: false, ..TlsOptions::default() };
    let client = Client::new(ClientOptions::default(), Tls::new(&options).unwrap());
    let failure = send(&client, &endpoint(&upstream.url()), "").await.unwrap_err();
    assert_eq!(failure.kind, Kind::Tls);
}
