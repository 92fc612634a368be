//! Whole answers: read leniently, written strictly, or only looked at where they pass through.

use serde_json::Value;

use super::envelope::{Envelope, State};
use super::glance::Glance;
use super::hosted::Hosted;
use super::item::{self, Called, Form, Ids};
use super::{failure, finish, free_text, parallel, text};
use crate::chat::{garbage, message};
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::reply::{Citation, Finish, Reply, ReplyPart};
use crate::hub::request::{Mark, ToolCall};
use crate::quirks::Quirks;
use crate::translate::{Meter, ReplyContext};
use crate::usage;

#[cfg(test)]
mod tests;

/// Reads an answer that came with a status of 2xx. No quirk known so far bears on it.
///
/// # Errors
/// Where it reports a failure all the same, or is no Responses answer.
pub fn read(body: &[u8], _quirks: &Quirks) -> Result<Reply, UpstreamError> {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Err(error::classify(Dialect::Responses, 200, |_| None, body));
    };
    from_json(&answer)
}

/// Reads an answer that is JSON already.
pub(super) fn from_json(answer: &Value) -> Result<Reply, UpstreamError> {
    if let Some(failure) = failure(answer) {
        return Err(failure);
    }
    let Some(Value::Array(items)) = answer.get("output") else {
        return Err(garbage("the provider's answer has no `output`"));
    };
    let mut said = 0;
    let parts: Vec<ReplyPart> = items.iter().flat_map(|item| item_parts(item, &mut said)).collect();
    let has_calls = parts.iter().any(|part| matches!(part, ReplyPart::ToolCall(_)));
    Ok(Reply {
        finish: finish(text(answer, "status"), reason(answer), has_calls).unwrap_or_default(),
        usage: answer.get("usage").and_then(usage::from_responses),
        model: answer.get("model").and_then(Value::as_str).map(str::to_owned),
        parts,
    })
}

/// Why an answer is incomplete.
pub(super) fn reason(answer: &Value) -> Option<&str> {
    answer.pointer("/incomplete_details/reason")?.as_str()
}

