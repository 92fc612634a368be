//! The configuration in the form that requests read: everything resolved, nothing parsed later.
//!
//! A snapshot never changes. A reload builds the next one, which takes over the breakers of the
//! deployments that both have, so that a reload forgets no failure.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use nova_catalog::{NanoUsd, Service};
use nova_limit::Breaker;
use nova_route::learn::{ModelCells, Speed};
use nova_route::{Classifier, DeploymentId, Table};
use nova_upstream::Endpoint;
use nova_wire::Dialect;
use serde_json::Value;

use crate::config::{self, Limits, Mount, Preset, Retry, Timeouts};
use crate::count::Calibration;
use crate::graded::Graded;
use crate::learnt::Known;
use crate::shadow::Shadow;
use crate::telemetry::ModelCounters;
use crate::warnings::Warnings;

mod build;
mod listing;

pub use build::BuildError;

/// The configuration in force.
#[derive(Debug)]
pub struct Snapshot {
    /// Where it came from: a file's path, or `defaults`.
    pub source: String,
    /// When it was loaded, in Unix milliseconds.
    pub loaded_ms: i64,
    /// Models, names, fallbacks, rules.
    pub table: Table,
    /// What requests may ask for by one name, by that name folded.
    pub(crate) presets: HashMap<String, Arc<Preset>>,
    /// Who decides what a request is about.
    pub classifier: Classifier,
    /// What graded answers taught of models.
    pub(crate) graded: Option<Graded>,
    /// What the requests of a key may cost on average where the mode is `budget`.
    pub budget_per_request: Option<NanoUsd>,
    /// Every deployment, in the places that [`DeploymentId`] names.
    pub deployments: Vec<Deployment>,
    /// What is known of every model of the table, in its order.
    pub known: Vec<Known>,
    /// What was learnt of all models together.
    pub everyone: Arc<ModelCells>,
    /// What `GET /v1/models` lists: the models that have a deployment.
    pub models: Vec<ListedModel>,
    /// The names by which the choice of a model is left to us, as the list shows them behind the models.
    pub listed_autos: Vec<ListedModel>,
    /// The presets, as the list shows them behind those.
    pub listed_presets: Vec<ListedModel>,
    /// What each provider of the catalogue is known to serve beside conversation.
    services: Vec<(String, Vec<Service>)>,
    /// Models of the catalogue that have none, with what would change that.
    unconfigured: Vec<(Vec<String>, String)>,
    /// Bounds.
    pub limits: Limits,
    /// Times that are not a deployment's own.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retry: Retry,
    /// Whether conversations in the Responses dialect are kept, prompts included.
    pub store_responses: bool,
    /// What clients may say of answers, besides `score` and `thumbs`.
    pub metrics: Vec<config::Metric>,
    /// Providers whose own counters of tokens may be asked.
    pub counters: Vec<String>,
    /// Models that are shown what is asked of others.
    pub shadows: Vec<Arc<Shadow>>,
    /// Whether the router learns from the judges of comparisons.
    pub learns_from_judges: bool,
    /// Whether streams are kept alive with comments, which the oldest clients do not understand.
    pub keep_alive: bool,
}

/// A deployment of the configuration, and what lives beside it.
#[derive(Debug)]
pub struct Deployment {
    configured: config::Deployment,
    /// Whether it rests.
    pub breaker: Arc<Breaker>,
    /// How fast it is, and how busy.
    pub speed: Arc<Speed>,
    /// What was learnt of its model.
    pub cells: Option<Arc<ModelCells>>,
    /// A number that stands for it, the same after a reload.
    pub token: u64,
    /// How far estimates of its prompts are off.
    pub(crate) calibration: Arc<Calibration>,
    /// What its answers count into, once there was one.
    pub(crate) counters: OnceLock<ModelCounters>,
    /// What is to be said of its answers besides.
    pub(crate) warnings: Warnings,
    /// The model's id as a header.
    pub model_header: HeaderValue,
    /// The provider's id as a header.
    pub provider_header: HeaderValue,
}

/// What the configuration says of a deployment is what it is.
impl Deref for Deployment {
    type Target = config::Deployment;

    fn deref(&self) -> &config::Deployment {
        &self.configured
    }
}

/// A model as `GET /v1/models` shows it.
#[derive(Clone, Debug)]
pub struct ListedModel {
    /// Its id.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// What it is for; empty where nobody said.
    pub description: String,
    /// The id of the model that a preset asks for.
    pub of: Option<String>,
    /// Further names.
    pub aliases: Vec<String>,
    /// Its context in tokens.
    pub context: Option<u64>,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// What it can do.
    pub capabilities: nova_catalog::Capabilities,
    /// When its maker retires it (RFC 3339), where that is known.
    pub retires_at: Option<String>,
    /// Who serves it.
    pub providers: Vec<String>,
    /// When its catalogue row was checked, in Unix seconds; 0 where nobody said.
    pub created: i64,
    /// The same as a date (RFC 3339).
    pub created_at: String,
    /// Prices of the first deployment in US dollars per token, as strings (OpenRouter's shape).
    pub pricing: Option<Value>,
}

