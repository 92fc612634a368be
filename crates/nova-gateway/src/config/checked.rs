//! A configuration that cannot be wrong any more.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use nova_catalog::{Catalog, NanoUsd, Price, Service, Tags};
use nova_ledger::{KeyLimits, KeyRouting, Secret};
use nova_route::quality::Quality;
use nova_route::rules::Condition;
use nova_route::{
    Candidate, Choosing, Classifier, Controls, DeploymentId, ExperimentEntry, ModelEntry, RuleEntry, Table,
    TableBuilder, TableError,
};
use nova_upstream::{Credential, CredentialId, Deadlines, Endpoint};
use nova_wire::preset::Additions;
use nova_wire::{Dialect, Quirks};

use super::problem::Problem;

/// Where `novastack serve` listens unless said otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6682);
/// The provider whose server is the engine of this program.
pub const LOCAL_PROVIDER: &str = "local";
/// The names by which clients leave the choice of a model to the gateway.
pub(crate) const DEFAULT_NAMES: [&str; 2] = ["auto", "default"];

/// All that the program is told, checked and resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from: a file's path, or `defaults`.
    pub source: String,
    /// What is allowed and probably not meant; shown by `novastack check` and logged at start.
    pub warnings: Vec<Problem>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether an address that other machines can reach is allowed.
    pub allow_remote: bool,
    /// The data directory.
    pub data_dir: Option<PathBuf>,
    /// The store's URL, `sqlite:///…` or `postgres://…`. Secret, because it may hold a password.
    pub database: Option<Secret>,
    /// Providers, models and prices: the built-in ones with the file's laid over.
    pub catalog: Arc<Catalog>,
    /// Every deployment; [`DeploymentId`]s are places in this list.
    pub deployments: Vec<Deployment>,
    /// What names mean and what follows what, to make a [`Table`] of.
    pub names: Names,
    /// Keys that the file names.
    pub keys: Vec<StaticKey>,
    /// Bounds.
    pub limits: Limits,
    /// Times that are not a deployment's own.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retry: Retry,
    /// The local engine.
    pub engine: Engine,
    /// Logs.
    pub telemetry: Telemetry,
    /// Providers whose own counters of tokens may be asked, by id.
    pub count_tokens: Vec<String>,
    /// Whether conversations in the Responses dialect are kept, prompts included.
    pub store_responses: bool,
    /// What clients may say of answers, besides `score` and `thumbs`.
    pub metrics: Vec<Metric>,
    /// Rules that choose models for those who ask for none.
    pub rules: Vec<Rule>,
    /// What requests may ask for by one name.
    pub presets: Vec<Arc<Preset>>,
    /// Who decides what a request is about.
    pub classifier: Classifier,
    /// What graded answers taught of models, where the operator has such an artefact.
    pub quality: Option<Arc<Quality>>,
    /// How models are chosen where no rule holds.
    pub choosing: Choosing,
    /// What the requests of a key may cost on average where the mode is `budget`.
    pub budget_per_request: Option<NanoUsd>,
    /// Models whose traffic is split.
    pub experiments: Vec<ExperimentEntry>,
    /// Models that are shown what is asked of others.
    pub shadows: Vec<Shadow>,
    /// Whether the router learns from the judges of comparisons.
    pub learns_from_judges: bool,
    /// Whether streams may carry what the oldest clients do not understand: keep-alive comments.
    /// Off by `streaming_beta: false` and by `DISABLE_STREAMING_BETA=1` in the environment.
    pub streaming_beta: bool,
}

/// A metric of feedback.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// The worst value, which may be above the best one.
    pub worst: f64,
    /// The best value.
    pub best: f64,
}

/// A model that is shown what is asked of another one.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// Its name.
    pub name: Arc<str>,
    /// Whose requests it is shown.
    pub traffic: Traffic,
    /// The model, by any name.
    pub to: String,
    /// How many of a million requests it is shown.
    pub per_million: u32,
    /// The requests that take part; `None` takes all.
    pub condition: Option<Condition>,
    /// What it may cost in a day (UTC).
    pub budget_per_day: NanoUsd,
    /// Requests that it is shown at once.
    pub max_in_flight: u32,
    /// Who judges its answers.
    pub judge: Option<ShadowJudge>,
}

