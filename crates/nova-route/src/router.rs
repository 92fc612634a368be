//! Rules in order: the first whose condition holds chooses the models.

use std::sync::Arc;

use serde::Serialize;

use crate::facts::Facts;
use crate::plan::Why;
use crate::rules::{Asks, Condition};
use crate::table::Model;

/// An answer is assumed to have at most this many tokens, until somebody has measured how long answers are.
const ASSUMED_OUTPUT: u64 = 1024;

/// A rule to add.
#[derive(Clone, Debug)]
pub struct RuleEntry {
    /// When it holds; `None` always does.
    pub condition: Option<Condition>,
    /// The model that it chooses, by any name.
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
}

/// A rule of a table.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Option<Condition>,
    /// The models to try, in order. Never empty.
    pub(crate) chain: Vec<(u32, Why)>,
}

/// What a rule says of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its place, from 1.
    pub rule: u32,
    /// Its condition; `None` always holds.
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The model that it would choose, by its own name.
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
    pub(crate) fn choose(&self, models: &[Model], facts: &Facts<'_>) -> &[(u32, Why)] {
        let holds = |rule: &&Rule| rule.holds(models, facts);
        self.rules.iter().find(holds).map_or(&self.rest, |rule| &rule.chain)
    }

    pub(crate) fn judged(&self, models: &[Model], facts: &Facts<'_>) -> Vec<Judged> {
        let judge = |(place, rule): (u32, &Rule)| {
            let model = rule.model(models)?;
            Some(Judged {
                rule: place,
                condition: rule.condition.as_ref().map(|condition| condition.text().to_owned()),
                model: model.name.to_string(),
                holds: rule.holds(models, facts),
                est_cost: est_cost(model, facts),
            })
        };
        (1..).zip(&self.rules).filter_map(judge).collect()
    }
}

impl Rule {
    fn model<'m>(&self, models: &'m [Model]) -> Option<&'m Model> {
        self.chain.first().and_then(|(model, _)| models.get(*model as usize))
    }

    fn holds(&self, models: &[Model], facts: &Facts<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| {
            let cost = || self.model(models).and_then(|model| est_cost(model, facts));
            condition.holds(facts, if condition.asks().est_cost { cost() } else { None })
        })
    }
}

/// What a request would cost with a model, in US dollars: its prompt and an answer of the length that it
/// allows, at the price of the model's first deployment at this hour.
fn est_cost(model: &Model, facts: &Facts<'_>) -> Option<f64> {
    let price = model.price.as_deref()?;
    let output = facts.max_tokens.map_or(ASSUMED_OUTPUT, |tokens| tokens.min(ASSUMED_OUTPUT));
    let usage = nova_catalog::Usage { input: facts.prompt_tokens, output, ..nova_catalog::Usage::default() };
    // Exact up to some millions of dollars.
    Some(price.cost(&usage, facts.now_ms?).nanos() as f64 / 1e9)
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
