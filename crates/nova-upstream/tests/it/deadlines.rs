//! Each deadline. The clock is real until the exchange is known to stand still, and is then paused
//! and moved by hand: a clock that is paused from the start would run ahead whenever the runtime
//! waits for a socket.

use std::time::Duration;

use bytes::Bytes;
use nova_testkit::{Gate, Http2Reply, Http2Upstream, Script, ScriptedUpstream, bounded, until};
use nova_upstream::{Client, Deadlines, Endpoint, Failure, Kind, Request, Response, Retry, Source};
use tokio::task::JoinHandle;
use tokio::time::{advance, pause};

use crate::support::{client, endpoint};

const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(30),
    idle: Duration::from_secs(60),
    total: Duration::from_secs(600),
};

fn sending(
    client: &Client,
    endpoint: &Endpoint,
    deadlines: Deadlines,
) -> JoinHandle<Result<Response, Failure>> {
    let (client, endpoint) = (client.clone(), endpoint.clone());
    tokio::spawn(async move {
        client.send(Request { deadlines, ..Request::post(&endpoint, Bytes::from_static(b"{}")) }).await
    })
}

/// Lets everything run that can, at the present time.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The task is not done `before`, and done `after` more. The clock stands still from here on.
async fn ends_between<T>(task: JoinHandle<T>, before: Duration, after: Duration) -> T {
    pause();
    ends_between_paused(task, before, after).await
}

