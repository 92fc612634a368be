//! Shapes that may be written in more than one way.

use std::borrow::Cow;
use std::fmt;

use nova_catalog::{NanoUsd, Quantization};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Sort, Sorting};

/// An amount of US dollars, written as a number or as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Dollars(pub NanoUsd);

/// A bound on something that is measured many times: a number, which is meant for half of the times, or one number
/// for each of some percentiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cutoffs {
    /// For half of the times.
    pub p50: Option<f32>,
    /// For three in four.
    pub p75: Option<f32>,
    /// For nine in ten.
    pub p90: Option<f32>,
    /// For 99 in a hundred.
    pub p99: Option<f32>,
}

/// The word for a quantization.
pub(super) const fn word(quantization: Quantization) -> &'static str {
    match quantization {
        Quantization::Int4 => "int4",
        Quantization::Int8 => "int8",
        Quantization::Fp4 => "fp4",
        Quantization::Fp6 => "fp6",
        Quantization::Fp8 => "fp8",
        Quantization::Fp16 => "fp16",
        Quantization::Bf16 => "bf16",
        Quantization::Fp32 => "fp32",
        Quantization::Unknown => "unknown",
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DollarsVisitor)
    }
}

struct DollarsVisitor;

impl Visitor<'_> for DollarsVisitor {
    type Value = Dollars;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of US dollars")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Dollars, E> {
        let amount = NanoUsd::parse_rounding_up(text.trim()).ok().filter(|amount| amount.nanos() >= 0);
        amount.map(Dollars).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Dollars, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Dollars, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Dollars, E> {
        self.visit_str(&number.to_string())
    }
}

impl JsonSchema for Dollars {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Dollars".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" },
            ],
        })
    }
}

/// As it is written in a map; [`Cutoffs`] also takes the bare number.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Percentiles {
    /// For half of the times.
    p50: Option<f32>,
    /// For three in four.
    p75: Option<f32>,
    /// For nine in ten.
    p90: Option<f32>,
    /// For 99 in a hundred.
    p99: Option<f32>,
}

impl<'de> Deserialize<'de> for Cutoffs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CutoffsVisitor)
    }
}

struct CutoffsVisitor;

impl CutoffsVisitor {
    fn of<E: de::Error>(self, number: f64) -> Result<Cutoffs, E> {
        if number < 0.0 {
            return Err(E::invalid_value(de::Unexpected::Float(number), &self));
        }
        // Nobody measures more finely than that.
        Ok(Cutoffs { p50: Some(number as f32), ..Cutoffs::default() })
    }
}

impl<'de> Visitor<'de> for CutoffsVisitor {
    type Value = Cutoffs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not negative, or a map of `p50`, `p75`, `p90` and `p99`")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cutoffs, E> {
        self.of(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cutoffs, E> {
        // Whoever writes more than 2^53 seconds means no bound.
        self.of(number as f64)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cutoffs, E> {
        self.of(number as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cutoffs, A::Error> {
        let Percentiles { p50, p75, p90, p99 } = Percentiles::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Cutoffs { p50, p75, p90, p99 })
    }
}

impl JsonSchema for Cutoffs {
    fn schema_name() -> Cow<'static, str> {
        "Cutoffs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let percentiles = Percentiles::json_schema(generator);
        json_schema!({
            "description": "A number, which is meant for half of the times, or one for each of some percentiles.",
            "anyOf": [{ "type": "number", "minimum": 0 }, percentiles],
        })
    }
}

/// As it is written in a map; [`Sorting`] also takes the bare word.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SortFields {
    /// By what.
    by: Sort,
    /// Within each `model`, which is the default, or across all models, `none`.
    #[serde(default)]
    partition: Option<Partition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Partition {
    Model,
    None,
}

impl Serialize for Sorting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let partition = if self.within_model { Partition::Model } else { Partition::None };
        SortFields { by: self.by, partition: Some(partition) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sorting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SortingVisitor)
    }
}

struct SortingVisitor;

impl<'de> Visitor<'de> for SortingVisitor {
    type Value = Sorting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`price`, `throughput` or `latency`")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Sorting, E> {
        let by = match word {
            "price" => Sort::Price,
            "throughput" => Sort::Throughput,
            "latency" => Sort::Latency,
            _ => return Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        };
        Ok(Sorting { by, within_model: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sorting, A::Error> {
        let SortFields { by, partition } = SortFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Sorting { by, within_model: partition != Some(Partition::None) })
    }
}

impl JsonSchema for Sorting {
    fn schema_name() -> Cow<'static, str> {
        "Sorting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = Sort::json_schema(generator);
        let fields = SortFields::json_schema(generator);
        json_schema!({ "description": "What to try first.", "anyOf": [word, fields] })
    }
}
