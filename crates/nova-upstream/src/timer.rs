//! A deadline that may move with every frame and costs nothing while it moves away.
//!
//! Arming a timer takes the runtime's timer lock. A stream moves its idle deadline with each of
//! thousands of frames and hardly ever reaches it. So the timer stays armed for the instant that it
//! was armed for; when that comes and the deadline has moved on, it is armed again for what is left.
//! A pooled connection keeps its timer between requests: a busy one arms it about once a minute.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    deadline: Instant,
}

impl Timer {
    /// Moves the deadline.
    pub(crate) fn set(&mut self, deadline: Instant) {
        match &mut self.armed {
            Some(armed) => {
                if deadline < armed.sleep.deadline() {
                    armed.sleep.as_mut().reset(deadline);
                }
                armed.deadline = deadline;
            }
            None => self.armed = Some(Armed { sleep: Box::pin(sleep_until(deadline)), deadline }),
        }
    }

    /// Ready with the deadline when it has passed; without a deadline it never is.
    pub(crate) fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<Instant> {
        let Some(armed) = &mut self.armed else { return Poll::Pending };
        while armed.sleep.as_mut().poll(context).is_ready() {
            if armed.sleep.deadline() >= armed.deadline {
                return Poll::Ready(armed.deadline);
            }
            let deadline = armed.deadline;
            armed.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    fn passed(timer: &mut Timer) -> bool {
        timer.poll_passed(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_away_is_not_reached_early() {
        let start = Instant::now();
        let mut timer = Timer::default();
        assert!(!passed(&mut timer));
        for second in 0..100 {
            timer.set(Instant::now() + Duration::from_secs(60));
            assert!(!passed(&mut timer), "second {second}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        poll_fn(|context| timer.poll_passed(context)).await;
        assert_eq!(start.elapsed().as_secs(), 159);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_nearer_is_reached_in_time() {
        let start = Instant::now();
        let mut timer = Timer::default();
        timer.set(start + Duration::from_secs(60));
        assert!(!passed(&mut timer));
        timer.set(start + Duration::from_secs(5));
        poll_fn(|context| timer.poll_passed(context)).await;
        assert_eq!(start.elapsed().as_secs(), 5);
        timer.set(start + Duration::from_secs(9));
        assert!(!passed(&mut timer));
        poll_fn(|context| timer.poll_passed(context)).await;
        assert_eq!(start.elapsed().as_secs(), 9);
    }
}