/// Who judges the answers of a shadow.
#[derive(Clone, Debug)]
pub struct ShadowJudge {
    /// The model, by any name.
    pub model: String,
    /// By what, where that is said.
    pub criteria: Option<String>,
    /// How many of a million answers are judged.
    pub per_million: u32,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Those that leave the choice of a model to the gateway.
    Auto,
    /// Those of a model, by its id.
    Model(String),
}

/// One concrete upstream of a model.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// A name that is unique in the configuration: `deepseek/deepseek-v4-pro`.
    pub name: Arc<str>,
    /// The model's id.
    pub model: Arc<str>,
    /// The provider's id.
    pub provider: Arc<str>,
    /// What the provider calls the model.
    pub upstream_model: String,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// What it charges; unknown if absent.
    pub price: Option<Price>,
    /// Where it is reached, one for each dialect that it speaks; never empty, the preferred one first.
    pub mounts: Vec<Mount>,
    /// What its provider serves beside conversation; `None` where nobody said.
    pub services: Option<Arc<[Service]>>,
    /// What authorises requests.
    pub credential: Option<Credential>,
    /// How long an exchange may take.
    pub deadlines: Deadlines,
    /// How it treats what it is sent, as far as that is known.
    pub tags: Tags,
    /// Lower is tried earlier.
    pub priority: u32,
    /// Its share among deployments of equal priority.
    pub weight: u32,
}

impl Deployment {
    /// What the provider calls a model that this deployment serves; where it serves many (`anthropic/*`), the name says
    /// which.
    pub fn upstream_for(&self, model: &str) -> Cow<'_, str> {
        match nova_route::part(&self.model, model) {
            Some(part) if nova_route::is_pattern(&self.upstream_model) => {
                Cow::Owned(nova_route::filled(&self.upstream_model, part))
            }
            _ => Cow::Borrowed(&self.upstream_model),
        }
    }
}

/// A deployment's endpoint for one dialect.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The dialect.
    pub dialect: Dialect,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// Where requests for a streamed answer go, if elsewhere.
    pub stream_endpoint: Option<Endpoint>,
    /// What every request carries besides.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// In what it differs from its dialect: the offer's quirks over the endpoint's over the provider's.
    pub quirks: Arc<Quirks>,
}

/// What names mean and what follows what. Every name in it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Further names for models: the name, and a name of the model.
    pub aliases: Vec<(String, String)>,
    /// Models to try when a model does not answer: its id, and names of others.
    pub fallbacks: Vec<(String, Vec<String>)>,
    /// The model for those who ask for none.
    pub default_model: Option<String>,
    /// Models to try when those do not answer either.
    pub default_fallback: Vec<String>,
}

/// A key that the file names. The program makes sure that it works, and never shows it.
#[derive(Clone, Debug)]
pub struct StaticKey {
    /// Its name.
    pub name: String,
    /// The key.
    pub secret: Secret,
    /// The models that it may use; `None` allows all.
    pub models: Option<Vec<String>>,
    /// Its bounds.
    pub limits: KeyLimits,
    /// What it says of routing.
    pub routing: KeyRouting,
}

/// Bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// Requests per minute of a key that says nothing itself.
    pub requests_per_minute: Option<u32>,
    /// Requests in flight of a key that says nothing itself.
    pub max_in_flight: Option<u32>,
}

/// Times that are not a deployment's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a request's body has arrived.
    pub body: Duration,
    /// Until an answer that is not streamed begins, where that is longer than the deployment's own.
    pub whole: Duration,
    /// Of silence until a stream gets a sign of life.
    pub keep_alive: Duration,
}

/// How often to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries at one deployment.
    pub attempts_per_deployment: u32,
    /// Tries in all.
    pub max_attempts: u32,
    /// The longest first pause; the next ones double it.
    pub base: Duration,
}

/// The local engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Whether to start it, where there is a model for it.
    pub enabled: bool,
    /// The model's file; the one that `novastack engine pull` fetches if absent.
    pub model: Option<PathBuf>,
    /// The name by which clients ask for it.
    pub name: String,
    /// Threads; by default one less than there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Sequences that are computed at once.
    pub max_sequences: Option<NonZeroUsize>,
    /// The most tokens of a prompt and its answer.
    pub context: Option<NonZeroUsize>,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Their shape.
    pub log_format: LogFormat,
    /// What is logged: a level, or directives as in `info,nova_gateway=debug`.
    pub log_level: String,
}

