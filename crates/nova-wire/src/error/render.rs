//! Errors in the client's dialect.
//!
//! Sources: OpenAI's error object; Anthropic's "Errors" page, whose SDKs read `error.type`; Google's
//! `google.rpc.Status` and its table of codes.

use bytes::Bytes;
use serde::Serialize;

use super::ErrorView;
use crate::dialect::Dialect;
use crate::responses;
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

#[derive(Serialize)]
struct GoogleBody<'a> {
    error: GoogleError<'a>,
}

#[derive(Serialize)]
struct GoogleError<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
    details: [&'a str; 0],
}

/// The error as a response body in the client's dialect.
pub fn body(client: Dialect, view: &ErrorView<'_>) -> Vec<u8> {
    match client {
        Dialect::Chat | Dialect::Responses | Dialect::Converse => json(&openai(view)),
        Dialect::Messages => json(&anthropic(view)),
        Dialect::Gemini => json(&google(view)),
    }
}

/// The error as the last event of a stream in the client's dialect.
///
/// A chat stream gets no `[DONE]` after it: OpenAI's clients raise on the `error` key, and an end mark
/// would make the answer look whole to anyone else.
///
/// A Responses stream gets it as an `error` event, which OpenAI's SDKs raise on, and in the failed answer
/// behind it, which Codex reads.
///
/// A Gemini stream gets it twice. Google's SDKs raise on an event that holds `error`, and so do readers of
/// events in general; but the older SDK for JavaScript, which Gemini CLI brings along, takes such an event
/// for an empty answer and the stream for a whole one. It raises on the bare object behind it.
pub fn event(client: Dialect, view: &ErrorView<'_>) -> Bytes {
    let mut out = Vec::with_capacity(256);
    match client {
        Dialect::Chat | Dialect::Converse => sse::write(&mut out, None, &openai(view)),
        Dialect::Responses => out = responses::failed(view, 0),
        Dialect::Messages => sse::write(&mut out, Some("error"), &anthropic(view)),
        Dialect::Gemini => {
            let bare = json(&google(view));
            for piece in [b"data: ", &bare[..], b"\r\n\r\n", &bare[..], b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
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

const fn google<'a>(view: &ErrorView<'a>) -> GoogleBody<'a> {
    // An error inside a stream has the status of no response; Google's SDKs raise from 400 on.
    let code = if view.status < 400 { 500 } else { view.status };
    let status = match code {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=499 => "INVALID_ARGUMENT",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    GoogleBody { error: GoogleError { code, message: view.message, status, details: [] } }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Strings and options of strings always serialise.
    serde_json::to_vec(value).unwrap_or_default()
}
