//! Shadows: whose requests they are shown, how many, and for how much.

use std::sync::Arc;

use nova_catalog::yaml::Located;

use super::Checker;
use super::names::ModelNames;
use crate::config::checked::{DEFAULT_NAMES, Shadow, ShadowJudge, Traffic};
use crate::config::raw::RawShadow;

/// Shadows are there to learn from, not to double the load.
const DEFAULT_IN_FLIGHT: u32 = 4;

impl Checker<'_> {
    pub(super) fn shadows(&mut self, raw: &[RawShadow], names: &ModelNames<'_>) -> Vec<Shadow> {
        let mut known: Vec<&Located<String>> = Vec::new();
        for shadow in raw {
            if known.iter().any(|name| name.value == shadow.name.value) {
                self.problem(&shadow.name, format!("there are two shadows `{}`", shadow.name.value));
            }
            known.push(&shadow.name);
        }
        raw.iter().filter_map(|shadow| self.shadow(shadow, names)).collect()
    }

    fn shadow(&mut self, raw: &RawShadow, names: &ModelNames<'_>) -> Option<Shadow> {
        let traffic = self.traffic(&raw.model, names);
        let to = self.model(&raw.to, names);
        if let (Some(Traffic::Model(model)), Some(to)) = (&traffic, to)
            && *model == to.id
        {
            self.problem(&raw.to, format!("`{}` would be its own shadow", raw.to.value)).hint =
                Some("name another model".into());
        }
        let per_million = self.per_million(&raw.percent);
        let judge = raw.judge.as_ref().map(|judge| ShadowJudge {
            model: self.model(&judge.model, names).map(|model| model.id.clone()).unwrap_or_default(),
            criteria: judge.criteria.clone(),
            per_million: judge.percent.as_ref().map_or(1_000_000, |percent| self.per_million(percent)),
        });
        let condition = match &raw.condition {
            Some(text) => Some(self.condition(text)?),
            None => None,
        };
        if let (Some(text), Some(true)) = (&raw.condition, condition.as_ref().map(|it| it.asks().of_model)) {
            self.problem(text, "what a request should cost or take is not known to a shadow").hint =
                Some("`budget_per_day` bounds what it costs".into());
        }
        let max_in_flight =
            raw.max_in_flight.map_or(DEFAULT_IN_FLIGHT, |most| self.at_least_one(Some(most), 1));
        Some(Shadow {
            name: Arc::from(raw.name.value.as_str()),
            traffic: traffic?,
            to: to?.id.clone(),
            per_million,
            condition,
            budget_per_day: self.dollars(Some(&raw.budget_per_day))?,
            max_in_flight,
            judge,
        })
    }

    /// A share out of a million.
    fn per_million(&mut self, percent: &Located<f64>) -> u32 {
        if !(0.0..=100.0).contains(&percent.value) {
            self.problem(percent, format!("`{}` is not between 0 and 100", percent.value));
        }
        (percent.value * 1e4).round() as u32
    }

    fn traffic(&mut self, name: &Located<String>, names: &ModelNames<'_>) -> Option<Traffic> {
        if DEFAULT_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(Traffic::Auto);
        }
        self.model(name, names).map(|model| Traffic::Model(model.id.clone()))
    }
}
