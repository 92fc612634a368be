//! Entries of the catalogue as they are written, before anything is checked.
//!
//! The same types read `catalog/*.yaml` and the `providers:` and `models:` of a configuration file, where
//! an entry may add to the catalogue or change what it has; every field is therefore optional here, and
//! `check.rs` says which were needed. The doc comments below become the descriptions of the
//! configuration's schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use nova_wire::{Dialect, Quirks};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::date::Weekday;
use crate::money::{NanoUsd, PerMillion};
use crate::policy::{DataCollection, Quantization};
use crate::service::Service;
use crate::yaml::{Entries, Located};

/// Providers and models, to build a catalogue from or to lay over one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawCatalog {
    /// Providers by id.
    pub providers: Entries<RawProvider>,
    /// Models by id.
    pub models: Entries<RawModel>,
}

/// A company or server family that answers requests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawProvider {
    /// Another provider to take `endpoints`, `auth`, `headers`, `quirks`, `parameters`, `services` and `base_url`
    /// from, where they are not given here. Credentials are never taken: they belong to one provider.
    pub like: Option<Located<String>>,
    /// The name that people know. Default: the id.
    pub name: Option<String>,
    /// Further names, by which requests may ask for it (`provider.order`, `only`, `ignore`): what others call it.
    pub aliases: Option<Vec<String>>,
    /// What the paths of the endpoints are appended to, such as `http://10.0.0.7:8000/v1`. It may hold
    /// the places that `parameters` fill: `https://{resource}.openai.azure.com`.
    pub base_url: Option<Located<String>>,
    /// Environment variables that may hold the base URL; the first that is set wins over the catalogue's
    /// `base_url`, and a `base_url` that a configuration gives wins over them.
    pub base_url_env: Option<Vec<String>>,
    /// What fills the places in `base_url` and in the paths, by the name of the place.
    pub parameters: Option<BTreeMap<String, RawParameter>>,
    /// The wire schemas that it speaks, the preferred one first. Endpoints given here replace those
    /// that the provider had.
    pub endpoints: Option<Vec<RawEndpoint>>,
    /// How requests are authorised. Default: `bearer`.
    pub auth: Option<Auth>,
    /// Environment variables that may hold its credential; the first that is set wins.
    pub credential_env: Option<Vec<String>>,
    /// Headers that every request to it carries.
    pub headers: Option<BTreeMap<String, String>>,
    /// In what it differs from the dialects that it speaks.
    pub quirks: Option<Quirks>,
    /// What it serves beside conversation, by the paths below `/v1/` that are appended to its base URL. Default:
    /// unknown, and it is asked; where the list is there, what it lacks is not asked for.
    pub services: Option<Vec<Service>>,
    /// Another provider whose models it has too, under the same upstream ids; their prices are unknown
    /// unless a model's offer says them.
    pub models_of: Option<Located<String>>,
    /// Whether it may collect what it is sent, to train on it or to keep it: `allow` or `deny`. Default: unknown,
    /// and requests with `provider.data_collection: deny` are not sent there.
    pub data_collection: Option<DataCollection>,
    /// Whether it keeps nothing of a request once it is answered (zero data retention). Default: unknown, and
    /// requests with `provider.zdr: true` are not sent there.
    pub zdr: Option<bool>,
    /// The page that these facts are from.
    pub source: Option<String>,
    /// The day on which they were compared with the source: `2026-11-21`.
    pub checked: Option<Located<String>>,
}

/// One wire schema that a provider speaks.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEndpoint {
    /// The schema: `chat`, `responses`, `messages`, `gemini` or `converse`.
    pub dialect: Dialect,
    /// Where it is, if not at the provider's `base_url`.
    #[serde(default)]
    pub base_url: Option<Located<String>>,
    /// What is appended to the base URL. `{model}` in it becomes the provider's name of the model. Default:
    /// the dialect's own, such as `/chat/completions` or `/models/{model}:generateContent`.
    #[serde(default)]
    pub path: Option<Located<String>>,
    /// The same for streamed answers, where that is another one.
    #[serde(default)]
    pub stream_path: Option<Located<String>>,
    /// In what it differs from its dialect, over the provider's `quirks`.
    #[serde(default)]
    pub quirks: Option<Quirks>,
}

/// What fills a place in a provider's addresses: a value, or where to find one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawParameter {
    /// The value. It wins over the environment.
    pub value: Option<String>,
    /// Environment variables that may hold it; the first that is set wins.
    pub env: Vec<String>,
    /// The value where no variable is set.
    pub default: Option<String>,
}

