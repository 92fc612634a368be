//! AWS Bedrock's Converse: requests out, answers and streams in. No client speaks it to us.
//!
//! Converse is Anthropic's Messages in other words, with the same rules of order, so [`request`] takes
//! what the writer of Messages makes and spells it anew. Streams come in AWS's binary frames, which
//! [`frames`] takes apart.
//!
//! Reading order: [`request`], [`reply`], [`frames`], [`stream`]. What an answer and a stream share
//! stands here.
//!
//! Sources: AWS, "Amazon Bedrock API reference" (Converse, ConverseStream), and recorded answers.

use serde_json::Value;

use crate::hub::reply::Finish;
use crate::usage::Usage;

pub mod frames;
pub mod reply;
pub mod request;
pub mod stream;

/// What a `stopReason` means.
fn finish(reason: &str) -> Option<Finish> {
    Some(match reason {
        "" => return None,
        "tool_use" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence(None),
        "guardrail_intervened" | "content_filtered" => Finish::Filter,
        "malformed_model_output" | "malformed_tool_use" => Finish::Failed(reason.to_owned()),
        // `end_turn` and whatever comes next: the provider says that it is over.
        _ => Finish::Stop,
    })
}

/// The tokens. As in Messages, input excludes what the cache read and wrote.
fn usage(usage: &Value) -> Option<Usage> {
    let number = |field: &str| usage.get(field).and_then(Value::as_u64);
    let (input, output) = (number("inputTokens"), number("outputTokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage {
        input: input.unwrap_or(0),
        cache_read: number("cacheReadInputTokens").unwrap_or(0),
        cache_write: number("cacheWriteInputTokens").unwrap_or(0),
        output: output.unwrap_or(0),
        reasoning: 0,
    })
}

/// A text field; empty where it is missing.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
