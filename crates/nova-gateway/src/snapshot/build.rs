//! From a checked configuration to a snapshot.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use nova_catalog::{Capabilities, Catalog, Model, Price};
use nova_limit::Breaker;
use nova_route::{Table, TableError, fold};
use serde_json::{Value, json};

use super::{Deployment, ListedModel, Snapshot};
use crate::config::{self, Config, Preset};
use crate::graded::Graded;
use crate::learnt::Known;
use crate::shadow::Shadow;
use crate::warnings::Warnings;

/// Failures in a row after which a deployment rests.
const BREAKER_THRESHOLD: u8 = 5;

/// The day of what nobody dated.
const EPOCH: &str = "1970-01-01T00:00:00Z";

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
        let models: Vec<ListedModel> = served.iter().map(|model| listed(model, config)).collect();
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
            config.presets.iter().map(|preset| listed_preset(preset, &table, &models)).collect();
        let graded = config.quality.as_ref().map(|quality| Graded::new(Arc::clone(quality), &table));
        Ok(Self {
            source: config.source.clone(),
            loaded_ms: now_ms(),
            table,
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
            models,
            listed_presets,
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
        })
    }
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

fn listed(model: &Model, config: &Config) -> ListedModel {
    let deployments = || config.deployments.iter().filter(|deployment| *deployment.model == *model.id);
    let mut providers: Vec<String> =
        deployments().map(|deployment| deployment.provider.to_string()).collect();
    providers.dedup();
    let price = deployments().next().and_then(|deployment| deployment.price.as_ref());
    let created = model.checked.map_or(0, |date| date.start_ms() / 1000);
    ListedModel {
        id: model.id.clone(),
        name: model.name.clone(),
        description: String::new(),
        of: None,
        aliases: model.aliases.clone(),
        context: model.context,
        max_output: model.max_output,
        capabilities: model.capabilities,
        retires_at: model.deprecated.map(|date| format!("{date}T00:00:00Z")),
        providers,
        created,
        created_at: model.checked.map_or_else(|| EPOCH.to_owned(), |date| format!("{date}T00:00:00Z")),
        pricing: price.map(pricing),
    }
}

/// A preset as a model of its own, which can do what the model that it asks for can do.
fn listed_preset(preset: &Preset, table: &Table, models: &[ListedModel]) -> ListedModel {
    let named = preset.model.as_deref().unwrap_or_default();
    let (base, _) = nova_route::suffixed(named, |name| table.has_name(name));
    let id = table.find(base).and_then(|index| table.name(index));
    let model = models.iter().find(|model| Some(model.id.as_str()) == id);
    let unknown = || ListedModel {
        context: None,
        max_output: None,
        capabilities: Capabilities { images: true, pdf: true, tools: true, ..Capabilities::default() },
        retires_at: None,
        providers: Vec::new(),
        created: 0,
        created_at: EPOCH.to_owned(),
        pricing: None,
        id: String::new(),
        name: String::new(),
        description: String::new(),
        of: None,
        aliases: Vec::new(),
    };
    ListedModel {
        id: format!("preset/{}", preset.name),
        name: preset.name.clone(),
        description: preset.description.clone().unwrap_or_default(),
        of: model.map(|model| model.id.clone()),
        aliases: vec![format!("@preset/{}", preset.name)],
        ..model.cloned().unwrap_or_else(unknown)
    }
}

/// US dollars per token, as decimal strings: prices are per million tokens, so six places more.
fn pricing(price: &Price) -> Value {
    let rates = price.rates_for(0);
    let per_token = |rate: nova_catalog::PerMillion| {
        let nanos = rate.price().nanos();
        let digits = format!("{:016}", nanos.max(0));
        let (whole, fraction) = digits.split_at(digits.len() - 15);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    };
    let mut pricing = json!({ "prompt": per_token(rates.input), "completion": per_token(rates.output) });
    // OpenRouter's readers take an absent price, and no `null`.
    let more = [
        ("input_cache_read", rates.cache_read),
        ("input_cache_write", rates.cache_write),
        ("internal_reasoning", rates.reasoning),
    ];
    for (name, rate) in more {
        if let Some(rate) = rate {
            pricing[name] = per_token(rate).into();
        }
    }
    pricing
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_shown_per_token_without_a_float() {
        let check = |dollars_per_million: &str, shown: &str| {
            let yaml = format!(
                "providers: {{ p: {{ like: vllm, base_url: 'http://127.0.0.1:1/v1' }} }}\nmodels: {{ m: {{ offers: [{{ provider: p, price: {{ input: '{dollars_per_million}', output: 1 }} }}] }} }}\n"
            );
            let config = Config::parse("test.yaml", &yaml, &config::Env::of([]))
                .unwrap_or_else(|error| panic!("{error}"));
            let snapshot = Snapshot::build(&config, None).unwrap();
            assert_eq!(snapshot.listed("m").unwrap().pricing.as_ref().unwrap()["prompt"], shown);
        };
        check("1.32", "0.00000132");
        check("10", "0.00001");
        check("0.0001", "0.0000000001");
        check("1000000", "1");
    }
}
