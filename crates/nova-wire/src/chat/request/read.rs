//! Reads a chat request.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::chat::{self, message};
use crate::error::BadRequest;
use crate::fields::no_call;
use crate::hub::request::{Format, Part, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice, Turn};

/// Reads a body.
///
/// # Errors
/// The body is no JSON object, or a field that the hub knows has a wrong shape.
pub fn read(body: &[u8]) -> Result<Request, BadRequest> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| BadRequest {
        path: String::new(),
        message: format!("the request body is no JSON object: {error}"),
        code: "invalid_json",
    })?;
    fields.retain(|_, value| !value.is_null());
    fields.remove("model");
    let mut request = Request { turns: turns(fields.remove("messages"))?, ..Request::default() };
    sampling(&mut fields, &mut request)?;
    tools(&mut fields, &mut request)?;
    request.thinking = thinking(&mut fields);
    request.format = format(&mut fields)?;
    request.stream = fields.remove("stream").and_then(|value| value.as_bool()).unwrap_or(false);
    let options = fields.remove("stream_options");
    request.include_usage =
        options.and_then(|options| options.get("include_usage")?.as_bool()).unwrap_or(false);
    if let Some(Value::String(user)) = fields.get("user") {
        request.user = Some(user.clone());
        fields.remove("user");
    }
    request.extra = fields;
    Ok(request)
}

/// A fault at a place.
fn bad(path: impl Into<String>, what: &str) -> BadRequest {
    let path = path.into();
    BadRequest { message: format!("`{path}` {what}"), path, code: "invalid_type" }
}

fn sampling(fields: &mut Map<String, Value>, request: &mut Request) -> Result<(), BadRequest> {
    request.temperature = number(fields, "temperature")?;
    request.top_p = number(fields, "top_p")?;
    request.top_k = count(fields, "top_k")?;
    let old = count(fields, "max_tokens")?;
    request.max_tokens = count(fields, "max_completion_tokens")?.or(old);
    request.stop = match fields.remove("stop") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all
            .into_iter()
            .enumerate()
            .map(|(at, one)| match one {
                Value::String(one) => Ok(one),
                _ => Err(bad(format!("stop[{at}]"), "must be a string")),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(bad("stop", "must be a string or an array of strings")),
    };
    Ok(())
}

fn number(fields: &mut Map<String, Value>, name: &str) -> Result<Option<f64>, BadRequest> {
    fields.remove(name).map(|value| value.as_f64().ok_or_else(|| bad(name, "must be a number"))).transpose()
}

fn count(fields: &mut Map<String, Value>, name: &str) -> Result<Option<u64>, BadRequest> {
    let whole = |value: Value| value.as_u64().ok_or_else(|| bad(name, "must be a whole number"));
    fields.remove(name).map(whole).transpose()
}

fn tools(fields: &mut Map<String, Value>, request: &mut Request) -> Result<(), BadRequest> {
    for (at, tool) in list(fields.remove("tools"), "tools")?.into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let kind = chat::text(&tool, "type").unwrap_or("function");
        if kind == "function" {
            let function =
                tool.get("function").ok_or_else(|| bad(format!("{path}.function"), "is missing"))?;
            request.tools.push(function_tool(
                function,
                tool.get("cache_control"),
                &format!("{path}.function"),
            )?);
        } else {
            let name = chat::text(&tool, "name").unwrap_or(kind).to_owned();
            request.tools.push(Tool { foreign: Some(tool), ..named(name) });
        }
    }
    for (at, function) in list(fields.remove("functions"), "functions")?.into_iter().enumerate() {
        request.tools.push(function_tool(&function, None, &format!("functions[{at}]"))?);
        request.legacy_functions = true;
    }
    let parallel = fields.remove("parallel_tool_calls");
    request.parallel_tools = parallel
        .map(|value| value.as_bool().ok_or_else(|| bad("parallel_tool_calls", "must be a boolean")))
        .transpose()?;
    if request.legacy_functions {
        // The first form has room for one call.
        request.parallel_tools = Some(false);
    }
    let choice = fields.remove("tool_choice").or_else(|| fields.remove("function_call"));
    request.tool_choice = choice.map(|choice| tool_choice(&choice)).transpose()?;
    Ok(())
}

fn named(name: String) -> Tool {
    Tool { name, ..Tool::default() }
}

fn function_tool(function: &Value, cache: Option<&Value>, path: &str) -> Result<Tool, BadRequest> {
    let name = chat::text(function, "name").ok_or_else(|| bad(format!("{path}.name"), "must be a name"))?;
    let parameters = function.get("parameters").filter(|schema| !schema.is_null());
    if parameters.is_some_and(|schema| !schema.is_object()) {
        return Err(bad(format!("{path}.parameters"), "must be a JSON schema (an object)"));
    }
    Ok(Tool {
        description: function.get("description").and_then(Value::as_str).map(str::to_owned),
        parameters: parameters.cloned(),
        strict: function.get("strict").and_then(Value::as_bool),
        cache: cache.cloned(),
        ..named(name.to_owned())
    })
}

