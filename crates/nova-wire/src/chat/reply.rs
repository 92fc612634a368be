//! Whole chat answers: read leniently, written strictly, or only looked at where they pass through.

use serde_json::{Map, Value, json};

use crate::chat::{self, message, think};
use crate::error::UpstreamError;
use crate::hub::reply::{Citation, Finish, Reply, ReplyPart};
use crate::hub::request::ToolCall;
use crate::quirks::Quirks;
use crate::scan::{Kind, Scan, Scanner};
use crate::translate::{Meter, ReplyContext};
use crate::usage::{self, Usage};

#[cfg(test)]
mod tests;

/// Reads an answer (status 2xx).
///
/// # Errors
/// The answer reports a failure inside a success, is no JSON, or has no choice.
pub fn read(body: &[u8], quirks: &Quirks) -> Result<Reply, UpstreamError> {
    let answer: Value =
        serde_json::from_slice(body).map_err(|_| chat::garbage("the provider's answer is no JSON object"))?;
    if let Some(failure) = chat::failure(&answer, body) {
        return Err(failure);
    }
    let choice = answer
        .pointer("/choices/0")
        .filter(|choice| choice.is_object())
        .ok_or_else(|| chat::garbage("the provider's answer has no choice in it"))?;
    let reason = choice.get("finish_reason").and_then(Value::as_str);
    let finish = reason.and_then(|reason| chat::finish(reason, choice)).unwrap_or_default();
    if let Finish::Failed(word) = &finish {
        return Err(chat::broken(word));
    }
    let message = choice.get("message").unwrap_or(&Value::Null);
    // Azure's content filter leaves the message out; anything else without one is no answer.
    if !message.is_object() && finish == Finish::Unsaid {
        return Err(chat::garbage("the provider's answer has no message in it"));
    }
    let mut parts = parts(message, quirks);
    if !parts.iter().any(|part| matches!(part, ReplyPart::Citation(_))) {
        parts.extend(message::sources(&answer).into_iter().map(ReplyPart::Citation));
    }
    let calls = parts.iter().any(|part| matches!(part, ReplyPart::ToolCall(_)));
    Ok(Reply {
        parts,
        finish: if calls && matches!(finish, Finish::Stop | Finish::Unsaid) {
            Finish::ToolCalls
        } else {
            finish
        },
        usage: answer
            .get("usage")
            .or_else(|| choice.get("usage"))
            .and_then(|usage| usage::from_chat(usage, quirks.reasoning_outside_output)),
        model: chat::text(&answer, "model").map(str::to_owned),
    })
}

/// What the provider says that a whole answer cost, in US dollars.
pub(crate) fn cost_usd(body: &[u8]) -> Option<f64> {
    let mut glance = Glance::default();
    glance.read(body).ok()?;
    usage::cost_usd(&glance.usage?)
}

