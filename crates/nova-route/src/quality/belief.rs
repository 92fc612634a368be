//! What is believed of one model at one kind of request, from outcomes that may have stopped being true.

/// How often something works: a Beta distribution whose evidence fades as new evidence comes.
///
/// `alpha` counts what worked and `beta` what did not, the prior's share included. Each observation first
/// multiplies both by `gamma`, so that the belief never holds more than `1 / (1 - gamma)` observations and an
/// old reputation cannot outlive that many new ones: a cap that *drops* observations instead keeps a model that
/// has silently become worse in use (LiteLLM's adaptive router; measured in `docs/reference/routing-quality.md`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// Weight of what worked, above 0.
    pub alpha: f64,
    /// Weight of what did not, above 0.
    pub beta: f64,
}

impl Belief {
    /// A belief that something works with probability `mean`, as firm as `mass` observations.
    ///
    /// `mean` is held within 0.001 and 0.999 and `mass` at 0.01 or more: a belief that cannot be moved, or that
    /// says nothing at all, is none.
    pub fn prior(mean: f64, mass: f64) -> Self {
        let mean = if mean.is_nan() { 0.5 } else { mean.clamp(0.001, 0.999) };
        let mass = if mass.is_finite() { mass.max(0.01) } else { 0.01 };
        Self { alpha: mean * mass, beta: (1.0 - mean) * mass }
    }

    /// Takes an outcome in: 1 worked, 0 did not, and a grade stands between. Others are held to that range, and
    /// what is no number is not taken in. `gamma`, above 0 and at most 1, is what is left of all earlier evidence.
    pub fn observe(&mut self, success: f64, gamma: f64) {
        if success.is_nan() {
            return;
        }
        let success = success.clamp(0.0, 1.0);
        self.fade(gamma);
        self.alpha += success;
        self.beta += 1.0 - success;
    }

    /// Leaves the share `kept` of the evidence: the mean stays, the doubt grows.
    pub fn fade(&mut self, kept: f64) {
        let kept = if kept.is_nan() { 1.0 } else { kept.clamp(1e-6, 1.0) };
        // Floors keep both above 0, where the mean and the deviation are defined.
        self.alpha = (self.alpha * kept).max(1e-6);
        self.beta = (self.beta * kept).max(1e-6);
    }

    /// The expected share of successes, within 0 and 1.
    pub fn mean(self) -> f64 {
        self.alpha / self.mass()
    }

    /// How many observations the belief weighs as much as.
    pub fn mass(self) -> f64 {
        self.alpha + self.beta
    }

    /// The standard deviation of the Beta distribution.
    pub fn deviation(self) -> f64 {
        let mean = self.mean();
        (mean * (1.0 - mean) / (self.mass() + 1.0)).sqrt()
    }

    /// What can be relied on: the mean less `z` standard deviations, at least 0.
    pub fn lower(self, z: f64) -> f64 {
        (self.mean() - z * self.deviation()).clamp(0.0, 1.0)
    }
}

/// An alarm that a model does worse than was believed, sooner than [`Belief::observe`] forgets: a one-sided
/// cumulative sum of what was missed (Page, 1954, "Continuous inspection schemes").
///
/// The sum rises by `believed - success - slack` and never falls below 0; at `threshold` it rings and starts
/// anew. One alarm for each model over all kinds of requests hears a silent regression in some dozens of
/// requests, where each kind's own belief would need as many of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm {
    sum: f64,
    slack: f64,
    threshold: f64,
}

impl Default for Alarm {
    /// Slack 0.1 and threshold 8: at a believed 0.7 a false alarm every 20,000 requests or so, and a model that
    /// lost half of its right answers is heard after about 35 (simulated).
    fn default() -> Self {
        Self::new(0.1, 8.0)
    }
}

impl Alarm {
    /// An alarm that forgives `slack` of each outcome and rings at `threshold`.
    pub fn new(slack: f64, threshold: f64) -> Self {
        Self { sum: 0.0, slack, threshold }
    }

    /// Hears an outcome of which `believed` was expected; whether it rings.
    pub fn hear(&mut self, believed: f64, success: f64) -> bool {
        let missed = believed - success - self.slack;
        if missed.is_finite() {
            self.sum = (self.sum + missed).max(0.0);
        }
        let rings = self.sum >= self.threshold;
        if rings {
            self.sum = 0.0;
        }
        rings
    }

