//! From a Messages body to the hub.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::blocks;
use crate::error::BadRequest;
use crate::fields::no_call;
use crate::fields::{Object, wrong_type};
use crate::hub::request::{Format, Part, Request, Role, Thinking, Tool, ToolChoice, Turn};

/// Reads a body.
///
/// # Errors
/// Malformed JSON, a missing `messages`, or a known field of the wrong type; the error names its place.
pub fn read(body: &[u8]) -> Result<Request, BadRequest> {
    let mut body = Object::body(body)?;
    body.take("model");
    let mut request = Request {
        max_tokens: body.count("max_tokens")?,
        temperature: body.float("temperature")?,
        top_p: body.float("top_p")?,
        top_k: body.count("top_k")?,
        stop: strings(&mut body, "stop_sequences")?,
        stream: body.flag("stream")?.unwrap_or(false),
        // A Messages stream always reports usage.
        include_usage: true,
        ..Request::default()
    };
    let mut extra = Map::new();
    read_system(&mut body, &mut request.turns)?;
    read_turns(&mut body, &mut request.turns, &mut extra)?;
    read_tools(&mut body, &mut request, &mut extra)?;
    read_thinking(&mut body, &mut request, &mut extra)?;
    if let Some(mut metadata) = body.object("metadata")? {
        request.user = metadata.string("user_id")?;
        keep("metadata", metadata, &mut extra);
    }
    extra.extend(body.fields.into_iter().filter(|(_, value)| !value.is_null()));
    request.extra = extra;
    Ok(request)
}

/// Keeps what is left of an object under the name of its place.
fn keep(place: &str, object: Object, extra: &mut Map<String, Value>) {
    for (field, value) in object.fields {
        extra.insert(format!("{place}.{field}"), value);
    }
}

fn strings(body: &mut Object, field: &str) -> Result<Vec<String>, BadRequest> {
    let items = body.list(field)?.unwrap_or_default();
    let place = body.place(field);
    let string = |(index, item): (usize, Value)| match item {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(format!("{place}[{index}]"), "a string", &other)),
    };
    items.into_iter().enumerate().map(string).collect()
}

/// Claude Code's first block is a line for Anthropic's billing. It changes from version to version, so
/// that it spoils other providers' prompt caches, and it says nothing to a model.
const BILLING: &str = "x-anthropic-billing-header:";

fn read_system(body: &mut Object, turns: &mut Vec<Turn>) -> Result<(), BadRequest> {
    let Some(system) = body.take("system") else { return Ok(()) };
    let mut extra = Map::new();
    let mut parts = blocks::read("system", system, &mut extra)?;
    parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.starts_with(BILLING)));
    if !parts.is_empty() {
        turns.push(Turn::new(Role::System, parts));
    }
    Ok(())
}

fn read_turns(
    body: &mut Object,
    turns: &mut Vec<Turn>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let messages = body.list("messages")?.ok_or_else(|| body.missing("messages"))?;
    let mut called = HashSet::new();
    for (index, message) in messages.into_iter().enumerate() {
        let mut message = Object::new(format!("messages[{index}]"), message)?;
        let role = match message.need_string("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            other => {
                let path = message.place("role");
                return Err(BadRequest {
                    message: format!("`{path}` must be `user`, `assistant` or `system`, but it is `{other}`"),
                    path,
                    code: "invalid_value",
                });
            }
        };
        let place = message.place("content");
        let parts = match message.fields.remove("content") {
            None => return Err(message.missing("content")),
            Some(Value::Null) => Vec::new(),
            Some(content) => blocks::read(&place, content, extra)?,
        };
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::ToolCall(call) => drop(called.insert(call.id.clone())),
                Part::ToolResult { id, .. } if !called.contains(id) => {
                    return Err(no_call(format!("{place}[{at}].tool_use_id"), id));
                }
                _ => {}
            }
        }
        turns.push(Turn::new(role, parts));
    }
    Ok(())
}

