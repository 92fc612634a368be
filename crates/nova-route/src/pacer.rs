//! How much quality a dollar must buy, so that a budget lasts.

use nova_catalog::NanoUsd;

/// How far lambda rises for each dollar of debt, where the dollar is the dearest candidate's mean cost.
const STEP: f64 = 0.05;
/// Requests after which a debt that stays has raised lambda as much again.
const PAYBACK: f64 = 400.0;
/// What may be saved for later, in allowances of one request: quiet hours must not buy an hour of waste.
const BANK: i64 = 100;
/// The same for a window, as a part of its budget.
const WINDOW_BANK: i64 = 50;
/// How fast the scale of costs follows the requests.
const SCALE_STEP: f64 = 0.02;
/// Above 1 even an answer that is surely right cannot be worth the dearest candidate's cost; more would only
/// take longer to come down from.
const LAMBDA_MAX: f64 = 2.0;

/// Sets the price of money for the requests of one key or project: primal-dual pacing of a budget.
///
/// A request takes the candidate with the highest `quality - price(cost)`, where the price is
/// `lambda * cost / scale` and the scale is what the dearest candidate costs on average. Lambda follows the debt, which is
/// all that was spent less all that was granted: the dual of a long-term constraint, averaged and not projected (as
/// online convex optimisation does; ParetoBandit, arXiv 2604.00136, projects each step). Its base rises slowly while a
/// debt stays, so that debts are paid back in full. The mean cost so comes to the ceiling from either side, and stays
/// below it where quality is not worth more.
///
/// Money is counted in integers; only lambda and its scale are floats. Time is an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pacer {
    grant: Grant,
    /// What was spent beyond what was granted, negative when saved.
    debt: NanoUsd,
    /// What lambda is without any debt.
    base: f64,
    /// Mean cost of the dearest candidate, in nano-dollars; 0 before the first request.
    scale: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Grant {
    /// So much for each request on average.
    Request { ceiling: NanoUsd },
    /// So much until `ends_ms`, which comes again every `length_ms`.
    Window { budget: NanoUsd, left: NanoUsd, ends_ms: i64, length_ms: i64, charged_ms: i64 },
}

impl Pacer {
    /// Holds the mean cost of a request at `ceiling`, at least one nano-dollar.
    pub fn per_request(ceiling: NanoUsd) -> Self {
        let ceiling = ceiling.max(NanoUsd::from_nanos(1));
        Self::new(Grant::Request { ceiling })
    }

    /// Spreads `budget` over windows of `length_ms`, of which the first began at `starts_ms` and has `spent`
    /// of its budget spent already. What is left over at a window's end is not carried into the next.
    pub fn per_window(budget: NanoUsd, length_ms: i64, starts_ms: i64, spent: NanoUsd) -> Self {
        let length_ms = length_ms.max(1);
        Self::new(Grant::Window {
            budget,
            left: budget.saturating_sub(spent),
            ends_ms: starts_ms.saturating_add(length_ms),
            length_ms,
            charged_ms: starts_ms,
        })
    }

    fn new(grant: Grant) -> Self {
        Self { grant, debt: NanoUsd::ZERO, base: 0.0, scale: 0.0 }
    }

    /// What a request to an averagely dear candidate must bring in quality, between 0 (money is no object) and 2.
    pub fn lambda(&self) -> f64 {
        if self.scale > 0.0 {
            (self.base + STEP * nanos(self.debt) / self.scale).clamp(0.0, LAMBDA_MAX)
        } else {
            0.0
        }
    }

    /// What this cost must bring in quality (0 to 1) to be worth its money now.
    pub fn price(&self, cost: NanoUsd) -> f64 {
        if self.scale > 0.0 { self.lambda() * nanos(cost) / self.scale } else { 0.0 }
    }

    /// How much quality (0 to 1) one US dollar must buy now: for [`crate::choose::Aim`].
    pub fn quality_per_usd(&self) -> f64 {
        if self.scale > 0.0 { self.lambda() * 1e9 / self.scale } else { 0.0 }
    }

    /// The candidate with the highest `quality - price(cost)`; among equals the cheapest, then the first.
    pub fn choose(&self, candidates: &[(f64, NanoUsd)]) -> Option<usize> {
        let worth = |(quality, cost): &(f64, NanoUsd)| quality - self.price(*cost);
        let better = |(at, one): &(usize, &(f64, NanoUsd)), (other_at, other): &(usize, &(f64, NanoUsd))| {
            worth(one).total_cmp(&worth(other)).then(other.1.cmp(&one.1)).then(other_at.cmp(at))
        };
        candidates.iter().enumerate().max_by(better).map(|(at, _)| at)
    }

