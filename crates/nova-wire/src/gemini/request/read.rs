//! From a `generateContent` body to the hub.

use serde_json::{Map, Value};

use super::contents;
use crate::error::BadRequest;
use crate::fields::json;
use crate::gemini::fields::{Object, unsupported, wrong_type, wrong_value};
use crate::gemini::schema;
use crate::hub::request::{Format, Request, Thinking, Tool, ToolChoice};
use crate::hub::shared;

/// Reads a body.
///
/// # Errors
/// Malformed JSON, missing `contents`, a known field of the wrong type, or more than one candidate, for
/// which there is no room in another dialect; the error names its place.
pub fn read(body: &[u8]) -> Result<Request, BadRequest> {
    let mut body = Object::new(String::new(), json(body)?)?;
    body.take("model");
    // A stream of this dialect always reports usage.
    let mut request = Request { include_usage: true, ..Request::default() };
    let mut extra = Map::new();
    contents::read(&mut body, &mut request.turns, &mut extra)?;
    read_tools(&mut body, &mut request.tools, &mut extra)?;
    read_choice(&mut body, &mut request, &mut extra)?;
    if let Some(config) = body.object("generationConfig")? {
        read_config(config, &mut request, &mut extra)?;
    }
    extra.extend(body.fields.into_iter().filter(|(_, value)| !value.is_null()));
    request.extra = extra;
    Ok(request)
}

fn read_tools(
    body: &mut Object,
    tools: &mut Vec<Tool>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let Some((place, list)) = body.list("tools") else { return Ok(()) };
    for (index, tool) in list.into_iter().enumerate() {
        let mut tool = Object::new(format!("{place}[{index}]"), tool)?;
        if let Some((place, functions)) = tool.list("functionDeclarations") {
            for (at, function) in functions.into_iter().enumerate() {
                let function = Object::new(format!("{place}[{at}]"), function)?;
                tools.push(read_function(function, extra)?);
            }
        }
        // What Google runs itself: `googleSearch`, `codeExecution`, `urlContext`.
        tools.extend(tool.fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
            let foreign = Map::from_iter([(name.clone(), value)]);
            Tool { name, foreign: Some(Value::Object(foreign)), ..Tool::default() }
        }));
    }
    Ok(())
}

fn read_function(mut function: Object, extra: &mut Map<String, Value>) -> Result<Tool, BadRequest> {
    let name = function.need_string("name")?;
    let description = function.string("description")?.filter(|text| !text.is_empty());
    let own = function.object("parameters")?;
    let plain = function.object("parametersJsonSchema")?;
    function.keep("tools.functionDeclarations", extra);
    let parameters = plain.or(own).map(|schema| schema::standard(Value::Object(schema.fields)));
    Ok(Tool { name, description, parameters, ..Tool::default() })
}

fn read_choice(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let Some(mut config) = body.object("toolConfig")? else { return Ok(()) };
    if let Some(mut calling) = config.object("functionCallingConfig")? {
        let place = calling.place("mode");
        let mode = calling.string("mode")?.unwrap_or_default();
        let mut allowed = strings(&mut calling, "allowedFunctionNames")?;
        request.tool_choice = match mode.to_ascii_uppercase().as_str() {
            "" | "MODE_UNSPECIFIED" => None,
            "AUTO" => Some(ToolChoice::Auto),
            "NONE" => Some(ToolChoice::None),
            "ANY" if allowed.len() == 1 => allowed.pop().map(ToolChoice::Named),
            "ANY" => Some(ToolChoice::Required),
            // The model decides, and what it calls keeps to the schema.
            "VALIDATED" => {
                extra.insert(CALLING_MODE.to_owned(), Value::String(mode));
                Some(ToolChoice::Auto)
            }
            _ => return Err(wrong_value(place, "`AUTO`, `ANY`, `NONE` or `VALIDATED`", &mode)),
        };
        if !allowed.is_empty() {
            extra.insert(ALLOWED_NAMES.to_owned(), allowed.into());
        }
        calling.keep("toolConfig.functionCallingConfig", extra);
    }
    config.keep("toolConfig", extra);
    Ok(())
}