/// The pieces of a message: thinking, text, refusal, calls.
fn parts(message: &Value, quirks: &Quirks) -> Vec<ReplyPart> {
    let mut parts = Vec::new();
    let thought = message::thinking(message);
    if !thought.text.is_empty() || thought.signature.is_some() {
        parts.push(ReplyPart::Thinking { text: thought.text, signature: thought.signature });
    }
    let text = message::content(message);
    if quirks.think_tags == Some(true) {
        parts.extend(think::split(&text).into_iter().map(|piece| match piece {
            think::Piece::Thinking(text) => ReplyPart::Thinking { text, signature: None },
            think::Piece::Text(text) => ReplyPart::Text(text),
        }));
    } else if !text.is_empty() {
        parts.push(ReplyPart::Text(text));
    }
    parts.extend(message::citations(message).into_iter().map(ReplyPart::Citation));
    parts.extend(message::images(message).into_iter().map(ReplyPart::Image));
    if let Some(refusal) = chat::text(message, "refusal") {
        parts.push(ReplyPart::Refusal(refusal.to_owned()));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for (at, call) in calls.into_iter().flatten().enumerate() {
        let function = call.get("function").unwrap_or(&Value::Null);
        let id = chat::text(call, "id").map_or_else(|| format!("call_{at}"), str::to_owned);
        parts.extend(tool_call(id, function));
    }
    if let Some(function) = message.get("function_call") {
        parts.extend(tool_call("call_0".to_owned(), function));
    }
    parts
}

fn tool_call(id: String, function: &Value) -> Option<ReplyPart> {
    let name = chat::text(function, "name")?.to_owned();
    Some(ReplyPart::ToolCall(ToolCall {
        id,
        name,
        arguments: message::arguments(function),
        ..ToolCall::default()
    }))
}

/// Writes an answer.
pub fn write(reply: &Reply, ctx: &ReplyContext) -> Vec<u8> {
    let legacy = ctx.names.legacy_functions;
    let word = finish_word(&reply.finish, reply.parts.iter().any(is_call));
    let mut answer = json!({
        "id": format!("chatcmpl-{}", ctx.id),
        "object": "chat.completion",
        "created": ctx.created,
        "model": ctx.model,
        "system_fingerprint": "fp_novastack",
        "choices": [{
            "index": 0,
            "message": message(reply, ctx.want_thinking, legacy),
            "logprobs": null,
            "finish_reason": if legacy && word == "tool_calls" { "function_call" } else { word },
        }],
    });
    if let Some(usage) = &reply.usage {
        answer["usage"] = usage_json(usage);
    }
    answer.to_string().into_bytes()
}

fn is_call(part: &ReplyPart) -> bool {
    matches!(part, ReplyPart::ToolCall(_))
}

fn message(reply: &Reply, want_thinking: bool, legacy: bool) -> Value {
    let mut message = Map::new();
    let (mut content, mut refusal, mut thinking) = (String::new(), String::new(), String::new());
    let (mut calls, mut details) = (Vec::new(), Vec::new());
    let (mut annotations, mut images) = (Vec::new(), Vec::new());
    for part in &reply.parts {
        match part {
            ReplyPart::Text(text) => content.push_str(text),
            ReplyPart::Refusal(text) => refusal.push_str(text),
            ReplyPart::Thinking { text, signature } => {
                thinking.push_str(text);
                if let Some(signature) = signature {
                    details.push(json!({"type": "reasoning.text", "text": text, "signature": signature}));
                }
            }
            ReplyPart::RedactedThinking { .. } => {}
            ReplyPart::Citation(citation) => annotations.push(annotation(citation)),
            ReplyPart::Image(image) => images.push(message::image(image)),
            ReplyPart::ToolCall(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": whole_arguments(call, &reply.finish)},
            })),
        }
    }
    let absent = content.is_empty() && (!calls.is_empty() || !refusal.is_empty() || !images.is_empty());
    message.insert("role".into(), "assistant".into());
    message.insert("content".into(), if absent { Value::Null } else { content.into() });
    message.insert("refusal".into(), if refusal.is_empty() { Value::Null } else { refusal.into() });
    if want_thinking && !thinking.is_empty() {
        message.insert("reasoning_content".into(), thinking.into());
    }
    if want_thinking && !details.is_empty() {
        message.insert("reasoning_details".into(), details.into());
    }
    if !annotations.is_empty() {
        message.insert("annotations".into(), annotations.into());
    }
    if !images.is_empty() {
        message.insert("images".into(), images.into());
    }
    match calls.first_mut() {
        Some(first) if legacy => drop(message.insert("function_call".into(), first["function"].take())),
        Some(_) => drop(message.insert("tool_calls".into(), calls.into())),
        None => {}
    }
    Value::Object(message)
}

/// A cited page as an entry of `annotations`.
pub(crate) fn annotation(citation: &Citation) -> Value {
    json!({ "type": "url_citation", "url_citation": message::url_citation(citation) })
}

/// A call without arguments still gets an object, unless it was cut.
fn whole_arguments<'a>(call: &'a ToolCall, finish: &Finish) -> &'a str {
    if call.arguments.is_empty() && *finish != Finish::Length { "{}" } else { &call.arguments }
}

