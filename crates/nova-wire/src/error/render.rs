//! Errors in the client's dialect.
//!
//! Sources: OpenAI's error object; Anthropic's "Errors" page, whose SDKs read `error.type`.

use bytes::Bytes;
use serde::Serialize;

use super::ErrorView;
use crate::dialect::Dialect;
use crate::sse;

#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: AnthropicError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

/// The error as a response body in the client's dialect.
pub fn body(client: Dialect, view: &ErrorView<'_>) -> Vec<u8> {
    match client {
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Converse => json(&openai(view)),
        Dialect::Messages => json(&anthropic(view)),
    }
}

/// The error as the last event of a stream in the client's dialect.
///
/// A chat stream gets no `[DONE]` after it: OpenAI's clients raise on the `error` key, and an end mark
/// would make the answer look whole to anyone else.
pub fn event(client: Dialect, view: &ErrorView<'_>) -> Bytes {
    let mut out = Vec::with_capacity(256);
    match client {
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Converse => {
            sse::write(&mut out, None, &openai(view))
        }
        Dialect::Messages => sse::write(&mut out, Some("error"), &anthropic(view)),
    }
    Bytes::from(out)
}

const fn openai<'a>(view: &ErrorView<'a>) -> OpenAiBody<'a> {
    OpenAiBody {
        error: OpenAiError {
            message: view.message,
            kind: view.openai_type,
            param: view.param,
            code: view.openai_code,
        },
    }
}

const fn anthropic<'a>(view: &ErrorView<'a>) -> AnthropicBody<'a> {
    AnthropicBody {
        kind: "error",
        error: AnthropicError { kind: view.anthropic_type, message: view.message },
        request_id: view.request_id,
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and options of strings always serialise.
    serde_json::to_vec(value).unwrap_or_default()
}