/// How requests to a provider are authorised.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer <credential>`.
    #[default]
    Bearer,
    /// The credential alone, in this header.
    Header(String),
    /// Every request is signed for this service of AWS (Signature Version 4), in the region that the
    /// parameter `region` names. A credential of one `key` is sent as a bearer instead.
    AwsSigv4(String),
    /// A bearer that is exchanged for a Google service account's key (OAuth 2.0, RFC 7523). A credential
    /// that is no such key is sent as a bearer itself.
    GoogleOauth,
    /// Not at all.
    None,
}

/// A name that clients ask for, and who answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawModel {
    /// The name that people know. Default: the id.
    pub name: Option<String>,
    /// The line of models that it belongs to.
    pub family: Option<String>,
    /// Other names that clients may use. Letter case never matters. In a configuration they are added
    /// to those that the model has.
    pub aliases: Vec<Located<String>>,
    /// The most tokens that a prompt may have; where prompt and answer share one window, that window.
    pub context: Option<u64>,
    /// The most tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What it can do besides reading and writing text.
    pub capabilities: Option<Vec<Capability>>,
    /// Whether it thinks before it answers. Default: `none`.
    pub thinking: Option<Thinking>,
    /// How good it is at kinds of tasks, by measurement.
    pub quality: Option<RawQuality>,
    /// The day on which its maker retires it: `2027-01-14`.
    pub deprecated: Option<Located<String>>,
    /// Who serves it, the preferred one first. In a configuration, offers replace those that the model
    /// had; one from a provider that it had before keeps what is not given again.
    pub offers: Option<Vec<RawOffer>>,
    /// The page that these facts are from.
    pub source: Option<String>,
    /// The day on which they were compared with the source: `2026-11-21`.
    pub checked: Option<Located<String>>,
}

/// Something that a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Reads images.
    Images,
    /// Reads PDF documents.
    Pdf,
    /// Calls tools.
    Tools,
    /// Can be made to call a tool.
    ForcedTools,
    /// Calls several tools in one turn.
    ParallelTools,
    /// Answers in JSON that fits a schema, by the provider's own enforcement.
    JsonSchema,
}

/// Whether a model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    /// Never.
    #[default]
    None,
    /// As the request asks.
    Optional,
    /// Always: it cannot be switched off.
    Always,
}

/// Measured quality.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawQuality {
    /// Who measured, on what.
    pub source: String,
    /// Points out of 100 by task.
    pub scores: BTreeMap<String, u8>,
}

/// One provider's offer of a model.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOffer {
    /// The provider's id.
    pub provider: Located<String>,
    /// What the provider calls the model. Default: the model's id.
    #[serde(default)]
    pub model: Option<String>,
    /// What it charges: rates, `free`, or `unknown`. Default: `unknown`.
    #[serde(default)]
    pub price: Option<RawTariff>,
    /// The most tokens that an answer may have there. Default: the model's.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// The wire schemas in which the provider serves this model. Default: all that it speaks.
    #[serde(default)]
    pub dialects: Option<Vec<Dialect>>,
    /// In what the model differs from the provider's other models.
    #[serde(default)]
    pub quirks: Option<Quirks>,
    /// The same, for one dialect of the provider alone.
    #[serde(default)]
    pub dialect_quirks: BTreeMap<Dialect, Quirks>,
    /// Where it runs, in the provider's words.
    #[serde(default)]
    pub region: Option<String>,
    /// In what numbers the model's weights are kept there: `fp8`, `bf16`. Default: unknown.
    #[serde(default)]
    pub quantization: Option<Quantization>,
}

/// What a model costs, as far as that is known.
#[derive(Clone, Debug, PartialEq)]
pub enum RawTariff {
    /// Not known: requests are recorded as unpriced.
    Unknown,
    /// Nothing.
    Free,
    /// These rates.
    Price(Box<RawPrice>),
}

/// Rates in US dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPrice {
    /// Prompt tokens.
    pub input: Amount,
    /// Answer tokens.
    pub output: Amount,
    /// Prompt tokens that the provider's cache knew. Default: as `input`.
    #[serde(default)]
    pub cache_read: Option<Amount>,
    /// Prompt tokens that were written to the provider's cache. Default: as `input`.
    #[serde(default)]
    pub cache_write: Option<Amount>,
    /// Reasoning tokens. Default: as `output`.
    #[serde(default)]
    pub reasoning: Option<Amount>,
    /// Dollars for every request, besides its tokens.
    #[serde(default)]
    pub per_request: Option<Amount>,
    /// Rates of longer prompts, by rising threshold. A tier holds for all tokens of the request.
    #[serde(default)]
    pub tiers: Vec<RawTier>,
    /// Hours at another price.
    #[serde(default)]
    pub off_peak: Option<RawOffPeak>,
}

