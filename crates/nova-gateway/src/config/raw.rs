//! The configuration file as it is written. Nothing is checked here; the comments become the
//! descriptions of the JSON schema.
//!
//! Any text may hold `${NAME}` (an environment variable) or `${file:/path}` (a file's content).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nova_catalog::yaml::{Entries, Located};
use nova_catalog::{DataCollection, DataPolicy, Quantization, RawModel, RawProvider, Tags};
use nova_route::Preferences;
use nova_wire::preset::Parameters;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use super::checked::LogFormat;
use super::de::ONE_OR_MANY;

/// The configuration of NovaStack. Every key is optional; without any, the built-in catalogue is served
/// with the credentials that the environment holds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "NovaStack configuration")]
pub struct RawConfig {
    /// The address and port to listen on. Default: `127.0.0.1:6682`.
    pub listen: Option<Located<String>>,
    /// Allows a `listen` address that other machines can reach. Default: false.
    pub allow_remote: bool,
    /// Where keys, usage records and models are kept. Default: `~/.local/share/novastack`.
    pub data_dir: Option<String>,
    /// The database: `sqlite:///path/to/file.db` or `postgres://user:password@host/name`. Default: a SQLite
    /// file in the data directory.
    pub database: Option<Located<String>>,
    /// Providers to add to the built-in ones, or changes to those, by id.
    pub providers: Entries<RawProvider>,
    /// What providers issued, by the provider's id. Default: what the provider's environment variable holds.
    pub credentials: Entries<Vec<RawCredential>>,
    /// Models to add to the built-in ones, or changes to those, by id.
    pub models: Entries<RawModel>,
    /// Further names, each for a model.
    pub aliases: Entries<Located<String>>,
    /// Who serves a model. A model that is named here has exactly these deployments; any other has one for
    /// each provider that offers it and has a credential.
    pub deployments: Vec<RawDeployment>,
    /// Models to try, in order, when a model does not answer.
    pub fallbacks: Entries<OneOrMany>,
    /// Models to try when neither a model nor its own fallbacks answer.
    pub default_fallback: OneOrMany,
    /// The model that `auto` and `default` stand for, where no rule chooses one.
    pub default_model: Option<Located<String>>,
    /// How long things may take.
    pub timeouts: RawTimeouts,
    /// How often to try again.
    pub retry: RawRetry,
    /// Bounds on requests.
    pub limits: RawLimits,
    /// Keys that always work, besides those that `novastack keys create` makes.
    pub keys: Vec<RawKey>,
    /// The local engine.
    pub engine: RawEngine,
    /// Logs.
    pub telemetry: RawTelemetry,
    /// Providers that are asked to count a prompt's tokens (`count_tokens`, `countTokens`), where they can;
    /// for all others the gateway estimates. Default: `[anthropic, gemini, local]`; `[]` asks nobody.
    pub count_tokens: Option<Vec<Located<String>>>,
    /// What is kept of answers in OpenAI's Responses dialect.
    pub responses: RawResponses,
    /// What clients may say of answers, by `POST /v1/feedback`.
    pub feedback: RawFeedback,
    /// Rules that choose a model for requests whose model is `auto` or `default`, in the `if` and `use` form:
    /// docs/guides/routing.md.
    pub route: Vec<RawIfRule>,
    /// The same in the `match` and `model` form.
    pub routes: Vec<Located<RawMatchRule>>,
    /// What requests may ask for by one name, `preset/<name>`: a model with a prompt, parameters and preferences.
    pub presets: Entries<RawPreset>,
    /// What rules know of a request, and how a model is chosen where none of them holds.
    pub routing: RawRouting,
    /// Models whose traffic is split.
    pub experiments: Vec<RawExperiment>,
    /// Models that are shown what is asked of others, without anybody's seeing their answers.
    pub shadows: Vec<RawShadow>,
    /// Comparisons of models (`POST /v1/compare`).
    pub compare: RawCompare,
    /// Whether streams may carry what the oldest clients do not understand (keep-alive comments). Default:
    /// true, unless the environment has `DISABLE_STREAMING_BETA=1`.
    pub streaming_beta: Option<bool>,
}

