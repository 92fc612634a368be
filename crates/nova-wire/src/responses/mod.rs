//! OpenAI Responses: request, reply and stream, to and from the hub.
//!
//! Reading takes what Codex and OpenAI's SDKs send, and what xAI, DeepSeek, OpenRouter, Bedrock and local
//! servers answer: item ids that change from event to event, arguments that come only at their end,
//! streams without `event:` lines. Writing keeps to the grammar that OpenAI's own SDKs insist on.
//!
//! Reading order: [`request`], [`reply`], then [`stream`] (reader, writer, observer). `item` holds the
//! shapes of output items and `envelope` those of the object around them, for whole answers and streams
//! alike; `hosted` bridges the tools that OpenAI defines and the client runs, `free_text` the ones that
//! take no JSON, and `parallel` a wrapper that models leak.
//!
//! A thought is always shown, since the dialect has items for it that no client takes for the answer. It
//! is written as a summary, not as `reasoning_text`: Codex shows only summaries, and sends only
//! them back, which the models of DeepSeek and Moonshot insist on. A provider's signature over it is
//! `encrypted_content`; an item that has nothing else is [`RedactedThinking`].
//!
//! Sources: OpenAI's API reference (create, streaming events), the requests of Codex 0.169, and recorded
//! answers of nine providers.
//!
//! [`RedactedThinking`]: crate::hub::request::Part::RedactedThinking

mod envelope;
mod free_text;
mod glance;
#[cfg(test)]
pub(crate) mod grammar;
mod hosted;
mod item;
mod parallel;
pub mod reply;
pub mod request;
pub mod stream;
#[cfg(test)]
mod support;

use serde_json::Value;

pub(crate) use envelope::failed;

use crate::dialect::Dialect;
use crate::error::{self, ErrorClass, UpstreamError};
use crate::hub::reply::Finish;

/// The beginning of an `encrypted_content` that is the signature of the call behind it. No provider's tag
/// looks like it, because a provider has a name.
const CALL_SIGNATURE: &str = "ns1..";

/// Why an answer with this `status` ended. `None` where it has not, or does not say.
fn finish(status: &str, reason: Option<&str>, has_calls: bool) -> Option<Finish> {
    Some(match status {
        "completed" if has_calls => Finish::ToolCalls,
        "completed" => Finish::Stop,
        "incomplete" if reason == Some("content_filter") => Finish::Filter,
        "incomplete" => Finish::Length,
        "failed" | "cancelled" => Finish::Failed(status.to_owned()),
        _ => return None,
    })
}

/// The failure that a whole answer, or the answer inside of an event, reports.
fn failure(answer: &Value) -> Option<UpstreamError> {
    let status = answer.get("status").and_then(Value::as_str);
    match (error::in_success(Dialect::Responses, answer), status) {
        (Some(error), _) => Some(error),
        (None, Some(word @ ("failed" | "cancelled"))) => Some(UpstreamError {
            class: ErrorClass::Server,
            status: 200,
            message: format!("the provider ended the answer with `{word}`"),
            code: Some(word.to_owned()),
            retry_after_ms: None,
        }),
        _ => None,
    }
}

/// A text field; empty where it is missing.
fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
