//! Rules in order: the first whose condition holds chooses the models.

use std::sync::Arc;

use serde::Serialize;

use crate::choose::{Mode, cost};
use crate::facts::Facts;
use crate::plan::Why;
use crate::rules::{Asks, Condition, OfModel};
use crate::table::Model;
use crate::world::World;

/// A rule to add.
#[derive(Clone, Debug)]
pub struct RuleEntry {
    /// When it holds; `None` always does.
    pub condition: Option<Condition>,
    /// The model that it chooses, by any name; or `auto:` and a mode.
    pub model: String,
    /// What to try after it, by any name.
    pub fallback: Vec<String>,
}

/// The rules of a table.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// Those that ask for these names leave the choice to the rules.
    pub(crate) names: Vec<Box<str>>,
    pub(crate) rules: Vec<Rule>,
    /// The models where no rule holds; may be empty.
    pub(crate) rest: Vec<(u32, Why)>,
    pub(crate) asks: Asks,
    /// Whether models may be ranked by their quality: by a rule's mode, or where no rule holds.
    pub(crate) weighs_quality: bool,
}

/// A rule of a table.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Option<Condition>,
    /// How the models are ranked that come before those of the chain, where the rule names no model.
    pub(crate) mode: Option<Mode>,
    /// The models to try, in order. Empty only where there is a mode.
    pub(crate) chain: Vec<(u32, Why)>,
}

/// What rules say.
pub(crate) enum Chosen<'r> {
    /// These models; none where no rule holds and nothing is for the rest.
    Chain(&'r [(u32, Why)]),
    /// The models in the order of this mode, then these.
    Mode(Mode, &'r [(u32, Why)]),
}

/// What a rule says of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its place, from 1.
    pub rule: u32,
    /// Its condition; `None` always holds.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The model that it would choose, by its own name; or `auto:` and a mode.
    #[serde(rename = "use")]
    pub model: String,
    /// Whether it holds.
    pub holds: bool,
    /// What the request would cost with that model, in US dollars, where a price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub est_cost: Option<f64>,
}

impl Router {
    pub(crate) fn owns(&self, name: &str) -> bool {
        self.names.iter().any(|owned| owned.eq_ignore_ascii_case(name))
    }

    /// The models to try, and the rule that chose them, if one did. Does not allocate.
    pub(crate) fn choose(&self, models: &[Model], facts: &Facts<'_>, world: &dyn World) -> Chosen<'_> {
        match self.rules.iter().find(|rule| rule.holds(models, facts, world)) {
            None => Chosen::Chain(&self.rest),
            Some(Rule { mode: Some(mode), chain, .. }) => Chosen::Mode(*mode, chain),
            Some(rule) => Chosen::Chain(&rule.chain),
        }
    }

    pub(crate) fn judged(&self, models: &[Model], facts: &Facts<'_>, world: &dyn World) -> Vec<Judged> {
        let judge = |(place, rule): (u32, &Rule)| {
            let model = rule.model(models);
            let chosen = match rule.mode {
                Some(mode) => format!("auto:{}", mode.word()),
                None => model?.name.to_string(),
            };
            Some(Judged {
                rule: place,
                condition: rule.condition.as_ref().map(|condition| condition.text().to_owned()),
                model: chosen,
                holds: rule.holds(models, facts, world),
                est_cost: model.and_then(|model| of_model(model, facts, world).est_cost),
            })
        };
        (1..).zip(&self.rules).filter_map(judge).collect()
    }
}

impl Rule {
    fn model<'m>(&self, models: &'m [Model]) -> Option<&'m Model> {
        if self.mode.is_some() {
            return None;
        }
        self.chain.first().and_then(|(model, _)| models.get(*model as usize))
    }

    fn holds(&self, models: &[Model], facts: &Facts<'_>, world: &dyn World) -> bool {
        self.condition.as_ref().is_none_or(|condition| {
            let model = if condition.asks().of_model { self.model(models) } else { None };
            condition
                .holds(facts, &model.map_or_else(OfModel::default, |model| of_model(model, facts, world)))
        })
    }
}

/// What is known of a request with a model: by its first deployment, at the price of this hour.
fn of_model(model: &Model, facts: &Facts<'_>, world: &dyn World) -> OfModel {
    let Some(first) = model.groups.first().and_then(|group| group.first()) else { return OfModel::default() };
    let signals = world.signals(first.deployment);
    let estimate = world.estimate(model.index, facts.task);
    let price = model.price.as_deref().filter(|_| facts.now_ms.is_some());
    OfModel {
        est_cost: price.map(|price| cost::expected(price, facts, &signals, &estimate).usd()),
        p95_ttft_ms: signals.p95_ttft_ms.map(f64::from),
        cache_warm: Some(model.groups.iter().flatten().any(|place| {
            let signals = world.signals(place.deployment);
            signals.cached_tokens > 0
        })),
    }
}

/// The chain of a rule: its models, the fallbacks of the first, what is for the rest, the default.
pub(crate) fn chain(parts: impl IntoIterator<Item = (u32, Why)>) -> Vec<(u32, Why)> {
    let mut chain: Vec<(u32, Why)> = Vec::new();
    for (model, why) in parts {
        if chain.iter().all(|(seen, _)| *seen != model) {
            chain.push((model, why));
        }
    }
    chain
}

/// The price of a model, shared with the configuration.
pub(crate) type SharedPrice = Option<Arc<nova_catalog::Price>>;

#[cfg(test)]
mod tests;
