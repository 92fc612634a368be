//! Experiments: part of a model's traffic goes to other models, and who gets which stays the same.

use std::sync::Arc;

use crate::facts::Facts;
use crate::rules::{Condition, OfModel};

/// An experiment to add.
#[derive(Clone, Debug)]
pub struct ExperimentEntry {
    /// Its name.
    pub name: String,
    /// The model whose traffic it splits, by any name.
    pub model: String,
    /// The requests that take part; `None` takes all.
    pub condition: Option<Condition>,
    /// What always gets the same arm.
    pub by: Unit,
    /// The arms, at least one of positive weight.
    pub arms: Vec<ArmEntry>,
}

/// An arm of an experiment.
#[derive(Clone, Debug)]
pub struct ArmEntry {
    /// Its name.
    pub name: String,
    /// The model that answers, by any name.
    pub model: String,
    /// Its share among the weights of all arms.
    pub weight: u32,
}

/// What always gets the same arm of an experiment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// A conversation; a request that belongs to none stands for itself.
    #[default]
    Session,
    /// The user behind the caller where the request names one, else the key.
    User,
    /// The key.
    Key,
    /// Nothing: each request is drawn anew.
    Request,
}

/// An experiment of a table.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) name: Arc<str>,
    pub(crate) model: u32,
    pub(crate) condition: Option<Condition>,
    pub(crate) by: Unit,
    pub(crate) arms: Vec<Arm>,
}

#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) name: Arc<str>,
    pub(crate) model: u32,
    pub(crate) weight: u32,
}

impl Experiment {
    /// The arm of a request, if it takes part.
    pub(crate) fn arm(&self, facts: &Facts<'_>, seed: u64) -> Option<&Arm> {
        let takes_part = |condition: &Condition| condition.holds(facts, &OfModel::default());
        if !self.condition.as_ref().is_none_or(takes_part) {
            return None;
        }
        let unit = match self.by {
            Unit::Session => facts.session,
            Unit::User => facts.user.or(facts.key),
            Unit::Key => facts.key,
            Unit::Request => None,
        };
        let total: u64 = self.arms.iter().map(|arm| u64::from(arm.weight)).sum();
        let mut drawn = place(&self.name, unit.unwrap_or(seed), total);
        self.arms.iter().find(|arm| match drawn.checked_sub(u64::from(arm.weight)) {
            Some(left) => {
                drawn = left;
                false
            }
            None => true,
        })
    }
}

/// Where a unit stands in an experiment, from 0 to below `total`: even over units, and independent between
/// experiments, because the name is mixed in (FNV-1a, then the finaliser of SplitMix64).
fn place(experiment: &str, unit: u64, total: u64) -> u64 {
    let hash = experiment.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut z = hash ^ unit.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    ((u128::from(z) * u128::from(total)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(name: &str, by: Unit, weights: &[u32]) -> Experiment {
        let arm = |(model, &weight): (u32, &u32)| Arm { name: model.to_string().into(), model, weight };
        Experiment {
            name: name.into(),
            model: 0,
            condition: Some(Condition::parse("not has_tools").unwrap()),
            by,
            arms: (0..).zip(weights).map(arm).collect(),
        }
    }

    #[test]
    fn arms_get_their_shares_and_zero_gets_nothing() {
        let experiment = experiment("e", Unit::Request, &[70, 0, 30]);
        let mut counts = [0; 3];
        for seed in 0..10_000 {
            counts[experiment.arm(&Facts::default(), seed).unwrap().model as usize] += 1;
        }
        assert!((6_800..7_200).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn the_same_unit_gets_the_same_arm_and_experiments_are_independent() {
        let facts = Facts { session: Some(1), user: Some(2), key: Some(3), ..Facts::default() };
        for by in [Unit::Session, Unit::User, Unit::Key] {
            let experiment = experiment("e", by, &[1; 50]);
            let arms = |seed| experiment.arm(&facts, seed).unwrap().model;
            assert!((0..100).all(|seed| arms(seed) == arms(0)), "{by:?}");
        }
        let (one, other) =
            (experiment("one", Unit::Session, &[1, 1]), experiment("other", Unit::Session, &[1, 1]));
        let both = (0..10_000).filter(|&session| {
            let facts = Facts { session: Some(session), ..Facts::default() };
            one.arm(&facts, 0).unwrap().model == 0 && other.arm(&facts, 0).unwrap().model == 0
        });
        assert!((2_300..2_700).contains(&both.count()));
    }

    #[test]
    fn who_does_not_meet_the_condition_takes_no_part() {
        let experiment = experiment("e", Unit::Request, &[1]);
        assert!(experiment.arm(&Facts { has_tools: true, ..Facts::default() }, 0).is_none());
    }
}
