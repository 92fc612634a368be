//! Requests: what the writer of Messages makes, spelled anew.
//!
//! The rules of order are Anthropic's (results first and all of them, turns that alternate, ids that are
//! unique words), so its writer keeps them. What Messages says in its body and Converse has no field for
//! goes to `additionalModelRequestFields`, which the model itself reads. `model` and `stream` stand in
//! the path.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::text;
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Format, Request, Thinking};
use crate::messages::request::{body, drop_named};
use crate::quirks::{Images, JsonSchemaSupport, Quirks, ThinkingSwitch};
use crate::translate::Target;

/// What a tool answers that answered nothing: blank text is refused.
const NOTHING: &str = "[no output]";

/// What stands beside a document that came without a word: one must.
const BESIDE: &str = "See the document.";

/// Writes a body, and adds the client's names of what it cannot carry to `dropped`.
///
/// # Errors
/// Where the request asks for what the target cannot do at all and leaving it out would change its
/// meaning, such as an image that is not sent along.
pub fn write(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<u8>, BadRequest> {
    let effort = effort(request, target.quirks);
    let schema = schema(request, target.quirks);
    let inner = inner(target.quirks);
    let plain = simplified(request, effort.is_some(), schema.is_some(), dropped);
    let told = Target { quirks: &inner, ..*target };
    let mut said = body(plain.as_ref().unwrap_or(request), &told, dropped)?;
    let mut out = Map::new();
    let mut writer = Writer { dropped, offered: false, used: Vec::new() };
    out.insert("messages".to_owned(), writer.messages(said.remove("messages"))?);
    if let Some(system) = said.remove("system") {
        out.insert("system".to_owned(), writer.system(system)?);
    }
    out.insert("inferenceConfig".to_owned(), inference(&mut said));
    if let Some(tools) = writer.tools(said.remove("tools"), said.remove("tool_choice")) {
        out.insert("toolConfig".to_owned(), tools);
    }
    if let Some(schema) = schema {
        out.insert("outputConfig".to_owned(), schema);
    }
    let additional = additional(&mut said, effort);
    if !additional.is_empty() {
        out.insert("additionalModelRequestFields".to_owned(), Value::Object(additional));
    }
    for (name, value) in target.quirks.set.iter().flatten() {
        out.insert(name.clone(), value.clone());
    }
    serde_json::to_vec(&out).map_err(|_| unsupported(String::new(), "the request cannot be written as JSON"))
}

/// The quirks for the writer of Messages: what Converse itself cannot say is left out there.
fn inner(quirks: &Quirks) -> Quirks {
    let images = if quirks.images == Some(Images::None) { Images::None } else { Images::Data };
    let schema = quirks.json_schema.filter(|support| *support != JsonSchemaSupport::Native);
    Quirks {
        images: Some(images),
        mid_system: Some(false),
        cache_control: Some(quirks.cache_control == Some(true)),
        json_schema: Some(schema.unwrap_or(JsonSchemaSupport::Prompt)),
        parallel_tool_calls: Some(false),
        set: None,
        rename: None,
        omit: None,
        ..quirks.clone()
    }
}

/// The request without what Converse says in its own way, where there is such.
fn simplified(
    request: &Request,
    has_effort: bool,
    has_schema: bool,
    dropped: &mut Vec<String>,
) -> Option<Request> {
    if request.user.is_some() {
        drop_named(dropped, "user");
    }
    if !has_effort && !has_schema && request.user.is_none() {
        return None;
    }
    let mut plain = Request { user: None, ..request.clone() };
    if has_effort {
        plain.thinking = Thinking::Unsaid;
    }
    if has_schema {
        plain.format = Format::Text;
    }
    Some(plain)
}

/// The effort of models that take OpenAI's word for it.
fn effort(request: &Request, quirks: &Quirks) -> Option<String> {
    if quirks.thinking_switch != Some(ThinkingSwitch::Effort) {
        return None;
    }
    match &request.thinking {
        Thinking::Adaptive { effort: Some(effort) } => Some(effort.clone()),
        Thinking::Adaptive { effort: None } => Some("medium".to_owned()),
        Thinking::Budget(tokens) => Some(if *tokens < 4096 { "low" } else { "medium" }.to_owned()),
        Thinking::Off => Some("low".to_owned()),
        Thinking::Unsaid => None,
    }
}

/// The form of the answer, for models that Bedrock holds to it. The schema stands there as a text.
fn schema(request: &Request, quirks: &Quirks) -> Option<Value> {
    let Format::JsonSchema { name, schema, .. } = &request.format else { return None };
    let native = quirks.json_schema == Some(JsonSchemaSupport::Native);
    native.then(|| {
        let schema = json!({ "name": name, "schema": schema.to_string() });
        json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": schema } } })
    })
}

fn inference(said: &mut Map<String, Value>) -> Value {
    let names = [
        ("max_tokens", "maxTokens"),
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("stop_sequences", "stopSequences"),
    ];
    let fields = names.into_iter().filter_map(|(from, to)| Some((to.to_owned(), said.remove(from)?)));
    Value::Object(fields.collect())
}

/// What the model itself reads: thinking, and sampling that Converse has no field for.
fn additional(said: &mut Map<String, Value>, effort: Option<String>) -> Map<String, Value> {
    let mut fields = Map::new();
    for name in ["thinking", "output_config", "top_k"] {
        fields.extend(said.remove(name).map(|value| (name.to_owned(), value)));
    }
    fields.extend(effort.map(|effort| ("reasoning_effort".to_owned(), Value::String(effort))));
    fields
}

struct Writer<'a> {
    dropped: &'a mut Vec<String>,
    /// Whether tools are offered.
    offered: bool,
    /// The names of tools that were called in the conversation.
    used: Vec<String>,
}

