//! A decision with all that it was made from, so that it can be shown, and made again.
//!
//! Invariant: planning with a record as the world, over the table that it was made with, gives the plan that
//! the record holds. Numbers are kept exactly: fractions as text, because readers of JSON round them.
//!
//! A record names deployments and models instead of numbering them, so that it outlives the configuration that
//! it was made under, and can be held against another one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use nova_catalog::DataPolicy;
use serde::{Deserialize, Serialize};

use crate::choose::Choice;
use crate::controls::Controls;
use crate::facts::{Facts, Named};
use crate::plan::{DeploymentId, NoRoute, Plan};
use crate::table::Table;
use crate::world::{Estimate, Signals, World};

/// The form of records that this version writes.
pub const VERSION: u8 = 1;

/// A decision and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The form of the record: [`VERSION`].
    pub version: u8,
    /// The seed, in hexadecimal digits.
    pub seed: String,
    /// What was known of the request.
    pub facts: Told,
    /// How each deployment did that was looked at.
    pub signals: Vec<Did>,
    /// What was expected of each model that was looked at.
    pub estimates: Vec<Expected>,
    /// What was decided.
    pub decided: Decided,
}

/// What was known of a request: [`Facts`] that are kept. Of headers, metadata and tags only what rules read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The model's name as the client wrote it.
    pub model: String,
    /// Tokens of the prompt, estimated.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether images stand in the prompt.
    pub has_images: bool,
    /// Whether tools are offered.
    pub has_tools: bool,
    /// Whether a form of the answer is asked for.
    pub json_schema: bool,
    /// What the request asked of routing beside its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
    /// Where the key's prompts may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataPolicy>,
    /// The models that the key may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<Vec<String>>,
    /// The key's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The key's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_owner: Option<String>,
    /// What stands for the key, the conversation and the user, in hexadecimal digits.
    pub who: [Option<String>; 3],
    /// What the request is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The language of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// `task_confidence`, `complexity`, `budget`, `budget_left` and `quality_per_usd`, where known.
    pub numbers: BTreeMap<String, String>,
    /// The time, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now_ms: Option<i64>,
    /// Tags, headers and entries of the metadata that rules read, as `tags.x`, `header.x` and `metadata.x`.
    pub texts: BTreeMap<String, String>,
}

/// How a deployment did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Did {
    /// Its name.
    pub deployment: String,
    /// How it did.
    #[serde(flatten)]
    pub signals: Signals,
}

/// What was expected of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The model, by its own name.
    pub model: String,
    /// What was expected.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// What was decided, in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Decided {
    /// The model that was chosen or asked for; empty where there was no plan.
    pub model: String,
    /// Why that one; or why there was no plan.
    pub by: String,
    /// What to try, in order.
    pub attempts: Vec<Tried>,
    /// What was left out.
    pub removed: Vec<Tried>,
    /// The models from the best to the worst, where they were ranked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranked: Vec<Rank>,
    /// The lower bound of quality that was enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<String>,
    /// Whether the first of them is there to be learnt about.
    #[serde(skip_serializing_if = "is_false")]
    pub explored: bool,
    /// The experiment and the arm, as `name/arm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
}

/// A deployment of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// Its name.
    pub deployment: String,
    /// Its model.
    pub model: String,
    /// Why it is there, or why it is not.
    pub why: String,
    /// Why it is tried later than it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later: Option<String>,
}

/// A model in a ranking.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rank {
    /// The model.
    pub model: String,
    /// Its deployment that would be asked first.
    pub deployment: String,
    /// What the request should cost there, in nano-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nano_usd: Option<i64>,
    /// Of prompt tokens read anew, prompt tokens from the cache, tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<[u64; 3]>,
    /// The share of such requests that it answers well.
    pub quality: f32,
    /// What that share surely is at least.
    pub low: f32,
    /// Whether somebody declared or measured it.
    pub measured: bool,
}

/// A world that notes what it is asked.
pub struct Noting<'w> {
    world: &'w dyn World,
    signals: RefCell<Vec<(DeploymentId, Signals)>>,
    estimates: RefCell<Vec<(usize, Estimate)>>,
}

impl std::fmt::Debug for Noting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noting").finish_non_exhaustive()
    }
}

