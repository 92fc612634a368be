//! Waiting for a condition: a level, not an edge, bounded in real time.
//!
//! The bound is read from the machine's clock, never from tokio's, so that a test with paused time
//! can wait as well. While it waits the task keeps yielding; the runtime is therefore never idle,
//! and a paused clock does not advance by itself.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a test waits before it fails: far more than any machine needs, so that it says "never".
pub const BOUND: Duration = Duration::from_secs(20);

/// Returns when `condition` holds; fails the test with `what` when it does not within [`BOUND`].
pub async fn until(condition: impl Fn() -> bool, what: &str) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < BOUND, "waited {BOUND:?} in vain until {what}");
        tokio::task::yield_now().await;
    }
}

/// Returns what `future` returns; fails the test with `what` when it does not within [`BOUND`].
pub async fn bounded<F: Future>(future: F, what: &str) -> F::Output {
    let started = Instant::now();
    let mut future = pin!(future);
    loop {
        let mut done = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                done = Some(output);
            }
            Poll::Ready(())
        })
        .await;
        if let Some(output) = done {
            return output;
        }
        assert!(started.elapsed() < BOUND, "waited {BOUND:?} in vain until {what}");
        tokio::task::yield_now().await;
    }
}
