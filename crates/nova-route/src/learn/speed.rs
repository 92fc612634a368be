//! How fast a deployment is, and how busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::cells::Mean;
use crate::world::{Health, Signals};

/// Prompts up to so many tokens are one size.
const SIZES: [u64; 3] = [1_000, 8_000, 32_000];
/// A time forgets within as many answers.
const ANSWERS: f32 = 20.0;
/// A histogram is halved when it holds so many.
const FULL: u32 = 512;
/// Buckets of the histogram; each is a quarter longer than the one before it, from 1 ms to 22 minutes.
const BUCKETS: usize = 64;
const STEP: f32 = 1.25;

/// What is learnt of a deployment from its answers.
#[derive(Debug)]
pub struct Speed {
    in_flight: AtomicU32,
    /// Milliseconds to the first token, by the prompt's size.
    ttft: [Mean; SIZES.len() + 1],
    /// Tokens per second.
    rate: Mean,
    /// The share of tries that failed.
    errors: Mean,
    /// The share of what its cache should have held that it held.
    hits: Mean,
    /// Times to first tokens of all sizes.
    histogram: [AtomicU32; BUCKETS],
    held: AtomicU32,
    /// What the histogram says, as the bits of an `f32`; 0 where it says nothing yet. Asked for by every plan, and
    /// changed by an answer only.
    p95_ms: AtomicU32,
    /// When its provider is to be asked again, on the caller's clock.
    limited_until_ns: AtomicU64,
}

impl Default for Speed {
    fn default() -> Self {
        Self {
            in_flight: AtomicU32::default(),
            ttft: Default::default(),
            rate: Mean::default(),
            errors: Mean::default(),
            hits: Mean::default(),
            histogram: std::array::from_fn(|_| AtomicU32::default()),
            held: AtomicU32::default(),
            p95_ms: AtomicU32::default(),
            limited_until_ns: AtomicU64::default(),
        }
    }
}

/// Counts a request as in flight until it is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Speed>);

impl Busy {
    /// One more request in flight.
    pub fn on(speed: &Arc<Speed>) -> Self {
        speed.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(speed))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Speed {
    /// A first token came after so many milliseconds, for a prompt of so many tokens.
    pub fn began(&self, prompt_tokens: u64, ms: f32) {
        self.ttft[size(prompt_tokens)].observe(ms, ANSWERS);
        let bucket = (ms.max(1.0).ln() / STEP.ln()) as usize;
        self.histogram[bucket.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        if self.held.fetch_add(1, Ordering::Relaxed) + 1 >= FULL {
            // A race halves twice at worst, which forgets faster once.
            self.held.store(FULL / 2, Ordering::Relaxed);
            for count in &self.histogram {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        self.p95_ms.store(self.p95().map_or(0, f32::to_bits), Ordering::Relaxed);
    }

    /// An answer was written at so many tokens per second.
    pub fn wrote(&self, tokens_per_s: f32) {
        self.rate.observe(tokens_per_s, ANSWERS);
    }

    /// A try ended.
    pub fn tried(&self, failed: bool) {
        self.errors.observe(if failed { 1.0 } else { 0.0 }, ANSWERS);
    }

    /// Of so many tokens that the cache should have held, it held so many.
    pub fn cached(&self, expected: u64, held: u64) {
        if expected > 0 {
            self.hits.observe(held.min(expected) as f32 / expected as f32, ANSWERS);
        }
    }

    /// The provider says that it is not to be asked before a moment.
    pub fn limit(&self, until_ns: u64) {
        self.limited_until_ns.fetch_max(until_ns, Ordering::Relaxed);
    }

    /// The share of what a cache should hold that it does hold; most of it, until some answer says otherwise.
    pub fn hit_share(&self) -> f32 {
        self.hits.mean().unwrap_or(0.8)
    }

    /// How it does now, for a prompt of so many tokens. `open` is whether its breaker is.
    pub fn signals(&self, prompt_tokens: u64, now_ns: u64, open: bool) -> Signals {
        let health = match open {
            true => Health::Open,
            false if now_ns < self.limited_until_ns.load(Ordering::Relaxed) => Health::Limited,
            false => Health::Good,
        };
        let p95_ms = f32::from_bits(self.p95_ms.load(Ordering::Relaxed));
        let any = || self.ttft.iter().find_map(Mean::mean);
        Signals {
            health,
            in_flight: self.in_flight.load(Ordering::Relaxed),
            ttft_ms: self.ttft[size(prompt_tokens)].mean().or_else(any),
            p95_ttft_ms: (p95_ms > 0.0).then_some(p95_ms),
            tokens_per_s: self.rate.mean(),
            errors: self.errors.mean().unwrap_or(0.0),
            cached_tokens: 0,
            loses: false,
        }
    }

    /// Milliseconds that 95 % of first tokens came within: the upper end of the bucket.
    fn p95(&self) -> Option<f32> {
        let counts: [u32; BUCKETS] = std::array::from_fn(|at| self.histogram[at].load(Ordering::Relaxed));
        let total: u32 = counts.iter().sum();
        let mut left = total.checked_sub(1)? / 20;
        let at = counts.iter().rposition(|&count| match left.checked_sub(count) {
            Some(after) => {
                left = after;
                false
            }
            None => true,
        })?;
        // At most 64, so exact.
        Some(STEP.powi(at as i32 + 1))
    }
}

fn size(prompt_tokens: u64) -> usize {
    SIZES.iter().position(|&most| prompt_tokens <= most).unwrap_or(SIZES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_apart_by_the_size_of_the_prompt() {
        let speed = Speed::default();
        assert_eq!(speed.signals(10, 0, false), Signals::default());
        speed.began(500, 200.0);
        speed.began(20_000, 1_500.0);
        assert_eq!(speed.signals(900, 0, false).ttft_ms, Some(200.0));
        assert_eq!(speed.signals(900, 0, false).p95_ttft_ms, speed.p95());
        assert_eq!(speed.signals(9_000, 0, false).ttft_ms, Some(1_500.0));
        assert_eq!(speed.signals(90_000, 0, false).ttft_ms, Some(200.0), "better than nothing");
    }

    #[test]
    fn the_95th_percentile_is_near_and_forgets() {
        let speed = Speed::default();
        for _ in 0..95 {
            speed.began(1, 100.0);
        }
        for _ in 0..5 {
            speed.began(1, 5_000.0);
        }
        let p95 = speed.p95().unwrap();
        assert!((5_000.0..6_250.0).contains(&p95) || (100.0..125.0).contains(&p95), "{p95}");
        for _ in 0..5_000 {
            speed.began(1, 10.0);
        }
        let p95 = speed.p95().unwrap();
        assert!((10.0..12.6).contains(&p95), "{p95}");
    }

    #[test]
    fn what_is_in_flight_is_given_back() {
        let speed = Arc::new(Speed::default());
        let (one, other) = (Busy::on(&speed), Busy::on(&speed));
        assert_eq!(speed.signals(1, 0, false).in_flight, 2);
        drop(one);
        drop(other);
        assert_eq!(speed.signals(1, 0, false).in_flight, 0);
    }

    #[test]
    fn a_pause_that_a_provider_asks_for_ends() {
        let speed = Speed::default();
        speed.limit(100);
        speed.limit(50);
        let health = |now_ns, open| speed.signals(1, now_ns, open).health;
        assert_eq!(
            [health(99, false), health(100, false), health(0, true)],
            [Health::Limited, Health::Good, Health::Open]
        );
    }
}