fn tool_choice(choice: &Value) -> Result<ToolChoice, BadRequest> {
    match choice.as_str() {
        Some("auto") => return Ok(ToolChoice::Auto),
        Some("none") => return Ok(ToolChoice::None),
        Some("required" | "any") => return Ok(ToolChoice::Required),
        Some(_) => return Err(bad("tool_choice", "must be `auto`, `none`, `required` or an object")),
        None => {}
    }
    let name = choice.pointer("/function/name").or_else(|| choice.get("name")).and_then(Value::as_str);
    if let Some(name) = name {
        return Ok(ToolChoice::Named(name.to_owned()));
    }
    // A list of allowed tools narrows the choice; the hub keeps whether one of them must be called.
    match choice.pointer("/allowed_tools/mode").and_then(Value::as_str) {
        Some("required") => Ok(ToolChoice::Required),
        Some(_) => Ok(ToolChoice::Auto),
        None => Err(bad("tool_choice", "must name a function")),
    }
}

/// The switches in use, the most particular first.
fn thinking(fields: &mut Map<String, Value>) -> Thinking {
    let effort = fields.remove("reasoning_effort").and_then(|value| value.as_str().map(str::to_owned));
    let reasoning = fields.remove("reasoning");
    let budget = fields.remove("thinking_budget").and_then(|value| value.as_u64());
    let enabled = fields.remove("enable_thinking").and_then(|value| value.as_bool());
    let thinking = fields.remove("thinking");
    let effort = effort.or_else(|| chat::text(reasoning.as_ref()?, "effort").map(str::to_owned));
    let kind = thinking.as_ref().and_then(|thinking| chat::text(thinking, "type"));
    let off = kind == Some("disabled")
        || enabled == Some(false)
        || effort.as_deref() == Some("none")
        || reasoning.as_ref().and_then(|value| value.get("enabled")?.as_bool()) == Some(false);
    if off {
        return Thinking::Off;
    }
    let budget = budget
        .or_else(|| thinking.as_ref()?.get("budget_tokens")?.as_u64())
        .or_else(|| reasoning.as_ref()?.get("max_tokens")?.as_u64());
    if let Some(budget) = budget {
        return Thinking::Budget(budget);
    }
    if effort.is_some() || kind.is_some() || enabled == Some(true) || reasoning.is_some() {
        return Thinking::Adaptive { effort };
    }
    Thinking::Unsaid
}

/// The form that a body asks its answer to have, from the fields that say it.
///
/// # Errors
/// Where they are wrong.
pub(crate) fn format(fields: &mut Map<String, Value>) -> Result<Format, BadRequest> {
    let Some(format) = fields.remove("response_format") else { return Ok(Format::Text) };
    match chat::text(&format, "type") {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let path = "response_format.json_schema";
            let inner = format.get("json_schema").ok_or_else(|| bad(path, "is missing"))?;
            let schema = inner.get("schema").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            Ok(Format::JsonSchema {
                name: chat::text(inner, "name").unwrap_or("answer").to_owned(),
                schema,
                strict: inner.get("strict").and_then(Value::as_bool),
            })
        }
        _ => Err(bad("response_format.type", "must be `text`, `json_object` or `json_schema`")),
    }
}

fn list(value: Option<Value>, path: &str) -> Result<Vec<Value>, BadRequest> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(bad(path, "must be an array")),
    }
}

fn turns(messages: Option<Value>) -> Result<Vec<Turn>, BadRequest> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut called = HashSet::new();
    for (at, message) in list(messages, "messages")?.into_iter().enumerate() {
        let path = format!("messages[{at}]");
        match chat::text(&message, "role") {
            Some("system" | "developer") => {
                turns.push(turn(Role::System, content(&message, &path)?, message))
            }
            Some("user") => turns.push(turn(Role::User, content(&message, &path)?, message)),
            Some("assistant") => {
                let parts = assistant(&message, &path)?;
                called.extend(parts.iter().filter_map(|part| match part {
                    Part::ToolCall(call) => Some(call.id.clone()),
                    // A custom tool's call, which only this dialect knows.
                    Part::Foreign { value, .. } => chat::text(value, "id").map(str::to_owned),
                    _ => None,
                }));
                turns.push(turn(Role::Assistant, parts, message));
            }
            Some("tool") => add_result(&mut turns, result(&message, "tool_call_id", &path, &called)?),
            Some("function") => add_result(&mut turns, result(&message, "name", &path, &called)?),
            _ => {
                let what = "must be `system`, `developer`, `user`, `assistant` or `tool`";
                return Err(bad(format!("{path}.role"), what));
            }
        }
    }
    Ok(turns)
}

/// The fields of a message that the hub has a place for.
const MESSAGE: [&str; 8] = [
    "role",
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
];

fn turn(role: Role, parts: Vec<Part>, message: Value) -> Turn {
    let mut turn = Turn::new(role, parts);
    if let Value::Object(fields) = message {
        let others =
            fields.into_iter().filter(|(name, value)| !MESSAGE.contains(&name.as_str()) && !value.is_null());
        turn.extra = others.collect();
    }
    turn
}

