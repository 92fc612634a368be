//! Finds the words in an error body, whatever envelope the provider chose.
//!
//! Seen so far: an `error` object with string or number codes (OpenAI, OpenRouter), an `error` that is
//! a string (xAI, Venice), no `error` at all (Mistral, Cohere, Doubleword, Bedrock), FastAPI's
//! `detail`, MiniMax's `base_resp`, an array around the object (Gemini's OpenAI mount), an error inside
//! `metadata.raw` (OpenRouter), HTML, plain text, and nothing.

use serde_json::{Map, Value};

use super::{MAX_MESSAGE, delay, words};

/// How deep an error may be wrapped in others.
const MAX_WRAPS: u8 = 4;

/// What a provider said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The words for a person, not yet masked.
    pub(super) message: String,
    /// Codes, types, reasons, in lower case: `rate_limit_error`, `1113`, `api_key_invalid`.
    pub(super) codes: Vec<String>,
    /// The first of the codes and of the types, as spelled; Anthropic only has types.
    pub(super) code: Option<String>,
    pub(super) kind: Option<String>,
    /// MiniMax's number, from a space of its own.
    pub(super) base_resp: Option<i64>,
    /// The HTTP status that the body names, where it stands in a success.
    pub(super) status: Option<u16>,
    /// How long to wait, as the body says.
    pub(super) retry_ms: Option<u64>,
    /// Whether a quota is exhausted that comes back after hours, not seconds.
    pub(super) long_quota: bool,
}

/// Reads a whole body. `None` if it holds nothing that looks like words.
pub(super) fn read(body: &[u8]) -> Option<Said> {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return Some(from_json(&value));
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let message = match salvage(text) {
        Some(message) => message,
        None if text.starts_with('<') => title(text).to_owned(),
        None => words::cut(text, MAX_MESSAGE).to_owned(),
    };
    let mut said = Said { message, ..Said::default() };
    said.retry_ms = delay::in_text(&said.message);
    Some(said)
}

/// Reads a body that is JSON.
pub(super) fn from_json(value: &Value) -> Said {
    let mut said = Said::default();
    collect(value, &mut said, 0);
    if said.retry_ms.is_none() {
        said.retry_ms = delay::in_text(&said.message);
    }
    said
}

/// Whether a JSON value that came with a success is an error.
pub(super) fn is_error(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return value.as_array().and_then(|list| list.first()).is_some_and(is_error);
    };
    let error = match object.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(_) => true,
    };
    let named = |key: &str| object.get(key).and_then(Value::as_str) == Some("error");
    let has = |key: &str| object.contains_key(key);
    let answer = has("choices") || has("content") || has("output");
    error
        || named("type")
        || named("object")
        || base_resp(object).is_some_and(|code| code != 0)
        || (!answer && (has("detail") || (has("message") && has("code"))))
}

fn base_resp(object: &Map<String, Value>) -> Option<i64> {
    object.get("base_resp")?.get("status_code")?.as_i64()
}

fn collect(value: &Value, said: &mut Said, depth: u8) {
    if depth > MAX_WRAPS {
        return;
    }
    match value {
        Value::Object(object) => collect_object(object, said, depth),
        Value::Array(list) => {
            if let Some(first) = list.first() {
                collect(first, said, depth + 1);
            }
        }
        Value::String(text) => say(said, text),
        _ => {}
    }
}

fn collect_object(object: &Map<String, Value>, said: &mut Said, depth: u8) {
    if let Some(inner) = object.get("error").filter(|inner| !inner.is_null()) {
        collect(inner, said, depth + 1);
    }
    for key in ["code", "error_code"] {
        number_or_word(object.get(key), said, Slot::Code);
    }
    for key in ["type", "error_type", "status", "reason"] {
        number_or_word(object.get(key), said, Slot::Kind);
    }
    for key in ["status_code", "http_code", "raw_status_code", "http_status"] {
        if let Some(status) = object.get(key).and_then(as_status) {
            said.status.get_or_insert(status);
        }
    }
    for key in ["message", "msg", "error_msg", "error_message", "error_description", "title"] {
        if let Some(Value::String(text)) = object.get(key) {
            say(said, text);
            break;
        }
    }
    match object.get("detail") {
        Some(Value::String(text)) => say(said, text),
        Some(Value::Array(list)) => say(said, &validation(list)),
        Some(inner @ Value::Object(_)) => collect(inner, said, depth + 1),
        _ => {}
    }
    if let Some(Value::Array(details)) = object.get("details") {
        details.iter().take(16).for_each(|detail| google_detail(detail, said));
    }
    if let Some(Value::Object(inner)) = object.get("innererror") {
        number_or_word(inner.get("code"), said, Slot::Kind);
    }
    if let Some(raw) = object.get("metadata").and_then(|metadata| metadata.get("raw")) {
        wrapped(raw, said, depth);
    }
    if let Some(base) = object.get("base_resp") {
        said.base_resp = base.get("status_code").and_then(Value::as_i64);
        if let Some(text) = base.get("status_msg").and_then(Value::as_str) {
            say(said, text);
        }
        if said.code.is_none() {
            said.code = said.base_resp.map(|code| code.to_string());
        }
    }
    if said.message.is_empty()
        && let Some(first) = object.get("errors").and_then(|errors| errors.get(0))
    {
        collect(first, said, depth + 1);
    }
}