/// The shape of logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people at a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A rule that chooses a model.
#[derive(Clone, Debug)]
pub struct Rule {
    /// When it holds; `None` for the last one, which holds for the rest.
    pub condition: Option<Condition>,
    /// The model that it chooses, by any name.
    pub model: String,
    /// What to try after it, by any name.
    pub fallback: Vec<String>,
    /// Its line.
    pub line: u32,
}

impl Rule {
    /// Whether it holds for every request.
    pub fn always_holds(&self) -> bool {
        self.condition.as_ref().is_none_or(Condition::is_always)
    }
}

/// A model, a prompt, parameters and preferences under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Its name, as it is written; requests ask for `preset/<name>`.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The model, by any name, with suffixes; a request that names none needs one.
    pub model: Option<String>,
    /// What it asks of routing.
    pub controls: Controls,
    /// What it adds to requests.
    pub additions: Additions,
}

/// The engine of this program, running.
#[derive(Clone, Debug)]
pub struct LocalEngine {
    /// Where it answers, up to and including `/v1`.
    pub base_url: String,
    /// What it wants to see, if anything.
    pub token: Option<Secret>,
}

impl Config {
    /// The table that requests are routed by.
    ///
    /// # Errors
    /// None for a configuration that was checked.
    pub fn table(&self) -> Result<Table, TableError> {
        let mut builder = TableBuilder::default();
        for model in self.catalog.models() {
            let own = |(id, _): &&(String, Vec<String>)| *id == model.id;
            builder.model(ModelEntry {
                name: model.id.clone(),
                aliases: model.aliases.clone(),
                images: model.capabilities.images,
                tools: model.capabilities.tools,
                context: model.context,
                max_output: model.max_output,
                deployments: self.candidates(&model.id),
                fallbacks: self
                    .names
                    .fallbacks
                    .iter()
                    .find(own)
                    .map(|(_, to)| to.clone())
                    .unwrap_or_default(),
            });
        }
        for (alias, model) in &self.names.aliases {
            builder.alias(alias, model);
        }
        builder.default_fallback(self.names.default_fallback.clone());
        if !self.rules.is_empty() {
            builder.rules(self.routed_names(), self.rule_entries(), self.names.default_model.clone());
        }
        builder.choosing(self.choosing.clone());
        for experiment in &self.experiments {
            builder.experiment(experiment.clone());
        }
        builder.build()
    }

    /// The names by which the choice is left to rules: those that mean no other model.
    fn routed_names(&self) -> Vec<String> {
        let is_free = |name: &&str| {
            let model = self.names.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
            self.catalog.model(name).is_none()
                && model.is_none_or(|(_, model)| Some(model) == self.names.default_model.as_ref())
        };
        DEFAULT_NAMES.into_iter().filter(is_free).map(str::to_owned).collect()
    }

    fn rule_entries(&self) -> Vec<RuleEntry> {
        let entry = |rule: &Rule| RuleEntry {
            condition: rule.condition.clone(),
            model: rule.model.clone(),
            fallback: rule.fallback.clone(),
        };
        self.rules.iter().map(entry).collect()
    }

    fn candidates(&self, model: &str) -> Vec<Candidate> {
        let ids = (0..).map(DeploymentId);
        let provider = |deployment: &Deployment| self.catalog.provider(&deployment.provider);
        ids.zip(&self.deployments)
            .filter(|(_, deployment)| &*deployment.model == model)
            .map(|(id, deployment)| Candidate {
                id,
                name: deployment.name.to_string(),
                provider: deployment.provider.to_string(),
                upstream_model: deployment.upstream_model.clone(),
                priority: deployment.priority,
                weight: deployment.weight,
                price: deployment.price.clone().map(Arc::new),
                provider_name: provider(deployment).map(|it| it.name.clone()).unwrap_or_default(),
                provider_aliases: provider(deployment).map(|it| it.aliases.clone()).unwrap_or_default(),
                tags: deployment.tags.clone(),
            })
            .collect()
    }

