//! Token usage, in one meaning, whatever the provider's names and sums.
//!
//! Providers disagree on whether cached tokens stand inside the prompt count (OpenAI: yes,
//! Anthropic: no) and whether reasoning stands inside the output count (xAI chat: no). Readers of a
//! dialect resolve that once; everything behind them sees this type.

use serde::{Deserialize, Serialize};

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

const fn min(a: u64, b: u64) -> u64 {
    if a < b { a } else { b }
}