/// Results of tools that follow each other are one turn.
fn add_result(turns: &mut Vec<Turn>, result: Part) {
    if let Some(last) = turns.last_mut()
        && last.role == Role::User
        && last.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }))
        && !last.parts.is_empty()
    {
        last.parts.push(result);
        return;
    }
    turns.push(Turn::new(Role::User, vec![result]));
}

fn result(message: &Value, field: &str, path: &str, called: &HashSet<String>) -> Result<Part, BadRequest> {
    let place = || format!("{path}.{field}");
    let id = chat::text(message, field).ok_or_else(|| bad(place(), "is missing"))?;
    if !called.contains(id) {
        return Err(no_call(place(), id));
    }
    Ok(Part::ToolResult {
        id: id.to_owned(),
        parts: content(message, path)?,
        is_error: false,
        cache: message.get("cache_control").cloned(),
    })
}

fn assistant(message: &Value, path: &str) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    let thought = message::thinking(message);
    if !thought.text.is_empty() || thought.signature.is_some() {
        parts.push(Part::Thinking { text: thought.text, signature: thought.signature });
    }
    let content = content(message, path)?;
    parts.extend(content.into_iter().filter(|part| !matches!(part, Part::Thinking { .. })));
    if let Some(text) = chat::text(message, "refusal") {
        parts.push(Part::Refusal { text: text.to_owned() });
    }
    for (at, call) in list(present(message, "tool_calls"), &format!("{path}.tool_calls"))?.iter().enumerate()
    {
        let path = format!("{path}.tool_calls[{at}]");
        let Some(function) = call.get("function") else {
            let kind = chat::text(call, "type").unwrap_or("tool_call").to_owned();
            parts.push(Part::Foreign { kind, value: call.clone() });
            continue;
        };
        let id = chat::text(call, "id").ok_or_else(|| bad(format!("{path}.id"), "is missing"))?;
        parts.push(tool_call(id, function, &path)?);
    }
    if let Some(function) = present(message, "function_call") {
        // Legacy results name the function and no id, so the name is the id.
        let id = chat::text(&function, "name").unwrap_or_default().to_owned();
        parts.push(tool_call(&id, &function, &format!("{path}.function_call"))?);
    }
    Ok(parts)
}

fn present(value: &Value, field: &str) -> Option<Value> {
    value.get(field).filter(|value| !value.is_null()).cloned()
}

fn tool_call(id: &str, function: &Value, path: &str) -> Result<Part, BadRequest> {
    let name =
        chat::text(function, "name").ok_or_else(|| bad(format!("{path}.function.name"), "is missing"))?;
    let arguments = message::arguments(function);
    Ok(Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
        ..ToolCall::default()
    }))
}

/// The content of a message: a string, nothing, or parts.
fn content(message: &Value, path: &str) -> Result<Vec<Part>, BadRequest> {
    match message.get("content") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::Text { text: text.clone(), cache: None }]),
        Some(Value::Array(parts)) => {
            parts.iter().enumerate().map(|(at, one)| part(one, &format!("{path}.content[{at}]"))).collect()
        }
        Some(_) => Err(bad(format!("{path}.content"), "must be a string or an array")),
    }
}

fn part(part: &Value, path: &str) -> Result<Part, BadRequest> {
    let cache = part.get("cache_control").cloned();
    let kind = match part {
        Value::String(text) => return Ok(Part::Text { text: text.clone(), cache }),
        _ => part.get("type").and_then(Value::as_str),
    };
    let missing = |field: &str| bad(format!("{path}.{field}"), "is missing");
    match kind.ok_or_else(|| missing("type"))? {
        "text" | "input_text" => {
            let text = part.get("text").and_then(Value::as_str).ok_or_else(|| missing("text"))?;
            Ok(Part::Text { text: text.to_owned(), cache })
        }
        "refusal" => {
            let text = part.get("refusal").and_then(Value::as_str).ok_or_else(|| missing("refusal"))?;
            Ok(Part::Refusal { text: text.to_owned() })
        }
        "thinking" => Ok(Part::Thinking { text: message::part_thinking(part), signature: None }),
        "image_url" => {
            let image = part.get("image_url").ok_or_else(|| missing("image_url"))?;
            let url = image.as_str().or_else(|| chat::text(image, "url"));
            let detail = chat::text(image, "detail").map(str::to_owned);
            Ok(Part::Image { source: source(url.ok_or_else(|| missing("image_url.url"))?), detail, cache })
        }
        "file" => {
            let file = part.get("file").ok_or_else(|| missing("file"))?;
            let data = chat::text(file, "file_data").map(source);
            let known = data.or_else(|| chat::text(file, "file_id").map(|id| Source::File(id.to_owned())));
            let name = chat::text(file, "filename").map(str::to_owned);
            Ok(Part::Document { source: known.ok_or_else(|| missing("file.file_data"))?, name, cache })
        }
        kind => Ok(Part::Foreign { kind: kind.to_owned(), value: part.clone() }),
    }
}

/// The bytes of a `data:` URL in base64, or another URL as it stands.
fn source(url: &str) -> Source {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => Source::Url(url.to_owned()),
    }
}
