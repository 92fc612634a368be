//! Anthropic Messages: request, reply and stream, to and from the hub.
//!
//! Reading accepts what the compatible endpoints of DeepSeek, Moonshot, MiniMax, DashScope and Zhipu
//! send as well; writing keeps to the grammar that Anthropic's own SDKs insist on.
//!
//! Reading order: [`request`], [`reply`], then [`stream`] (reader, writer, observer); [`betas`] for hosts that take
//! the dialect in an envelope of their own. What several of
//! these modules share stands here.
//!
//! Sources: Anthropic's API reference (messages, streaming, errors, tool use, extended thinking), and
//! recorded answers.

use serde_json::Value;

use crate::error::{ErrorClass, UpstreamError};
use crate::hub::reply::Finish;

pub mod betas;
#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod grammar;
pub mod reply;
pub mod request;
pub mod stream;
#[cfg(test)]
mod support;

/// What a `stop_reason` means. `None` where it says nothing (`null`, `""`).
pub(crate) fn finish(reason: &str, sequence: Option<&str>) -> Option<Finish> {
    Some(match reason {
        "" => return None,
        "stop_sequence" => Finish::StopSequence(sequence.map(str::to_owned)),
        "max_tokens" | "model_context_window_exceeded" | "length" => Finish::Length,
        "tool_use" | "tool_calls" => Finish::ToolCalls,
        "refusal" | "content_filter" | "sensitive" => Finish::Filter,
        "pause_turn" => Finish::Pause,
        "error" | "network_error" => Finish::Failed(reason.to_owned()),
        // `end_turn`, `compaction`, and whatever comes next: the provider says that it is over.
        _ => Finish::Stop,
    })
}

/// The `stop_reason` and `stop_sequence` that a finish is. An answer with tool calls whose provider
/// merely says "stop" waits for their results all the same.
pub(crate) fn stop_reason(finish: &Finish, has_calls: bool) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Unsaid | Finish::Stop | Finish::Failed(_) if has_calls => ("tool_use", None),
        Finish::Unsaid | Finish::Stop | Finish::Failed(_) => ("end_turn", None),
        Finish::StopSequence(Some(sequence)) => ("stop_sequence", Some(sequence)),
        Finish::StopSequence(None) if has_calls => ("tool_use", None),
        Finish::StopSequence(None) => ("stop_sequence", None),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls if has_calls => ("tool_use", None),
        Finish::ToolCalls => ("end_turn", None),
        Finish::Filter => ("refusal", None),
        Finish::Pause => ("pause_turn", None),
    }
}

/// An answer that is no answer.
fn garbage(message: &str) -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Garbage,
        status: 200,
        message: message.to_owned(),
        code: None,
        retry_after_ms: None,
    }
}

/// A text field; empty where it is missing.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
