//! What the operator configured, in the form that planning reads.

use std::collections::HashMap;
use std::sync::Arc;

use nova_catalog::Tags;

use crate::choose::{Aim, ENOUGH, Mode};
use crate::controls::{Known, Offered};
use crate::experiment::{Arm, Experiment, ExperimentEntry};
use crate::facts::Facts;
use crate::names::{Names, fold};
use crate::pattern::{Pattern, filled, is_pattern, part};
use crate::plan::{DeploymentId, Why};
use crate::router::{self, Judged, Router, RuleEntry, SharedPrice};
use crate::rules::Asks;
use crate::world::World;

/// Attempts in a plan, unless said otherwise.
const DEFAULT_MAX_ATTEMPTS: u32 = 8;
/// Longer names get no suggestions: looking for some would cost more than they help.
const LONGEST_GUESS: usize = 64;
/// Names less alike than this are no suggestion (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.80;
/// Who asks for this leaves the choice to us.
const AUTO: &str = "auto";

/// Models, their names, their deployments in order, and their fallbacks. Built once, read by every
/// request.
#[derive(Debug)]
pub struct Table {
    pub(crate) names: Names,
    pub(crate) providers: Names,
    /// `provider/upstream-model`, to a model.
    upstream_names: Names,
    /// Names that stand for many, the one that says most first.
    patterns: Vec<Pattern>,
    pub(crate) models: Vec<Model>,
    pub(crate) max_attempts: u32,
    pub(crate) router: Option<Router>,
    pub(crate) choosing: Choosing,
    /// The models that `choosing` names, or all.
    pool: Vec<u32>,
    pub(crate) experiments: Vec<Experiment>,
    /// What is known of every deployment, by its place.
    known: Vec<Known>,
    /// What rules and experiments read of tags, headers and metadata.
    texts: Vec<Box<str>>,
}

/// How models are chosen where neither the client nor a rule names one.
#[derive(Clone, Debug, PartialEq)]
pub struct Choosing {
    /// By what, where the client does not say it.
    pub mode: Mode,
    /// The share of the best model's quality that is enough, 0 to 1.
    pub enough: f32,
    /// The share of requests in the mode `capable` that are used to learn of other models, at most
    /// [`MOST_EXPLORED`](crate::choose::MOST_EXPLORED).
    pub explore: f32,
    /// The models to choose among, by any name; empty for all that have a deployment.
    pub models: Vec<String>,
}

impl Default for Choosing {
    fn default() -> Self {
        Self { mode: Mode::Capable, enough: ENOUGH, explore: 0.0, models: Vec::new() }
    }
}

impl Choosing {
    /// What to aim for where the client does not say it.
    pub(crate) const fn aim(&self) -> Aim {
        self.aim_of(self.mode)
    }

    pub(crate) const fn aim_of(&self, mode: Mode) -> Aim {
        Aim { mode, enough: self.enough, explore: self.explore, quality_per_usd: 0.0 }
    }
}

/// What a name stands for.
pub(crate) enum Target<'t, 'n> {
    /// What rules say.
    Rules(&'t Router),
    /// A model, and the provider that the name demands.
    Model(u32, Option<u32>),
    /// The choice is ours.
    Auto {
        /// By what, where the name says it.
        mode: Option<Mode>,
        /// For which task, where the name says it.
        task: Option<&'n str>,
    },
    /// Nothing.
    Unknown,
}

/// What must be found out before a name can be planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What a human said: the task, how hard it is, the language.
    pub text: bool,
    /// Entries of the request's `metadata`.
    pub metadata: bool,
    /// Which conversation it goes on with, and which user is behind it.
    pub session: bool,
    /// Whether rules or a mode choose, so that budgets count.
    pub choice: bool,
    /// Whether models may be compared by how good their answers are.
    pub quality: bool,
}

/// A model in the table.
#[derive(Debug)]
pub(crate) struct Model {
    /// Its place in the table.
    pub(crate) index: usize,
    pub(crate) name: Arc<str>,
    pub(crate) images: bool,
    pub(crate) tools: bool,
    pub(crate) context: Option<u64>,
    pub(crate) max_output: Option<u64>,
    /// Deployments of equal priority stand together, the preferred group first.
    pub(crate) groups: Vec<Vec<Place>>,
    /// The model itself, then the models to fall back to.
    pub(crate) chain: Vec<(u32, Why)>,
    /// What its first deployment charges.
    pub(crate) price: SharedPrice,
}

