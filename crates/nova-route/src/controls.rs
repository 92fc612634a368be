//! What one request asks of routing: models to fall back to, and which deployments may or should answer.
//!
//! The fields are those of OpenRouter (`models`, `provider`) and LiteLLM (`fallbacks`, `disable_fallbacks`), under
//! the same names; a suffix of the model's name is short for some of them ([`Suffixes`]). A key's policy can be
//! written in the same [`Preferences`].
//!
//! Invariant: a demand that cannot be shown to be met is not met. What nobody said of a deployment (its price, what
//! becomes of prompts, its quantization) is unknown, and who demands it is not sent there.
//!
//! Reading order: [`Controls`] and [`Preferences`] are what is asked; [`Preferences::refuses`] removes,
//! [`Preferences::rank`] orders; `read` has the shapes that take more than one form,
//! `suffix` the names, `known` what a table keeps of a deployment.

use std::cmp::Ordering;

use nova_catalog::{DataCollection, Price, Quantization, Tags};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::same;
use crate::plan::{Preference, Why};

mod known;
mod read;
mod suffix;
#[cfg(test)]
mod tests;

pub(crate) use known::Known;
pub use read::{Cutoffs, Dollars};
pub use suffix::{Suffixes, suffixed};

/// What one request asks of routing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Controls {
    /// The models to try after the one asked for, in order, by any name. They take the place of all that are
    /// configured; `None` leaves those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<Vec<String>>,
    /// Which deployments may answer, and which should.
    pub provider: Preferences,
}

/// Which deployments may answer, and which should.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// Providers to try first, in this order: a provider's id or name, a deployment's name, or
    /// `provider/region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// The only providers that may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Providers that may not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<String>>,
    /// Whether others may answer where the first cannot. With `false` only those of `order` may, or, without
    /// `order`, only the first provider of each model. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// Whether only deployments may answer to which nothing of the request is lost. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_parameters: Option<bool>,
    /// What to try first: `price`, `throughput` or `latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sorting>,
    /// The most that it may charge, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
    /// `deny` lets only deployments answer of which it is known that they collect nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether only deployments may answer of which it is known that they keep nothing (zero data retention).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// The quantizations that a model may be served in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantizations: Option<Vec<Quantization>>,
    /// Seconds to the first token; what is known to take longer may not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<Cutoffs>,
    /// Seconds to the first token; what is known to take longer is tried after the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_max_latency: Option<Cutoffs>,
    /// Tokens per second; what is known to write fewer is tried after the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_min_throughput: Option<Cutoffs>,
}

/// What to try first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sorting {
    /// By what.
    pub by: Sort,
    /// Whether models stay in their order, each with its own deployments sorted; else all are sorted together.
    pub within_model: bool,
}

/// By what deployments are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What the request should cost, the cheapest first.
    Price,
    /// Tokens per second, the most first.
    Throughput,
    /// Time to the first token, the shortest first.
    Latency,
}

/// The most that a deployment may charge, in US dollars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaxPrice {
    /// For a million tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Dollars>,
    /// For a million tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Dollars>,
    /// For every request, besides its tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Dollars>,
    /// For an image. Here images are charged as the tokens that they make, so this bounds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Dollars>,
    /// For audio. Here it is charged as the tokens that it makes, so this bounds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Dollars>,
}

/// What preferences look at in a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its provider's id.
    pub provider: &'a str,
    /// The name that people know its provider by.
    pub provider_name: &'a str,
    /// Further names of its provider.
    pub provider_aliases: &'a [String],
    /// What it charges; unknown if absent.
    pub price: Option<&'a Price>,
    /// What is known of it besides.
    pub tags: &'a Tags,
}

/// How a deployment does with a request, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// What the request should cost there, in US dollars.
    pub cost: Option<f64>,
    /// Milliseconds to its first token, usually.
    pub ttft_ms: Option<f64>,
    /// Milliseconds to the first token that 95 % of its answers stay below.
    pub p95_ttft_ms: Option<f64>,
    /// Tokens of an answer per second, usually.
    pub tokens_per_s: Option<f64>,
}