    /// Counts a request that cost `cost` while its dearest candidate would have cost `dearest`.
    ///
    /// Requests under way at once are charged as they end, in any order.
    pub fn charge(&mut self, cost: NanoUsd, dearest: NanoUsd, now_ms: i64) {
        let dearest = nanos(dearest.max(cost)).max(1.0);
        self.scale =
            if self.scale > 0.0 { self.scale + SCALE_STEP * (dearest - self.scale) } else { dearest };
        let (granted, bank) = self.grant.next(cost, now_ms);
        let debt = self.debt.saturating_add(cost).saturating_sub(granted);
        self.debt = debt.max(NanoUsd::from_nanos(-bank.nanos()));
        let more = STEP * nanos(self.debt) / self.scale / PAYBACK;
        self.base = (self.base + more).clamp(0.0, LAMBDA_MAX);
    }
}

impl Grant {
    /// What is granted with a charge, and how much may be saved. A window grants at the rate that spends what is
    /// left at its very end, for the time since the last charge, and takes `cost` from what is left.
    fn next(&mut self, cost: NanoUsd, now_ms: i64) -> (NanoUsd, NanoUsd) {
        let (budget, left, ends_ms, length_ms, charged_ms) = match self {
            Self::Request { ceiling } => {
                return (*ceiling, NanoUsd::from_nanos(ceiling.nanos().saturating_mul(BANK)));
            }
            Self::Window { budget, left, ends_ms, length_ms, charged_ms } => {
                (*budget, left, ends_ms, *length_ms, charged_ms)
            }
        };
        if now_ms >= *ends_ms {
            let windows = (now_ms.saturating_sub(*ends_ms) / length_ms).saturating_add(1);
            *ends_ms = ends_ms.saturating_add(length_ms.saturating_mul(windows));
            *left = budget;
            *charged_ms = ends_ms.saturating_sub(length_ms);
        }
        let since = i128::from(now_ms.saturating_sub(*charged_ms).max(0));
        let remains = i128::from(ends_ms.saturating_sub(*charged_ms).max(1));
        let granted = i128::from(left.nanos().max(0)) * since.min(remains) / remains;
        *charged_ms = now_ms.max(*charged_ms);
        *left = left.saturating_sub(cost);
        // No more than what is left, which fits.
        let granted = NanoUsd::from_nanos(i64::try_from(granted).unwrap_or(i64::MAX));
        (granted, NanoUsd::from_nanos(budget.nanos().max(0) / WINDOW_BANK))
    }
}

