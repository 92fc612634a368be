//! From what is written to what cannot be wrong: the one place that validates.
//!
//! Reading order: [`check`] goes through the file from top to bottom; `names` says what may stand where a
//! model's name stands, `rules` what rules choose and when, `presets` what presets ask for; `artefacts` reads files that were trained; `deployments` resolves providers and offers into upstreams, with what `authorisations`
//! finds to authorise requests and `places` to fill addresses.

mod artefacts;
mod authorisations;
mod aws_profile;
mod deployments;
mod feedback;
mod names;
mod places;
mod presets;
mod routing;
mod rules;
mod shadows;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nova_catalog::raw::RawEndpoint;
use nova_catalog::yaml::Located;
use nova_catalog::{Catalog, RawCatalog, RawModel, RawOffer};
use nova_ledger::{KeyBudget, KeyLimits, KeyRouting, Period, Secret};
use nova_upstream::Deadlines;

use self::names::ModelNames;
use super::checked::{
    Config, DEFAULT_LISTEN, Engine, Env, LOCAL_PROVIDER, Limits, Retry, StaticKey, Telemetry, Timeouts,
};
use super::problem::{Place, Problem, did_you_mean};
use super::raw::{
    RawBudget, RawConfig, RawDeadlines, RawEngine, RawKey, RawLimits, RawTelemetry, RawTimeouts, Size, Time,
};
use super::read::Read;

/// The name of the local engine's model.
const DEFAULT_ENGINE_MODEL: &str = "nova-local-mini";
const DEFAULT_BODY_BYTES: u64 = 32 << 20;
const DEFAULT_BODY_TIME: Duration = Duration::from_secs(30);
/// Answers that are not streamed may take this long; OpenAI's SDKs wait as long themselves.
const DEFAULT_WHOLE: Duration = Duration::from_secs(600);
const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Who counts tokens for nothing, exactly.
const DEFAULT_COUNTERS: [&str; 3] = ["anthropic", "gemini", LOCAL_PROVIDER];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What the checks share.
struct Checker<'c> {
    read: &'c Read,
    /// Where relative paths count from.
    folder: &'c Path,
    env: &'c Env,
    problems: &'c mut Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Converts what was read; `None` where that is not possible. Whether there were problems is for the
/// caller to see: a result beside some is there to find more of them, not to be used.
pub(crate) fn check(read: Read, source: &str, env: &Env, problems: &mut Vec<Problem>) -> Option<Config> {
    let raw = &read.raw;
    let folder = Path::new(source).parent().unwrap_or(Path::new(""));
    let mut checker = Checker { read: &read, folder, env, problems, warnings: Vec::new() };
    let listen = checker.listen(raw);
    let engine = checker.engine(&raw.engine);
    let (catalog, is_whole) = checker.catalog(raw, &engine, source)?;
    let catalog = Arc::new(catalog);
    let model_names = ModelNames::new(&catalog, raw, is_whole && !read.lost_names);
    let names = checker.names(raw, &model_names);
    let rules = checker.rules(raw, &model_names);
    let presets = checker.presets(raw, &catalog, &model_names);
    let classifier = checker.classifier(&raw.routing);
    let choosing = checker.choosing(&raw.routing, &model_names);
    let quality = checker.quality(&raw.routing, &model_names);
    let budget_per_request = checker.budget_per_request(&raw.routing);
    let experiments = checker.experiments(raw, &model_names);
    let shadows = checker.shadows(&raw.shadows, &model_names);
    let deadlines = deadlines(&raw.timeouts);
    let deployments = checker.deployments(raw, &catalog, &model_names, deadlines);
    let mut config = Config {
        source: source.to_owned(),
        listen,
        allow_remote: raw.allow_remote,
        data_dir: raw.data_dir.as_ref().map(PathBuf::from),
        database: checker.database(raw.database.as_ref()),
        keys: checker.keys(&raw.keys, &model_names),
        limits: checker.limits(&raw.limits),
        timeouts: checker.timeouts(&raw.timeouts),
        retry: Retry {
            attempts_per_deployment: checker.at_least_one(raw.retry.attempts_per_deployment, 2),
            max_attempts: checker.at_least_one(raw.retry.max_attempts, 6),
            base: Duration::from_millis(checker.at_least_one(raw.retry.base_ms, 250).into()),
        },
        engine,
        telemetry: checker.telemetry(&raw.telemetry),
        store_responses: raw.responses.store.unwrap_or_else(|| is_local(raw.database.as_ref())),
        metrics: checker.feedback(&raw.feedback),
        count_tokens: checker.counters(raw.count_tokens.as_deref(), &catalog),
        streaming_beta: raw.streaming_beta.unwrap_or(true)
            && env.variable("DISABLE_STREAMING_BETA").is_none_or(|value| value != "1"),
        catalog,
        deployments,
        names,
        rules,
        presets,
        classifier,
        quality,
        choosing,
        budget_per_request,
        experiments,
        shadows,
        learns_from_judges: raw.compare.learn,
        warnings: checker.warnings,
    };
    problems.iter_mut().chain(&mut config.warnings).for_each(|problem| problem.hide(&read.filled));
    // Names that two models share are found where all names come together.
    if problems.is_empty()
        && let Err(error) = config.table()
    {
        problems.push(Problem::nowhere(error.to_string()).hint("rename one of them"));
    }
    Some(config)
}