/// A mode that the hub has no word for.
pub(super) const CALLING_MODE: &str = "toolConfig.functionCallingConfig.mode";
/// Several tools out of which one must be called.
pub(super) const ALLOWED_NAMES: &str = "toolConfig.functionCallingConfig.allowedFunctionNames";

fn strings(object: &mut Object, field: &str) -> Result<Vec<String>, BadRequest> {
    let Some((place, list)) = object.list(field) else { return Ok(Vec::new()) };
    let string = |(index, item): (usize, Value)| match item {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(format!("{place}[{index}]"), "a string", &other)),
    };
    list.into_iter().enumerate().map(string).collect()
}

fn read_config(
    mut config: Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    request.max_tokens = config.count("maxOutputTokens")?;
    request.temperature = config.float("temperature")?;
    request.top_p = config.float("topP")?;
    // Google's own clients send it as a float.
    request.top_k = config.count("topK")?;
    request.stop = strings(&mut config, "stopSequences")?;
    let place = config.place("candidateCount");
    if config.count("candidateCount")?.is_some_and(|count| count > 1) {
        return Err(unsupported(place, "only one candidate can be answered by this model"));
    }
    read_format(&mut config, request, extra)?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        read_thinking(thinking, request, extra)?;
    }
    for (_, own) in shared::GEMINI {
        let field = own.trim_start_matches("generationConfig.");
        extra.extend(config.take(field).map(|(_, value)| ((*own).to_owned(), value)));
    }
    config.keep("generationConfig", extra);
    Ok(())
}

/// The form that a body asks its answer to have, from the fields that say it.
///
/// # Errors
/// Where they are wrong.
pub(crate) fn format(fields: Map<String, Value>) -> Result<Format, BadRequest> {
    let (mut body, mut request) = (Object { path: String::new(), fields }, Request::default());
    if let Some(mut config) = body.object("generationConfig")? {
        read_format(&mut config, &mut request, &mut Map::new())?;
    }
    Ok(request.format)
}

fn read_format(
    config: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let own = config.object("responseSchema")?.map(|schema| Value::Object(schema.fields));
    let plain = config.take("responseJsonSchema").map(|(_, schema)| schema);
    let schema = plain.or(own).map(schema::standard);
    let kind = config.string("responseMimeType")?.unwrap_or_default();
    request.format = match (kind.as_str(), schema) {
        ("text/plain", _) | ("", None) => Format::Text,
        ("application/json", None) => Format::JsonObject,
        ("application/json" | "", Some(schema)) => {
            Format::JsonSchema { name: "answer".to_owned(), schema, strict: None }
        }
        // One word out of a list (`text/x.enum`), and what else may come.
        (_, schema) => {
            extra.insert("generationConfig.responseMimeType".to_owned(), Value::String(kind));
            if let Some(schema) = schema {
                extra.insert("generationConfig.responseJsonSchema".to_owned(), schema);
            }
            Format::Text
        }
    };
    Ok(())
}

fn read_thinking(
    mut thinking: Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let shown = thinking.flag("includeThoughts")?.unwrap_or(false);
    let level = thinking.string("thinkingLevel")?.map(|level| level.to_ascii_lowercase());
    let level = level.filter(|level| !level.is_empty() && level != "thinking_level_unspecified");
    let budget = thinking.whole("thinkingBudget")?;
    request.thinking = match (level, budget) {
        (Some(level), _) => Thinking::Adaptive { effort: Some(level) },
        (None, Some(0)) => Thinking::Off,
        (None, Some(budget)) => match u64::try_from(budget) {
            Ok(budget) => Thinking::Budget(budget),
            // -1: as much as the model likes.
            Err(_) => Thinking::Adaptive { effort: None },
        },
        (None, None) if shown => Thinking::Adaptive { effort: None },
        (None, None) => Thinking::Unsaid,
    };
    thinking.keep("generationConfig.thinkingConfig", extra);
    Ok(())
}