fn nanos(amount: NanoUsd) -> f64 {
    amount.nanos() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn nano(amount: i64) -> NanoUsd {
        NanoUsd::from_nanos(amount)
    }

    /// The next of a fixed sequence that looks random, within 0 and 1.
    fn draw(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(*state >> 33).unwrap()) / f64::from(1u32 << 31)
    }

    /// Requests of mixed length to a cheap, a middling and a dear model that is good at most things.
    fn candidates(state: &mut u64) -> [(f64, NanoUsd); 3] {
        let length = 0.2 + 3.0 * draw(state).powi(3);
        let cost = |base: f64| nano((base * length) as i64);
        [
            (0.3 + 0.3 * draw(state), cost(20_000.0)),
            (0.4 + 0.4 * draw(state), cost(150_000.0)),
            (0.6 + 0.35 * draw(state), cost(900_000.0)),
        ]
    }

    /// The mean cost of `requests` under a ceiling, as a share of the ceiling.
    fn paced(ceiling: i64, requests: usize, seed: u64) -> f64 {
        let (mut pacer, mut state, mut spent) = (Pacer::per_request(nano(ceiling)), seed, 0.0);
        for _ in 0..requests {
            let candidates = candidates(&mut state);
            let cost = candidates[pacer.choose(&candidates).unwrap()].1;
            pacer.charge(cost, candidates[2].1, 0);
            spent += nanos(cost);
        }
        spent / requests as f64 / ceiling as f64
    }

    #[test]
    fn the_mean_cost_comes_to_the_ceiling() {
        for seed in 1..4 {
            for ceiling in [100_000, 250_000, 500_000] {
                let share = paced(ceiling, 5_000, seed);
                assert!((share - 1.0).abs() <= 0.01, "ceiling {ceiling}, seed {seed}: {share}");
            }
            // Where money is no object the best is taken and the ceiling is not reached.
            let share = paced(10_000_000, 2_000, seed);
            assert!(share < 0.2, "{share}");
        }
    }

    #[test]
    fn a_window_is_spent_at_its_end_and_comes_again() {
        let budget = nano(1_000_000_000);
        let mut pacer = Pacer::per_window(budget, 3_600_000, 0, NanoUsd::ZERO);
        let mut state = 7;
        for window in 0..3 {
            let mut spent = NanoUsd::ZERO;
            for at in 0..4_000i64 {
                let candidates = candidates(&mut state);
                let cost = candidates[pacer.choose(&candidates).unwrap()].1;
                // Twice as busy in the second half of the window.
                let within = if at < 1_333 { at * 1_350 } else { 1_800_000 + (at - 1_333) * 675 };
                pacer.charge(cost, candidates[2].1, window * 3_600_000 + within);
                spent = spent.saturating_add(cost);
            }
            let share = nanos(spent) / nanos(budget);
            assert!((share - 1.0).abs() < 0.03, "window {window}: {share}");
        }
    }

    #[test]
    fn a_choice_is_worked_as_by_hand() {
        let mut pacer = Pacer::per_request(nano(100));
        let candidates = [(0.5, nano(100)), (0.9, nano(1_000)), (0.9, nano(900))];
        assert_eq!(pacer.choose(&candidates), Some(2), "free money buys the best, the cheaper of two equals");
        assert_eq!(pacer.choose(&[]), None);
        pacer.charge(nano(1_000), nano(1_000), 0);
        // A debt of 900 where the dearest costs 1,000: .05 * .9, and a 400th of it for the base.
        assert!((pacer.lambda() - 0.045 * (1.0 + 1.0 / 400.0)).abs() < 1e-12, "{}", pacer.lambda());
        assert!((pacer.price(nano(500)) - pacer.lambda() / 2.0).abs() < 1e-12);
        for _ in 0..30 {
            pacer.charge(nano(1_000), nano(1_000), 0);
        }
        assert_eq!(pacer.choose(&candidates), Some(0), "debts make the cheap one the better one");
    }

    #[test]
    fn idle_time_saves_only_so_much() {
        let mut pacer = Pacer::per_request(nano(1_000));
        for _ in 0..10_000 {
            pacer.charge(nano(0), nano(10_000), 0);
        }
        let mut spent = 0;
        while pacer.lambda() < 0.2 {
            pacer.charge(nano(10_000), nano(10_000), 0);
            spent += 1;
        }
        assert!(spent < 20, "{spent}");
    }

    proptest! {
        #[test]
        fn lambda_stays_within_its_bounds(charges in proptest::collection::vec((any::<i64>(), any::<i64>(), any::<i64>()), 0..40), ceiling in any::<i64>(), window in any::<bool>()) {
            let mut pacer = if window {
                Pacer::per_window(nano(ceiling), ceiling, ceiling / 2, NanoUsd::ZERO)
            } else {
                Pacer::per_request(nano(ceiling))
            };
            for (cost, dearest, now_ms) in charges {
                pacer.charge(nano(cost), nano(dearest), now_ms);
                prop_assert!((0.0..=LAMBDA_MAX).contains(&pacer.lambda()), "{pacer:?}");
                prop_assert!(pacer.price(nano(5)).is_finite());
            }
        }

        #[test]
        fn a_higher_lambda_never_takes_a_dearer_candidate(qualities in proptest::collection::vec((0.0f64..1.0, 1i64..1_000_000), 1..12), overspent in 1i64..2_000_000) {
            let candidates: Vec<_> = qualities.into_iter().map(|(quality, cost)| (quality, nano(cost))).collect();
            let mut pacer = Pacer::per_request(nano(1));
            pacer.charge(nano(1), nano(1_000_000), 0);
            let before = candidates[pacer.choose(&candidates).unwrap()].1;
            let (scale, lambda) = (pacer.scale, pacer.lambda());
            pacer.charge(nano(overspent), nano(1_000_000), 0);
            pacer.scale = scale;
            prop_assert!(pacer.lambda() >= lambda);
            prop_assert!(candidates[pacer.choose(&candidates).unwrap()].1 <= before);
        }
    }
}