impl Model {
    /// Its own name, or, where that stands for many, the one of them that a request means.
    pub(crate) fn called(&self, name: Option<&str>) -> Arc<str> {
        match name.and_then(|name| part(&self.name, name)) {
            Some(part) => Arc::from(filled(&self.name, part)),
            None => Arc::clone(&self.name),
        }
    }

    /// Whether its name stands for many.
    pub(crate) fn is_pattern(&self) -> bool {
        is_pattern(&self.name)
    }
}

/// A deployment in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) deployment: DeploymentId,
    pub(crate) provider: u32,
    pub(crate) weight: u32,
}

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

/// What a name stands for by which the choice is left to us.
fn auto<'n>(name: &'n str) -> Target<'static, 'n> {
    let Some(rest) = name
        .get(AUTO.len()..)
        .filter(|_| name.as_bytes()[..AUTO.len()].eq_ignore_ascii_case(AUTO.as_bytes()))
    else {
        return Target::Unknown;
    };
    match (rest.as_bytes().first(), rest.get(1..)) {
        (None, _) => Target::Auto { mode: None, task: None },
        (Some(b':'), Some(mode)) => match Mode::named(mode) {
            Some(mode) => Target::Auto { mode: Some(mode), task: None },
            None => Target::Unknown,
        },
        (Some(b'/'), Some(task)) if !task.is_empty() => match task.split_once(':') {
            None => Target::Auto { mode: None, task: Some(task) },
            Some((task, mode)) => match Mode::named(mode) {
                Some(mode) => Target::Auto { mode: Some(mode), task: Some(task) },
                None => Target::Unknown,
            },
        },
        _ => Target::Unknown,
    }
}