/// What an item says. Items of the provider's own tools say nothing to anybody else, but for an image.
/// `said` counts the characters of all text.
pub(super) fn item_parts(item: &Value, said: &mut usize) -> Vec<ReplyPart> {
    match text(item, "type") {
        "message" => {
            let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
            parts.flat_map(|part| content_parts(part, said)).collect()
        }
        "reasoning" => thought(item).into_iter().collect(),
        "function_call" | "custom_tool_call" => {
            let call = call(item);
            let calls = parallel::unwrap(&call).unwrap_or_else(|| vec![call]);
            calls.into_iter().map(ReplyPart::ToolCall).collect()
        }
        "image_generation_call" => item::made_image(item).map(ReplyPart::Image).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A part of a message, and the pages that it cites.
fn content_parts(part: &Value, said: &mut usize) -> Vec<ReplyPart> {
    let whole = |field: &str| Some(text(part, field).to_owned()).filter(|text| !text.is_empty());
    match text(part, "type") {
        "output_text" | "text" => {
            let from = *said;
            *said += text(part, "text").chars().count();
            let cited = citations(part, from).map(ReplyPart::Citation);
            whole("text").map(ReplyPart::Text).into_iter().chain(cited).collect()
        }
        "refusal" => whole("refusal").map(ReplyPart::Refusal).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The pages that a text cites, which begins at this character of all.
pub(super) fn citations(part: &Value, from: usize) -> impl Iterator<Item = Citation> {
    let annotations = part.get("annotations").and_then(Value::as_array).into_iter().flatten();
    annotations.filter_map(move |annotation| citation(annotation, from))
}

/// A cited page.
pub(super) fn citation(annotation: &Value, from: usize) -> Option<Citation> {
    let read = (text(annotation, "type") == "url_citation").then(|| message::citation(annotation))??;
    Some(Citation { span: read.span.map(|(start, end)| (start + from, end + from)), ..read })
}

/// A thought: of its text and its summary, the first that says something.
fn thought(item: &Value) -> Option<ReplyPart> {
    let said = |field: &str, between: &str| {
        let parts = item.get(field).and_then(Value::as_array)?;
        let texts: Vec<&str> = parts.iter().map(|part| text(part, "text")).collect();
        (!texts.is_empty()).then(|| texts.join(between))
    };
    let spoken = said("content", "").filter(|text| !text.is_empty()).or_else(|| said("summary", "\n\n"));
    let encrypted = Some(text(item, "encrypted_content")).filter(|data| !data.is_empty());
    match (spoken, encrypted.map(str::to_owned)) {
        (Some(text), signature) if !text.is_empty() || signature.is_some() => {
            Some(ReplyPart::Thinking { text, signature })
        }
        (_, Some(data)) => Some(ReplyPart::RedactedThinking { data }),
        (_, None) => None,
    }
}

/// The call of a `function_call` or `custom_tool_call` item.
pub(super) fn call(item: &Value) -> ToolCall {
    let custom = text(item, "type") == "custom_tool_call";
    let arguments = match item.get("arguments") {
        _ if custom => free_text::wrapped(text(item, "input")),
        Some(Value::String(arguments)) => arguments.clone(),
        Some(fields @ Value::Object(_)) => fields.to_string(),
        _ => String::new(),
    };
    ToolCall {
        id: call_id(item).to_owned(),
        name: text(item, "name").to_owned(),
        arguments,
        mark: mark(item),
    }
}

pub(super) fn call_id(item: &Value) -> &str {
    match text(item, "call_id") {
        "" => text(item, "id"),
        id => id,
    }
}

pub(super) fn mark(item: &Value) -> Mark {
    Mark {
        namespace: item.get("namespace").and_then(Value::as_str).map(str::to_owned),
        custom: text(item, "type") == "custom_tool_call",
        signature: None,
    }
}

/// Writes an answer.
pub fn write(reply: &Reply, ctx: &ReplyContext) -> Vec<u8> {
    let cut = matches!(reply.finish, Finish::Length | Finish::Filter);
    let mut items = Items { ids: Ids::new(ctx), offered: Hosted::offered(&ctx.echo), list: Vec::new(), cut };
    let mut content = Vec::new();
    let (mut said, mut from) = (0, 0);
    for (at, part) in reply.parts.iter().enumerate() {
        match part {
            ReplyPart::Text(text) => {
                from = said;
                said += text.chars().count();
                content.push(item::text_part(text));
            }
            ReplyPart::Citation(citation) => cite(&mut content, &item::annotation(citation, from)),
            ReplyPart::Refusal(text) => content.push(item::refusal_part(text)),
            other => {
                items.message(std::mem::take(&mut content), false);
                items.push(other, at + 1 == reply.parts.len());
            }
        }
    }
    items.message(content, true);
    let list: Vec<String> = items.list.iter().map(Value::to_string).collect();
    let (status, incomplete) = status(&reply.finish);
    let mut out = Vec::new();
    Envelope::new(ctx).write(
        &State { status, output: list.join(",").as_bytes(), usage: reply.usage, incomplete, error: None },
        &mut out,
    );
    out
}

/// Puts a citation to the text before it.
fn cite(content: &mut [Value], annotation: &Value) {
    let part = content.last_mut().and_then(|part| part.get_mut("annotations"));
    if let Some(Value::Array(all)) = part {
        all.push(annotation.clone());
    }
}

/// The status of an answer that ended so, and why it is incomplete.
pub(super) const fn status(finish: &Finish) -> (&'static str, Option<&'static str>) {
    match finish {
        // A failure is reported as an error before it comes here; if not, the answer is incomplete.
        Finish::Length | Finish::Failed(_) => ("incomplete", Some("max_output_tokens")),
        Finish::Filter => ("incomplete", Some("content_filter")),
        Finish::Unsaid | Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Pause => {
            ("completed", None)
        }
    }
}

/// The output of a whole answer.
struct Items {
    ids: Ids,
    offered: Vec<Hosted>,
    list: Vec<Value>,
    /// Whether the answer was cut, so that its last item is incomplete.
    cut: bool,
}

impl Items {
    fn message(&mut self, content: Vec<Value>, last: bool) {
        if !content.is_empty() {
            let id = self.ids.item("msg", self.list.len());
            let status = if last && self.cut { "incomplete" } else { "completed" };
            self.list.push(item::message_item(&id, &content, status));
        }
    }

    fn push(&mut self, part: &ReplyPart, last: bool) {
        let at = self.list.len();
        match part {
            ReplyPart::Thinking { text, signature } => {
                let id = self.ids.item("rs", at);
                self.list.push(item::reasoning(&id, Some(text), signature.as_deref()));
            }
            ReplyPart::RedactedThinking { data } => {
                self.list.push(item::reasoning(&self.ids.item("rs", at), None, Some(data)));
            }
            ReplyPart::ToolCall(call) => self.call(call, last && self.cut),
            ReplyPart::Image(image) => self.list.push(item::image(&self.ids.item("ig", at), image)),
            ReplyPart::Text(_) | ReplyPart::Refusal(_) | ReplyPart::Citation(_) => {}
        }
    }

    fn call(&mut self, call: &ToolCall, cut: bool) {
        if let Some(signature) = &call.mark.signature {
            let data = format!("{}{signature}", super::CALL_SIGNATURE);
            self.list.push(item::reasoning(&self.ids.item("rs", self.list.len()), None, Some(&data)));
        }
        let at = self.list.len();
        let form = Form::of(&call.name, &call.mark, &self.offered);
        let called = Called {
            id: self.ids.item(form.prefix(), at),
            call_id: self.ids.call(&call.id, at),
            name: call.name.clone(),
            namespace: call.mark.namespace.clone(),
        };
        let whole = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok();
        let status = if cut && !whole { "incomplete" } else { "completed" };
        let arguments = match call.arguments.as_str() {
            "" if status == "completed" => "{}",
            arguments => arguments,
        };
        let hosted = match form {
            Form::Hosted(hosted) => hosted.item(&called.id, &called.call_id, arguments, status),
            Form::Function | Form::Custom => None,
        };
        self.list.push(hosted.unwrap_or_else(|| {
            let custom = form == Form::Custom;
            let content = if custom { free_text::whole(&call.arguments) } else { arguments.to_owned() };
            called.item(custom, &content, status)
        }));
    }
}

/// Reads what the meter needs of an answer that is passed through, without a tree of its content.
///
/// # Errors
/// The answer reports a failure, is no JSON, or has no output.
pub fn meter(body: &[u8]) -> Result<Meter, UpstreamError> {
    let glance = Glance::read(body).unwrap_or_default();
    if glance.suspicious || !glance.has_output {
        // The few answers that may be failures are read again as a whole.
        read(body, &Quirks::default())?;
    }
    let mut meter = Meter::default();
    glance.count(&mut meter);
    meter.output_bytes = glance.output_bytes;
    meter.content_started = glance.output_bytes > 0;
    Ok(meter)
}

/// What the provider says that a whole answer cost, in US dollars.
pub(crate) fn cost_usd(body: &[u8]) -> Option<f64> {
    usage::cost_usd(&Glance::read(body).ok()?.usage?)
}
