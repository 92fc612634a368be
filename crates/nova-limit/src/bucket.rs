//! A bound on a rate.

use std::sync::atomic::{AtomicU64, Ordering};

const MINUTE_NS: u64 = 60_000_000_000;

/// A token bucket that refills continuously, in one atomic word.
///
/// The word holds the moment at which everything taken so far will have been paid back: the
/// "theoretical arrival time" of the generic cell rate algorithm (ITU-T I.371, annex A). A bucket is
/// full when that moment lies in the past.
///
/// In any span of time `w` no more than `burst + w / interval_ns` units are admitted.
#[derive(Debug)]
pub struct Bucket {
    paid_back_at_ns: AtomicU64,
    interval_ns: u64,
    burst_ns: u64,
}

impl Bucket {
    /// A full bucket of `burst` units that refills by one unit each `interval_ns`.
    ///
    /// A bucket with no room (`burst` 0) admits nothing.
    pub const fn new(interval_ns: u64, burst: u64) -> Self {
        Self { paid_back_at_ns: AtomicU64::new(0), interval_ns, burst_ns: interval_ns.saturating_mul(burst) }
    }

    /// A full bucket of `units` that refills by as many each minute.
    ///
    /// The time per unit is rounded up to a whole nanosecond, so the rate is never exceeded.
    pub const fn per_minute(units: u64) -> Self {
        let interval_ns = if units == 0 { 0 } else { MINUTE_NS.div_ceil(units) };
        Self::new(interval_ns, units)
    }

    /// Takes `cost` units, or nothing.
    ///
    /// # Errors
    /// The nanoseconds after which `cost` units fit, if nobody else takes any; `u64::MAX` where they
    /// never will because the whole bucket is smaller.
    pub fn take(&self, cost: u64, now_ns: u64) -> Result<(), u64> {
        let cost_ns = self.interval_ns.saturating_mul(cost);
        if cost_ns > self.burst_ns || self.burst_ns == 0 {
            return Err(u64::MAX);
        }
        let mut seen = self.paid_back_at_ns.load(Ordering::Relaxed);
        loop {
            let next = seen.max(now_ns).saturating_add(cost_ns);
            let debt_ns = next - now_ns;
            if debt_ns > self.burst_ns {
                return Err(debt_ns - self.burst_ns);
            }
            match self.paid_back_at_ns.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Gives back what was taken and not used. More than was taken only fills the bucket.
    pub fn refund(&self, cost: u64) {
        let cost_ns = self.interval_ns.saturating_mul(cost);
        let mut seen = self.paid_back_at_ns.load(Ordering::Relaxed);
        loop {
            let next = seen.saturating_sub(cost_ns);
            match self.paid_back_at_ns.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_bucket_admits_its_burst_and_then_names_the_wait() {
        let bucket = Bucket::new(10, 3);
        let steps = [
            (1, 100, Ok(())),
            (2, 100, Ok(())),
            (1, 100, Err(10)),
            (1, 109, Err(1)),
            (1, 110, Ok(())),
            (3, 110, Err(30)),
            (3, 140, Ok(())),
            (4, 1_000, Err(u64::MAX)),
        ];
        for (step, (cost, now_ns, expected)) in steps.into_iter().enumerate() {
            assert_eq!(bucket.take(cost, now_ns), expected, "step {step}");
        }
    }

    #[test]
    fn a_refund_makes_room_and_no_more_than_the_bucket_holds() {
        let bucket = Bucket::new(10, 3);
        assert_eq!(bucket.take(3, 50), Ok(()));
        bucket.refund(2);
        assert_eq!(bucket.take(2, 50), Ok(()));
        bucket.refund(100);
        assert_eq!(bucket.take(3, 50), Ok(()));
        assert_eq!(bucket.take(1, 50), Err(10));
    }

    #[test]
    fn extreme_figures_neither_panic_nor_admit() {
        for (units, cost, now_ns) in [(0, 1, 0), (1, u64::MAX, u64::MAX), (u64::MAX, 1, u64::MAX), (0, 0, 5)]
        {
            let bucket = Bucket::per_minute(units);
            let _ = bucket.take(cost, now_ns);
            bucket.refund(cost);
        }
        assert_eq!(Bucket::per_minute(0).take(1, 0), Err(u64::MAX));
        assert_eq!(Bucket::per_minute(60).take(60, 0), Ok(()));
        assert_eq!(Bucket::per_minute(60).take(61, 0), Err(u64::MAX));
    }

    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        let bucket = Bucket::new(1_000, 500);
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        if bucket.take(1, 7).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 500);
    }

    proptest! {
        #[test]
        fn no_span_of_time_admits_more_than_burst_and_refill(
            interval_ns in 1_u64..1_000,
            burst in 1_u64..50,
            steps in prop::collection::vec((0_u64..2_000, 1_u64..20), 1..200),
        ) {
            let bucket = Bucket::new(interval_ns, burst);
            let mut now_ns = 0;
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            for (pause, cost) in steps {
                now_ns += pause;
                if bucket.take(cost, now_ns).is_ok() {
                    admitted.push((now_ns, cost));
                }
            }
            for first in 0..admitted.len() {
                let mut sum = 0;
                for (at, cost) in &admitted[first..] {
                    sum += cost;
                    let span = at - admitted[first].0;
                    prop_assert!(sum <= burst + span / interval_ns, "{sum} in {span} ns");
                }
            }
        }

        #[test]
        fn the_wait_that_is_named_is_exact(
            interval_ns in 1_u64..1_000,
            burst in 1_u64..50,
            costs in prop::collection::vec(1_u64..50, 1..50),
        ) {
            let bucket = Bucket::new(interval_ns, burst);
            let mut now_ns = 1;
            for cost in costs {
                match bucket.take(cost, now_ns) {
                    Ok(()) => {}
                    Err(u64::MAX) => prop_assert!(cost > burst),
                    Err(wait_ns) => {
                        prop_assert!(bucket.take(cost, now_ns + wait_ns - 1).is_err());
                        now_ns += wait_ns;
                        prop_assert_eq!(bucket.take(cost, now_ns), Ok(()));
                    }
                }
            }
        }
    }
}