impl Table {
    /// The model of this name, in any spelling and also as `provider/model`: its place in the order in
    /// which models were added.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.resolve(name).map(|(model, _)| model as usize)
    }

    /// Whether a model has this very name, in any spelling, alone or behind a provider's.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.get(name).is_some() || self.qualified(name).is_some()
    }

    /// What must be found out before a plan for this name can be made; what is not needed costs nothing.
    pub fn needs(&self, name: &str) -> Needs {
        let rules = |router: &Router| {
            // Where no rule holds, a mode chooses, and what a model is good at depends on the task.
            let text = router.asks.text || router.rest.is_empty();
            Needs {
                text,
                metadata: router.asks.metadata,
                session: true,
                choice: true,
                quality: router.weighs_quality,
            }
        };
        let by_mode = |mode: Option<Mode>| Needs {
            session: true,
            choice: true,
            quality: mode.unwrap_or(self.choosing.mode).weighs_quality(),
            ..Needs::default()
        };
        match self.target(name) {
            Target::Rules(router) => rules(router),
            Target::Auto { mode: None, task } => {
                Needs { text: task.is_none(), ..self.router.as_ref().map_or_else(|| by_mode(None), rules) }
            }
            Target::Auto { mode, task } => Needs { text: task.is_none(), ..by_mode(mode) },
            Target::Model(model, _) => {
                let several = self.models.get(model as usize).is_some_and(|model| match &*model.groups {
                    [] => false,
                    groups => groups.iter().any(|group| group.len() > 1),
                });
                let experiment = self.experiments.iter().find(|experiment| experiment.model == model);
                let asks = experiment.and_then(|it| it.condition.as_ref()).map(|condition| condition.asks());
                let asks = asks.unwrap_or_default();
                Needs {
                    text: asks.text,
                    metadata: asks.metadata,
                    session: several || experiment.is_some(),
                    choice: false,
                    quality: false,
                }
            }
            Target::Unknown => Needs::default(),
        }
    }

    /// The task that a name says, as in `auto/code`.
    pub fn task_named<'n>(&self, name: &'n str) -> Option<&'n str> {
        match self.target(name) {
            Target::Auto { task, .. } => task,
            _ => None,
        }
    }

    /// What every rule says of a request; empty where rules do not choose for it.
    pub fn judged(&self, facts: &Facts<'_>, world: &dyn World) -> Vec<Judged> {
        match self.target(facts.model) {
            Target::Rules(router) => router.judged(&self.models, facts, world),
            _ => Vec::new(),
        }
    }

    /// What a name stands for. Names of models come before ours.
    pub(crate) fn target<'n>(&self, name: &'n str) -> Target<'_, 'n> {
        if let Some(router) = self.router.as_ref().filter(|router| router.owns(name)) {
            return Target::Rules(router);
        }
        if let Some((model, provider)) = self.resolve(name) {
            return Target::Model(model, provider);
        }
        auto(name)
    }

    /// The models to choose among, by their places.
    pub(crate) fn pool(&self) -> impl Iterator<Item = u32> {
        self.pool.iter().copied()
    }

    /// A model by its own name.
    pub(crate) fn named(&self, name: &str) -> Option<&Model> {
        self.models.get(self.names.get(name)? as usize)
    }

    /// What a request may have preferences about.
    pub(crate) fn offered(&self, deployment: DeploymentId) -> Option<Offered<'_>> {
        self.known.get(deployment.index()).map(Known::offered)
    }

    /// What a deployment charges.
    pub(crate) fn price(&self, deployment: DeploymentId) -> Option<&nova_catalog::Price> {
        self.known.get(deployment.index())?.price.as_deref()
    }

    /// A deployment's name.
    pub(crate) fn deployment_name(&self, deployment: DeploymentId) -> Option<&str> {
        self.known.get(deployment.index()).map(|known| &*known.name)
    }

    /// The model that a deployment serves, by its own name.
    pub(crate) fn model_of(&self, deployment: DeploymentId) -> Option<&str> {
        self.name(self.known.get(deployment.index())?.model as usize)
    }

    /// What rules read of tags, headers and metadata, as `header.x-team`.
    pub(crate) fn texts_read(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// A model's own name, by its place.
    pub fn name(&self, model: usize) -> Option<&str> {
        self.models.get(model).map(|model| &*model.name)
    }

    /// Up to `count` models whose names look like `name` and that `allowed` lets through, the likeliest
    /// first, by their own names.
    pub fn nearest(&self, name: &str, count: usize, allowed: impl Fn(usize) -> bool) -> Vec<String> {
        if name.len() > LONGEST_GUESS {
            return Vec::new();
        }
        let folded = fold(name);
        let mut best: HashMap<u32, f64> = HashMap::new();
        for (known, index) in self.names.iter() {
            let likeness = strsim::jaro_winkler(&folded, known);
            if likeness >= ALIKE && allowed(index as usize) {
                let best = best.entry(index).or_insert(likeness);
                *best = best.max(likeness);
            }
        }
        let mut ranked: Vec<(u32, f64)> = best.into_iter().collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        ranked
            .into_iter()
            .take(count)
            .filter_map(|(index, _)| self.name(index as usize))
            .map(str::to_owned)
            .collect()
    }

    /// The model of this name, and the provider that the name demands.
    pub(crate) fn resolve(&self, name: &str) -> Option<(u32, Option<u32>)> {
        let exact = self.names.get(name).map(|model| (model, None));
        if self.patterns.is_empty() || exact.is_some_and(|found| self.is_served(found)) {
            return exact.or_else(|| self.qualified(name));
        }
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(name));
        // `*` does not stand for `auto`.
        let pattern = pattern.filter(|_| matches!(auto(name), Target::Unknown));
        let Some(pattern) = pattern else { return exact.or_else(|| self.qualified(name)) };
        // Who wrote a provider's part into a pattern means these names by it. What is only known, and served by nobody,
        // is left to a pattern.
        let qualified =
            self.qualified(name).filter(|found| !pattern.has_provider() && self.is_served(*found));
        Some(qualified.unwrap_or((pattern.model, None)))
    }

    /// Whether a model has a deployment, with the provider that a name demands.
    fn is_served(&self, (model, provider): (u32, Option<u32>)) -> bool {
        let groups = self.models.get(model as usize).map_or(&[][..], |model| &model.groups);
        groups.iter().flatten().any(|place| provider.is_none_or(|wanted| wanted == place.provider))
    }

    /// The model of a name that begins with a provider's.
    fn qualified(&self, name: &str) -> Option<(u32, Option<u32>)> {
        let (provider, model) = name.split_once('/')?;
        let provider = self.providers.get(provider)?;
        let model = self.names.get(model).or_else(|| self.upstream_names.get(name))?;
        Some((model, Some(provider)))
    }
}
