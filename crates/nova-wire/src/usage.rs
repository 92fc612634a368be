//! Token usage, in one meaning, whatever the provider's names and sums.
//!
//! Providers disagree on whether cached tokens stand inside the prompt count (OpenAI: yes,
//! Anthropic: no) and whether reasoning stands inside the output count (xAI chat: no). Readers of a
//! dialect resolve that once; everything behind them sees this type.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(test)]
mod tests;

/// The tokens of one answer. Every token is counted in exactly one of the first four fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a provider's prompt cache.
    pub input: u64,
    /// Prompt tokens that were read from the cache.
    pub cache_read: u64,
    /// Prompt tokens that were written to the cache.
    pub cache_write: u64,
    /// Completion tokens, reasoning included.
    pub output: u64,
    /// The part of `output` that was reasoning. Never more than `output`.
    pub reasoning: u64,
}

impl Usage {
    /// From counts in which the prompt *includes* what was cached (the OpenAI meaning).
    ///
    /// A provider that reports more cached tokens than prompt tokens contradicts itself; the prompt
    /// then wins, so that no sum is negative and nobody is charged twice.
    pub const fn from_inclusive(
        prompt: u64,
        cache_read: u64,
        cache_write: u64,
        output: u64,
        reasoning: u64,
    ) -> Self {
        let cache_read = min(cache_read, prompt);
        let cache_write = min(cache_write, prompt - cache_read);
        Self {
            input: prompt - cache_read - cache_write,
            cache_read,
            cache_write,
            output,
            reasoning: min(reasoning, output),
        }
    }

    /// All prompt tokens, cached or not.
    pub const fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// Prompt and completion tokens together.
    pub const fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }
}

/// The tokens in a chat answer's `usage`; `None` where it counts nothing, as in a `usage: null`.
///
/// Prompt counts include what was cached, under any of the names in use (OpenAI, DeepSeek, DashScope,
/// Moonshot, Mistral, OpenRouter). xAI leaves reasoning out of `completion_tokens`: `outside` is
/// [`crate::Quirks::reasoning_outside_output`], and where it does not say, the total shows it.
pub fn from_chat(usage: &Value, outside: Option<bool>) -> Option<Usage> {
    let prompt = number(usage, &["prompt_tokens", "input_tokens"]);
    let completion = number(usage, &["completion_tokens", "output_tokens"]);
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let (prompt, completion) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    let none = Value::Null;
    let details = usage.get("prompt_tokens_details").unwrap_or(&none);
    let read = number(details, &["cached_tokens"]).or_else(|| number(usage, CACHE_READ)).unwrap_or(0);
    let written = number(details, CACHE_WRITE).or_else(|| number(usage, CACHE_WRITE)).unwrap_or(0);
    let reasoning = usage
        .get("completion_tokens_details")
        .and_then(|details| number(details, &["reasoning_tokens"]))
        .or_else(|| number(usage, &["reasoning_tokens"]))
        .unwrap_or(0);
    let outside = outside.unwrap_or_else(|| {
        let all = prompt.saturating_add(completion).saturating_add(reasoning);
        reasoning > 0 && number(usage, &["total_tokens"]) == Some(all)
    });
    let output = if outside { completion.saturating_add(reasoning) } else { completion };
    Some(Usage::from_inclusive(prompt, read, written, output, reasoning))
}

/// The tokens in a Messages `usage`, over `before` (what an earlier event of the same answer said).
///
/// Input counts exclude the cache. A later event replaces what it names and leaves the rest: Kimi's and
/// DashScope's first event counts the cache into the input, and only the last one has the right split.
pub fn from_messages(usage: &Value, before: Option<Usage>) -> Option<Usage> {
    let fields = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    if fields.iter().all(|field| number(usage, &[field]).is_none()) {
        return before;
    }
    let old = before.unwrap_or_default();
    let output = number(usage, &["output_tokens"]).unwrap_or(old.output);
    let reasoning = usage
        .get("output_tokens_details")
        .and_then(|details| number(details, &["thinking_tokens", "reasoning_tokens"]))
        .unwrap_or(old.reasoning);
    Some(Usage {
        input: number(usage, &["input_tokens"]).unwrap_or(old.input),
        cache_read: number(usage, &["cache_read_input_tokens"]).unwrap_or(old.cache_read),
        cache_write: number(usage, &["cache_creation_input_tokens"]).unwrap_or(old.cache_write),
        output,
        reasoning: min(reasoning, output),
    })
}

/// The tokens in a Responses answer's `usage`; `None` where it counts nothing.
///
/// Input counts include the cache, and output counts the reasoning, for every provider seen so far.
pub fn from_responses(usage: &Value) -> Option<Usage> {
    let input = number(usage, &["input_tokens", "prompt_tokens"]);
    let output = number(usage, &["output_tokens", "completion_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let none = Value::Null;
    let details = usage.get("input_tokens_details").unwrap_or(&none);
    let read = number(details, &["cached_tokens"]).unwrap_or(0);
    let written = number(details, CACHE_WRITE).unwrap_or(0);
    let details = usage.get("output_tokens_details").unwrap_or(&none);
    let reasoning = number(details, &["reasoning_tokens"]).unwrap_or(0);
    Some(Usage::from_inclusive(input.unwrap_or(0), read, written, output.unwrap_or(0), reasoning))
}

/// What the provider says that the answer cost, in US dollars (OpenRouter's `cost`, Perplexity's
/// `cost.total_cost`, xAI's `cost_in_usd_ticks` of 10⁻¹⁰ dollars).
pub fn cost_usd(usage: &Value) -> Option<f64> {
    let cost = usage.get("cost");
    cost.and_then(Value::as_f64)
        .or_else(|| cost?.get("total_cost")?.as_f64())
        .or_else(|| Some(usage.get("cost_in_usd_ticks")?.as_f64()? / 1e10))
        .filter(|cost| cost.is_finite() && *cost >= 0.0)
}

const CACHE_READ: &[&str] =
    &["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"];
const CACHE_WRITE: &[&str] = &["cache_creation_input_tokens", "cache_write_tokens", "cache_creation_tokens"];

/// The first of these fields that holds a count.
fn number(value: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| {
        let number = value.get(name)?;
        // Some servers count in floats. The cast saturates, and negative becomes zero.
        number.as_u64().or_else(|| number.as_f64().map(|float| float as u64))
    })
}

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