/// What a provider issued.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCredential {
    /// What it is called in deployments, logs and metrics. Default: its place, from 1.
    #[serde(default)]
    pub name: Option<Located<String>>,
    /// The secret: `${DEEPSEEK_API_KEY}` or `${file:/run/secrets/deepseek}`. For Google it is an access token
    /// or the whole key of a service account, `${file:/run/secrets/account.json}`.
    #[serde(default)]
    pub key: Option<Located<String>>,
    /// AWS's access key, instead of `key`.
    #[serde(default)]
    pub access_key_id: Option<Located<String>>,
    /// The secret that belongs to `access_key_id`.
    #[serde(default)]
    pub secret_access_key: Option<Located<String>>,
    /// The session that `access_key_id` is for, where it is a temporary one.
    #[serde(default)]
    pub session_token: Option<Located<String>>,
    /// Its share of the requests, among the provider's credentials. Default: 1.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// One concrete upstream of a model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDeployment {
    /// Its name in logs and metrics. Default: `provider/model`.
    #[serde(default)]
    pub name: Option<Located<String>>,
    /// The model, by any of its names.
    pub model: Located<String>,
    /// The provider's id.
    pub provider: Located<String>,
    /// What the provider calls the model. Default: as in the catalogue, else the model's id.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// Where the provider is reached for this deployment, if elsewhere.
    #[serde(default)]
    pub base_url: Option<Located<String>>,
    /// The name of one credential of the provider. Default: all of them, each a deployment.
    #[serde(default)]
    pub credential: Option<Located<String>>,
    /// Lower is tried earlier. Default: 0.
    #[serde(default)]
    pub priority: u32,
    /// Its share of the requests, among the model's deployments of equal priority. Default: 1.
    #[serde(default)]
    pub weight: Option<u32>,
    /// How long things may take here, where that differs.
    #[serde(default)]
    pub timeouts: RawDeadlines,
    /// Whether what it is sent may be collected there: `allow` or `deny`. Default: as the provider.
    #[serde(default)]
    pub data_collection: Option<DataCollection>,
    /// Whether nothing of a request is kept there once it is answered. Default: as the provider.
    #[serde(default)]
    pub zdr: Option<bool>,
    /// Where it runs. Default: as the offer.
    #[serde(default)]
    pub region: Option<String>,
    /// In what numbers the model's weights are kept there. Default: as the offer.
    #[serde(default)]
    pub quantization: Option<Quantization>,
}

impl RawDeployment {
    /// What it says of itself besides.
    pub fn tags(&self) -> Tags {
        Tags {
            data_collection: self.data_collection,
            zdr: self.zdr,
            region: self.region.clone(),
            quantization: self.quantization,
        }
    }
}

/// What clients may say of answers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawFeedback {
    /// Metrics besides `score` and `thumbs`, by name.
    pub metrics: Entries<RawMetric>,
}

/// The scale of a metric. The end that is better may be the lower one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMetric {
    /// The worst value.
    pub worst: Located<f64>,
    /// The best value.
    pub best: Located<f64>,
}

/// What is kept of answers in OpenAI's Responses dialect.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawResponses {
    /// Whether conversations are kept in the database for 30 days, prompts included, so that clients can go on
    /// with `previous_response_id`. They are encrypted there under the pepper. Default: true with SQLite, false
    /// with PostgreSQL.
    pub store: Option<bool>,
}

/// How long an exchange with a provider may take.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawDeadlines {
    /// To connect, TLS included. Default: `5s`.
    pub connect: Option<Time>,
    /// From then until the answer begins. Default: `60s`.
    pub first_byte: Option<Time>,
    /// Of silence within an answer. Default: `60s`.
    pub idle: Option<Time>,
    /// From the request to the answer's end. Default: `30m`.
    pub total: Option<Time>,
}

