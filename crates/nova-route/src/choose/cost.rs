//! What a request should cost.

use nova_catalog::{NanoUsd, Price, Usage};
use serde::Serialize;

use crate::facts::Facts;
use crate::world::{Estimate, Signals};

/// An expected cost and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Prompt tokens that the provider will read anew.
    pub input_tokens: u64,
    /// Prompt tokens that its cache should hold.
    pub cached_tokens: u64,
    /// Tokens of the answer, reasoning included, on average.
    pub output_tokens: u64,
    /// The price of all that at this hour, in nano-dollars.
    #[serde(rename = "nano_usd", serialize_with = "nanos")]
    pub total: NanoUsd,
}

impl Cost {
    /// In US dollars; exact up to some millions.
    pub fn usd(&self) -> f64 {
        self.total.nanos() as f64 / 1e9
    }
}

fn nanos<S: serde::Serializer>(money: &NanoUsd, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(money.nanos())
}

/// What a request should cost at a price: its prompt, less what the cache holds, and an answer of the
/// expected length, which is at most what the request allows.
pub(crate) fn expected(price: &Price, facts: &Facts<'_>, signals: &Signals, estimate: &Estimate) -> Cost {
    // No answer has more than 2^53 tokens; what is negative or not a number becomes 0.
    let output = estimate.output_tokens.ceil() as u64;
    let output_tokens = facts.max_tokens.map_or(output, |most| output.min(most));
    let cached_tokens = signals.cached_tokens.min(facts.prompt_tokens);
    let input_tokens = facts.prompt_tokens - cached_tokens;
    let usage =
        Usage { input: input_tokens, cache_read: cached_tokens, output: output_tokens, ..Usage::default() };
    let total = price.cost(&usage, facts.now_ms.unwrap_or_default());
    Cost { input_tokens, cached_tokens, output_tokens, total }
}
