//! Token counts in Google's form and back.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::usage::Usage;

/// `usageMetadata`, as far as it counts tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Counts {
    prompt_token_count: Option<f64>,
    /// What a provider's own tools put into the prompt; it stands beside the prompt's count.
    tool_use_prompt_token_count: Option<f64>,
    cached_content_token_count: Option<f64>,
    candidates_token_count: Option<f64>,
    thoughts_token_count: Option<f64>,
}

impl Counts {
    /// The tokens; `None` where nothing is counted, as on chunks that only name the traffic's class.
    ///
    /// The prompt includes what was cached; the answer excludes the thoughts.
    pub(super) fn usage(self) -> Option<Usage> {
        if self.prompt_token_count.is_none() && self.candidates_token_count.is_none() {
            return None;
        }
        // The cast saturates, and negative becomes zero.
        let count = |number: Option<f64>| number.unwrap_or(0.0) as u64;
        let prompt = count(self.prompt_token_count).saturating_add(count(self.tool_use_prompt_token_count));
        let thoughts = count(self.thoughts_token_count);
        let output = count(self.candidates_token_count).saturating_add(thoughts);
        Some(Usage::from_inclusive(prompt, count(self.cached_content_token_count), 0, output, thoughts))
    }
}

/// The tokens in an answer's or a chunk's `usageMetadata`.
pub(super) fn read(answer: &Value) -> Option<Usage> {
    let counts = answer.get("usageMetadata")?;
    Counts::deserialize(counts).ok()?.usage()
}

/// `usageMetadata` for a client.
pub(super) fn write(usage: &Usage) -> Value {
    let mut fields = Map::new();
    fields.insert("promptTokenCount".to_owned(), json!(usage.prompt()));
    if usage.cache_read > 0 {
        fields.insert("cachedContentTokenCount".to_owned(), json!(usage.cache_read));
    }
    fields.insert("candidatesTokenCount".to_owned(), json!(usage.output.saturating_sub(usage.reasoning)));
    if usage.reasoning > 0 {
        fields.insert("thoughtsTokenCount".to_owned(), json!(usage.reasoning));
    }
    fields.insert("totalTokenCount".to_owned(), json!(usage.total()));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_in_their_meaning() {
        let check = |counts: Value, expected: Option<Usage>| {
            assert_eq!(read(&json!({ "usageMetadata": counts })), expected);
        };
        check(json!({"trafficType": "ON_DEMAND"}), None);
        check(json!({}), None);
        check(
            json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 3,
                "thoughtsTokenCount": 5, "toolUsePromptTokenCount": 2, "totalTokenCount": 20}),
            Some(Usage { input: 8, cache_read: 4, cache_write: 0, output: 8, reasoning: 5 }),
        );
        // A thinking model that ran into its limit has no candidates' count.
        check(
            json!({"promptTokenCount": 15, "thoughtsTokenCount": 2, "totalTokenCount": 17}),
            Some(Usage { input: 15, output: 2, reasoning: 2, ..Usage::default() }),
        );
        check(json!({"promptTokenCount": -3}), Some(Usage::default()));
    }

    #[test]
    fn counts_come_back_as_they_were_written() {
        let usage = Usage { input: 8, cache_read: 4, cache_write: 0, output: 8, reasoning: 5 };
        let written = write(&usage);
        assert_eq!(written["totalTokenCount"], 20);
        assert_eq!(read(&json!({ "usageMetadata": written })), Some(usage));
    }
}
