//! What is known of how a deployment treats what it is sent, and in what form it runs the model.
//!
//! A value stands here only where a configuration or a row of the catalogue says it. What nobody said is
//! unknown, and a request that demands it is not sent there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a provider may collect what it is sent, to train on it or to keep it for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataCollection {
    /// It may.
    Allow,
    /// It does not.
    Deny,
}

/// In what numbers a model's weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// Integers of 4 bits.
    Int4,
    /// Integers of 8 bits.
    Int8,
    /// Floating point, 4 bits.
    Fp4,
    /// Floating point, 6 bits.
    Fp6,
    /// Floating point, 8 bits.
    Fp8,
    /// Floating point, 16 bits.
    Fp16,
    /// Brain floating point, 16 bits.
    Bf16,
    /// Floating point, 32 bits.
    Fp32,
    /// Nobody said. A request that takes this one, too, takes what is unknown.
    Unknown,
}

/// What is known of a deployment besides its price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tags {
    /// Whether what it is sent may be collected.
    pub data_collection: Option<DataCollection>,
    /// Whether nothing of a request is kept once it is answered (zero data retention).
    pub zdr: Option<bool>,
    /// Where it runs, in the provider's words.
    pub region: Option<String>,
    /// In what numbers the model's weights are kept.
    pub quantization: Option<Quantization>,
}

impl Tags {
    /// These tags, with `base` for all that they leave open.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        Self {
            data_collection: self.data_collection.or(base.data_collection),
            zdr: self.zdr.or(base.zdr),
            region: self.region.clone().or_else(|| base.region.clone()),
            quantization: self.quantization.or(base.quantization),
        }
    }

    /// Whether somebody said that nothing of a request is collected; what is not kept cannot be.
    pub fn collects_nothing(&self) -> bool {
        self.data_collection == Some(DataCollection::Deny) || self.zdr == Some(true)
    }
}
