//! The object around an answer's items.
//!
//! OpenAI's SDKs demand most of its keys, so each is there in every answer and in every event that holds
//! the object: those that the request gave, with the request's value, all others with the API's default.

use serde_json::{Map, Value, json};

use crate::error::ErrorView;
use crate::splice::quoted;
use crate::translate::ReplyContext;
use crate::usage::Usage;

/// What is the same in every object of one answer, as JSON.
#[derive(Debug)]
pub(super) struct Envelope {
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// What changes while an answer is made.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    pub(super) status: &'static str,
    /// The items so far, as JSON with commas between them.
    pub(super) output: &'a [u8],
    pub(super) usage: Option<Usage>,
    /// Why the answer is incomplete.
    pub(super) incomplete: Option<&'static str>,
    /// Why it failed: code and message.
    pub(super) error: Option<(&'a str, &'a str)>,
}

impl Envelope {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        let mut head = format!(
            "{{\"id\":\"resp_{}\",\"object\":\"response\",\"created_at\":{},\"model\":",
            ctx.id, ctx.created
        )
        .into_bytes();
        head.extend_from_slice(&quoted(&ctx.model));
        let fields = Value::Object(repeated(&ctx.echo)).to_string();
        // The fields go behind others, without their opening brace.
        let tail = [b",", &fields.as_bytes()[1..]].concat();
        Self { head, tail }
    }

    /// Appends the object.
    pub(super) fn write(&self, state: &State<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(format!(",\"status\":\"{}\",\"error\":", state.status).as_bytes());
        let error = state.error.map(|(code, message)| json!({"code": code, "message": message}));
        out.extend_from_slice(error.unwrap_or_default().to_string().as_bytes());
        let details = state.incomplete.map(|reason| json!({ "reason": reason })).unwrap_or_default();
        out.extend_from_slice(format!(",\"incomplete_details\":{details},\"output\":[").as_bytes());
        out.extend_from_slice(state.output);
        let usage = state.usage.as_ref().map(usage_json).unwrap_or_default();
        out.extend_from_slice(format!("],\"usage\":{usage}").as_bytes());
        out.extend_from_slice(&self.tail);
    }
}

/// The field that an `error` event holds, and the code in it.
///
/// OpenAI's own servers nest the error, and its SDKs raise on that; Codex reads the answer behind it.
pub(super) fn error_json<'a>(view: &ErrorView<'a>) -> (String, &'a str) {
    let code = view.openai_code.unwrap_or(view.openai_type);
    let error = json!({
        "type": view.openai_type,
        "code": code,
        "message": view.message,
        "param": view.param,
    });
    (format!("\"error\":{error}"), code)
}

/// The end of a stream that fails before its writer began, or that was passed through: an `error` event
/// with this number, and `response.failed`.
pub(crate) fn failed(view: &ErrorView<'_>, number: u64) -> Vec<u8> {
    let (error, code) = error_json(view);
    let mut response = Map::new();
    response.insert("id".to_owned(), format!("resp_{}", view.request_id).into());
    response.insert("object".to_owned(), "response".into());
    response.insert("created_at".to_owned(), 0.into());
    response.insert("model".to_owned(), "".into());
    response.insert("status".to_owned(), "failed".into());
    response.insert("error".to_owned(), json!({"code": code, "message": view.message}));
    response.insert("incomplete_details".to_owned(), Value::Null);
    response.insert("output".to_owned(), json!([]));
    response.insert("usage".to_owned(), Value::Null);
    response.extend(repeated(&Map::new()));
    let response = Value::Object(response);
    let next = number + 1;
    format!(
        "event: error\ndata: {{\"type\":\"error\",\"sequence_number\":{number},{error}}}\n\n\
         event: response.failed\n\
         data: {{\"type\":\"response.failed\",\"sequence_number\":{next},\"response\":{response}}}\n\n"
    )
    .into_bytes()
}

/// The fields of the request, and defaults for those that it left out.
fn repeated(echo: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, default) in [
        ("background", json!(false)),
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("safety_identifier", Value::Null),
        ("service_tier", json!("default")),
        // Whoever keeps answers says so in the echo.
        ("store", json!(false)),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("top_p", json!(1.0)),
        ("truncation", json!("disabled")),
        ("user", Value::Null),
    ] {
        let value = match (echo.get(name), default) {
            (Some(Value::Object(given)), Value::Object(mut all)) => {
                all.extend(given.clone());
                Value::Object(all)
            }
            (Some(given), _) => given.clone(),
            (None, default) => default,
        };
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// OpenAI's counts, in which the prompt includes the cache.
pub(super) fn usage_json(usage: &Usage) -> Value {
    let mut json = json!({
        "input_tokens": usage.prompt(),
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total(),
    });
    if usage.cache_write > 0 {
        json["input_tokens_details"]["cache_write_tokens"] = usage.cache_write.into();
    }
    json
}