/// The catalogue that is part of the program, read once.
fn builtin() -> Result<&'static Catalog, String> {
    static BUILTIN: OnceLock<Result<Catalog, String>> = OnceLock::new();
    BUILTIN
        .get_or_init(|| Catalog::builtin().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(String::clone)
}

/// Whether the database is a file of this machine.
fn is_local(url: Option<&Located<String>>) -> bool {
    url.is_none_or(|url| url.starts_with("sqlite:"))
}

/// The deadlines of deployments that say nothing themselves.
fn deadlines(raw: &RawTimeouts) -> Deadlines {
    let RawTimeouts { connect, first_byte, idle, total, .. } = *raw;
    over(&RawDeadlines { connect, first_byte, idle, total }, Deadlines::default())
}

/// Deadlines with those of a file laid over.
fn over(raw: &RawDeadlines, base: Deadlines) -> Deadlines {
    let time = |time: Option<Time>, base: Duration| time.map_or(base, |time| time.0);
    Deadlines {
        connect: time(raw.connect, base.connect),
        first_byte: time(raw.first_byte, base.first_byte),
        idle: time(raw.idle, base.idle),
        total: time(raw.total, base.total),
    }
}

impl Checker<'_> {
    fn place<T>(&self, value: &Located<T>) -> Place {
        if value.line == 0 { Place::default() } else { self.read.place(value.line, value.column) }
    }

    /// A problem with this value, to which a hint may be added.
    fn problem<T>(&mut self, value: &Located<T>, message: impl Into<String>) -> &mut Problem {
        let problem = Problem::at(self.place(value), message);
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn warning<T>(&mut self, value: &Located<T>, message: impl Into<String>, hint: &str) {
        self.warnings.push(Problem::at(self.place(value), message).hint(hint));
    }

    fn at_least_one(&mut self, value: Option<Located<u32>>, default: u32) -> u32 {
        match value {
            Some(value) if value.value == 0 => {
                self.problem(&value, "at least `1` is needed here");
                default
            }
            Some(value) => value.value,
            None => default,
        }
    }

    fn count(&mut self, value: Option<Located<u32>>) -> Option<NonZeroUsize> {
        let value = value?;
        let number = self.at_least_one(Some(value), 1);
        NonZeroUsize::new(number as usize)
    }

    fn listen(&mut self, raw: &RawConfig) -> SocketAddr {
        let Some(text) = &raw.listen else { return DEFAULT_LISTEN };
        let address: SocketAddr = match text.parse() {
            Ok(address) => address,
            Err(_) => {
                let problem = self.problem(text, format!("`{}` is not an address and a port", text.value));
                problem.hint = Some("write it as `127.0.0.1:6682` or `[::1]:6682`".into());
                return DEFAULT_LISTEN;
            }
        };
        if !address.ip().is_loopback() && !raw.allow_remote && !self.env.allow_remote {
            let problem = self.problem(text, format!("`{address}` can be reached by other machines"));
            problem.hint = Some("put a TLS proxy in front, or write `allow_remote: true`".into());
        }
        address
    }

    fn database(&mut self, raw: Option<&Located<String>>) -> Option<Secret> {
        let url = raw?;
        let known = ["sqlite://", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) {
            // The URL is not repeated: it may hold a password.
            let problem = self.problem(url, "this is not the URL of a database");
            problem.hint = Some("begin with `sqlite:///` and a path, or with `postgres://`".into());
        }
        Some(Secret::new(url.value.clone()))
    }

    /// The catalogue with the file's entries, and whether they could be laid over it.
    fn catalog(&mut self, raw: &RawConfig, engine: &Engine, source: &str) -> Option<(Catalog, bool)> {
        let builtin = match builtin() {
            Ok(builtin) => builtin,
            Err(error) => {
                self.problems.push(Problem::nowhere(format!("the built-in catalogue is broken: {error}")));
                return None;
            }
        };
        let mut over = RawCatalog { providers: raw.providers.clone(), models: raw.models.clone() };
        if builtin.model(&engine.name).is_none() && raw.models.get(&engine.name).is_none() {
            over.models.0.push((Located::unknown(engine.name.clone()), engine_model()));
        }
        for (id, provider) in &mut over.providers.0 {
            let says_nothing = provider.endpoints.is_none() && provider.like.is_none();
            if says_nothing && provider.base_url.is_some() && builtin.provider(id).is_none() {
                provider.endpoints = Some(vec![chat_endpoint()]);
            }
        }
        match builtin.with(&over, source) {
            Ok(catalog) => Some((catalog, true)),
            Err(error) => {
                for problem in error.problems {
                    // Half an entry is not blamed for what its other half would have said.
                    let of = |entry: &String| problem.path.strip_prefix(entry.as_str());
                    if self
                        .read
                        .spoiled
                        .iter()
                        .filter_map(of)
                        .any(|rest| rest.is_empty() || rest.starts_with('.'))
                    {
                        continue;
                    }
                    let place = match problem.line {
                        0 => Place::default(),
                        line => self.read.place(line, problem.column),
                    };
                    let message = match problem.path.as_str() {
                        "" => problem.message,
                        path => format!("`{path}`: {}", problem.message),
                    };
                    self.problems.push(Problem { place, message, hint: problem.hint });
                }
                Some((builtin.clone(), false))
            }
        }
    }

    fn keys(&mut self, raw: &[RawKey], names: &ModelNames<'_>) -> Vec<StaticKey> {
        let mut keys: Vec<StaticKey> = Vec::new();
        for key in raw {
            if keys.iter().any(|other| other.name == key.name.value) {
                self.problem(&key.name, format!("there are two keys of the name `{}`", key.name.value));
            }
            if !key.key.starts_with("nsk_")
                || key.key.len() < 20
                || !key.key.bytes().all(|b| b.is_ascii_graphic())
            {
                let problem =
                    self.problem(&key.key, "a key begins with `nsk_` and has 16 letters or digits more");
                problem.hint = Some("`novastack keys create NAME` makes one".into());
            }
            self.warn_if_written_out(&key.key);
            for model in key.models.iter().flatten().filter(|model| !nova_route::is_pattern(model)) {
                self.model(model, names);
            }
            let models = key.models.as_ref();
            keys.push(StaticKey {
                name: key.name.value.clone(),
                secret: Secret::new(key.key.value.clone()),
                models: models.map(|models| models.iter().map(|model| model.value.clone()).collect()),
                limits: KeyLimits {
                    requests_per_minute: key.requests_per_minute,
                    max_in_flight: key.max_in_flight,
                    store_prompts: key.store_prompts,
                },
                routing: KeyRouting {
                    tags: key.tags.clone(),
                    request_budget: self.dollars(key.request_budget.as_ref()),
                    budget: key.budget.as_ref().and_then(|budget| self.budget(budget)),
                    data: key.data.clone(),
                },
            });
        }
        keys
    }

    /// What a key may spend.
    fn budget(&mut self, raw: &RawBudget) -> Option<KeyBudget> {
        let usd = self.dollars(Some(&raw.usd));
        let Some(per) = Period::named(&raw.per) else {
            let hint = did_you_mean(&raw.per, Period::ALL.map(|(_, word)| word));
            self.problem(&raw.per, format!("there is no span of time `{}`", raw.per.value)).hint =
                hint.or_else(|| Some("write `day`, `week`, `month` or `total`".into()));
            return None;
        };
        Some(KeyBudget { usd: usd?, per })
    }

    fn warn_if_written_out(&mut self, secret: &Located<String>) {
        if self.read.is_written_out(secret) {
            let hint = "write `${NAME}` and set that variable, or `${file:/path}`";
            self.warning(secret, "a secret is written out in the file", hint);
        }
    }

    fn limits(&mut self, raw: &RawLimits) -> Limits {
        let bytes = match &raw.body_bytes {
            Some(size) if size.value.0 == 0 => {
                self.problem(size, "a body of no bytes is no request");
                DEFAULT_BODY_BYTES
            }
            Some(size) => size.value.0,
            None => Size(DEFAULT_BODY_BYTES).0,
        };
        Limits {
            body_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            requests_per_minute: raw.requests_per_minute,
            max_in_flight: raw.max_in_flight,
        }
    }

    fn timeouts(&mut self, raw: &RawTimeouts) -> Timeouts {
        Timeouts {
            body: raw.body.map_or(DEFAULT_BODY_TIME, |time| time.0),
            whole: raw.whole.map_or(DEFAULT_WHOLE, |time| time.0),
            keep_alive: raw.keep_alive.map_or(DEFAULT_KEEP_ALIVE, |time| time.0),
        }
    }

    fn engine(&mut self, raw: &RawEngine) -> Engine {
        Engine {
            enabled: raw.enabled.unwrap_or(true),
            model: raw.model.as_ref().map(PathBuf::from),
            name: raw.name.as_ref().map_or(DEFAULT_ENGINE_MODEL.into(), |name| name.value.clone()),
            threads: self.count(raw.threads),
            max_sequences: self.count(raw.max_sequences),
            context: self.count(raw.context),
        }
    }

    fn counters(&mut self, raw: Option<&[Located<String>]>, catalog: &Catalog) -> Vec<String> {
        let Some(names) = raw else { return DEFAULT_COUNTERS.map(str::to_owned).to_vec() };
        for name in names.iter().filter(|name| catalog.provider(name).is_none()) {
            let known = catalog.providers().map(|provider| provider.id.as_str());
            let hint = did_you_mean(name, known);
            self.problem(name, format!("there is no provider `{}`", name.value)).hint = hint;
        }
        names.iter().map(|name| name.value.clone()).collect()
    }

    fn telemetry(&mut self, raw: &RawTelemetry) -> Telemetry {
        let level = raw.log_level.as_ref().map_or("info", |level| level.value.as_str());
        for directive in level.split(',') {
            let word = directive.rsplit('=').next().unwrap_or_default().trim();
            // A bare target, as in `hyper`, switches all of it on.
            let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
            if !is_level && (directive.contains('=') || !level.contains(',')) {
                let hint = did_you_mean(word, LEVELS).unwrap_or_else(|| "write `info` or `debug`".into());
                if let Some(place) = &raw.log_level {
                    self.problem(place, format!("`{word}` is not a level")).hint = Some(hint);
                }
            }
        }
        Telemetry { log_format: raw.log_format, log_level: level.to_owned() }
    }
}

/// What a server speaks of which only the address is known.
const fn chat_endpoint() -> RawEndpoint {
    RawEndpoint {
        dialect: nova_wire::Dialect::Chat,
        base_url: None,
        path: None,
        stream_path: None,
        quirks: None,
    }
}

/// A model for the local engine under a name that the catalogue does not have.
fn engine_model() -> RawModel {
    let offer = RawOffer {
        provider: Located::unknown(LOCAL_PROVIDER.to_owned()),
        model: None,
        price: Some(nova_catalog::raw::RawTariff::Free),
        max_output: None,
        dialects: None,
        quirks: None,
        dialect_quirks: std::collections::BTreeMap::new(),
        region: None,
        quantization: None,
    };
    RawModel { offers: Some(vec![offer]), ..RawModel::default() }
}
