//! How long to wait before the same deployment is asked again.
//!
//! "Full jitter": a uniform draw between nothing and a bound that doubles. Of the jittered schemes
//! it needs the fewest calls until all contenders are through (M. Brooker, "Exponential Backoff And
//! Jitter", AWS Architecture Blog, 2015). The draw is a function of the caller's seed, so that a
//! decision can be replayed.

use std::time::Duration;

/// The bound of the first wait, where the operator says no other.
pub const BASE: Duration = Duration::from_millis(250);

/// The bound that no wait exceeds, unless the provider asked for more.
pub const CAP: Duration = Duration::from_secs(8);

/// The wait before try number `retry` (0 for the first one after the original); `base` bounds the first.
///
/// When the provider said `after`, that is waited in full and the jitter of `base` comes on top:
/// everybody was told the same, and should not come back at the same instant.
pub fn wait(base: Duration, retry: u32, seed: u64, after: Option<Duration>) -> Duration {
    let draw = mix(seed ^ u64::from(retry).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    match after {
        Some(after) => after.saturating_add(portion(base, draw)),
        None => {
            let doubled = base.saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX));
            portion(doubled.min(CAP), draw)
        }
    }
}

/// `draw / 2^64` of `whole`.
fn portion(whole: Duration, draw: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(draw)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): each input bit moves every output bit.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_the_draws_fill_it() {
        for (retry, bound) in [(0, 250), (1, 500), (4, 4000), (5, 8000), (6, 8000), (31, 8000), (500, 8000)] {
            let bound = Duration::from_millis(bound);
            let draws: Vec<Duration> = (0..1000).map(|seed| wait(BASE, retry, seed, None)).collect();
            let sum: Duration = draws.iter().sum();
            assert!(draws.iter().all(|draw| *draw <= bound), "retry {retry}");
            assert!(draws.iter().any(|draw| *draw > bound * 9 / 10), "retry {retry}");
            assert!(draws.iter().any(|draw| *draw < bound / 10), "retry {retry}");
            assert!(sum > bound * 450 && sum < bound * 550, "retry {retry}: the mean is {:?}", sum / 1000);
        }
    }

    #[test]
    fn what_the_provider_asked_for_is_waited_in_full() {
        for seed in 0..100 {
            let after = Duration::from_secs(30);
            let waited = wait(BASE, 0, seed, Some(after));
            assert!(waited >= after && waited <= after + BASE);
        }
        assert_eq!(wait(BASE, 3, 7, Some(Duration::MAX)), Duration::MAX);
    }

    #[test]
    fn the_same_seed_gives_the_same_wait() {
        assert_eq!(wait(BASE, 2, 42, None), wait(BASE, 2, 42, None));
        assert_ne!(wait(BASE, 2, 42, None), wait(BASE, 2, 43, None));
        assert_ne!(wait(BASE, 1, 42, None), wait(BASE, 2, 42, None));
    }
}
