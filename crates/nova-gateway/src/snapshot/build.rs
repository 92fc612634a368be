//! From a checked configuration to a snapshot.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use nova_catalog::{Catalog, Model, Provider, Service};
use nova_limit::Breaker;
use nova_route::{TableError, fold};

use super::{Deployment, ListedModel, Snapshot, listing};
use crate::config::{self, Config};
use crate::graded::Graded;
use crate::learnt::Known;
use crate::shadow::Shadow;
use crate::warnings::Warnings;

/// Failures in a row after which a deployment rests.
const BREAKER_THRESHOLD: u8 = 5;

/// Why there is no snapshot of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Names do not fit together.
    #[error("the configuration's names do not fit together: {0}")]
    Table(#[from] TableError),
    /// A name cannot stand in a response header.
    #[error("`{0}` cannot stand in a header\nhint: ids consist of letters, digits, `-`, `.`, `_` and `/`")]
    Name(String),
}

impl Snapshot {
    /// The snapshot of a configuration, with the breakers of the one before it.
    ///
    /// # Errors
    /// Where names clash or cannot be shown to clients.
    pub fn build(config: &Config, before: Option<&Self>) -> Result<Self, BuildError> {
        let known: HashMap<&str, &Deployment> = before
            .into_iter()
            .flat_map(|before| &before.deployments)
            .map(|deployment| (&*deployment.name, deployment))
            .collect();
        let mut deployments = config
            .deployments
            .iter()
            .map(|configured| deployment(configured, known.get(&*configured.name).copied(), &config.catalog))
            .collect::<Result<Vec<_>, _>>()?;
        let served: Vec<&Model> = config.served_models().collect();
        let models: Vec<ListedModel> = served.iter().map(|model| listing::model(model, config)).collect();
        let is_served = |model: &Model| served.iter().any(|one| one.id == model.id);
        let unconfigured = config
            .catalog
            .models()
            .filter(|model| !is_served(model))
            .map(|model| (model.names().map(str::to_owned).collect(), hint(model, config)))
            .collect();
        let table = config.table()?;
        let known: Vec<Known> =
            config.catalog.models().map(|model| known_of(model, config, before)).collect();
        for deployment in &mut deployments {
            let known = table.find(&deployment.model).and_then(|model| known.get(model));
            deployment.cells = known.map(|known| Arc::clone(&known.cells));
        }
        let listed_presets =
            config.presets.iter().map(|preset| listing::preset(preset, &table, &models)).collect();
        let graded = config.quality.as_ref().map(|quality| Graded::new(Arc::clone(quality), &table));
        Ok(Self {
            source: config.source.clone(),
            loaded_ms: now_ms(),
            graded,
            known,
            everyone: before.map_or_else(Arc::default, |before| Arc::clone(&before.everyone)),
            presets: config
                .presets
                .iter()
                .map(|preset| (fold(&preset.name).into_owned(), Arc::clone(preset)))
                .collect(),
            classifier: config.classifier.clone(),
            budget_per_request: config.budget_per_request,
            deployments,
            listed_autos: listing::autos(config, &table, &models),
            models,
            listed_presets,
            services: config.catalog.providers().filter_map(served_beside).collect(),
            unconfigured,
            limits: config.limits.clone(),
            timeouts: config.timeouts.clone(),
            retry: config.retry,
            store_responses: config.store_responses,
            metrics: config.metrics.clone(),
            counters: config.count_tokens.clone(),
            keep_alive: config.streaming_beta,
            shadows: config.shadows.iter().map(|shadow| shadow_of(shadow, before)).collect(),
            learns_from_judges: config.learns_from_judges,
            table,
        })
    }
}

/// What a provider is known to serve beside conversation.
fn served_beside(provider: &Provider) -> Option<(String, Vec<Service>)> {
    provider.services.clone().map(|services| (provider.id.clone(), services))
}

fn shadow_of(configured: &config::Shadow, before: Option<&Snapshot>) -> Arc<Shadow> {
    let before = before.and_then(|before| before.shadows.iter().find(|it| *it.name() == configured.name));
    Arc::new(Shadow::new(configured, before.map(|before| &**before)))
}

/// What is known of a model: its place in the table is that in the catalogue.
fn known_of(model: &Model, config: &Config, before: Option<&Snapshot>) -> Known {
    let first = config
        .deployments
        .iter()
        .filter(|deployment| *deployment.model == *model.id)
        .min_by_key(|deployment| deployment.priority);
    let price = first.and_then(|deployment| deployment.price.as_ref());
    let before = before.and_then(|before| before.known.get(before.table.find(&model.id)?));
    Known::new(model, price, before)
}

fn deployment(
    configured: &config::Deployment,
    before: Option<&Deployment>,
    catalog: &Catalog,
) -> Result<Deployment, BuildError> {
    let header = |name: &str| HeaderValue::from_str(name).map_err(|_| BuildError::Name(name.to_owned()));
    Ok(Deployment {
        breaker: before
            .map_or_else(|| Arc::new(Breaker::new(BREAKER_THRESHOLD)), |it| Arc::clone(&it.breaker)),
        speed: before.map_or_else(Arc::default, |it| Arc::clone(&it.speed)),
        cells: None,
        token: token(&configured.name),
        calibration: before.map_or_else(Arc::default, |it| Arc::clone(&it.calibration)),
        counters: OnceLock::new(),
        warnings: Warnings::of(catalog.model(&configured.model), &configured.upstream_model),
        model_header: header(&configured.model)?,
        provider_header: header(&configured.provider)?,
        configured: configured.clone(),
    })
}

/// A number that stands for a name on every instance and after every restart.
fn token(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// What would make a model of the catalogue available.
fn hint(model: &Model, config: &Config) -> String {
    let providers = model.offers.iter().filter_map(|offer| config.catalog.provider(&offer.provider));
    let variables: Vec<String> = providers
        .filter_map(|provider| provider.credential_env.first())
        .map(|name| format!("`{name}`"))
        .collect();
    match variables.as_slice() {
        [] if model.offers.iter().any(|offer| offer.provider == config::LOCAL_PROVIDER) => {
            "the local engine is not running; `novastack engine pull` puts its model in place".to_owned()
        }
        [] => "give it a deployment in the configuration".to_owned(),
        [one] => format!("set {one} in the gateway's environment, or name a credential in the configuration"),
        several => format!("set one of {} in the gateway's environment", several.join(", ")),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