impl<'w> Noting<'w> {
    /// Notes what is asked of a world. What was answered once is answered so again: a decision sees one moment.
    pub fn over(world: &'w dyn World) -> Self {
        Self { world, signals: RefCell::default(), estimates: RefCell::default() }
    }
}

impl World for Noting<'_> {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        if let Some((_, known)) = self.signals.borrow().iter().find(|(id, _)| *id == deployment) {
            return *known;
        }
        let signals = self.world.signals(deployment);
        self.signals.borrow_mut().push((deployment, signals));
        signals
    }

    fn estimate(&self, model: usize, task: Option<&str>) -> Estimate {
        if let Some((_, known)) = self.estimates.borrow().iter().find(|(index, _)| *index == model) {
            return *known;
        }
        let estimate = self.world.estimate(model, task);
        self.estimates.borrow_mut().push((model, estimate));
        estimate
    }
}

impl Record {
    /// The record of a decision that was made with these arguments.
    pub fn of(
        table: &Table,
        facts: &Facts<'_>,
        noted: &Noting<'_>,
        seed: u64,
        plan: &Result<Plan, NoRoute>,
    ) -> Self {
        let signals = noted.signals.borrow();
        let estimates = noted.estimates.borrow();
        let name = |id| table.deployment_name(id).unwrap_or_default().to_owned();
        Self {
            version: VERSION,
            seed: format!("{seed:x}"),
            facts: Told::of(table, facts),
            signals: signals.iter().map(|&(id, signals)| Did { deployment: name(id), signals }).collect(),
            estimates: estimates
                .iter()
                .map(|&(model, estimate)| Expected {
                    model: table.name(model).unwrap_or_default().to_owned(),
                    estimate,
                })
                .collect(),
            decided: Decided::of(table, plan),
        }
    }

    /// Decides again, over this table.
    ///
    /// # Errors
    /// As [`crate::plan`].
    pub fn replay(&self, table: &Table) -> Result<Plan, NoRoute> {
        let seed = u64::from_str_radix(&self.seed, 16).unwrap_or_default();
        let world = Recorded { record: self, table };
        self.facts.with(|facts| crate::plan(table, facts, &world, seed))
    }

    /// Whether deciding again over this table gives the same.
    pub fn holds(&self, table: &Table) -> bool {
        Decided::of(table, &self.replay(table)) == self.decided
    }
}

impl Told {
    fn of(table: &Table, facts: &Facts<'_>) -> Self {
        let text = |name: &str| {
            let (family, rest) = name.split_once('.')?;
            let value = match family {
                "tags" => facts.tags.get(rest),
                "header" => facts.headers.get(rest),
                _ => facts.metadata.get(rest),
            };
            Some((name.to_owned(), value?.to_owned()))
        };
        let numbers = [
            ("task_confidence", facts.task_confidence),
            ("complexity", facts.complexity),
            ("budget", facts.budget),
            ("budget_left", facts.budget_left),
            ("quality_per_usd", facts.quality_per_usd),
        ];
        let hex = |number: Option<u64>| number.map(|number| format!("{number:x}"));
        Self {
            model: facts.model.to_owned(),
            prompt_tokens: facts.prompt_tokens,
            max_tokens: facts.max_tokens,
            turns: facts.turns,
            stream: facts.stream,
            has_images: facts.has_images,
            has_tools: facts.has_tools,
            json_schema: facts.json_schema,
            controls: facts.controls.cloned(),
            data: facts.data.filter(|policy| !policy.is_open()).cloned(),
            allowed_models: facts.allowed_models.map(<[String]>::to_vec),
            key_name: facts.key_name.map(str::to_owned),
            key_owner: facts.key_owner.map(str::to_owned),
            who: [hex(facts.key), hex(facts.session), hex(facts.user)],
            task: facts.task.map(str::to_owned),
            lang: facts.lang.map(str::to_owned),
            numbers: numbers
                .into_iter()
                .filter_map(|(name, number)| Some((name.to_owned(), number?.to_string())))
                .collect(),
            now_ms: facts.now_ms,
            texts: table.texts_read().filter_map(text).collect(),
        }
    }