/// How long things may take.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawTimeouts {
    /// To connect to a provider, TLS included. Default: `5s`.
    pub connect: Option<Time>,
    /// From then until the answer begins. Default: `60s`.
    pub first_byte: Option<Time>,
    /// The same for an answer that is not streamed, which begins only when the model is done; never
    /// less than `first_byte`. Default: `10m`.
    pub whole: Option<Time>,
    /// Of silence within an answer. Default: `60s`.
    pub idle: Option<Time>,
    /// From the request to the answer's end. Default: `30m`.
    pub total: Option<Time>,
    /// Until a client has sent its request. Default: `30s`.
    pub body: Option<Time>,
    /// Of silence until a streaming client gets a sign of life. Default: `15s`.
    pub keep_alive: Option<Time>,
}

/// How often to try again. Only what no client has seen anything of is tried again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRetry {
    /// Tries at one deployment. Default: 2.
    pub attempts_per_deployment: Option<Located<u32>>,
    /// Tries in all, fallbacks included. Default: 6.
    pub max_attempts: Option<Located<u32>>,
    /// The longest first pause, in milliseconds; each next one is twice as long. Default: 250.
    pub base_ms: Option<Located<u32>>,
}

/// Bounds on requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawLimits {
    /// The largest request body. Default: `32MiB`.
    pub body_bytes: Option<Located<Size>>,
    /// Requests per minute of a key that says nothing itself. Default: no bound.
    pub requests_per_minute: Option<u32>,
    /// Requests in flight of a key that says nothing itself. Default: no bound.
    pub max_in_flight: Option<u32>,
}

/// A key that clients use.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawKey {
    /// Its name in usage records and logs.
    pub name: Located<String>,
    /// The key: `${TEAM_KEY}` or `${file:/run/secrets/team}`. It begins with `nsk_`.
    pub key: Located<String>,
    /// The models that it may use, by any of their names. Default: all.
    #[serde(default)]
    pub models: Option<Vec<Located<String>>>,
    /// Its requests per minute.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Its requests in flight.
    #[serde(default)]
    pub max_in_flight: Option<u32>,
    /// Whether its conversations may be kept. Default: as `responses.store` says; `true` cannot go beyond that.
    #[serde(default)]
    pub store_prompts: Option<bool>,
    /// What one of its requests should cost at most, in US dollars: what rules read as `budget`.
    #[serde(default)]
    pub request_budget: Option<Located<f64>>,
    /// What it may spend in a span of time. Default: no bound.
    #[serde(default)]
    pub budget: Option<RawBudget>,
    /// Labels that rules read as `tags.*`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Where its prompts may go. Default: anywhere.
    #[serde(default)]
    pub data: DataPolicy,
}

/// What a key may spend in a span of time (UTC). Once it is spent, its requests are refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBudget {
    /// US dollars.
    pub usd: Located<f64>,
    /// `day`, `week` (from Monday), `month`, or `total` for all time.
    pub per: Located<String>,
}

/// The local engine.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawEngine {
    /// Whether to start it, where there is a model for it. Default: true.
    pub enabled: Option<bool>,
    /// The model's file (GGUF). Default: the one that `novastack engine pull` fetches.
    pub model: Option<String>,
    /// The name by which clients ask for it. Default: `nova-local-mini`.
    pub name: Option<Located<String>>,
    /// Threads. Default: one less than there are cores.
    pub threads: Option<Located<u32>>,
    /// Sequences that are computed at once.
    pub max_sequences: Option<Located<u32>>,
    /// The most tokens of a prompt and its answer.
    pub context: Option<Located<u32>>,
}

/// Logs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawTelemetry {
    /// `pretty`, `json`, or `auto`: pretty at a terminal and JSON elsewhere. Default: `auto`.
    pub log_format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or directives such as `info,nova_gateway=debug`.
    /// Default: `info`.
    pub log_level: Option<Located<String>>,
}

