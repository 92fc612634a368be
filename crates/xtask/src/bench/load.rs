//! The two kinds of load.
//!
//! *Closed*: N requests are always in flight, each followed by the next. It shows what a request costs, and hides queues:
//! a slow target is simply asked less often. *Open*: requests are due at times that were drawn before, whether or not the
//! earlier ones were answered, and latency counts from when a request was due, not from when it could be sent.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::http::{Answer, Connection};

/// What is asked, and how its answer is known to be whole.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) to: SocketAddr,
    pub(super) request: Vec<u8>,
    /// What the body of a whole answer holds towards its end.
    pub(super) ending: &'static str,
}

impl Ask {
    /// Asks once; an answer that is no success or not whole is an error.
    pub(super) fn once(&self, connection: &mut Connection) -> Result<Answer> {
        let answer = connection.exchange(&self.request)?;
        let tail = &connection.body[connection.body.len().saturating_sub(512)..];
        if answer.status != 200 || !String::from_utf8_lossy(tail).contains(self.ending) {
            bail!("status {} with the body `{}`", answer.status, String::from_utf8_lossy(&connection.body));
        }
        Ok(answer)
    }
}

/// Keeps `in_flight` requests in flight until the time is over; returns how many were answered.
pub(super) fn closed(ask: &Ask, in_flight: usize, how_long: Duration) -> Result<u64> {
    let barrier = Barrier::new(in_flight);
    let worker = || -> Result<u64> {
        let connected = Connection::open(ask.to);
        barrier.wait();
        let mut connection = connected?;
        let end = Instant::now() + how_long;
        let mut answered = 0;
        loop {
            ask.once(&mut connection)?;
            answered += 1;
            if Instant::now() >= end {
                return Ok(answered);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..in_flight).map(|_| scope.spawn(worker)).collect();
        let mut answered = 0;
        for worker in workers {
            answered += worker.join().ok().context("a worker of the load generator ended early")??;
        }
        Ok(answered)
    })
}

/// Microseconds of one request in an open load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// From due to the first byte of the body.
    pub(super) first: f64,
    /// From due to the last byte.
    pub(super) done: f64,
    /// From due to sent: what the generator itself was late, because the machine or its connections were busy.
    pub(super) late: f64,
}

/// Sends the requests when they are due, over `connections` connections in turn.
pub(super) fn open(ask: &Ask, due: &[Duration], connections: usize) -> Result<Vec<Timing>> {
    let barrier = Barrier::new(connections + 1);
    let worker = |own: Vec<Duration>| -> Result<Vec<Timing>> {
        let connected = Connection::open(ask.to);
        barrier.wait();
        let start = Instant::now();
        let mut connection = connected?;
        let mut timings = Vec::with_capacity(own.len());
        for due in own {
            let due = start + due;
            wait_until(due);
            let sent = Instant::now();
            let answer = ask.once(&mut connection)?;
            let since_due = |at: Instant| at.saturating_duration_since(due).as_secs_f64() * 1e6;
            timings.push(Timing {
                first: since_due(answer.first),
                done: since_due(answer.done),
                late: since_due(sent),
            });
        }
        Ok(timings)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|first| {
                let own: Vec<Duration> = due.iter().skip(first).step_by(connections).copied().collect();
                scope.spawn(move || worker(own))
            })
            .collect();
        barrier.wait();
        let mut timings = Vec::with_capacity(due.len());
        for worker in workers {
            timings.extend(worker.join().ok().context("a worker of the load generator ended early")??);
        }
        Ok(timings)
    })
}

/// Times at which requests are due: a Poisson process of this rate, the same for the same seed.
pub(super) fn arrivals(per_second: f64, how_long: Duration, seed: u64) -> Vec<Duration> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        // xorshift64*: plenty for arrival times.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let bits = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (bits as f64 + 1.0) / (1_u64 << 53) as f64
    };
    let mut at = 0.0;
    let mut due = Vec::new();
    loop {
        at -= uniform().ln() / per_second;
        if at >= how_long.as_secs_f64() {
            return due;
        }
        due.push(Duration::from_secs_f64(at));
    }
}

/// Sleeps, and then spins for the last stretch, as a sleeping thread wakes tens of microseconds late.
fn wait_until(due: Instant) {
    const SPIN: Duration = Duration::from_micros(120);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SPIN {
            std::thread::park_timeout(left - SPIN);
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

    /// A server that answers every request after `pause` and counts nothing: the generator counts.
    fn server(pause: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).is_ok_and(|read| read > 0) {
                        std::thread::park_timeout(pause);
                        if stream.write_all(ANSWER).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn ask(to: SocketAddr, ending: &'static str) -> Ask {
        Ask { to, request: super::super::http::post(to, "/", &[], "{}"), ending }
    }

    #[test]
    fn arrivals_have_the_rate_and_repeat_with_the_seed() {
        let due = arrivals(200.0, Duration::from_secs(100), 1);
        assert!((19_000..21_000).contains(&due.len()), "{} arrivals", due.len());
        assert!(due.is_sorted());
        assert_eq!(due, arrivals(200.0, Duration::from_secs(100), 1));
        assert_ne!(due, arrivals(200.0, Duration::from_secs(100), 2));
    }

    #[test]
    fn a_queue_shows_in_an_open_load() {
        // One connection, ten requests due at once, each held for 20 ms: the last waits for the nine before it.
        let ask = ask(server(Duration::from_millis(20)), "done");
        let due = vec![Duration::ZERO; 10];
        let timings = open(&ask, &due, 1).unwrap();
        let last = timings.iter().map(|timing| timing.done).fold(0.0, f64::max);
        assert_eq!(timings.len(), 10);
        assert!(last >= 200_000.0, "the last answer came {last} µs after it was due");
    }

    #[test]
    fn a_closed_load_counts_answers_and_a_wrong_answer_ends_it() {
        let to = server(Duration::ZERO);
        assert!(closed(&ask(to, "done"), 2, Duration::from_millis(50)).unwrap() > 0);
        assert!(closed(&ask(to, "[DONE]"), 2, Duration::from_millis(50)).is_err());
    }
}
