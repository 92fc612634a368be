//! Whole answers.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Map, Value, json};

use super::request::arguments;
use super::{finish, garbage, stop_reason, text};
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::past;
use crate::hub::reply::{Citation, Finish, Image, Reply, ReplyPart};
use crate::hub::request::ToolCall;
use crate::ids;
use crate::quirks::Quirks;
use crate::translate::ReplyContext;
use crate::usage::{self, Usage};

#[cfg(test)]
mod tests;

/// Reads an answer that came with a status of 2xx. No quirk known so far bears on it.
///
/// # Errors
/// Where it reports a failure all the same, or is no Messages answer.
pub fn read(body: &[u8], _quirks: &Quirks) -> Result<Reply, UpstreamError> {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Err(error::classify(Dialect::Messages, 200, |_| None, body));
    };
    from_json(&answer)
}

/// Reads an answer that is JSON already.
pub(super) fn from_json(answer: &Value) -> Result<Reply, UpstreamError> {
    if let Some(error) = error::in_success(Dialect::Messages, answer) {
        return Err(error);
    }
    let mut parts = Vec::new();
    match answer.get("content") {
        Some(Value::Array(blocks)) => {
            let mut said = 0;
            for block in blocks {
                parts.extend(read_block(block));
                let length = text(block, "text").chars().count();
                parts.extend(citations(block, said..said + length).map(ReplyPart::Citation));
                said += length;
            }
        }
        Some(Value::String(text)) if !text.is_empty() => parts.push(ReplyPart::Text(text.clone())),
        Some(Value::Null | Value::String(_)) => {}
        _ => return Err(garbage("the provider's answer has no `content`")),
    }
    let sequence = answer.get("stop_sequence").and_then(Value::as_str);
    let finish = finish(text(answer, "stop_reason"), sequence).unwrap_or_default();
    if let (Finish::Filter, Some(why)) = (&finish, explanation(answer)) {
        parts.push(ReplyPart::Refusal(why.to_owned()));
    }
    Ok(Reply {
        parts,
        finish,
        usage: answer.get("usage").and_then(|usage| usage::from_messages(usage, None)),
        model: answer.get("model").and_then(Value::as_str).map(str::to_owned),
    })
}

/// Why the provider refused, as it says itself.
pub(super) fn explanation(object: &Value) -> Option<&str> {
    object.pointer("/stop_details/explanation")?.as_str().filter(|why| !why.is_empty())
}