impl Snapshot {
    /// A deployment by its place.
    pub fn deployment(&self, id: DeploymentId) -> Option<&Deployment> {
        self.deployments.get(id.index())
    }

    /// What is known of a model, by any of its names.
    pub(crate) fn known_of(&self, name: &str) -> Option<&Known> {
        self.known.get(self.table.find(name)?)
    }

    /// The preset of this name, in any spelling.
    pub fn preset(&self, name: &str) -> Option<&Arc<Preset>> {
        self.presets.get(&*nova_route::fold(name))
    }

    /// A listed model, preset, or name that leaves the choice to us, by any of its names.
    pub fn listed(&self, name: &str) -> Option<&ListedModel> {
        if let Some(auto) = self.listed_autos.iter().find(|auto| auto.is_called(name)) {
            return Some(auto);
        }
        let Some(id) = self.table.find(name).and_then(|index| self.table.name(index)) else {
            return self.listed_presets.iter().find(|preset| preset.is_called(name));
        };
        self.models.iter().find(|model| model.id == id)
    }

    /// The providers that are known to have a service: those that are configured, or else all.
    pub fn serving(&self, service: Service) -> impl Iterator<Item = &str> {
        let having = move |entry: &&(String, Vec<Service>)| entry.1.contains(&service);
        let used = |id: &str| self.deployments.iter().any(|deployment| &*deployment.provider == id);
        let any_used = self.services.iter().filter(having).any(|(id, _)| used(id));
        self.services.iter().filter(having).map(|(id, _)| id.as_str()).filter(move |id| !any_used || used(id))
    }

    /// What would make a known model available: which variable to set.
    pub fn credential_hint(&self, name: &str) -> Option<&str> {
        let called = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.unconfigured.iter().find(|(names, _)| called(names)).map(|(_, hint)| hint.as_str())
    }
}

impl Deployment {
    /// The mount for a client: its own dialect where the provider speaks it, because forwarding loses
    /// less than translating; else the first of the provider's, which the catalogue lists in the order
    /// of how much of a translated request each can carry.
    pub fn mount_for(&self, client: Dialect) -> &Mount {
        self.mounts.iter().find(|mount| mount.dialect == client).unwrap_or(&self.mounts[0])
    }
}

impl Mount {
    /// Where a request goes, whose answer is streamed or not.
    pub fn endpoint_for(&self, stream: bool) -> &Endpoint {
        self.stream_endpoint.as_ref().filter(|_| stream).unwrap_or(&self.endpoint)
    }
}

impl ListedModel {
    /// Whether this is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Env};

    /// The dialect that a client's request to a model goes out in.
    fn spoken(catalogue_provider: &str, model: &str, client: Dialect) -> &'static str {
        let yaml = format!(
            "deployments: [{{ model: {model}, provider: {catalogue_provider}, credential: a }}]
credentials: {{ {catalogue_provider}: [{{ name: a, key: k }}] }}
providers: {{ {catalogue_provider}: {{ base_url: 'http://127.0.0.1:1' }} }}
"
        );
        let config = Config::parse("test.yaml", &yaml, &Env::of([("AWS_REGION", "r")])).unwrap();
        let snapshot = Snapshot::build(&config, None).unwrap();
        let mine = |deployment: &&Deployment| *deployment.provider == *catalogue_provider;
        snapshot.deployments.iter().find(mine).unwrap().mount_for(client).dialect.as_str()
    }

    #[test]
    fn a_client_is_served_in_its_own_dialect_or_else_in_the_providers_first_one() {
        use Dialect::{Chat, Gemini, Messages, Responses};
        let check = |provider: &str, model: &str, expected: [&str; 4]| {
            let clients = [Chat, Messages, Responses, Gemini];
            assert_eq!(clients.map(|client| spoken(provider, model, client)), expected, "{provider}");
        };
        check("deepseek", "deepseek-v4-pro", ["chat", "messages", "responses", "chat"]);
        check("openai", "gpt-5.5", ["chat", "chat", "responses", "chat"]);
        check("anthropic", "claude-opus-5", ["messages"; 4]);
        check("gemini", "gemini-3.8-flash", ["chat", "gemini", "gemini", "gemini"]);
        check("vertex", "gemini-3.8-flash", ["gemini"; 4]);
        check("bedrock", "claude-opus-5", ["messages"; 4]);
        check("bedrock", "nova-pro", ["converse"; 4]);
    }
}
