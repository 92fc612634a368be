//! The order among deployments of one model that stand side by side.

use crate::table::Place;
use crate::world::{Health, Signals};

/// Numbers drawn from a seed, one after the other.
#[derive(Debug)]
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// The next number below `bound` (SplitMix64; the bias of the multiplication is below 2⁻³² for any
    /// bound below 2³²).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(bound)) >> 64) as u64
    }
}

/// Equal deployments in the order in which to try them.
///
/// First by chance, each next one in proportion to its weight among those left (weight 0 last, as listed).
/// Then the better of the first two goes first: the power of two choices (Mitzenmacher 2001), which keeps
/// load even without everybody running to the one that looks best. A healthy deployment whose cache holds
/// part of the prompt goes before both.
pub(crate) fn order(places: &[Place], signals: &[Signals], draws: &mut Draws) -> Vec<u32> {
    let mut order = by_weight(places, draws);
    if let [first, second, ..] = order[..]
        && places[second as usize].weight > 0
        && load(&signals[second as usize], &signals[first as usize])
            < load(&signals[first as usize], &signals[second as usize])
    {
        order.swap(0, 1);
    }
    let holds = |place: &u32| {
        let signals = &signals[*place as usize];
        signals.health == Health::Good && signals.cached_tokens > 0
    };
    if let Some(at) = order.iter().position(holds) {
        order[..=at].rotate_right(1);
    }
    order
}

fn by_weight(places: &[Place], draws: &mut Draws) -> Vec<u32> {
    let mut order: Vec<u32> = (0..).take(places.len()).collect();
    let weight = |place: u32| u64::from(places[place as usize].weight);
    let mut left: u64 = order.iter().map(|&place| weight(place)).sum();
    for first in 0..order.len() {
        if left == 0 {
            break;
        }
        let mut drawn = draws.below(left);
        let mut chosen = first;
        for (index, &place) in order.iter().enumerate().skip(first) {
            if drawn < weight(place) {
                chosen = index;
                break;
            }
            drawn -= weight(place);
        }
        left -= weight(order[chosen]);
        order[first..=chosen].rotate_right(1);
    }
    order
}

/// How long a request is likely to wait for its first token: the smoothed time, times those who are before it,
/// over the chance to be answered. A deployment whose time is unknown is taken to be as fast as the other one.
fn load(of: &Signals, against: &Signals) -> f64 {
    let ttft = of.ttft_ms.or(against.ttft_ms).unwrap_or(1.0);
    let answered = (1.0 - f64::from(of.errors)).max(0.01);
    f64::from(ttft) * (1.0 + f64::from(of.in_flight)) / answered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::DeploymentId;

    fn places(weights: &[u32]) -> Vec<Place> {
        let place = |(id, &weight): (u32, &u32)| Place { deployment: DeploymentId(id), provider: 0, weight };
        (0..).zip(weights).map(place).collect()
    }

    /// How often each of some deployments is first, out of 10,000 draws.
    fn firsts(weights: &[u32], signals: &[Signals]) -> Vec<u32> {
        let places = places(weights);
        let mut counts = vec![0; places.len()];
        for seed in 0..10_000 {
            counts[order(&places, signals, &mut Draws(seed))[0] as usize] += 1;
        }
        counts
    }

    fn ttft(ms: f32) -> Signals {
        Signals { ttft_ms: Some(ms), ..Signals::default() }
    }

    #[test]
    fn the_better_of_two_goes_first_and_the_worst_of_three_never() {
        let none = Signals::default();
        assert_eq!(firsts(&[1, 1], &[ttft(100.0), ttft(300.0)]), [10_000, 0]);
        let counts = firsts(&[1, 1, 1], &[ttft(100.0), ttft(200.0), ttft(300.0)]);
        assert!(counts[0] > 6_000 && counts[1] > 3_000 && counts[2] == 0, "{counts:?}");
        // Twice as fast and three requests behind: the other is free sooner.
        let busy = Signals { in_flight: 3, ..ttft(100.0) };
        assert_eq!(firsts(&[1, 1], &[busy, ttft(200.0)]), [0, 10_000]);
        let failing = Signals { errors: 0.9, ..ttft(100.0) };
        assert_eq!(firsts(&[1, 1], &[failing, ttft(200.0)]), [0, 10_000]);
        // Who has not answered yet is as good as the other, and so gets asked.
        let counts = firsts(&[1, 1], &[ttft(100.0), none]);
        assert!(counts.iter().all(|&count| count > 4_500), "{counts:?}");
    }

    #[test]
    fn weights_share_and_zero_comes_last() {
        let none = [Signals::default(); 3];
        let counts = firsts(&[3, 1, 0], &none);
        assert!((7_300..7_700).contains(&counts[0]) && counts[2] == 0, "{counts:?}");
        assert_eq!(firsts(&[0, 0], &none[..2]), [10_000, 0]);
        assert_eq!(firsts(&[1, 0], &[ttft(300.0), ttft(100.0)]), [10_000, 0]);
    }

    #[test]
    fn a_session_stays_with_its_cache_unless_that_is_unwell() {
        let warm = Signals { cached_tokens: 1, ..ttft(300.0) };
        assert_eq!(firsts(&[1, 1], &[ttft(100.0), warm]), [0, 10_000]);
        for health in [Health::Open, Health::Limited] {
            assert_eq!(firsts(&[1, 1], &[ttft(100.0), Signals { health, ..warm }]), [10_000, 0]);
        }
    }

    proptest! {
        #[test]
        fn every_order_holds_each_deployment_once(
            weights in prop::collection::vec(0..4u32, 0..8),
            cached in prop::collection::vec(0..2u64, 8),
            seed: u64,
        ) {
            let places = places(&weights);
            let signals: Vec<Signals> =
                cached.iter().map(|&cached_tokens| Signals { cached_tokens, ..Signals::default() }).collect();
            let mut sorted = order(&places, &signals[..places.len()], &mut Draws(seed));
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..).take(places.len()).collect::<Vec<u32>>());
        }
    }
}
