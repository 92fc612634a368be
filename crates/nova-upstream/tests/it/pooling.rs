//! Which requests share a connection, and what happens when the peer has closed it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use nova_testkit::{Gate, Script, ScriptedUpstream, bounded};
use nova_upstream::{Credential, CredentialId, Kind, Request, Retry, Source};

use crate::support::{ask, client, credential, endpoint, patient, read, send};

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_the_answer_comes_back() {
    let upstream = ScriptedUpstream::start([Script::json(201, &[("x-request-id", "r1")], "{\"a\":1}")]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let key =
        Credential::header(CredentialId::new("a"), HeaderName::from_static("x-api-key"), "sk-1").unwrap();
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("anthropic-beta"), HeaderValue::from_static("one")),
        (HeaderName::from_static("anthropic-beta"), HeaderValue::from_static("two")),
        (http::header::HOST, HeaderValue::from_static("evil.example")),
        (http::header::CONTENT_LENGTH, HeaderValue::from_static("3")),
        (http::header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        (http::header::CONNECTION, HeaderValue::from_static("close")),
        (http::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
    ];
    let request = Request {
        credential: Some(&key),
        headers: &headers,
        deadlines: patient(),
        ..Request::post(&endpoint, Bytes::from_static(b"{\"hello\":true}"))
    };
    let response = bounded(client.send(request), "the request was answered").await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(response.headers["x-request-id"], "r1");
    assert!(response.connected_in.is_some());
    assert_eq!(response.body.remaining(), Some(7));
    assert_eq!(read(response).await.unwrap(), "{\"a\":1}");

    let request = upstream.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.text(), "{\"hello\":true}");
    let mut headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    headers.sort();
    assert_eq!(
        headers,
        [
            "accept-encoding: identity",
            "anthropic-beta: one",
            "anthropic-beta: two",
            "content-length: 14",
            "content-type: application/json",
            format!("host: {}", upstream.address()).as_str(),
            "x-api-key: sk-1",
        ]
    );
}

#[tokio::test]
async fn a_get_has_neither_body_nor_length() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], "[]")]).await;
    let endpoint = endpoint(&upstream.url());
    let request = Request { deadlines: patient(), ..Request::get(&endpoint) };
    let response = bounded(client().send(request), "the request was answered").await.unwrap();
    assert_eq!(read(response).await.unwrap(), "[]");
    let request = upstream.requests().remove(0);
    assert_eq!(request.method, "GET");
    assert_eq!(request.header("content-length"), None);
}

