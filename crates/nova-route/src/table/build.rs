//! From models, rules and experiments to the table that planning reads: names are found, orders are made, and
//! what does not fit together is told, once.

use std::collections::HashMap;
use std::sync::Arc;

use nova_catalog::Tags;

use super::{Choosing, Model, Place, Table};
use crate::choose::Mode;
use crate::controls::Known;
use crate::experiment::{Arm, Experiment, ExperimentEntry};
use crate::names::{Names, fold};
use crate::pattern::{Pattern, is_pattern};
use crate::plan::{DeploymentId, Why};
use crate::router::{self, Router, RuleEntry, SharedPrice};
use crate::rules::Asks;

/// Attempts in a plan, unless said otherwise.
const DEFAULT_MAX_ATTEMPTS: u32 = 8;

/// Collects models and makes a [`Table`] of them.
#[derive(Debug, Default)]
pub struct TableBuilder {
    models: Vec<ModelEntry>,
    aliases: Vec<(String, String)>,
    default_fallback: Vec<String>,
    max_attempts: Option<u32>,
    routed: Option<Routed>,
    choosing: Choosing,
    experiments: Vec<ExperimentEntry>,
}

/// What rules were added.
#[derive(Debug)]
struct Routed {
    names: Vec<String>,
    rules: Vec<RuleEntry>,
    default: Option<String>,
}

/// A model to add.
#[derive(Clone, Debug, Default)]
pub struct ModelEntry {
    /// Its own name.
    pub name: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// Whether it reads images.
    pub images: bool,
    /// Whether it calls tools.
    pub tools: bool,
    /// Its context in tokens, where known.
    pub context: Option<u64>,
    /// The most tokens of an answer, where known.
    pub max_output: Option<u64>,
    /// Who serves it; may be empty.
    pub deployments: Vec<Candidate>,
    /// The models to try when none of them answers, by any name.
    pub fallbacks: Vec<String>,
}

/// A deployment to add.
#[derive(Clone, Debug, Default)]
pub struct Candidate {
    /// Which one.
    pub id: DeploymentId,
    /// Its name, by which requests may ask for it; may be empty.
    pub name: String,
    /// Its provider's id, by which `provider/model` finds it.
    pub provider: String,
    /// What the provider calls the model, by which `provider/upstream-model` finds it, too.
    pub upstream_model: String,
    /// Lower is tried earlier.
    pub priority: u32,
    /// Its share among deployments of equal priority; 0 is tried after all others of them.
    pub weight: u32,
    /// What it charges, where that is known.
    pub price: SharedPrice,
    /// The name that people know its provider by; may be empty.
    pub provider_name: String,
    /// Further names of its provider.
    pub provider_aliases: Vec<String>,
    /// How it treats what it is sent, as far as that is known.
    pub tags: Tags,
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two models have the same name.
    #[error("`{name}` names both model `{first}` and model `{second}`")]
    Taken {
        /// The name.
        name: String,
        /// The model that has it.
        first: String,
        /// The model that wants it.
        second: String,
    },
    /// A fallback or an alias points at nothing.
    #[error("there is no model `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
}

impl TableBuilder {
    /// Adds a model. Its place in the order of adding is what [`Table::find`] gives.
    pub fn model(&mut self, model: ModelEntry) -> &mut Self {
        self.models.push(model);
        self
    }

    /// Adds another name for a model; the name may be taken from a model's own aliases, so that an
    /// operator can point a known name elsewhere.
    pub fn alias(&mut self, name: impl Into<String>, model: impl Into<String>) -> &mut Self {
        self.aliases.push((name.into(), model.into()));
        self
    }

    /// Sets the models to try when neither the model asked for nor its own fallbacks answer.
    pub fn default_fallback(&mut self, models: Vec<String>) -> &mut Self {
        self.default_fallback = models;
        self
    }

    /// Lets rules choose for those who ask for one of these names, and `default` where none of them holds.
    pub fn rules(&mut self, names: Vec<String>, rules: Vec<RuleEntry>, default: Option<String>) -> &mut Self {
        self.routed = Some(Routed { names, rules, default });
        self
    }

    /// Sets how models are chosen where neither the client nor a rule names one.
    pub fn choosing(&mut self, choosing: Choosing) -> &mut Self {
        self.choosing = choosing;
        self
    }

    /// Adds an experiment. A model is part of one at most: the first that names it.
    pub fn experiment(&mut self, experiment: ExperimentEntry) -> &mut Self {
        self.experiments.push(experiment);
        self
    }

    /// Sets how many attempts a plan may have. At least 1; 8 unless said otherwise.
    pub fn max_attempts(&mut self, bound: u32) -> &mut Self {
        self.max_attempts = Some(bound.max(1));
        self
    }