/// Where a deployment stands among others by a request's preferences: the lower, the earlier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// Its place in `order`, or behind all of that.
    listed: usize,
    /// Whether it is slower than preferred.
    slow: bool,
    /// What it is sorted by; infinite where that is not known.
    value: f64,
}

impl Rank {
    /// Behind all others.
    pub(crate) const LAST: Self = Self { listed: usize::MAX, slow: true, value: f64::INFINITY };

    /// The order of two deployments; equal ones stay as they are.
    pub fn order(&self, other: &Self) -> Ordering {
        let listed = self.listed.cmp(&other.listed);
        listed.then(self.slow.cmp(&other.slow)).then(self.value.total_cmp(&other.value))
    }
}

impl Controls {
    /// These controls, with `base` for what they leave open.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        Self {
            fallbacks: self.fallbacks.or_else(|| base.fallbacks.clone()),
            provider: self.provider.over(&base.provider),
        }
    }

    /// Whether models that only the configuration names may be tried after those that the request names.
    pub fn takes_configured_fallbacks(&self) -> bool {
        self.fallbacks.is_none() && self.provider.allow_fallbacks != Some(false)
    }
}

impl Preferences {
    /// These preferences, with `base` for what they leave open.
    #[must_use]
    pub fn over(self, base: &Self) -> Self {
        Self {
            order: self.order.or_else(|| base.order.clone()),
            only: self.only.or_else(|| base.only.clone()),
            ignore: self.ignore.or_else(|| base.ignore.clone()),
            allow_fallbacks: self.allow_fallbacks.or(base.allow_fallbacks),
            require_parameters: self.require_parameters.or(base.require_parameters),
            sort: self.sort.or(base.sort),
            max_price: self.max_price.or_else(|| base.max_price.clone()),
            data_collection: self.data_collection.or(base.data_collection),
            zdr: self.zdr.or(base.zdr),
            quantizations: self.quantizations.or_else(|| base.quantizations.clone()),
            max_latency: self.max_latency.or(base.max_latency),
            preferred_max_latency: self.preferred_max_latency.or(base.preferred_max_latency),
            preferred_min_throughput: self.preferred_min_throughput.or(base.preferred_min_throughput),
        }
    }

