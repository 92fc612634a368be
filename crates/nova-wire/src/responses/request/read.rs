//! From a Responses body to the hub.

use serde_json::{Map, Value};

use super::{items, tools};
use crate::error::BadRequest;
use crate::fields::{Object, unsupported, wrong_value};
use crate::hub::request::{Format, Part, Request, Role, Thinking, Turn};

/// Reads a body. References to stored answers (`previous_response_id`, items of type `item_reference`)
/// must have been resolved before: this reader knows no store.
///
/// # Errors
/// Malformed JSON, a known field of the wrong type or with an impossible value, a reference, a result that
/// answers no call; the error names its place.
pub fn read(body: &[u8]) -> Result<Request, BadRequest> {
    read_as(body, true)
}

/// Reads a body that goes to an upstream of this dialect: tools that OpenAI defines stay what they are.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_own(body: &[u8]) -> Result<Request, BadRequest> {
    read_as(body, false)
}

/// Reads a body; `bridge` makes functions of the tools that OpenAI defines and the client runs.
fn read_as(body: &[u8], bridge: bool) -> Result<Request, BadRequest> {
    let mut body = Object::body(body)?;
    body.take("model");
    refuse(&mut body)?;
    let mut request = Request {
        max_tokens: body.count("max_output_tokens")?,
        temperature: body.float("temperature")?,
        top_p: body.float("top_p")?,
        parallel_tools: body.flag("parallel_tool_calls")?,
        stream: body.flag("stream")?.unwrap_or(false),
        user: body.string("user")?,
        // A Responses stream always reports usage.
        include_usage: true,
        ..Request::default()
    };
    // It only says whether deltas are padded.
    body.take("stream_options");
    let mut extra = Map::new();
    if let Some(text) = body.string("instructions")? {
        request.turns.push(Turn::new(Role::System, vec![Part::Text { text, cache: None }]));
    }
    tools::read(&mut body, &mut request, &mut extra, bridge)?;
    items::read(&mut body, &mut request, bridge)?;
    tools::read_choice(&mut body, &mut request)?;
    read_reasoning(&mut body, &mut request, &mut extra)?;
    read_text(&mut body, &mut request, &mut extra)?;
    read_include(&mut body, &mut extra)?;
    extra.extend(body.fields.into_iter().filter(|field| !is_idle(field)));
    request.extra = extra;
    Ok(request)
}

/// Whether a field asks for what happens without it as well.
fn is_idle((name, value): &(String, Value)) -> bool {
    match name.as_str() {
        "truncation" => value == "disabled",
        "service_tier" => value == "auto" || value == "default",
        "top_logprobs" => value.as_u64() == Some(0),
        _ => value.is_null(),
    }
}

/// Refuses what would change the answer's meaning if it were left out.
fn refuse(body: &mut Object) -> Result<(), BadRequest> {
    if let Some(id) = body.string("previous_response_id")? {
        return Err(BadRequest {
            path: "previous_response_id".to_owned(),
            message: format!("Previous response with id '{id}' not found."),
            code: "previous_response_not_found",
        });
    }
    if body.flag("background")? == Some(true) {
        let what = "answers in the background are not offered; leave it out and wait for the answer";
        return Err(unsupported("background".to_owned(), what));
    }
    for name in ["conversation", "prompt"] {
        if body.take(name).is_some() {
            let what = "it refers to what a provider has stored, and this model's provider has no such store";
            return Err(unsupported(name.to_owned(), what));
        }
    }
    Ok(())
}

/// Keeps what is left of an object under the name of its place.
fn keep(place: &str, object: Object, extra: &mut Map<String, Value>) {
    for (field, value) in object.fields.into_iter().filter(|(_, value)| !value.is_null()) {
        extra.insert(format!("{place}.{field}"), value);
    }
}

fn read_reasoning(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let Some(mut reasoning) = body.object("reasoning")? else { return Ok(()) };
    request.thinking = match reasoning.string("effort")? {
        None => Thinking::Unsaid,
        Some(effort) if effort == "none" => Thinking::Off,
        effort => Thinking::Adaptive { effort },
    };
    keep("reasoning", reasoning, extra);
    Ok(())
}

fn read_text(
    body: &mut Object,
    request: &mut Request,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let Some(mut text) = body.object("text")? else { return Ok(()) };
    if let Some(format) = text.object("format")? {
        request.format = read_format(format)?;
    }
    keep("text", text, extra);
    Ok(())
}

/// The form that a body asks its answer to have, from the fields that say it.
///
/// # Errors
/// Where they are wrong.
pub(crate) fn format(fields: Map<String, Value>) -> Result<Format, BadRequest> {
    let (mut body, mut request) = (Object { path: String::new(), fields }, Request::default());
    read_text(&mut body, &mut request, &mut Map::new())?;
    Ok(request.format)
}

fn read_format(mut format: Object) -> Result<Format, BadRequest> {
    match format.need_string("type")?.as_str() {
        "text" => Ok(Format::Text),
        "json_object" => Ok(Format::JsonObject),
        "json_schema" => {
            let mut schema = format.object("schema")?.ok_or_else(|| format.missing("schema"))?.fields;
            if let Some(about) = format.string("description")? {
                // Beside the schema no other dialect has a place for it.
                schema.entry("description").or_insert_with(|| about.into());
            }
            Ok(Format::JsonSchema {
                name: format.string("name")?.unwrap_or_else(|| "answer".to_owned()),
                schema: Value::Object(schema),
                strict: format.flag("strict")?,
            })
        }
        other => Err(wrong_value(format.place("type"), "`text`, `json_object` or `json_schema`", other)),
    }
}

/// Encrypted reasoning needs no asking here: it is there wherever the provider gives it.
fn read_include(body: &mut Object, extra: &mut Map<String, Value>) -> Result<(), BadRequest> {
    let mut include = body.list("include")?.unwrap_or_default();
    include.retain(|one| one.as_str() != Some("reasoning.encrypted_content"));
    if !include.is_empty() {
        extra.insert("include".to_owned(), Value::Array(include));
    }
    Ok(())
}
