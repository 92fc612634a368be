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

/// Where prompts may go, as the owner of a key or an operator says it. What is not known of a deployment does not meet
/// a demand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataPolicy {
    /// `deny`: only where it is known that nothing is collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// `true`: only where it is known that nothing is kept (zero data retention).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// The only regions, in the words of the deployments' own `region`; letter case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
}

impl DataPolicy {
    /// Whether it demands nothing.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a deployment may be sent a prompt.
    pub fn admits(&self, tags: &Tags) -> bool {
        let region = |regions: &Vec<String>| {
            let is = |region: &String| regions.iter().any(|one| one.eq_ignore_ascii_case(region));
            tags.region.as_ref().is_some_and(is)
        };
        (self.data_collection != Some(DataCollection::Deny) || tags.collects_nothing())
            && (self.zdr != Some(true) || tags.zdr == Some(true))
            && self.regions.as_ref().is_none_or(region)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_meets_no_demand() {
        let tags = |data_collection, zdr, region: Option<&str>| Tags {
            data_collection,
            zdr,
            region: region.map(str::to_owned),
            quantization: None,
        };
        let check = |policy: DataPolicy, tags: &Tags, admitted: bool| {
            assert_eq!(policy.admits(tags), admitted, "{policy:?} {tags:?}");
        };
        let unknown = tags(None, None, None);
        let deny = || DataPolicy { data_collection: Some(DataCollection::Deny), ..DataPolicy::default() };
        let zdr = || DataPolicy { zdr: Some(true), ..DataPolicy::default() };
        let eu = || DataPolicy { regions: Some(vec!["EU".into()]), ..DataPolicy::default() };
        check(DataPolicy::default(), &unknown, true);
        check(deny(), &unknown, false);
        check(deny(), &tags(Some(DataCollection::Allow), None, None), false);
        check(deny(), &tags(Some(DataCollection::Deny), None, None), true);
        check(deny(), &tags(None, Some(true), None), true);
        check(zdr(), &tags(Some(DataCollection::Deny), None, None), false);
        check(zdr(), &tags(None, Some(true), None), true);
        check(eu(), &unknown, false);
        check(eu(), &tags(None, None, Some("eu")), true);
        check(eu(), &tags(None, None, Some("cn")), false);
    }
}