/// What the provider's own tools did (`server_tool_use` and their results, compactions) is no call of
/// the client's tools, and nothing else in the hub either.
fn read_block(block: &Value) -> Option<ReplyPart> {
    match text(block, "type") {
        "text" => Some(ReplyPart::Text(text(block, "text").to_owned()))
            .filter(|part| *part != ReplyPart::Text(String::new())),
        "thinking" => Some(ReplyPart::Thinking {
            text: text(block, "thinking").to_owned(),
            signature: Some(text(block, "signature").to_owned()).filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Some(ReplyPart::RedactedThinking { data: text(block, "data").to_owned() }),
        "tool_use" => Some(ReplyPart::ToolCall(ToolCall {
            id: text(block, "id").to_owned(),
            name: ids::from_word(text(block, "name")).into_owned(),
            arguments: block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
            ..ToolCall::default()
        })),
        _ => None,
    }
}

/// The pages that a block of text cites; the block is what they stand for.
fn citations(block: &Value, span: Range<usize>) -> impl Iterator<Item = Citation> {
    let list = block.get("citations").and_then(Value::as_array);
    let cited = list.into_iter().flatten().filter_map(citation);
    cited.map(move |citation| Citation { span: placed(&span), ..citation })
}

/// What stretch of text a citation stands for, unless there is none.
pub(super) fn placed(span: &Range<usize>) -> Option<(usize, usize)> {
    (!span.is_empty()).then_some((span.start, span.end))
}

/// A page that was cited. What is cited of the client's own documents has no address.
pub(super) fn citation(citation: &Value) -> Option<Citation> {
    let mut addresses = ["url", "source"].into_iter().map(|field| text(citation, field));
    let url = addresses.find(|url| url.contains("://"))?;
    Some(Citation {
        url: url.to_owned(),
        title: text(citation, "title").to_owned(),
        quote: Some(text(citation, "cited_text").to_owned()).filter(|quote| !quote.is_empty()),
        span: None,
    })
}

/// A cited page as clients of this dialect read it. The index is the gateway's mark: Anthropic, who would miss
/// its own there, is not sent the citation again.
pub(super) fn web_location(citation: &Citation) -> Value {
    json!({
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.quote.as_deref().unwrap_or_default(),
        "encrypted_index": past::tag("", ""),
    })
}

/// Writes an answer. No content is `content: []`, which is legal and happens.
pub fn write(reply: &Reply, ctx: &ReplyContext) -> Vec<u8> {
    let mut names = CallIds::new(ctx);
    let mut content = Vec::with_capacity(reply.parts.len());
    let (mut has_calls, mut refused) = (false, false);
    for part in &reply.parts {
        match part {
            ReplyPart::Thinking { text, signature } if ctx.want_thinking => {
                let signature = signature.as_deref().unwrap_or_default();
                content.push(json!({ "type": "thinking", "thinking": text, "signature": signature }));
            }
            ReplyPart::RedactedThinking { data } if ctx.want_thinking => {
                content.push(json!({ "type": "redacted_thinking", "data": data }));
            }
            ReplyPart::Thinking { .. } | ReplyPart::RedactedThinking { .. } => {}
            ReplyPart::Text(text) | ReplyPart::Refusal(text) => {
                refused |= matches!(part, ReplyPart::Refusal(_));
                if !text.is_empty() {
                    content.push(json!({ "type": "text", "text": text }));
                }
            }
            ReplyPart::Citation(citation) => cite(&mut content, citation),
            ReplyPart::Image(_) => content.push(json!({ "type": "text", "text": Image::UNSHOWN })),
            ReplyPart::ToolCall(call) => {
                let Some(input) = input(call, &reply.finish) else { continue };
                has_calls = true;
                content.push(json!({
                    "type": "tool_use",
                    "id": names.word(&call.id),
                    "name": call.name,
                    "input": input,
                }));
            }
        }
    }
    let finish = told(&reply.finish, refused);
    let (reason, sequence) = stop_reason(&finish, has_calls);
    let usage = reply.usage.unwrap_or(Usage { input: ctx.prompt_estimate, ..Usage::default() });
    let answer = json!({
        "id": format!("msg_{}", ctx.id),
        "type": "message",
        "role": "assistant",
        "model": ctx.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_json(&usage),
    });
    // Strings, numbers and lists of them always serialise.
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// Puts a citation to the text before it.
fn cite(content: &mut [Value], citation: &Citation) {
    let Some(block) = content.last_mut().filter(|block| block["type"] == "text") else { return };
    match block.get_mut("citations").and_then(Value::as_array_mut) {
        Some(all) => all.push(web_location(citation)),
        None => block["citations"] = json!([web_location(citation)]),
    }
}

/// The finish that the client is told: a refusal ends nothing else than that.
pub(super) fn told(finish: &Finish, refused: bool) -> Finish {
    match finish {
        Finish::Stop | Finish::Unsaid if refused => Finish::Filter,
        other => other.clone(),
    }
}

/// The arguments of a call. `None` for a call that was cut off by the token limit: half of a call must
/// not be carried out.
fn input(call: &ToolCall, finish: &Finish) -> Option<Value> {
    let json = call.arguments.trim();
    // Some models write an object twice, or words behind it; the first whole value counts.
    let first = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
    match first {
        Some(Ok(Value::Object(fields))) => Some(Value::Object(fields)),
        Some(Err(_)) | None if *finish == Finish::Length => None,
        Some(Ok(_) | Err(_)) | None => Some(arguments(json)),
    }
}

/// The counts in Anthropic's meaning: the input excludes the cache.
pub(super) fn usage_json(usage: &Usage) -> Value {
    let mut fields = Map::new();
    fields.insert("input_tokens".to_owned(), json!(usage.input));
    fields.insert("cache_creation_input_tokens".to_owned(), json!(usage.cache_write));
    fields.insert("cache_read_input_tokens".to_owned(), json!(usage.cache_read));
    fields.insert("output_tokens".to_owned(), json!(usage.output));
    if usage.reasoning > 0 {
        fields.insert("output_tokens_details".to_owned(), json!({ "thinking_tokens": usage.reasoning }));
    }
    Value::Object(fields)
}

/// Ids of the calls of one answer: in letters that every client takes, and each one once.
#[derive(Debug)]
pub(super) struct CallIds {
    answer: String,
    used: HashSet<String>,
}

impl CallIds {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        Self { answer: ctx.id.clone(), used: HashSet::new() }
    }

    pub(super) fn word(&mut self, id: &str) -> String {
        let word = match id {
            "" => format!("toolu_{}_{}", self.answer, self.used.len()),
            id => ids::to_word(id).into_owned(),
        };
        let mut unique = word.clone();
        let mut count = 2;
        while !self.used.insert(unique.clone()) {
            unique = format!("{word}_{count}");
            count += 1;
        }
        unique
    }
}
