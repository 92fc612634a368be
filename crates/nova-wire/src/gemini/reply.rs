//! Whole answers. One is read as a stream of a single chunk, so that both are read alike.

use serde_json::{Map, Value, json};

use super::stream::Reader;
use super::{armoured, counts, finish_reason, garbage, object};
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish, Image, Reply, ReplyPart};
use crate::hub::request::ToolCall;
use crate::quirks::Quirks;
use crate::translate::ReplyContext;

#[cfg(test)]
pub(super) mod tests;

/// Reads an answer that came with a status of 2xx.
///
/// # Errors
/// Where it reports a failure all the same, ended for a fault of the provider, or is no answer.
pub fn read(body: &[u8], quirks: &Quirks) -> Result<Reply, UpstreamError> {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Err(error::classify(Dialect::Gemini, 200, |_| None, body));
    };
    let mut deltas = Vec::new();
    let mut reader = Reader::new(quirks);
    if reader.values(&answer, &mut deltas).is_err() {
        return Err(garbage("the provider's answer is no JSON object"));
    }
    reader.end(&mut deltas);
    let mut reply = Reply::default();
    for delta in deltas {
        add(&mut reply, delta)?;
    }
    if reply.parts.is_empty() && reply.finish == Finish::Unsaid {
        return Err(garbage("the provider's answer has no candidate in it"));
    }
    for (at, part) in reply.parts.iter_mut().enumerate() {
        if let ReplyPart::ToolCall(call) = part
            && call.id.is_empty()
        {
            call.id = format!("call_{at}");
        }
    }
    Ok(reply)
}

/// Puts a delta into the answer that it is a piece of.
fn add(reply: &mut Reply, delta: Delta) -> Result<(), UpstreamError> {
    match (delta, reply.parts.last_mut()) {
        (Delta::Error(error), _) => return Err(error),
        (Delta::Start { model, .. }, _) => reply.model = model,
        (Delta::Usage(usage), _) => reply.usage = Some(usage),
        (Delta::Finish(finish), _) => reply.finish = finish,
        (Delta::Text(text), Some(ReplyPart::Text(all))) => all.push_str(&text),
        (Delta::Text(text), _) => reply.parts.push(ReplyPart::Text(text)),
        (Delta::Refusal(text), _) => reply.parts.push(ReplyPart::Refusal(text)),
        (Delta::Thinking(text), Some(ReplyPart::Thinking { text: all, signature: None })) => {
            all.push_str(&text);
        }
        (Delta::Thinking(text), _) => reply.parts.push(ReplyPart::Thinking { text, signature: None }),
        (Delta::Signature(made), Some(ReplyPart::Thinking { signature: place @ None, .. })) => {
            *place = Some(made);
        }
        (Delta::Signature(made), _) => {
            reply.parts.push(ReplyPart::Thinking { text: String::new(), signature: Some(made) });
        }
        (Delta::Citation(citation), _) => reply.parts.push(ReplyPart::Citation(*citation)),
        (Delta::Image(image), _) => reply.parts.push(ReplyPart::Image(image)),
        (Delta::ToolStart { id, name, mark, .. }, _) => {
            reply.parts.push(ReplyPart::ToolCall(ToolCall { id, name, arguments: String::new(), mark }));
        }
        // A call is whole before the next one begins.
        (Delta::ToolArguments { json, .. }, Some(ReplyPart::ToolCall(call))) => {
            call.arguments.push_str(&json)
        }
        (
            Delta::ToolArguments { .. }
            | Delta::ToolEnd { .. }
            | Delta::RedactedThinking(_)
            | Delta::Ping
            | Delta::End,
            _,
        ) => {}
    }
    Ok(())
}

/// Writes an answer.
pub fn write(reply: &Reply, ctx: &ReplyContext) -> Vec<u8> {
    let mut parts = Vec::with_capacity(reply.parts.len());
    let mut refused = false;
    let mut cited = Vec::new();
    for part in &reply.parts {
        match part {
            ReplyPart::Thinking { text, signature } if ctx.want_thinking => {
                parts.push(thought(text, signature.as_deref()));
            }
            ReplyPart::Thinking { .. } | ReplyPart::RedactedThinking { .. } => {}
            ReplyPart::Text(text) | ReplyPart::Refusal(text) => {
                refused |= matches!(part, ReplyPart::Refusal(_));
                parts.push(json!({ "text": text }));
            }
            ReplyPart::ToolCall(call) => parts.extend(function_call(call, &reply.finish)),
            ReplyPart::Citation(citation) => cited.push(chunk_of(citation)),
            ReplyPart::Image(image) => parts.push(inline(image)),
        }
    }
    let mut content = Map::new();
    if !parts.is_empty() {
        content.insert("parts".to_owned(), Value::Array(parts));
    }
    content.insert("role".to_owned(), json!("model"));
    let finish = told(&reply.finish, refused);
    let mut answer = json!({
        "candidates": [{ "content": content, "finishReason": finish_reason(&finish), "index": 0 }],
    });
    if !cited.is_empty() {
        answer["candidates"][0]["groundingMetadata"] = json!({ "groundingChunks": cited });
    }
    if let Some(usage) = &reply.usage {
        answer["usageMetadata"] = counts::write(usage);
    }
    answer["modelVersion"] = json!(ctx.model);
    answer["responseId"] = json!(ctx.id);
    // Strings, numbers and lists of them always serialise.
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// The finish that the client is told: a refusal ends nothing else than that.
pub(super) fn told(finish: &Finish, refused: bool) -> Finish {
    match finish {
        Finish::Stop | Finish::Unsaid if refused => Finish::Filter,
        other => other.clone(),
    }
}

/// A cited page as one of `groundingChunks`. Which words it stands for Google counts in bytes of parts, which
/// another dialect's characters cannot be turned into any more.
pub(super) fn chunk_of(citation: &Citation) -> Value {
    json!({ "web": { "uri": citation.url, "title": citation.title } })
}

/// An image as a part.
pub(super) fn inline(image: &Image) -> Value {
    json!({ "inlineData": { "mimeType": image.media_type, "data": image.data } })
}

/// A thought as a part.
pub(super) fn thought(text: &str, signature: Option<&str>) -> Value {
    let mut part = json!({ "text": text, "thought": true });
    if let Some(signature) = signature {
        part["thoughtSignature"] = json!(armoured(signature));
    }
    part
}

/// A call as a part. `None` for one that was cut off by the token limit: half of a call must not be
/// carried out.
pub(super) fn function_call(call: &ToolCall, finish: &Finish) -> Option<Value> {
    let json = call.arguments.trim();
    // Some models write an object twice, or words behind it; the first whole value counts.
    let first = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
    let args = match first {
        Some(Ok(Value::Object(fields))) => fields,
        Some(Err(_)) | None if *finish == Finish::Length => return None,
        Some(Ok(_) | Err(_)) | None => object(json),
    };
    let mut part = json!({ "functionCall": { "id": call.id, "name": call.name, "args": args } });
    if let Some(signature) = &call.mark.signature {
        part["thoughtSignature"] = json!(armoured(signature));
    }
    Some(part)
}
