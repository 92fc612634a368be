//! Keeps requests away from what has failed repeatedly.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Consecutive failures after which a breaker opens, unless said otherwise.
const DEFAULT_THRESHOLD: u8 = 5;
/// The first rest; each failed probe doubles it.
const FIRST_REST_NS: u64 = 1_000_000_000;
/// No rest is longer.
const LONGEST_REST_NS: u64 = 30_000_000_000;
/// A probe that has not reported by then is lost, and the next request becomes the probe.
const PROBE_LIFE_NS: u64 = 60_000_000_000;
/// What a caller is told to wait while a probe is out: it may report at any moment.
const PROBE_WAIT_NS: u64 = 1_000_000_000;

/// A circuit breaker, in one atomic word.
///
/// ```text
///            n failures in a row             rest is over: one request is the probe
///   closed ──────────────────────► open ◄────────────────────────────► half-open
///      ▲                                  the probe failed: rest doubles   │
///      └────────────────────────────────────────────────────── a success ──┘
/// ```
///
/// A success closes it from any state, also a late one of a request that began before it opened: it
/// shows that the upstream answers. A late failure while it is open changes nothing.
pub struct Breaker {
    word: AtomicU64,
    threshold: u8,
}

/// Whether a request may go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It may. After a rest this request is the probe, and must report by [`Breaker::success`] or
    /// [`Breaker::failure`].
    Yes,
    /// It may not, for about so many nanoseconds.
    NotBefore(u64),
}

/// The word, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many failures in a row.
    Closed { failures: u8 },
    /// Resting until then; `rests` many rests in a row came before.
    Open { until_ns: u64, rests: u8 },
    /// One probe is out, and counts as lost then.
    HalfOpen { until_ns: u64, rests: u8 },
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row (0 is taken as 1).
    pub const fn new(threshold: u8) -> Self {
        Self { word: AtomicU64::new(0), threshold: if threshold == 0 { 1 } else { threshold } }
    }

    /// Whether a request may go through now.
    pub fn allow(&self, now_ns: u64) -> Allowed {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let rests = match State::unpack(word) {
                State::Closed { .. } => return Allowed::Yes,
                State::Open { until_ns, .. } if now_ns < until_ns => {
                    return Allowed::NotBefore(until_ns - now_ns);
                }
                State::HalfOpen { until_ns, .. } if now_ns < until_ns => {
                    return Allowed::NotBefore(PROBE_WAIT_NS.min(until_ns - now_ns));
                }
                State::Open { rests, .. } | State::HalfOpen { rests, .. } => rests,
            };
            let probing = State::HalfOpen { until_ns: now_ns.saturating_add(PROBE_LIFE_NS), rests }.pack();
            match self.word.compare_exchange_weak(word, probing, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Allowed::Yes,
                Err(now) => word = now,
            }
        }
    }

    /// Whether [`Self::allow`] would refuse, without becoming the probe.
    pub fn is_open(&self, now_ns: u64) -> bool {
        match State::unpack(self.word.load(Ordering::Relaxed)) {
            State::Closed { .. } => false,
            State::Open { until_ns, .. } | State::HalfOpen { until_ns, .. } => now_ns < until_ns,
        }
    }

    /// A request succeeded: the breaker is closed.
    pub fn success(&self, _now_ns: u64) {
        // Written only where it changes something, so that healthy traffic shares the cache line.
        if self.word.load(Ordering::Relaxed) != 0 {
            self.word.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed by the upstream's fault.
    pub fn failure(&self, now_ns: u64) {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let next = match State::unpack(word) {
                State::Closed { failures } if failures.saturating_add(1) < self.threshold => {
                    State::Closed { failures: failures + 1 }
                }
                State::Closed { .. } => resting(now_ns, 0),
                State::Open { .. } => return,
                State::HalfOpen { rests, .. } => resting(now_ns, rests.saturating_add(1)),
            };
            match self.word.compare_exchange_weak(word, next.pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(DEFAULT_THRESHOLD)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = State::unpack(self.word.load(Ordering::Relaxed));
        f.debug_struct("Breaker").field("state", &state).field("threshold", &self.threshold).finish()
    }
}

fn resting(now_ns: u64, rests: u8) -> State {
    let rest_ns = FIRST_REST_NS.checked_shl(u32::from(rests.min(8))).unwrap_or(LONGEST_REST_NS);
    State::Open { until_ns: now_ns.saturating_add(rest_ns.min(LONGEST_REST_NS)), rests: rests.min(MAX_RESTS) }
}

/// The word: two bits of state, six of rests, eight of failures, forty-eight of time.
///
/// Time is kept in units of 1,024 ns, which lasts for nine years of uptime.
const TIME_BITS: u32 = 48;
const TIME_SHIFT: u32 = 10;
const MAX_TIME: u64 = (1 << TIME_BITS) - 1;
const MAX_RESTS: u8 = 63;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;

impl State {
    const fn unpack(word: u64) -> Self {
        let until_ns = (word & MAX_TIME) << TIME_SHIFT;
        let failures = ((word >> TIME_BITS) & 0xFF) as u8;
        let rests = ((word >> (TIME_BITS + 8)) & 0x3F) as u8;
        match word >> (TIME_BITS + 14) {
            OPEN => Self::Open { until_ns, rests },
            HALF_OPEN => Self::HalfOpen { until_ns, rests },
            _ => Self::Closed { failures },
        }
    }

    fn pack(self) -> u64 {
        let timed = |state: u64, until_ns: u64, rests: u8| {
            // Rounded up, so that no rest is shorter than promised.
            let time = until_ns.div_ceil(1 << TIME_SHIFT).min(MAX_TIME);
            state << (TIME_BITS + 14) | u64::from(rests.min(MAX_RESTS)) << (TIME_BITS + 8) | time
        };
        match self {
            Self::Closed { failures } => u64::from(failures) << TIME_BITS,
            Self::Open { until_ns, rests } => timed(OPEN, until_ns, rests),
            Self::HalfOpen { until_ns, rests } => timed(HALF_OPEN, until_ns, rests),
        }
    }
}

#[cfg(test)]
mod tests;
