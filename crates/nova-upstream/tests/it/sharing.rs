//! One client on several threads, which it is not made for and has to bear.

use std::sync::Arc;

use nova_testkit::{Http2Reply, Http2Upstream, Script, ScriptedUpstream, bounded};
use nova_upstream::{Client, Endpoint};

use crate::support::{ask, client, endpoint};

/// Each request has words of its own, and nobody reads another's.
async fn all_read_their_own(client: Client, endpoint: Endpoint, count: usize, rounds: usize) {
    let endpoint = Arc::new(endpoint);
    let tasks: Vec<_> = (0..count)
        .map(|task| {
            let (client, endpoint) = (client.clone(), Arc::clone(&endpoint));
            tokio::spawn(async move {
                for round in 0..rounds {
                    let words = format!("task {task} round {round} {}", "x".repeat(task * 97 % 5000));
                    assert_eq!(ask(&client, &endpoint, &words).await.unwrap(), words);
                }
            })
        })
        .collect();
    for task in tasks {
        bounded(task, "every task was answered").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_are_never_exchanged_between_requests_over_http1() {
    let upstream = ScriptedUpstream::answering(|request| match request.body.len() % 2 {
        0 => Script::json(200, &[], &request.body),
        _ => Script::sse(&[request.text()]),
    })
    .await;
    let client = client();
    all_read_their_own(client.clone(), endpoint(&upstream.url()), 50, 20).await;
    let stats = client.stats();
    assert_eq!(stats.in_flight, 0);
    assert_eq!(stats.dialled + stats.reused, 1000);
    assert_eq!(upstream.connections() as u64, stats.dialled);
    assert!(stats.dialled <= 50, "{} connections for 50 tasks", stats.dialled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_are_never_exchanged_between_requests_over_http2() {
    let upstream = Http2Upstream::start(100, |request| Http2Reply::ok(request.body.clone())).await;
    let client = client();
    all_read_their_own(client.clone(), endpoint(&upstream.url()), 50, 10).await;
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn a_client_and_what_it_returns_can_cross_threads() {
    fn crosses<T: Send>() {}
    fn value<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Client>();
    is_shared::<Endpoint>();
    is_shared::<nova_upstream::Credential>();
    is_shared::<nova_upstream::Failure>();
    crosses::<nova_upstream::Response>();
    let (client, endpoint) = (client(), endpoint("http://127.0.0.1:1"));
    value(&client.send(nova_upstream::Request::get(&endpoint)));
}