fn read_tools(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    for (index, tool) in body.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = Object::new(format!("tools[{index}]"), tool)?;
        request.tools.push(read_tool(tool, extra)?);
    }
    let Some(mut choice) = body.object("tool_choice")? else { return Ok(()) };
    request.tool_choice = Some(match choice.need_string("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.need_string("name")?),
        other => {
            let path = choice.place("type");
            return Err(BadRequest {
                message: format!("`{path}` must be `auto`, `any`, `tool` or `none`, but it is `{other}`"),
                path,
                code: "invalid_value",
            });
        }
    });
    request.parallel_tools = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    keep("tool_choice", choice, extra);
    Ok(())
}

fn read_tool(mut tool: Object, extra: &mut Map<String, Value>) -> Result<Tool, BadRequest> {
    let kind = tool.fields.get("type").and_then(Value::as_str).unwrap_or("custom");
    if kind != "custom" {
        let name = tool.fields.get("name").and_then(Value::as_str).unwrap_or(kind).to_owned();
        let foreign = Some(Value::Object(tool.fields));
        return Ok(Tool { name, foreign, ..Tool::default() });
    }
    tool.take("type");
    let name = tool.need_string("name")?;
    let description = tool.string("description")?;
    let parameters = tool.object("input_schema")?.map(|schema| Value::Object(schema.fields));
    let strict = tool.flag("strict")?;
    let cache = tool.take("cache_control");
    keep("tools", tool, extra);
    Ok(Tool { name, description, parameters, strict, cache, ..Tool::default() })
}

fn read_thinking(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let mut effort = None;
    if let Some(mut config) = body.object("output_config")? {
        effort = config.string("effort")?;
        if let Some(format) = config.object("format")? {
            request.format = read_format(format)?;
        }
        keep("output_config", config, extra);
    }
    if let Some(format) = body.object("output_format")? {
        request.format = read_format(format)?;
    }
    let Some(mut thinking) = body.object("thinking")? else {
        if effort.is_some() {
            request.thinking = Thinking::Adaptive { effort };
        }
        return Ok(());
    };
    let kind = thinking.need_string("type")?;
    let budget = thinking.count("budget_tokens")?;
    request.thinking = match kind.as_str() {
        "disabled" => Thinking::Off,
        "enabled" => match budget {
            Some(budget) => Thinking::Budget(budget),
            // DeepSeek's and Moonshot's clients give no budget.
            None => Thinking::Adaptive { effort: effort.take() },
        },
        "adaptive" => Thinking::Adaptive { effort: effort.take() },
        _ => {
            thinking.fields.insert("type".to_owned(), Value::String(kind));
            Thinking::Unsaid
        }
    };
    keep("thinking", thinking, extra);
    if let Some(effort) = effort {
        extra.insert("output_config.effort".to_owned(), Value::String(effort));
    }
    Ok(())
}

/// The form that a body asks its answer to have, from the fields that say it.
///
/// # Errors
/// Where they are wrong.
pub(crate) fn format(fields: Map<String, Value>) -> Result<Format, BadRequest> {
    let (mut body, mut request) = (Object { path: String::new(), fields }, Request::default());
    read_thinking(&mut body, &mut request, &mut Map::new())?;
    Ok(request.format)
}

fn read_format(mut format: Object) -> Result<Format, BadRequest> {
    match format.need_string("type")?.as_str() {
        "json_schema" => {
            let schema = format.take("schema").ok_or_else(|| format.missing("schema"))?;
            let name = format.string("name")?.unwrap_or_else(|| "answer".to_owned());
            Ok(Format::JsonSchema { name, schema, strict: Some(true) })
        }
        "json_object" | "json" => Ok(Format::JsonObject),
        "text" => Ok(Format::Text),
        other => {
            let path = format.place("type");
            Err(BadRequest {
                message: format!("`{path}` must be `json_schema`, but it is `{other}`"),
                path,
                code: "invalid_value",
            })
        }
    }
}
