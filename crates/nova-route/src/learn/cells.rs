//! Numbers that are observed again and again, each in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::quality::Belief;

/// A mean that forgets: each observation weighs at least as much as `1 / most` of all.
///
/// The mean and its mass are two `f32` in one word; a lost race repeats.
#[derive(Debug, Default)]
pub struct Mean(AtomicU64);

impl Mean {
    /// Takes an observation in. What is no number is not taken in.
    pub fn observe(&self, value: f32, most: f32) {
        if !value.is_finite() {
            return;
        }
        self.update(|mean, mass| {
            let mass = (mass + 1.0).min(most.max(1.0));
            (mean + (value - mean) / mass, mass)
        });
    }

    /// The mean, and how many observations it weighs as much as; `None` before the first.
    pub fn get(&self) -> Option<(f32, f32)> {
        let (mean, mass) = unpack(self.0.load(Ordering::Relaxed));
        (mass > 0.0).then_some((mean, mass))
    }

    /// The mean alone.
    pub fn mean(&self) -> Option<f32> {
        self.get().map(|(mean, _)| mean)
    }

    /// Begins anew from what is known from elsewhere.
    pub fn set(&self, mean: f32, mass: f32) {
        if mean.is_finite() && mass.is_finite() && mass >= 0.0 {
            self.0.store(pack(mean, mass), Ordering::Relaxed);
        }
    }

    fn update(&self, next: impl Fn(f32, f32) -> (f32, f32)) {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (mean, mass) = unpack(word);
            let (mean, mass) = next(mean, mass);
            match self.0.compare_exchange_weak(word, pack(mean, mass), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

/// Outcomes of a model at a kind of task, as weights of what worked and what did not; both fade.
#[derive(Debug, Default)]
pub struct Evidence(Mean);

impl Evidence {
    /// Takes an outcome in: 1 worked, 0 did not, a grade stands between. `gamma` is what is left of all before.
    pub fn observe(&self, success: f32, gamma: f32) {
        if success.is_nan() {
            return;
        }
        let success = success.clamp(0.0, 1.0);
        self.0.update(|worked, failed| (worked * gamma + success, failed * gamma + 1.0 - success));
    }

    /// Puts one grade in the place of another one that was taken in before.
    pub fn correct(&self, before: f32, now: f32) {
        let more = now.clamp(0.0, 1.0) - before.clamp(0.0, 1.0);
        if more.is_finite() {
            self.0.update(|worked, failed| ((worked + more).max(0.0), (failed - more).max(0.0)));
        }
    }

    /// The weights of what worked and of what did not.
    pub fn get(&self) -> (f32, f32) {
        unpack(self.0.0.load(Ordering::Relaxed))
    }

    /// Begins anew from weights that were kept elsewhere; what is no weight becomes none.
    pub fn set(&self, worked: f32, failed: f32) {
        let weight = |of: f32| if of.is_finite() { of.max(0.0) } else { 0.0 };
        self.0.0.store(pack(weight(worked), weight(failed)), Ordering::Relaxed);
    }

    /// What is believed, starting from a prior.
    pub fn belief(&self, prior: Belief) -> Belief {
        let (worked, failed) = self.get();
        Belief { alpha: prior.alpha + f64::from(worked), beta: prior.beta + f64::from(failed) }
    }
}

const fn pack(first: f32, second: f32) -> u64 {
    ((first.to_bits() as u64) << 32) | second.to_bits() as u64
}

const fn unpack(word: u64) -> (f32, f32) {
    (f32::from_bits((word >> 32) as u32), f32::from_bits(word as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_exact_at_first_and_then_forgets() {
        let mean = Mean::default();
        assert_eq!(mean.get(), None);
        for value in [1.0, 2.0, 6.0, f32::NAN] {
            mean.observe(value, 10.0);
        }
        assert_eq!(mean.get(), Some((3.0, 3.0)));
        for _ in 0..100 {
            mean.observe(100.0, 10.0);
        }
        let (value, mass) = mean.get().unwrap();
        assert!(value > 99.9 && mass == 10.0, "{value} {mass}");
    }

    #[test]
    fn evidence_outweighs_a_prior_and_fades() {
        let evidence = Evidence::default();
        let prior = Belief::prior(0.8, 8.0);
        assert_eq!(evidence.belief(prior).mean(), prior.mean());
        for _ in 0..1_000 {
            evidence.observe(0.0, 0.998);
        }
        let after = evidence.belief(prior).mean();
        assert!(after < 0.02, "{after}");
        let (worked, failed) = evidence.get();
        assert!(worked == 0.0 && (400.0..500.0).contains(&failed), "no more than 1 / (1 - gamma): {failed}");
        evidence.set(3.0, -1.0);
        assert_eq!(evidence.get(), (3.0, 0.0));
        evidence.correct(1.0, 0.5);
        assert_eq!(evidence.get(), (2.5, 0.5));
    }

    #[test]
    fn nothing_is_lost_where_many_write() {
        let mean = Mean::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| mean.observe(5.0, 1e6)));
            }
        });
        assert_eq!(mean.get(), Some((5.0, 4_000.0)));
    }
}