impl Writer<'_> {
    fn messages(&mut self, messages: Option<Value>) -> Result<Value, BadRequest> {
        let Some(Value::Array(messages)) = messages else { return Ok(json!([])) };
        let mut out = Vec::with_capacity(messages.len());
        for (at, mut message) in messages.into_iter().enumerate() {
            let content = self.content(message["content"].take(), &format!("messages[{at}].content"))?;
            // All that it held was another provider's, so nobody said anything.
            if !content.is_empty() {
                out.push(json!({ "role": message["role"], "content": content }));
            }
        }
        Ok(Value::Array(out))
    }

    fn system(&mut self, system: Value) -> Result<Value, BadRequest> {
        Ok(Value::Array(self.content(system, "system")?))
    }

    /// The blocks of a message, of instructions, or of a tool's result.
    fn content(&mut self, content: Value, place: &str) -> Result<Vec<Value>, BadRequest> {
        let blocks = match content {
            Value::String(text) => return Ok(vec![json!({ "text": text })]),
            Value::Array(blocks) => blocks,
            _ => Vec::new(),
        };
        let mut out = Vec::with_capacity(blocks.len());
        for (at, mut block) in blocks.into_iter().enumerate() {
            let marked = block.get("cache_control").is_some();
            out.extend(self.block(&mut block, &format!("{place}[{at}]"))?);
            if marked {
                out.push(cache_point());
            }
        }
        let has = |field: &str| out.iter().any(|block| block.get(field).is_some());
        if has("document") && !has("text") && !has("toolUse") {
            out.insert(0, json!({ "text": BESIDE }));
        }
        Ok(out)
    }

    /// A block in Converse's words. `None` for what only Anthropic's own service understands.
    fn block(&mut self, block: &mut Value, place: &str) -> Result<Option<Value>, BadRequest> {
        Ok(Some(match text(block, "type") {
            "text" => json!({ "text": block["text"].take() }),
            "image" => json!({ "image": image(block, place)? }),
            "document" => json!({ "document": document(block, place)? }),
            "thinking" => {
                let mut thought = Map::new();
                thought.insert("text".to_owned(), block["thinking"].take());
                if !text(block, "signature").is_empty() {
                    thought.insert("signature".to_owned(), block["signature"].take());
                }
                json!({ "reasoningContent": { "reasoningText": thought } })
            }
            "redacted_thinking" => {
                json!({ "reasoningContent": { "redactedContent": block["data"].take() } })
            }
            "tool_use" => {
                let name = text(block, "name").to_owned();
                if !self.used.contains(&name) {
                    self.used.push(name.clone());
                }
                json!({ "toolUse": {
                    "toolUseId": block["id"].take(),
                    "name": name,
                    "input": block["input"].take(),
                } })
            }
            "tool_result" => self.result(block, place)?,
            other => {
                drop_named(self.dropped, other);
                return Ok(None);
            }
        }))
    }

    fn result(&mut self, block: &mut Value, place: &str) -> Result<Value, BadRequest> {
        let mut content = self.content(block["content"].take(), &format!("{place}.content"))?;
        content.retain(|piece| piece.get("text").is_none_or(|text| text != ""));
        if content.is_empty() {
            content.push(json!({ "text": NOTHING }));
        }
        let status = if block["is_error"] == true { "error" } else { "success" };
        Ok(json!({ "toolResult": {
            "toolUseId": block["tool_use_id"].take(),
            "content": content,
            "status": status,
        } }))
    }

    /// What may be called. A conversation with calls is refused without it, so the tools that were called
    /// are named where none is offered any more.
    fn tools(&mut self, tools: Option<Value>, choice: Option<Value>) -> Option<Value> {
        let mut specs = Vec::new();
        let given = match tools {
            Some(Value::Array(tools)) => tools,
            _ => Vec::new(),
        };
        for mut tool in given {
            if tool.get("type").is_some() && tool.get("input_schema").is_none() {
                // One of Anthropic's own.
                drop_named(self.dropped, text(&tool, "type"));
                continue;
            }
            let mut spec = Map::new();
            for field in ["name", "description"] {
                if tool.get(field).is_some() {
                    spec.insert(field.to_owned(), tool[field].take());
                }
            }
            spec.insert("inputSchema".to_owned(), json!({ "json": tool["input_schema"].take() }));
            specs.push(json!({ "toolSpec": spec }));
            if tool.get("cache_control").is_some() {
                specs.push(cache_point());
            }
            self.offered = true;
        }
        if !self.offered {
            let spec = |name: &String| {
                let schema = json!({ "json": { "type": "object" } });
                json!({ "toolSpec": { "name": name, "inputSchema": schema } })
            };
            specs = self.used.iter().map(spec).collect();
        }
        if specs.is_empty() {
            return None;
        }
        let mut config = Map::new();
        config.insert("tools".to_owned(), Value::Array(specs));
        let choice = choice.filter(|_| self.offered);
        config.extend(choice.and_then(spell_choice).map(|choice| ("toolChoice".to_owned(), choice)));
        Some(Value::Object(config))
    }
}