async fn ends_between_paused<T>(task: JoinHandle<T>, before: Duration, after: Duration) -> T {
    advance(before).await;
    settle().await;
    assert!(!task.is_finished(), "it ended early");
    advance(after).await;
    bounded(task, "the deadline ended it").await.unwrap()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[track_caller]
fn check(failure: &Failure, kind: Kind, source: Source, retry: Retry) {
    assert_eq!((failure.kind, failure.source, failure.retry), (kind, source, retry), "{failure}");
    assert!(kind.is_timeout());
}

#[tokio::test]
async fn a_handshake_that_never_ends_meets_the_connect_deadline() {
    // It accepts, and waits for an HTTP request that a TLS client never sends.
    let upstream = ScriptedUpstream::start([]).await;
    let endpoint = endpoint(&upstream.url().replace("http://", "https://"));
    let task = sending(&client(), &endpoint, DEADLINES);
    until(|| upstream.connections() == 1, "the client connected").await;
    let failure = ends_between(task, seconds(4), seconds(2)).await.unwrap_err();
    check(&failure, Kind::ConnectTimeout, Source::Network, Retry::ElsewhereOnly);
}

#[tokio::test]
async fn silence_before_the_head_meets_the_first_byte_deadline() {
    for script in [Script::new().stall(), Script::new().write(*b"HTTP/1.1 200 OK\r\nx-half").stall()] {
        let upstream = ScriptedUpstream::start([script]).await;
        let task = sending(&client(), &endpoint(&upstream.url()), DEADLINES);
        upstream.wait_for_requests(1).await;
        let failure = ends_between(task, seconds(29), seconds(2)).await.unwrap_err();
        check(&failure, Kind::FirstByteTimeout, Source::Upstream, Retry::ElsewhereOnly);
        // The deadline is a cancellation for the provider.
        upstream.wait_for_departures(1).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn silence_in_the_body_meets_the_idle_deadline_which_every_frame_moves() {
    let (first, second) = (Gate::new(), Gate::new());
    let script = Script::sse_head(&[]).chunk("1").wait_for(&first).chunk("2").wait_for(&second);
    let upstream = ScriptedUpstream::start([script]).await;
    let mut response = bounded(sending(&client(), &endpoint(&upstream.url()), DEADLINES), "it was answered")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bounded(response.body.frame(), "a frame").await.unwrap().unwrap(), "1");
    first.wait_for_arrivals(1).await;
    pause();
    advance(seconds(59)).await;
    first.open();
    assert_eq!(bounded(response.body.frame(), "a frame").await.unwrap().unwrap(), "2");
    let task = tokio::spawn(async move { (response.body.frame().await, response) });
    let (frame, mut response) = ends_between_paused(task, seconds(59), seconds(2)).await;
    check(&frame.unwrap().unwrap_err(), Kind::IdleTimeout, Source::Upstream, Retry::ElsewhereOnly);
    assert!(bounded(response.body.frame(), "the end").await.is_none());
    upstream.wait_for_departures(1).await;
}

#[tokio::test]
async fn the_idle_deadline_holds_when_it_is_shorter_than_what_was_left_of_the_first_byte_deadline() {
    let upstream = ScriptedUpstream::start([Script::sse_head(&[]).chunk("1").stall()]).await;
    let deadlines = Deadlines { first_byte: seconds(500), idle: seconds(7), ..DEADLINES };
    let task = sending(&client(), &endpoint(&upstream.url()), deadlines);
    let mut response = bounded(task, "it was answered").await.unwrap().unwrap();
    assert_eq!(bounded(response.body.frame(), "a frame").await.unwrap().unwrap(), "1");
    let task = tokio::spawn(async move { response.body.frame().await });
    let failure = ends_between(task, seconds(6), seconds(2)).await.unwrap().unwrap_err();
    check(&failure, Kind::IdleTimeout, Source::Upstream, Retry::ElsewhereOnly);
}

#[tokio::test]
async fn the_total_deadline_covers_the_head_and_the_body() {
    let deadlines = Deadlines { total: seconds(20), ..DEADLINES };
    let upstream = ScriptedUpstream::start([Script::new().stall()]).await;
    let task = sending(&client(), &endpoint(&upstream.url()), deadlines);
    upstream.wait_for_requests(1).await;
    let failure = ends_between(task, seconds(19), seconds(2)).await.unwrap_err();
    check(&failure, Kind::TotalTimeout, Source::Gateway, Retry::Never);
    tokio::time::resume();

    let upstream = ScriptedUpstream::start([Script::sse_head(&[]).stall()]).await;
    let task = sending(&client(), &endpoint(&upstream.url()), deadlines);
    let mut response = bounded(task, "it was answered").await.unwrap().unwrap();
    let task = tokio::spawn(async move { response.body.frame().await });
    let failure = ends_between(task, seconds(18), seconds(3)).await.unwrap().unwrap_err();
    check(&failure, Kind::TotalTimeout, Source::Gateway, Retry::Never);
}

#[tokio::test]
async fn a_connections_second_request_has_its_own_deadlines() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], "{}"), Script::new().stall()]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let first = bounded(sending(&client, &endpoint, DEADLINES), "it was answered").await.unwrap().unwrap();
    bounded(first.body.collect(10), "it was read").await.unwrap();
    // The timer of the connection is armed for the first request's idle deadline, a minute ahead.
    for (first_byte, before) in [(20, 19), (200, 199)] {
        let deadlines = Deadlines { first_byte: seconds(first_byte), ..DEADLINES };
        let task = sending(&client, &endpoint, deadlines);
        let count = upstream.requests().len();
        upstream.wait_for_requests(count + 1).await;
        let failure = ends_between(task, seconds(before), seconds(2)).await.unwrap_err();
        check(&failure, Kind::FirstByteTimeout, Source::Upstream, Retry::ElsewhereOnly);
        tokio::time::resume();
        upstream.push(Script::json(200, &[], "{}"));
        upstream.push(Script::new().stall());
        let again =
            bounded(sending(&client, &endpoint, DEADLINES), "it was answered").await.unwrap().unwrap();
        bounded(again.body.collect(10), "it was read").await.unwrap();
    }
}

#[tokio::test]
async fn deadlines_hold_on_http2() {
    let gate = Gate::new();
    let before = gate.clone();
    let upstream = Http2Upstream::start(10, move |request| match request.text() {
        "{}" if request.header("x-stall").is_none() => {
            Http2Reply { before: Some(before.clone()), ..Http2Reply::ok("late") }
        }
        _ => Http2Reply::ok(""),
    })
    .await;
    let task = sending(&client(), &endpoint(&upstream.url()), DEADLINES);
    gate.wait_for_arrivals(1).await;
    let failure = ends_between(task, seconds(29), seconds(2)).await.unwrap_err();
    check(&failure, Kind::FirstByteTimeout, Source::Upstream, Retry::ElsewhereOnly);
}

#[tokio::test]
async fn an_idle_connection_is_closed_when_it_is_too_old() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], "{}")]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    let response = bounded(sending(&client, &endpoint, DEADLINES), "it was answered").await.unwrap().unwrap();
    bounded(response.body.collect(10), "it was read").await.unwrap();
    pause();
    advance(seconds(50)).await;
    settle().await;
    assert_eq!(upstream.open_connections(), 1);
    for _ in 0..3 {
        advance(seconds(5)).await;
        settle().await;
    }
    upstream.wait_for_open_connections(0).await;
    assert_eq!(client.stats().open, 0);
}