    /// Adds a deployment for every model that the local engine offers, once it runs.
    ///
    /// # Errors
    /// Where the engine's URL or token cannot be used.
    pub fn attach_engine(&mut self, engine: &LocalEngine) -> Result<(), String> {
        let Some(provider) = self.catalog.provider(LOCAL_PROVIDER) else { return Ok(()) };
        let credential = match &engine.token {
            None => None,
            Some(token) => {
                let id = CredentialId::new(LOCAL_PROVIDER);
                Some(Credential::bearer(id, token.expose()).map_err(|error| error.to_string())?)
            }
        };
        let served = self.catalog.model(&self.engine.name);
        let offered = served.and_then(|model| Some((model, model.offer(LOCAL_PROVIDER)?)));
        let Some((model, offer)) = offered else { return Ok(()) };
        let deadlines = self.deployments.first().map_or_else(Deadlines::default, |first| first.deadlines);
        let mut mounts = Vec::new();
        for endpoint in &provider.endpoints {
            let parse =
                |path: &str| Endpoint::parse(&engine.base_url, path).map_err(|error| error.to_string());
            mounts.push(Mount {
                dialect: endpoint.dialect,
                endpoint: parse(&endpoint.path)?,
                stream_endpoint: endpoint.stream_path.as_deref().map(parse).transpose()?,
                headers: Vec::new(),
                quirks: Arc::new(offer.quirks_at(endpoint)),
            });
        }
        self.deployments.retain(|deployment| &*deployment.provider != LOCAL_PROVIDER);
        self.deployments.push(Deployment {
            name: Arc::from(format!("{LOCAL_PROVIDER}/{}", model.id)),
            model: Arc::from(model.id.as_str()),
            provider: Arc::from(LOCAL_PROVIDER),
            upstream_model: offer.upstream_model.clone(),
            max_output: offer.max_output,
            price: offer.price.clone(),
            tags: offer.tags.over(&provider.tags),
            mounts,
            services: provider.services.as_deref().map(Arc::from),
            credential,
            deadlines,
            priority: 0,
            weight: 1,
        });
        Ok(())
    }

    /// The models that have a deployment, in the catalogue's order.
    pub fn served_models(&self) -> impl Iterator<Item = &nova_catalog::Model> {
        let served: HashSet<&str> = self.deployments.iter().map(|deployment| &*deployment.model).collect();
        self.catalog.models().filter(move |model| served.contains(model.id.as_str()))
    }
}

/// A variable's value by its name.
type ReadVariable = dyn Fn(&str) -> Option<String> + Send + Sync;
/// A file's text by its path.
type ReadFile = dyn Fn(&Path) -> io::Result<String> + Send + Sync;
/// A file's bytes by its path.
type ReadBytes = dyn Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync;

/// What a configuration may look at outside of its file, so that tests need no real environment.
pub struct Env {
    variable: Box<ReadVariable>,
    file: Box<ReadFile>,
    bytes: Box<ReadBytes>,
    pub(crate) allow_remote: bool,
}

impl Env {
    /// The environment and the files of this process.
    pub fn process() -> Self {
        Self::new(|name| std::env::var(name).ok(), |path| std::fs::read_to_string(path))
            .with_bytes(|path| std::fs::read(path))
    }

    /// An environment of two functions: a variable's value by its name, a file's text by its path.
    pub fn new(
        variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        file: impl Fn(&Path) -> io::Result<String> + Send + Sync + 'static,
    ) -> Self {
        let bytes = |_: &Path| Err(io::ErrorKind::NotFound.into());
        Self {
            variable: Box::new(variable),
            file: Box::new(file),
            bytes: Box::new(bytes),
            allow_remote: false,
        }
    }

    /// The same, where files that are no text are read by this function; without it there are none.
    #[must_use]
    pub fn with_bytes(
        mut self,
        bytes: impl Fn(&Path) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.bytes = Box::new(bytes);
        self
    }

    /// An environment of these variables and no file.
    pub fn of<'v>(variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let variables: std::collections::HashMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::new(move |name| variables.get(name).cloned(), |_| Err(io::ErrorKind::NotFound.into()))
    }

    /// The same, with what the command line says about addresses that others can reach.
    #[must_use]
    pub fn allowing_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// A variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn file(&self, path: &Path) -> io::Result<String> {
        (self.file)(path)
    }

    pub(crate) fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        (self.bytes)(path)
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("allow_remote", &self.allow_remote).finish_non_exhaustive()
    }
}