/// `None` is no choice that Converse knows; the writer of Messages has left the tools out for it.
fn spell_choice(choice: Value) -> Option<Value> {
    match text(&choice, "type") {
        "auto" => Some(json!({ "auto": {} })),
        "any" => Some(json!({ "any": {} })),
        "tool" => Some(json!({ "tool": { "name": choice["name"] } })),
        _ => None,
    }
}

fn cache_point() -> Value {
    json!({ "cachePoint": { "type": "default" } })
}

fn image(block: &mut Value, place: &str) -> Result<Value, BadRequest> {
    let source = &mut block["source"];
    let Some(format) = text(source, "media_type").strip_prefix("image/").map(str::to_owned) else {
        return Err(unsupported(place.to_owned(), "this model takes images as data only"));
    };
    Ok(json!({ "format": format, "source": { "bytes": source["data"].take() } }))
}

fn document(block: &mut Value, place: &str) -> Result<Value, BadRequest> {
    let name = document_name(text(block, "title"));
    let source = &mut block["source"];
    let (format, bytes) = match text(source, "type") {
        "base64" => ("pdf", source["data"].take()),
        "text" => ("txt", Value::String(STANDARD.encode(text(source, "data")))),
        _ => return Err(unsupported(place.to_owned(), "this model takes documents as data only")),
    };
    Ok(json!({ "format": format, "name": name, "source": { "bytes": bytes } }))
}

/// The name in the letters that Bedrock takes: ASCII letters and digits, hyphens, brackets, and single
/// spaces.
fn document_name(title: &str) -> String {
    let mut name = String::with_capacity(title.len());
    for letter in title.chars() {
        let taken = letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
        if taken {
            name.push(letter);
        } else if !name.ends_with(' ') && !name.is_empty() {
            name.push(' ');
        }
    }
    name.truncate(200);
    let name = name.trim_end();
    if name.is_empty() { "document".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests;