/// Rates of prompts above a length. A rate that is not given follows from the tier's own `input` and
/// `output`, never from the rates of shorter prompts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTier {
    /// The prompt has more tokens than this.
    pub above: u64,
    /// Prompt tokens.
    pub input: Amount,
    /// Answer tokens.
    pub output: Amount,
    /// Prompt tokens that the provider's cache knew. Default: as `input`.
    #[serde(default)]
    pub cache_read: Option<Amount>,
    /// Prompt tokens that were written to the provider's cache. Default: as `input`.
    #[serde(default)]
    pub cache_write: Option<Amount>,
    /// Reasoning tokens. Default: as `output`.
    #[serde(default)]
    pub reasoning: Option<Amount>,
}

/// Hours at another price: `percent` of the ordinary one, or `rates`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOffPeak {
    /// When, in UTC.
    pub windows: Vec<RawWindow>,
    /// Percent of the ordinary price.
    #[serde(default)]
    pub percent: Option<u32>,
    /// Other rates, whatever the prompt's length.
    #[serde(default)]
    pub rates: Option<RawRates>,
}

/// Rates of off-peak hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRates {
    /// Prompt tokens.
    pub input: Amount,
    /// Answer tokens.
    pub output: Amount,
    /// Prompt tokens that the provider's cache knew. Default: as `input`.
    #[serde(default)]
    pub cache_read: Option<Amount>,
    /// Prompt tokens that were written to the provider's cache. Default: as `input`.
    #[serde(default)]
    pub cache_write: Option<Amount>,
    /// Reasoning tokens. Default: as `output`.
    #[serde(default)]
    pub reasoning: Option<Amount>,
}

/// Hours of some days of the week, in UTC.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    /// The days: `[mon, tue]`. Default: every day.
    #[serde(default)]
    pub days: Option<Vec<Weekday>>,
    /// Spans of one day: `["00:00-01:00", "10:00-24:00"]`. Default: the whole day.
    #[serde(default)]
    pub hours: Option<Vec<Located<String>>>,
}

/// A decimal number of US dollars: `0.435`, or `"0.435"`. Its digits are kept as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub NanoUsd);

impl Amount {
    /// This amount per million tokens.
    pub const fn per_million(self) -> PerMillion {
        PerMillion::new(self.0)
    }
}

impl JsonSchema for Amount {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A decimal number of US dollars, kept exactly as written.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,9})?$" },
                { "type": "number", "minimum": 0 },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for RawTariff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TariffVisitor)
    }
}

impl JsonSchema for RawTariff {
    fn schema_name() -> Cow<'static, str> {
        "RawTariff".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let price = generator.subschema_for::<RawPrice>();
        json_schema!({
            "description": "What a model costs: rates, `free`, or `unknown`.",
            "anyOf": [{ "enum": ["free", "unknown"] }, price],
        })
    }
}

/// Not an untagged enum: that would buffer the map and lose the lines of what is wrong in it.
struct TariffVisitor;

impl<'de> Visitor<'de> for TariffVisitor {
    type Value = RawTariff;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`free`, `unknown`, or a map of rates")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<RawTariff, E> {
        match word {
            "free" => Ok(RawTariff::Free),
            "unknown" => Ok(RawTariff::Unknown),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawTariff, A::Error> {
        RawPrice::deserialize(MapAccessDeserializer::new(map)).map(|price| RawTariff::Price(Box::new(price)))
    }
}

/// As it is written in a map; [`RawParameter`] also takes the bare value.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct ParameterFields {
    /// The value. It wins over the environment.
    value: Option<String>,
    /// Environment variables that may hold it; the first that is set wins.
    env: Vec<String>,
    /// The value where no variable is set.
    default: Option<String>,
}

impl<'de> Deserialize<'de> for RawParameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParameterVisitor)
    }
}

impl JsonSchema for RawParameter {
    fn schema_name() -> Cow<'static, str> {
        "RawParameter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ParameterFields::json_schema(generator);
        let fields = schema.remove("properties").unwrap_or_default();
        json_schema!({
            "description": "What fills a place in a provider's addresses: a value, or where to find one.",
            "anyOf": [
                { "type": "string" },
                { "type": "object", "properties": fields, "additionalProperties": false },
            ],
        })
    }
}

struct ParameterVisitor;

impl<'de> Visitor<'de> for ParameterVisitor {
    type Value = RawParameter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a map of `value`, `env` and `default`")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawParameter, E> {
        Ok(RawParameter { value: Some(value.to_owned()), ..RawParameter::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawParameter, A::Error> {
        let fields = ParameterFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RawParameter { value: fields.value, env: fields.env, default: fields.default })
    }
}
