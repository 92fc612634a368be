//! How models are chosen where no rule holds, and experiments.

use nova_catalog::NanoUsd;
use nova_catalog::yaml::Located;
use nova_route::choose::{ENOUGH, MOST_EXPLORED, Mode};
use nova_route::{ArmEntry, Choosing, ExperimentEntry, Unit};

use super::Checker;
use super::names::ModelNames;
use crate::config::problem::did_you_mean;
use crate::config::raw::{RawConfig, RawExperiment, RawRouting};

const UNITS: [(&str, Unit); 4] =
    [("session", Unit::Session), ("user", Unit::User), ("key", Unit::Key), ("request", Unit::Request)];

impl Checker<'_> {
    /// How models are chosen.
    pub(super) fn choosing(&mut self, raw: &RawRouting, names: &ModelNames<'_>) -> Choosing {
        let mode = raw.mode.as_ref().map_or(Mode::default(), |word| {
            Mode::named(word).unwrap_or_else(|| {
                let hint = did_you_mean(word, Mode::ALL.map(|(_, known)| known));
                self.problem(word, format!("there is no mode `{}`", word.value)).hint = hint;
                Mode::default()
            })
        });
        if let (Mode::Budget, None, Some(word)) = (mode, &raw.budget_per_request, &raw.mode) {
            self.problem(word, "the mode `budget` has no budget").hint =
                Some("set `budget_per_request` in US dollars, as in `0.002`".into());
        }
        let enough = raw.enough.as_ref().map_or(ENOUGH, |share| {
            if !(0.0..=1.0).contains(&share.value) {
                self.problem(share, format!("`{}` is not between 0 and 1", share.value));
            }
            share.value as f32
        });
        let explore = raw.explore.as_ref().map_or(0.0, |share| {
            if !(0.0..=f64::from(MOST_EXPLORED)).contains(&share.value) {
                let message = format!("`{}` is not between 0 and {MOST_EXPLORED}", share.value);
                self.problem(share, message).hint =
                    Some("try models on more than that by an experiment".into());
            }
            share.value as f32
        });
        let models = raw.models.iter().filter(|name| self.model(name, names).is_some());
        Choosing { mode, enough, explore, models: models.map(|name| name.value.clone()).collect() }
    }

    /// What the requests of a key may cost on average.
    pub(super) fn budget_per_request(&mut self, raw: &RawRouting) -> Option<NanoUsd> {
        self.dollars(raw.budget_per_request.as_ref())
    }

    /// An amount of money.
    pub(super) fn dollars(&mut self, dollars: Option<&Located<f64>>) -> Option<NanoUsd> {
        let dollars = dollars?;
        if !(1e-9..=1e6).contains(&dollars.value) {
            let message = format!("`{}` is not an amount between 0.000000001 and 1000000", dollars.value);
            self.problem(dollars, message).hint = Some("write US dollars, as in `0.002`".into());
            return None;
        }
        // At most 10^15, which fits.
        Some(NanoUsd::from_nanos((dollars.value * 1e9).round() as i64))
    }

    /// The experiments.
    pub(super) fn experiments(&mut self, raw: &RawConfig, names: &ModelNames<'_>) -> Vec<ExperimentEntry> {
        let mut known: Vec<&Located<String>> = Vec::new();
        for experiment in &raw.experiments {
            if known.iter().any(|name| name.value == experiment.name.value) {
                self.problem(
                    &experiment.name,
                    format!("there are two experiments `{}`", experiment.name.value),
                );
            }
            known.push(&experiment.name);
        }
        raw.experiments.iter().filter_map(|experiment| self.experiment(experiment, names)).collect()
    }

    fn experiment(&mut self, raw: &RawExperiment, names: &ModelNames<'_>) -> Option<ExperimentEntry> {
        let model = self.model(&raw.model, names);
        let by = raw.by.as_ref().map_or(Unit::default(), |word| {
            UNITS.iter().find(|(known, _)| *known == word.value).map(|(_, unit)| *unit).unwrap_or_else(|| {
                let hint = did_you_mean(word, UNITS.map(|(known, _)| known));
                self.problem(word, format!("there is no unit `{}`", word.value)).hint =
                    hint.or_else(|| Some("write `session`, `user`, `key` or `request`".into()));
                Unit::default()
            })
        });
        let weight = |weight: Option<u32>| weight.unwrap_or(1);
        if raw.arms.iter().all(|arm| weight(arm.weight) == 0) {
            self.problem(&raw.name, "no arm of this experiment has a weight").hint =
                Some("give it at least one arm with a weight above 0".into());
        }
        let mut arms = Vec::new();
        for arm in &raw.arms {
            let model = self.model(&arm.model, names)?;
            let name = arm.name.clone().unwrap_or_else(|| model.id.clone());
            arms.push(ArmEntry { name, model: arm.model.value.clone(), weight: weight(arm.weight) });
        }
        let condition = match &raw.condition {
            Some(text) => Some(self.condition(text)?),
            None => None,
        };
        model?;
        let (name, model) = (raw.name.value.clone(), raw.model.value.clone());
        Some(ExperimentEntry { name, model, condition, by, arms })
    }
}