    /// How near it is: 0 calm, 1 rings.
    pub fn level(self) -> f64 {
        self.sum / self.threshold
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prior_says_its_mean_with_its_mass() {
        let check = |mean: f64, mass: f64, says: f64, weighs: f64| {
            let belief = Belief::prior(mean, mass);
            assert!((belief.mean() - says).abs() < 1e-9, "{mean} {mass}: {belief:?}");
            assert!((belief.mass() - weighs).abs() < 1e-9, "{mean} {mass}: {belief:?}");
        };
        check(0.7, 20.0, 0.7, 20.0);
        check(0.0, 20.0, 0.001, 20.0);
        check(7.0, 20.0, 0.999, 20.0);
        check(f64::NAN, 20.0, 0.5, 20.0);
        check(0.5, 0.0, 0.5, 0.01);
        check(0.5, f64::INFINITY, 0.5, 0.01);
    }

    #[test]
    fn outcomes_are_worked_as_by_hand() {
        // Beta(2, 2), then a success and a failure at gamma 0.5: (2*.5+1, 1) then (1, 1*.5+1).
        let mut belief = Belief { alpha: 2.0, beta: 2.0 };
        belief.observe(1.0, 0.5);
        assert_eq!(belief, Belief { alpha: 2.0, beta: 1.0 });
        belief.observe(0.0, 0.5);
        assert_eq!(belief, Belief { alpha: 1.0, beta: 1.5 });
        assert!((belief.mean() - 0.4).abs() < 1e-12);
        // .4 * .6 / 3.5, its root, twice below the mean.
        assert!((belief.lower(2.0) - 0.0).abs() < 1e-12);
        assert!((belief.lower(1.0) - (0.4 - (0.24f64 / 3.5).sqrt())).abs() < 1e-12);
        belief.observe(f64::NAN, 0.5);
        assert_eq!(belief, Belief { alpha: 1.0, beta: 1.5 });
    }

    #[test]
    fn a_reputation_does_not_outlive_the_memory() {
        let mut belief = Belief::prior(0.9, 5_000.0);
        for _ in 0..2_000 {
            belief.observe(0.0, 0.998);
        }
        assert!(belief.mean() < 0.15, "{belief:?}");
        assert!(belief.mass() < 700.0, "{belief:?}");
    }

    #[test]
    fn an_alarm_rings_for_a_regression_and_is_silent_without_one() {
        // Seven of ten are right, then seven of twenty: by a fixed pattern, spread as evenly as can be.
        let mut alarm = Alarm::default();
        let right = |at: u32, of_twenty: u32| f64::from(u8::from(at * 7 % 20 < of_twenty));
        let false_alarms = (0..5_000).filter(|at| alarm.hear(0.7, right(*at, 14))).count();
        assert_eq!(false_alarms, 0);
        let heard = (0..200).position(|at| alarm.hear(0.7, right(at, 7)));
        assert!(heard.is_some_and(|at| (20..60).contains(&at)), "{heard:?}");
    }

    proptest! {
        #[test]
        fn a_belief_stays_a_belief(
            start in (0.0f64..=1.0, 0.0f64..1e4),
            outcomes in proptest::collection::vec((-1.0f64..2.0, 0.0f64..1.1), 0..60),
        ) {
            let mut belief = Belief::prior(start.0, start.1);
            for (success, gamma) in outcomes {
                let before = belief;
                belief.observe(success, gamma);
                prop_assert!(belief.alpha > 0.0 && belief.beta > 0.0);
                prop_assert!((0.0..=1.0).contains(&belief.mean()));
                prop_assert!(belief.mass() <= before.mass() + 1.0 + 1e-9);
                prop_assert!(belief.lower(1.0) <= belief.mean());
                prop_assert!(belief.lower(2.0) <= belief.lower(1.0));
            }
        }

        #[test]
        fn a_success_never_lowers_and_a_failure_never_raises(mean in 0.01f64..0.99, mass in 0.1f64..1e4, gamma in 0.5f64..1.0) {
            let before = Belief::prior(mean, mass);
            let (mut up, mut down) = (before, before);
            up.observe(1.0, gamma);
            down.observe(0.0, gamma);
            prop_assert!(up.mean() >= before.mean() - 1e-12 && down.mean() <= before.mean() + 1e-12);
        }
    }
}