    /// Calls with the facts as they were.
    pub fn with<T>(&self, then: impl FnOnce(&Facts<'_>) -> T) -> T {
        let number = |name: &str| self.numbers.get(name)?.parse().ok();
        let hex = |at: usize| u64::from_str_radix(self.who[at].as_deref()?, 16).ok();
        let text = |family: &str, name: &str| self.texts.get(&format!("{family}.{name}")).map(String::as_str);
        let tag = |name: &str| text("tags", name);
        let header = |name: &str| text("header", name);
        let entry = |name: &str| text("metadata", name);
        then(&Facts {
            model: &self.model,
            prompt_tokens: self.prompt_tokens,
            max_tokens: self.max_tokens,
            turns: self.turns,
            stream: self.stream,
            has_images: self.has_images,
            has_tools: self.has_tools,
            json_schema: self.json_schema,
            controls: self.controls.as_ref(),
            data: self.data.as_ref(),
            allowed_models: self.allowed_models.as_deref(),
            key_name: self.key_name.as_deref(),
            key_owner: self.key_owner.as_deref(),
            key: hex(0),
            session: hex(1),
            user: hex(2),
            task: self.task.as_deref(),
            task_confidence: number("task_confidence"),
            complexity: number("complexity"),
            budget: number("budget"),
            budget_left: number("budget_left"),
            quality_per_usd: number("quality_per_usd"),
            lang: self.lang.as_deref(),
            now_ms: self.now_ms,
            tags: Named::of(&tag),
            headers: Named::of(&header),
            metadata: Named::of(&entry),
        })
    }
}

impl Decided {
    /// A decision in words.
    pub fn of(table: &Table, plan: &Result<Plan, NoRoute>) -> Self {
        let plan = match plan {
            Ok(plan) => plan,
            Err(no) => return Self { by: no.to_string(), ..Self::default() },
        };
        let name = |id| table.deployment_name(id).unwrap_or_default().to_owned();
        let attempts = plan.attempts.iter().map(|attempt| Tried {
            deployment: name(attempt.deployment),
            model: attempt.model.to_string(),
            why: attempt.why.to_string(),
            later: attempt.demoted.map(|why| why.to_string()),
        });
        let removed = plan.removed.iter().map(|(id, why)| Tried {
            deployment: name(*id),
            model: table.model_of(*id).unwrap_or_default().to_owned(),
            why: why.to_string(),
            later: None,
        });
        let exposure = plan.exposure.as_ref();
        Self {
            model: plan.asked.to_string(),
            by: plan.by.to_string(),
            attempts: attempts.collect(),
            removed: removed.collect(),
            ranked: plan.choice.as_ref().map(|choice| ranked(choice, name)).unwrap_or_default(),
            reach: plan.choice.as_ref().and_then(|choice| choice.reach).map(|reach| reach.to_string()),
            explored: plan.choice.as_ref().is_some_and(|choice| choice.explored),
            experiment: exposure.map(|exposure| format!("{}/{}", exposure.experiment, exposure.arm)),
        }
    }
}

// serde calls it with a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

fn ranked(choice: &Choice, name: impl Fn(DeploymentId) -> String) -> Vec<Rank> {
    let rank = |scored: &crate::choose::Scored| Rank {
        model: scored.model.to_string(),
        deployment: name(scored.deployment),
        nano_usd: scored.cost.map(|cost| cost.total.nanos()),
        tokens: scored.cost.map(|cost| [cost.input_tokens, cost.cached_tokens, cost.output_tokens]),
        quality: scored.quality,
        low: scored.low,
        measured: scored.measured,
    };
    choice.ranked.iter().map(rank).collect()
}

/// A record as the world. What it does not hold was not looked at then, and is not known now.
struct Recorded<'r> {
    record: &'r Record,
    table: &'r Table,
}

impl World for Recorded<'_> {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        let name = self.table.deployment_name(deployment);
        let did = self.record.signals.iter().find(|did| Some(did.deployment.as_str()) == name);
        did.map_or_else(Signals::default, |did| did.signals)
    }

    fn estimate(&self, model: usize, _: Option<&str>) -> Estimate {
        let name = self.table.name(model);
        let expected = self.record.estimates.iter().find(|expected| Some(expected.model.as_str()) == name);
        expected.map_or_else(Estimate::default, |expected| expected.estimate)
    }
}

#[cfg(test)]
mod tests;
