//! What the operator configured, in the form that planning reads; `build` makes it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::choose::{Aim, ENOUGH, Mode};
use crate::controls::{Known, Offered};
use crate::experiment::Experiment;
use crate::facts::Facts;
use crate::names::{Names, fold};
use crate::pattern::{Pattern, filled, is_pattern, part};
use crate::plan::{DeploymentId, Why};
use crate::router::{Judged, Router, SharedPrice};
use crate::world::World;

mod build;

pub use build::{Candidate, ModelEntry, TableBuilder, TableError};

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
pub struct Needs<'n> {
    /// The task that the name says, as in `auto/code`.
    pub task: Option<&'n str>,
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
    pub fn needs<'n>(&self, name: &'n str) -> Needs<'n> {
        let rules = |router: &Router| {
            // Where no rule holds, a mode chooses, and what a model is good at depends on the task.
            let text = router.asks.text || router.rest.is_empty();
            Needs {
                task: None,
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
                let needs = self.router.as_ref().map_or_else(|| by_mode(None), rules);
                Needs { task, text: task.is_none(), ..needs }
            }
            Target::Auto { mode, task } => Needs { task, text: task.is_none(), ..by_mode(mode) },
            Target::Model(model, _) => {
                let several = self.models.get(model as usize).is_some_and(|model| match &*model.groups {
                    [] => false,
                    groups => groups.iter().any(|group| group.len() > 1),
                });
                let experiment = self.experiments.iter().find(|experiment| experiment.model == model);
                let asks = experiment.and_then(|it| it.condition.as_ref()).map(|condition| condition.asks());
                let asks = asks.unwrap_or_default();
                Needs {
                    task: None,
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