/// What rules know of a request, and how a model is chosen where none of them holds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawRouting {
    /// Who decides what a request is about, where no header `x-novastack-task` says it: `learned`, `keywords`,
    /// `none`, or `{ path: FILE }` with what `novastack train tasks` wrote. Default: `learned`.
    pub classifier: Option<RawClassifier>,
    /// By what a model is chosen for those who ask for `auto`: `capable`, `cheap`, `fast`, `throughput`, `best` or
    /// `budget`; docs/guides/routing.md says what they are. Default: `capable`.
    pub mode: Option<Located<String>>,
    /// For `capable`: the share of the best model's quality that is enough, 0 to 1. Default: 0.9.
    pub enough: Option<Located<f64>>,
    /// The models to choose among, by any of their names. Default: all.
    pub models: Vec<Located<String>>,
    /// For `capable`: the share of requests that go to another model first, so that something is learnt of it; at
    /// most 0.02. Default: 0.
    pub explore: Option<Located<f64>>,
    /// For `budget`: US dollars that the requests of a key may cost on average.
    pub budget_per_request: Option<Located<f64>>,
    /// What graded answers taught of models, as `novastack train quality` wrote it: how good the answer of each is
    /// likely to be, prompt by prompt. Default: models' own `quality`, else what their price lets one assume.
    pub quality: Option<RawArtefact>,
}

/// Who decides what a request is about: a word, or a file.
#[derive(Clone, Debug)]
pub enum RawClassifier {
    /// One that is part of the program.
    Word(Located<String>),
    /// One that the operator trained.
    File(RawArtefact),
}

impl<'de> Deserialize<'de> for RawClassifier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Located { value, line, column } = Located::<WordOrFile>::deserialize(deserializer)?;
        Ok(match value {
            WordOrFile::Word(value) => Self::Word(Located { value, line, column }),
            WordOrFile::File(file) => Self::File(file),
        })
    }
}

enum WordOrFile {
    Word(String),
    File(RawArtefact),
}

impl<'de> Deserialize<'de> for WordOrFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrFileVisitor)
    }
}

struct WordOrFileVisitor;

impl<'de> Visitor<'de> for WordOrFileVisitor {
    type Value = WordOrFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one word, or a `path`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<WordOrFile, E> {
        Ok(WordOrFile::Word(word.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WordOrFile, A::Error> {
        RawArtefact::deserialize(de::value::MapAccessDeserializer::new(map)).map(WordOrFile::File)
    }
}

impl JsonSchema for RawClassifier {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Classifier".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<RawArtefact>();
        json_schema!({ "anyOf": [{ "type": "string" }, file] })
    }
}

/// A file that a `novastack train` command wrote. It is read at the start and at every reload.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawArtefact {
    /// Where it is; a relative path counts from the configuration's folder.
    pub path: Located<String>,
}

/// Part of a model's traffic goes to other models. Who gets which stays the same.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawExperiment {
    /// Its name in records.
    pub name: Located<String>,
    /// The model whose traffic is split, by any of its names.
    pub model: Located<String>,
    /// The requests that take part. Default: all.
    #[serde(default, rename = "if")]
    pub condition: Option<Located<String>>,
    /// What always gets the same arm: `session`, `user`, `key` or `request`. Default: `session`.
    #[serde(default)]
    pub by: Option<Located<String>>,
    /// Who answers.
    pub arms: Vec<RawArm>,
}

/// An arm of an experiment.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawArm {
    /// Its name in records. Default: the model's.
    #[serde(default)]
    pub name: Option<String>,
    /// The model, by any of its names.
    pub model: Located<String>,
    /// Its share among the weights of all arms. Default: 1.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// A model, a prompt, parameters and preferences under one name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawPreset {
    /// What it is for; shown by `GET /v1/models`.
    pub description: Option<String>,
    /// The model, by any of its names, with suffixes such as `:floor` or `:thinking`; or `auto`. Without one, a request
    /// names its model beside the preset.
    pub model: Option<Located<String>>,
    /// Models to try after it, in place of all that are configured elsewhere.
    pub fallbacks: Option<OneOrMany>,
    /// Instructions before the caller's own.
    pub system: Option<String>,
    /// Parameters for requests that say nothing of them.
    pub parameters: Parameters,
    /// Which providers may answer, and which should; what a request says itself wins.
    pub provider: Preferences,
}