enum Slot {
    Code,
    Kind,
}

/// A code may be a word, a business number as text or as number, or an HTTP status.
fn number_or_word(value: Option<&Value>, said: &mut Said, slot: Slot) {
    let word = match value {
        Some(Value::String(word)) if !word.is_empty() && word.len() <= 200 => word.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return,
    };
    if let Some(status) = value.and_then(as_status) {
        said.status.get_or_insert(status);
        return;
    }
    if word == "error" {
        return;
    }
    said.codes.push(word.to_ascii_lowercase());
    let slot = match slot {
        Slot::Code => &mut said.code,
        Slot::Kind => &mut said.kind,
    };
    slot.get_or_insert(word);
}

/// A number (or its text) that can only be an HTTP error status.
fn as_status(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// Appends words that are not there yet.
fn say(said: &mut Said, text: &str) {
    let text = words::cut(text.trim(), MAX_MESSAGE);
    if text.is_empty() || said.message.contains(text) {
        return;
    }
    if !said.message.is_empty() {
        said.message.push_str(": ");
    }
    said.message.push_str(text);
}

/// FastAPI's list of `{loc, msg}`.
fn validation(list: &[Value]) -> String {
    let sentence = |item: &Value| {
        let place: Vec<String> = item.get("loc").and_then(Value::as_array).map_or_else(Vec::new, |loc| {
            loc.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned)).collect()
        });
        let message = item.get("msg").and_then(Value::as_str).unwrap_or_default();
        if place.is_empty() { message.to_owned() } else { format!("{}: {message}", place.join(".")) }
    };
    list.iter().take(8).map(sentence).collect::<Vec<_>>().join("; ")
}

/// `google.rpc` details: `ErrorInfo.reason`, `RetryInfo.retryDelay`, `QuotaFailure.violations`.
fn google_detail(detail: &Value, said: &mut Said) {
    number_or_word(detail.get("reason"), said, Slot::Kind);
    if let Some(wait) = detail.get("retryDelay").and_then(Value::as_str) {
        said.retry_ms = delay::duration_ms(wait);
    }
    let violations = detail.get("violations").and_then(Value::as_array);
    for violation in violations.into_iter().flatten().take(16) {
        let id = violation.get("quotaId").and_then(Value::as_str).unwrap_or_default();
        said.long_quota |= id.contains("PerDay");
    }
}

/// An error of a provider behind the provider, as JSON, as JSON in a string, or as words.
fn wrapped(raw: &Value, said: &mut Said, depth: u8) {
    let inner = raw.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    collect(inner.as_ref().filter(|value| value.is_object()).unwrap_or(raw), said, depth + 1);
}

/// The `message` of a JSON body that was cut off.
fn salvage(text: &str) -> Option<String> {
    let rest = text.starts_with('{').then(|| text.split_once("\"message\""))??.1;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = rest.find(|letter: char| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    });
    let literal = format!("\"{}\"", &rest[..end.unwrap_or(rest.len())]);
    serde_json::from_str(&literal).ok().or_else(|| Some(rest[..end?].to_owned()))
}

/// The title of an HTML page; the page itself tells nobody anything.
fn title(page: &str) -> &str {
    let inside = || {
        let (_, rest) = page.split_once("<title>").or_else(|| page.split_once("<TITLE>"))?;
        let end = rest.find("</")?;
        Some(words::cut(rest[..end].trim(), MAX_MESSAGE)).filter(|title| !title.is_empty())
    };
    inside().unwrap_or("the provider answered with an HTML page")
}
