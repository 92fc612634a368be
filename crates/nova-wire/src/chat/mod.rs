//! OpenAI Chat Completions: request, reply and stream, to and from the hub.
//!
//! Reading is lenient, because "OpenAI-compatible" is not one format: hardly any two of the measured
//! providers agree on role repetition, usage, tool deltas, the name of the reasoning field, or the end
//! mark. Writing is strict: what OpenAI's own SDKs expect, and nothing else.
//!
//! Reading order: [`request`], [`reply`], then [`stream`] (reader, writer, observer). What a whole
//! answer and a stream share stands here.

pub mod reply;
pub mod request;
pub mod stream;

pub(crate) mod message;
mod think;

use serde_json::Value;

use crate::dialect::Dialect;
use crate::error::{self, ErrorClass, UpstreamError};
use crate::hub::reply::Finish;

/// What a `finish_reason` means. `None` where it says nothing (`null`, `""`).
///
/// Two fields beside it in the choice say more: vLLM's `stop_reason` names the stop sequence, and
/// OpenRouter's `native_finish_reason` tells when calls were cut at the limit.
pub(crate) fn finish(reason: &str, choice: &Value) -> Option<Finish> {
    let native = choice.get("native_finish_reason").and_then(Value::as_str);
    if matches!(native, Some("max_output_tokens" | "max_tokens" | "length" | "MAX_TOKENS")) {
        return Some(Finish::Length);
    }
    Some(match reason {
        "" | "null" => return None,
        "stop" => match text(choice, "stop_reason") {
            Some(sequence) => Finish::StopSequence(Some(sequence.to_owned())),
            None => Finish::Stop,
        },
        "stop_sequence" => Finish::StopSequence(None),
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "sensitive" | "safety" | "refusal" | "SAFETY" | "MODEL_ARMOR" => Finish::Filter,
        "error" | "insufficient_system_resource" | "network_error" | "abort" => {
            Finish::Failed(reason.to_owned())
        }
        // `eos`, `end_turn`, `COMPLETE` and whatever comes next: the provider says that it is over.
        _ => Finish::Stop,
    })
}

/// The failure that an answer with status 200 reports, if it reports one.
///
/// An `error` field, MiniMax's `base_resp` with a code other than 0, Mistral's `object: "error"`, or a
/// code and a message where an answer should be (Doubleword).
pub(crate) fn failure(answer: &Value, raw: &[u8]) -> Option<UpstreamError> {
    let says_error = match answer.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    };
    let base = answer.pointer("/base_resp/status_code").and_then(Value::as_i64).unwrap_or(0);
    let is_error = answer.get("object").and_then(Value::as_str) == Some("error");
    let bare =
        answer.get("choices").is_none() && answer.get("code").is_some() && answer.get("message").is_some();
    (says_error || base != 0 || is_error || bare).then(|| error::classify(Dialect::Chat, 200, |_| None, raw))
}

/// The failure that a finish such as DeepSeek's `insufficient_system_resource` is.
pub(crate) fn broken(word: &str) -> UpstreamError {
    let class =
        if word == "insufficient_system_resource" { ErrorClass::Overloaded } else { ErrorClass::Server };
    UpstreamError {
        class,
        status: 200,
        message: format!("the provider ended the answer with `{word}`"),
        code: Some(word.to_owned()),
        retry_after_ms: None,
    }
}

/// An answer that is no answer.
pub(crate) fn garbage(message: &str) -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Garbage,
        status: 200,
        message: message.to_owned(),
        code: None,
        retry_after_ms: None,
    }
}

/// A text field that is there and not empty.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !text.is_empty())
}