/// The `finish_reason` for a client.
pub(crate) const fn finish_word(finish: &Finish, calls: bool) -> &'static str {
    match finish {
        Finish::ToolCalls => "tool_calls",
        Finish::Unsaid if calls => "tool_calls",
        Finish::Unsaid | Finish::Stop | Finish::StopSequence(_) | Finish::Pause => "stop",
        // A failure is reported as an error before it comes here; if not, the answer is incomplete.
        Finish::Length | Finish::Failed(_) => "length",
        Finish::Filter => "content_filter",
    }
}

/// OpenAI's `usage`, in which prompt counts include the cache.
pub(crate) fn usage_json(usage: &Usage) -> Value {
    let mut json = json!({
        "prompt_tokens": usage.prompt(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    });
    if usage.cache_write > 0 {
        json["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write.into();
    }
    json
}

/// Reads what the meter needs of an answer that is passed through, without a tree of its content.
///
/// # Errors
/// The answer reports a failure, is no JSON, or has no choice.
pub fn meter(body: &[u8], quirks: &Quirks) -> Result<Meter, UpstreamError> {
    let mut glance = Glance::default();
    if glance.read(body).is_err() {
        return Err(chat::garbage("the provider's answer is no JSON object"));
    }
    // The few answers that may be failures are read again as a whole.
    if glance.suspicious || !glance.has_choice {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(error) = chat::failure(&answer, body) {
            return Err(error);
        }
    }
    if !glance.has_choice {
        return Err(chat::garbage("the provider's answer has no choice in it"));
    }
    let mut meter = glance.meter;
    if let Some(Finish::Failed(word)) = &meter.finish {
        return Err(chat::broken(word));
    }
    if let Some(usage) = glance.usage {
        meter.usage = usage::from_chat(&usage, quirks.reasoning_outside_output);
        meter.upstream_cost_usd = usage::cost_usd(&usage);
    }
    meter.content_started = meter.output_bytes > 0;
    Ok(meter)
}

/// What one pass over an answer finds.
#[derive(Default)]
struct Glance {
    meter: Meter,
    usage: Option<Value>,
    has_choice: bool,
    suspicious: bool,
}

impl Glance {
    fn read(&mut self, body: &[u8]) -> Scan<()> {
        let mut scan = Scanner::new(body)?;
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("model", Kind::String) => {
                self.meter.upstream_model = scan.string()?.decode().map(std::borrow::Cow::into_owned);
                Ok(())
            }
            ("usage", Kind::Object) => {
                let span = scan.skip()?;
                self.usage = serde_json::from_slice(&body[span]).ok();
                Ok(())
            }
            ("choices", Kind::Array) => scan.array(|scan, _| self.choice(scan, body)).map(drop),
            ("error" | "base_resp" | "object", kind) => {
                let span = scan.skip()?;
                let ordinary = kind == Kind::Null || body[span].starts_with(b"\"chat.completion");
                self.suspicious |= !ordinary;
                Ok(())
            }
            _ => scan.skip().map(drop),
        })?;
        scan.end()
    }

    fn choice(&mut self, scan: &mut Scanner<'_>, body: &[u8]) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        self.has_choice = true;
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("finish_reason", Kind::String) => {
                let reason = scan.string()?.decode().unwrap_or_default();
                self.meter.finish = self.meter.finish.take().or_else(|| chat::finish(&reason, &Value::Null));
                Ok(())
            }
            ("message", Kind::Object) => self.message(scan, body),
            _ => scan.skip().map(drop),
        })
        .map(drop)
    }

    fn message(&mut self, scan: &mut Scanner<'_>, body: &[u8]) -> Scan<()> {
        scan.object(|scan, key, _| {
            let kind = scan.kind()?;
            let span = scan.skip()?;
            let said = match (key, kind) {
                ("content" | "reasoning_content" | "reasoning" | "refusal", Kind::String) => span.len() - 2,
                ("content" | "tool_calls" | "images", Kind::Array) if body[span.clone()] != b"[]"[..] => {
                    span.len()
                }
                _ => 0,
            };
            self.meter.output_bytes += said as u64;
            Ok(())
        })
        .map(drop)
    }
}