#[tokio::test]
async fn an_answer_read_to_its_end_leaves_its_connection_to_the_next_request() {
    let upstream = ScriptedUpstream::answering(|request| match request.text() {
        "length" => Script::json(200, &[], "{}"),
        "chunked" => Script::sse(&["data: 1\n\n", "data: [DONE]\n\n"]),
        "bytes" => Script::sse(&["data: 1\n\n"]).byte_by_byte(),
        "empty" => Script::json(200, &[], ""),
        _ => Script::new().write(*b"HTTP/1.1 204 No Content\r\n\r\n"),
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for (body, expected) in [
        ("length", "{}"),
        ("chunked", "data: 1\n\ndata: [DONE]\n\n"),
        ("bytes", "data: 1\n\n"),
        ("empty", ""),
        ("none", ""),
        ("length", "{}"),
    ] {
        assert_eq!(ask(&client, &endpoint, body).await.unwrap(), expected, "{body}");
        let stats = client.stats();
        assert_eq!((stats.open, stats.in_flight), (1, 0), "{body}");
    }
    assert_eq!(upstream.connections(), 1);
    let stats = client.stats();
    assert_eq!((stats.dialled, stats.reused, stats.resent), (1, 5, 0));
}

#[tokio::test]
async fn a_caller_that_stops_at_the_last_event_leaves_the_connection_as_well() {
    let upstream = ScriptedUpstream::answering(|_| {
        // In one segment, so that the end is there when the last event is.
        let whole = Script::sse(&["data: [DONE]\n\n"]);
        let bytes: Vec<u8> = whole.steps.iter().flat_map(written).collect();
        Script::new().write(bytes)
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for _ in 0..3 {
        let mut response = send(&client, &endpoint, "").await.unwrap();
        let event = bounded(response.body.frame(), "the event came").await;
        assert_eq!(event.unwrap().unwrap(), "data: [DONE]\n\n");
        drop(response);
    }
    assert_eq!(upstream.connections(), 1);
}

fn written(step: &nova_testkit::Step) -> Vec<u8> {
    match step {
        nova_testkit::Step::Write(bytes) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_a_connection_each() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let upstream = ScriptedUpstream::answering(move |_| {
        Script::new().wait_for(&waiting).write(*b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    })
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let both = async {
        tokio::join!(ask(&client, &endpoint, "1"), ask(&client, &endpoint, "2"), async {
            upstream.wait_for_requests(2).await;
            assert_eq!(client.stats().in_flight, 2);
            gate.open();
        })
    };
    let (one, two, ()) = both.await;
    assert_eq!((one.unwrap(), two.unwrap()), ("ok".to_owned(), "ok".to_owned()));
    assert_eq!(upstream.connections(), 2);
    assert_eq!(client.stats().open, 2);
}

#[tokio::test]
async fn a_connection_is_never_shared_between_credentials() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], "{}")).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let credentials = [None, Some(credential("a")), Some(credential("b"))];
    for round in 0..3 {
        for credential in &credentials {
            let request = Request {
                credential: credential.as_ref(),
                deadlines: patient(),
                ..Request::post(&endpoint, Bytes::new())
            };
            let response = bounded(client.send(request), "the request was answered").await.unwrap();
            assert_eq!(response.connected_in.is_none(), round > 0);
            read(response).await.unwrap();
        }
    }
    assert_eq!(upstream.connections(), 3);
    let requests = upstream.requests();
    for connection in 0..3 {
        let used = requests.iter().filter(|request| request.connection == connection);
        let authorizations: Vec<_> = used.map(|request| request.header("authorization")).collect();
        assert_eq!(authorizations, vec![authorizations[0]; 3]);
    }
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_while_it_was_idle_is_not_used() {
    let gate = Gate::new();
    let upstream = ScriptedUpstream::start([
        Script::json(200, &[], "1").wait_for(&gate).close(),
        Script::json(200, &[], "2"),
    ])
    .await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "1");
    gate.open();
    upstream.wait_for_open_connections(0).await;
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "2");
    assert_eq!(upstream.connections(), 2);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_request_that_crosses_the_close_of_an_idle_connection_is_sent_again() {
    for end in [Script::new().close(), Script::new().reset()] {
        let upstream =
            ScriptedUpstream::start([Script::json(200, &[], "1"), end, Script::json(200, &[], "2")]).await;
        let (client, endpoint) = (client(), endpoint(&upstream.url()));
        assert_eq!(ask(&client, &endpoint, "first").await.unwrap(), "1");
        assert_eq!(ask(&client, &endpoint, "second").await.unwrap(), "2");
        let seen: Vec<_> = upstream.requests().iter().map(|r| (r.connection, r.text().to_owned())).collect();
        let expected = [(0, "first"), (0, "second"), (1, "second")];
        assert_eq!(seen, expected.map(|(connection, body)| (connection, body.to_owned())));
        assert_eq!(client.stats().resent, 1);
    }
}

#[tokio::test]
async fn a_request_is_sent_again_once_and_never_from_a_fresh_connection() {
    let close = || Script::new().close();
    let upstream = ScriptedUpstream::start([Script::json(200, &[], "1"), close(), close(), close()]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "1");
    let failure = send(&client, &endpoint, "").await.unwrap_err();
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(
        (failure.kind, failure.source, failure.retry),
        (Kind::Reset, Source::Network, Retry::SameAllowed)
    );
    send(&client, &endpoint, "").await.unwrap_err();
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn a_request_is_not_sent_again_once_a_byte_of_an_answer_was_read() {
    let half = Script::new().write(*b"HTTP/1.1 200 O").close();
    let upstream = ScriptedUpstream::start([Script::json(200, &[], "1"), half]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "1");
    let failure = send(&client, &endpoint, "").await.unwrap_err();
    assert_eq!(failure.kind, Kind::Reset);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_closes_is_read_whole_and_its_connection_is_not_kept() {
    let closing = || Script::json(200, &[("connection", "close")], "{}").close();
    let until_end = Script::new().write(*b"HTTP/1.1 200 OK\r\n\r\nall of it").close();
    let upstream = ScriptedUpstream::start([closing(), closing(), until_end]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for expected in ["{}", "{}", "all of it"] {
        assert_eq!(ask(&client, &endpoint, "").await.unwrap(), expected);
        assert_eq!(client.stats().open, 0);
    }
    assert_eq!(upstream.connections(), 3);
}
