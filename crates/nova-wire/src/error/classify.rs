//! Puts status, headers and words together.

use serde_json::Value;

use super::envelope::{self, Said};
use super::rules::{CLIENT_CODES, LONG_QUOTA_CODES, RULES};
use super::{ErrorClass, UpstreamError, delay, words};
use crate::dialect::Dialect;

/// How long a quota that is exhausted for the day is left alone at least, in milliseconds.
const LONG_QUOTA_MS: u64 = 3_600_000;

/// What kind of failure an answer of a provider is.
///
/// `header` looks a response header up by its lower-case name; `body` may be cut at any length.
/// With a status of 2xx the headers say nothing about waiting: providers send `retry-after` with
/// successes too.
pub fn classify<'h>(
    upstream: Dialect,
    status: u16,
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
) -> UpstreamError {
    let success = (200..300).contains(&status);
    let mut said = match envelope::read(body) {
        Some(said) => said,
        None if success => return garbage(status, "the provider answered with an empty body"),
        None => Said::default(),
    };
    let unreadable = said.codes.is_empty() && said.base_resp.is_none() && said.status.is_none();
    if success && unreadable && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return garbage(status, &said.message);
    }
    if let Some(kind) = header("x-amzn-errortype") {
        // AWS may append a namespace: `ThrottlingException:http://internal.amazon.com/…`.
        let kind = kind.split(':').next().unwrap_or_default();
        said.codes.push(kind.to_ascii_lowercase());
        said.kind.get_or_insert_with(|| words::cut(kind, 200).to_owned());
    }
    let mut error = judge(upstream, status, said);
    if !success {
        error.retry_after_ms = match (delay::from_headers(error.class, &header), error.retry_after_ms) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
    error
}

/// The failure that a JSON value holds which came with a success: a body, or an event of a stream.
pub fn in_success(upstream: Dialect, value: &Value) -> Option<UpstreamError> {
    envelope::is_error(value).then(|| judge(upstream, 200, envelope::from_json(value)))
}

fn garbage(status: u16, message: &str) -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Garbage,
        status,
        message: words::safe(message),
        code: None,
        retry_after_ms: None,
    }
}

fn judge(upstream: Dialect, status: u16, said: Said) -> UpstreamError {
    let class = class_of(status, &said);
    let Said { message, codes, code, kind, retry_ms, long_quota, .. } = said;
    let long = class == ErrorClass::Rate
        && (long_quota || codes.iter().any(|code| LONG_QUOTA_CODES.contains(&code.as_str())));
    let retry_after_ms = if long { Some(retry_ms.unwrap_or(0).max(LONG_QUOTA_MS)) } else { retry_ms };
    // Messages has types only; elsewhere the code is the more exact word.
    let code = if upstream == Dialect::Messages { kind.or(code) } else { code.or(kind) };
    let message =
        if message.is_empty() { format!("the provider answered with status {status}") } else { message };
    UpstreamError {
        class,
        status,
        message: words::safe(&message),
        code: code.map(|code| words::safe(&code)),
        retry_after_ms,
    }
}

fn class_of(status: u16, said: &Said) -> ErrorClass {
    let message = said.message.to_lowercase();
    let by_words = RULES.iter().find(|rule| {
        said.codes.iter().any(|code| rule.codes.contains(&code.as_str()))
            || said.base_resp.is_some_and(|code| rule.base_resp.contains(&code))
            || rule.texts.iter().any(|text| text.iter().all(|fragment| message.contains(fragment)))
    });
    if let Some(rule) = by_words {
        return rule.class;
    }
    // Inside a success the body's own status counts.
    let status = if status < 400 { said.status.unwrap_or(status) } else { status };
    let client = said.codes.iter().any(|code| CLIENT_CODES.contains(&code.as_str()));
    match status {
        401 | 403 => ErrorClass::Auth,
        402 => ErrorClass::Balance,
        404 => ErrorClass::Model,
        408 => ErrorClass::Server,
        413 => ErrorClass::Context,
        429 => ErrorClass::Rate,
        // 498 is Groq's "no capacity for flex", 529 Anthropic's overload.
        498 | 503 | 529 => ErrorClass::Overloaded,
        400..500 => ErrorClass::BadRequest,
        _ if status < 400 && client => ErrorClass::BadRequest,
        _ => ErrorClass::Server,
    }
}
