//! Whatever is dropped early is cancelled at the provider.

use bytes::Bytes;
use nova_testkit::{Gate, Script, ScriptedUpstream, bounded};
use nova_upstream::Request;

use crate::support::{ask, client, endpoint, patient, send};

#[tokio::test]
async fn dropping_the_request_before_its_head_closes_the_connection() {
    let upstream = ScriptedUpstream::start([Script::new().stall()]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let (sender, destination) = (client.clone(), endpoint.clone());
    let task = tokio::spawn(async move {
        let request = Request { deadlines: patient(), ..Request::post(&destination, Bytes::new()) };
        sender.send(request).await
    });
    upstream.wait_for_requests(1).await;
    assert_eq!(client.stats().in_flight, 1);
    task.abort();
    upstream.wait_for_departures(1).await;
    let stats = client.stats();
    assert_eq!((stats.open, stats.in_flight), (0, 0));
}

#[tokio::test]
async fn dropping_the_body_before_its_end_closes_the_connection() {
    for script in [
        Script::sse_head(&[]).stall(),
        Script::sse_head(&[]).chunk("data: 1\n\n").stall(),
        // All but the end of the framing.
        Script::sse_head(&[]).chunk("data: 1\n\n").write(*b"0\r\n").stall(),
        Script::new().write(*b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n").stall(),
        Script::new().write(*b"HTTP/1.1 500 No\r\n\r\n").stall(),
    ] {
        let upstream = ScriptedUpstream::start([script]).await;
        let (client, endpoint) = (client(), endpoint(&upstream.url()));
        let response = send(&client, &endpoint, "").await.unwrap();
        assert_eq!(client.stats().open, 1);
        drop(response);
        upstream.wait_for_departures(1).await;
        let stats = client.stats();
        assert_eq!((stats.open, stats.in_flight), (0, 0));
    }
}

#[tokio::test]
async fn what_was_not_read_of_one_answer_is_never_read_as_the_next() {
    let gate = Gate::new();
    let half =
        Script::sse_head(&[]).chunk("one").wait_for(&gate).chunk("HTTP/1.1 200 OK\r\n\r\n").end_chunks();
    let upstream = ScriptedUpstream::start([half, Script::json(200, &[], "two")]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let mut response = send(&client, &endpoint, "").await.unwrap();
    assert_eq!(bounded(response.body.frame(), "a frame").await.unwrap().unwrap(), "one");
    gate.open();
    drop(response);
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "two");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_thousand_cancelled_requests_leave_nothing_behind() {
    let upstream = ScriptedUpstream::answering(|_| Script::sse_head(&[]).chunk("data: 1\n\n").stall()).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for _ in 0..1000 {
        let mut response = send(&client, &endpoint, "{}").await.unwrap();
        bounded(response.body.frame(), "a frame").await.unwrap().unwrap();
    }
    let stats = client.stats();
    assert_eq!((stats.open, stats.in_flight, stats.dialled), (0, 0, 1000));
    upstream.wait_for_departures(1000).await;
}