/// A model that is shown what is asked of another one, after the client has its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawShadow {
    /// Its name in records and metrics.
    pub name: Located<String>,
    /// The model whose requests it is shown, by any of its names; `auto` for those that leave the choice to the
    /// gateway.
    pub model: Located<String>,
    /// The model that answers for nobody, by any of its names.
    pub to: Located<String>,
    /// How many of a hundred requests it is shown; 0.5 is one of two hundred.
    pub percent: Located<f64>,
    /// The requests that take part. Default: all.
    #[serde(default, rename = "if")]
    pub condition: Option<Located<String>>,
    /// US dollars that it may cost in a day (UTC).
    pub budget_per_day: Located<f64>,
    /// Requests that it is shown at once; more are not shown to it. Default: 4.
    #[serde(default)]
    pub max_in_flight: Option<Located<u32>>,
    /// Who judges its answers beside those that clients got, for the router to learn from. Default: nobody.
    #[serde(default)]
    pub judge: Option<RawShadowJudge>,
}

/// Who judges the answers of a shadow. What that costs counts towards the shadow's budget.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawShadowJudge {
    /// The model, by any of its names.
    pub model: Located<String>,
    /// By what it judges. Default: correctness first, then how completely and clearly the request is fulfilled.
    #[serde(default)]
    pub criteria: Option<String>,
    /// How many of a hundred answers are judged. Default: 100.
    #[serde(default)]
    pub percent: Option<Located<f64>>,
}

/// Comparisons of models.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawCompare {
    /// Whether the router learns from the scores that a client's judge gives. Default: false.
    pub learn: bool,
}

/// A rule: `if` a condition holds, `use` a model. A rule without `if` holds always.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawIfRule {
    /// The condition.
    #[serde(default, rename = "if")]
    pub condition: Option<Located<String>>,
    /// The model, by any of its names; or `auto:` and a mode, as in `auto:cheap`.
    #[serde(rename = "use")]
    pub model: Located<String>,
    /// Models to try after it.
    #[serde(default)]
    pub fallback: OneOrMany,
}

/// A rule: where a condition does `match`, a `model` is chosen; `default` is for the rest.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawMatchRule {
    /// The condition.
    #[serde(rename = "match")]
    pub condition: Option<Located<String>>,
    /// The model, by any of its names; or `auto:` and a mode, as in `auto:cheap`.
    pub model: Option<Located<String>>,
    /// The model where no rule above holds.
    pub default: Option<Located<String>>,
    /// Models to try after it.
    pub fallback: OneOrMany,
}

/// One name, or a list of names.
#[derive(Clone, Debug, Default)]
pub struct OneOrMany(pub Vec<Located<String>>);

/// A span of time: `500ms`, `5s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A number of bytes: `512KiB`, `32MiB`, `1GiB`, or with decimal units `10MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ONE_OR_MANY, NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a list of names")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(OneOrMany(names))
    }
}

impl JsonSchema for OneOrMany {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        quantity(text, &TIME_UNITS, ("a span of time", "5s")).map(|ms| Self(Duration::from_millis(ms)))
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        quantity(text, &SIZE_UNITS, ("a size", "32MiB")).map(Self)
    }
}

/// A whole number and a unit.
fn quantity(text: &str, units: &[(&str, u64)], (what, example): (&str, &str)) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim();
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let names = super::problem::either(&names);
    let Ok(number) = digits.parse::<u64>() else {
        return Err(format!(
            "`{text}` is not {what}\nhint: write a whole number and {names}, as in `{example}`"
        ));
    };
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let Some(factor) = factor else {
        let wrong =
            if unit.is_empty() { "has no unit".into() } else { format!("has an unknown unit `{unit}`") };
        return Err(format!("`{text}` {wrong}\nhint: write {names} behind the number, as in `{example}`"));
    };
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

struct TextVisitor<T>(&'static str, std::marker::PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a span of time such as `5s`", std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor("a size such as `32MiB`", std::marker::PhantomData))
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$", "examples": ["500ms", "5s", "30m"] })
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|KB|MB|GB)$", "examples": ["32MiB"] })
    }
}