    /// Makes the table.
    ///
    /// # Errors
    /// Where two models have the same name, or a fallback or alias points at no model.
    pub fn build(self) -> Result<Table, TableError> {
        let names = self.names()?;
        let find = |name: &str| names.get(name).ok_or_else(|| TableError::Unknown { name: name.to_owned() });
        let default_fallback =
            self.default_fallback.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let mut providers = Names::default();
        let mut provider_count = 0;
        let mut upstream_names = Names::default();
        let mut models = Vec::with_capacity(self.models.len());
        for (index, entry) in (0..).zip(&self.models) {
            let mut chain = vec![(index, Why::Asked)];
            let own = entry.fallbacks.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
            let own = own.into_iter().map(|model| (model, Why::Fallback));
            for (model, why) in own.chain(default_fallback.iter().map(|&model| (model, Why::DefaultFallback)))
            {
                if chain.iter().all(|(seen, _)| *seen != model) {
                    chain.push((model, why));
                }
            }
            let mut provider = |id: &str| {
                providers.add(id, provider_count).unwrap_or_else(|| {
                    provider_count += 1;
                    provider_count - 1
                })
            };
            for candidate in &entry.deployments {
                // Where two models are one upstream model, the first keeps the name.
                upstream_names.add(&format!("{}/{}", candidate.provider, candidate.upstream_model), index);
            }
            models.push(Model {
                index: models.len(),
                name: Arc::from(entry.name.as_str()),
                images: entry.images,
                tools: entry.tools,
                context: entry.context,
                max_output: entry.max_output,
                groups: groups(&entry.deployments, &mut provider),
                chain,
                price: self.first(entry).and_then(|first| first.price.clone()),
            });
        }
        let router = match &self.routed {
            None => None,
            Some(routed) => Some(self.router(routed, &models, &default_fallback, &find)?),
        };
        let max_attempts = self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS);
        let pool = match self.choosing.models.as_slice() {
            [] => (0..).zip(&self.models).filter(|(_, it)| !is_pattern(&it.name)).map(|(at, _)| at).collect(),
            named => named.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?,
        };
        let experiments =
            self.experiments.iter().map(|entry| experiment(entry, &find)).collect::<Result<Vec<_>, _>>()?;
        let patterns = self.patterns(&find)?;
        let known = self.known();
        let texts = self.texts();
        let choosing = self.choosing;
        Ok(Table {
            names,
            providers,
            upstream_names,
            patterns,
            models,
            max_attempts,
            router,
            choosing,
            pool,
            experiments,
            known,
            texts,
        })
    }

    /// Models and aliases whose names stand for many.
    fn patterns(&self, find: &impl Fn(&str) -> Result<u32, TableError>) -> Result<Vec<Pattern>, TableError> {
        let models = self.models.iter().map(|model| (&model.name, &model.name));
        let aliases = self.aliases.iter().map(|(alias, model)| (alias, model));
        let mut patterns = models
            .chain(aliases)
            .filter(|(name, _)| is_pattern(name))
            .map(|(name, model)| Ok(Pattern::new(name, find(model)?)))
            .collect::<Result<Vec<_>, _>>()?;
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.weight()));
        Ok(patterns)
    }

    fn known(&self) -> Vec<Known> {
        let mut known = Vec::new();
        for (model, entry) in (0..).zip(&self.models) {
            for candidate in &entry.deployments {
                let place = candidate.id.index();
                if known.len() <= place {
                    known.resize_with(place + 1, Known::default);
                }
                known[place] = Known::of(candidate, model);
            }
        }
        known
    }

    fn texts(&self) -> Vec<Box<str>> {
        let rules = self.routed.iter().flat_map(|routed| &routed.rules).map(|rule| &rule.condition);
        let experiments = self.experiments.iter().map(|experiment| &experiment.condition);
        let mut texts: Vec<Box<str>> = rules
            .chain(experiments)
            .flatten()
            .flat_map(|condition| condition.texts())
            .map(Into::into)
            .collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    }

    /// The deployment of a model that is tried first.
    fn first<'e>(&self, entry: &'e ModelEntry) -> Option<&'e Candidate> {
        entry.deployments.iter().min_by_key(|candidate| candidate.priority)
    }

    fn router(
        &self,
        routed: &Routed,
        models: &[Model],
        default_fallback: &[u32],
        find: &impl Fn(&str) -> Result<u32, TableError>,
    ) -> Result<Router, TableError> {
        // What a model's own chain says after itself, without the default fallback, which comes last.
        let after = |model: u32| {
            let chain = models.get(model as usize).map_or(&[][..], |model| &model.chain);
            chain.iter().filter(|(_, why)| *why == Why::Fallback).copied().collect::<Vec<_>>()
        };
        let each = |names: &[String]| names.iter().map(|name| find(name)).collect::<Result<Vec<u32>, _>>();
        let mut rest: Vec<(u32, Why)> = Vec::new();
        let last = routed.rules.last().filter(|last| last.condition.is_none());
        let default = last.map(|last| &last.model).or(routed.default.as_ref());
        if let Some(default) = default {
            let model = find(default)?;
            rest.push((model, Why::Rest));
            rest.extend(
                each(last.map_or(&[][..], |last| &last.fallback))?.into_iter().map(|it| (it, Why::Rest)),
            );
            rest.extend(after(model));
        }
        let last_of_all: Vec<(u32, Why)> =
            default_fallback.iter().map(|&model| (model, Why::DefaultFallback)).collect();
        let mut rules = Vec::with_capacity(routed.rules.len());
        let mut asks = Asks::default();
        for (rule, entry) in (1..).zip(&routed.rules) {
            let mode = Mode::of_name(&entry.model);
            let model = if mode.is_some() { None } else { Some(find(&entry.model)?) };
            let fallback = each(&entry.fallback)?;
            let fallback = fallback.into_iter().map(|model| (model, Why::RuleFallback { rule }));
            let chain = router::chain(
                (model.map(|model| (model, Why::Rule { rule })).into_iter())
                    .chain(fallback)
                    .chain(model.map(after).unwrap_or_default())
                    .chain(rest.iter().copied())
                    .chain(last_of_all.iter().copied()),
            );
            asks = entry.condition.as_ref().map_or(asks, |condition| asks.and(condition.asks()));
            // What a model is good at depends on the task.
            asks.text |= mode.is_some();
            rules.push(router::Rule { condition: entry.condition.clone(), mode, chain });
        }
        if !rest.is_empty() {
            rest = router::chain(rest.into_iter().chain(last_of_all));
        }
        let names = routed.names.iter().map(|name| name.as_str().into()).collect();
        let mut modes = rules.iter().filter_map(|rule| rule.mode);
        let weighs_quality =
            modes.any(Mode::weighs_quality) || (rest.is_empty() && self.choosing.mode.weighs_quality());
        Ok(Router { names, rules, rest, asks, weighs_quality })
    }

    /// All names: models' own names first, then the operator's aliases, then models' aliases, so that
    /// each kind wins over the next.
    fn names(&self) -> Result<Names, TableError> {
        let mut names = Names::default();
        let taken = |name: &str, first: u32, second: &str| TableError::Taken {
            name: name.to_owned(),
            first: self.models.get(first as usize).map(|model| model.name.clone()).unwrap_or_default(),
            second: second.to_owned(),
        };
        for (index, model) in (0..).zip(&self.models) {
            if let Some(first) = names.add(&model.name, index) {
                return Err(taken(&model.name, first, &model.name));
            }
        }
        let mut catalogued = HashMap::new();
        for (index, model) in (0..).zip(&self.models) {
            for alias in &model.aliases {
                let first = *catalogued.entry(fold(alias)).or_insert(index);
                if first != index {
                    return Err(taken(alias, first, &model.name));
                }
            }
        }
        for (alias, model) in &self.aliases {
            let index = names.get(model).or_else(|| catalogued.get(&fold(model)).copied());
            let index = index.ok_or_else(|| TableError::Unknown { name: model.clone() })?;
            if let Some(first) = names.add(alias, index)
                && first != index
            {
                return Err(taken(alias, first, model));
            }
        }
        for (alias, index) in catalogued {
            names.add(&alias, index);
        }
        Ok(names)
    }
}

fn experiment(
    entry: &ExperimentEntry,
    find: &impl Fn(&str) -> Result<u32, TableError>,
) -> Result<Experiment, TableError> {
    let arms = entry.arms.iter().map(|arm| {
        Ok(Arm { name: Arc::from(arm.name.as_str()), model: find(&arm.model)?, weight: arm.weight })
    });
    Ok(Experiment {
        name: Arc::from(entry.name.as_str()),
        model: find(&entry.model)?,
        condition: entry.condition.clone(),
        by: entry.by,
        arms: arms.collect::<Result<Vec<_>, _>>()?,
    })
}

fn groups(deployments: &[Candidate], provider: &mut impl FnMut(&str) -> u32) -> Vec<Vec<Place>> {
    let mut sorted: Vec<&Candidate> = deployments.iter().collect();
    sorted.sort_by_key(|candidate| candidate.priority);
    sorted
        .chunk_by(|one, other| one.priority == other.priority)
        .map(|group| {
            group
                .iter()
                .map(|candidate| Place {
                    deployment: candidate.id,
                    provider: provider(&candidate.provider),
                    weight: candidate.weight,
                })
                .collect()
        })
        .collect()
}