    /// The providers that are named, each with the field that names it.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lists = [("order", &self.order), ("only", &self.only), ("ignore", &self.ignore)];
        lists
            .into_iter()
            .flat_map(|(field, list)| list.iter().flatten().map(move |name| (field, name.as_str())))
    }

    /// Why a deployment may not answer a prompt of so many tokens; `None` where it may.
    pub fn refuses(&self, it: &Offered<'_>, prompt_tokens: u64) -> Option<Why> {
        let preference = self
            .provider_refuses(it)
            .or_else(|| self.policy_refuses(it.tags))
            .or_else(|| self.max_price.as_ref().and_then(|most| most.refuses(it.price, prompt_tokens)))?;
        Some(Why::Preference { preference })
    }

    fn provider_refuses(&self, it: &Offered<'_>) -> Option<Preference> {
        let is_in = |list: &Option<Vec<String>>| {
            let list = list.as_deref().filter(|list| !list.is_empty())?;
            Some(list.iter().any(|name| it.is_called(name)))
        };
        if is_in(&self.only) == Some(false) {
            return Some(Preference::Only);
        }
        if is_in(&self.ignore) == Some(true) {
            return Some(Preference::Ignore);
        }
        let alone = self.allow_fallbacks == Some(false) && is_in(&self.order) == Some(false);
        alone.then_some(Preference::Order)
    }

    /// What is demanded of the treatment of data, and of the model's form.
    fn policy_refuses(&self, tags: &Tags) -> Option<Preference> {
        if self.zdr == Some(true) && tags.zdr != Some(true) {
            return Some(Preference::Zdr);
        }
        if self.data_collection == Some(DataCollection::Deny) && !tags.collects_nothing() {
            return Some(Preference::DataCollection);
        }
        let taken = self.quantizations.as_ref().filter(|taken| !taken.is_empty())?;
        let served = tags.quantization.unwrap_or(Quantization::Unknown);
        (!taken.contains(&served)).then_some(Preference::Quantizations)
    }

    /// Whether `order` names anybody.
    pub(crate) fn lists_an_order(&self) -> bool {
        self.order.as_ref().is_some_and(|order| !order.is_empty())
    }

    /// Whether deployments are put in an order at all.
    pub fn is_ordered(&self) -> bool {
        self.lists_an_order()
            || self.sort.is_some()
            || self.preferred_max_latency.is_some()
            || self.preferred_min_throughput.is_some()
    }

    /// Where a deployment stands among the others.
    pub fn rank(&self, it: &Offered<'_>, pace: &Pace) -> Rank {
        let order = self.order.as_deref().unwrap_or_default();
        let known = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        Rank {
            listed: order.iter().position(|name| it.is_called(name)).unwrap_or(order.len()),
            slow: self.is_slow(pace),
            value: match self.sort.map(|sort| sort.by) {
                None => 0.0,
                Some(Sort::Price) => known(pace.cost),
                Some(Sort::Throughput) => known(pace.tokens_per_s.map(|rate| -rate)),
                Some(Sort::Latency) => known(pace.ttft_ms),
            },
        }
    }

    /// Whether a deployment is known to be slower than preferred.
    fn is_slow(&self, pace: &Pace) -> bool {
        let late = self.preferred_max_latency.is_some_and(|most| most.is_exceeded(pace));
        let least = self.preferred_min_throughput.and_then(|least| least.p50);
        late || least.zip(pace.tokens_per_s).is_some_and(|(least, is)| is < f64::from(least))
    }
}

impl Cutoffs {
    /// Whether first tokens are known to take more seconds. Only what is measured is compared: what is usual with the
    /// cut-off of half the answers, the 95th percentile with the higher ones.
    pub(crate) fn is_exceeded(&self, pace: &Pace) -> bool {
        let over = |bound: Option<f32>, ms: Option<f64>| {
            bound.zip(ms).is_some_and(|(bound, ms)| ms / 1000.0 > f64::from(bound))
        };
        over(self.p50, pace.ttft_ms) || over(self.p90.or(self.p99).or(self.p75), pace.p95_ttft_ms)
    }
}

impl MaxPrice {
    fn refuses(&self, price: Option<&Price>, prompt_tokens: u64) -> Option<Preference> {
        if self.prompt.is_none() && self.completion.is_none() && self.request.is_none() {
            return None;
        }
        let Some(price) = price else { return Some(Preference::UnknownPrice) };
        let rates = price.rates_for(prompt_tokens);
        let charged = [
            (self.prompt, rates.input.price(), Preference::PromptPrice),
            (self.completion, rates.output.price(), Preference::CompletionPrice),
            (self.request, price.per_request, Preference::RequestPrice),
        ];
        let dear = |(most, is, _): &(Option<Dollars>, _, _)| most.is_some_and(|most| *is > most.0);
        charged.into_iter().find(dear).map(|(_, _, preference)| preference)
    }
}

impl Offered<'_> {
    /// Whether a request means this deployment, or its provider, by a name. `provider/region` and
    /// `provider/quantization` mean those deployments of a provider alone.
    pub fn is_called(&self, name: &str) -> bool {
        let is_provider = |name: &str| {
            same(self.provider, name) || self.provider_aliases.iter().any(|alias| same(alias, name))
        };
        if is_provider(name) || same(self.provider_name, name) || same(self.name, name) {
            return true;
        }
        let Some((provider, part)) = name.split_once('/') else { return false };
        let quantization = self.tags.quantization.is_some_and(|it| same(read::word(it), part));
        let region = self.tags.region.as_deref().is_some_and(|region| same(region, part));
        is_provider(provider) && (quantization || region)
    }
}
