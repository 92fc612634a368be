//! From the hub to a Messages body.

use serde_json::{Map, Value, json};

use super::content::Marks;
use super::{thinking, tools, turns};
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Format, Request};
use crate::quirks::{JsonSchemaSupport, Quirks};
use crate::translate::Target;

/// The bound on an answer where neither the client nor the catalogue gives one, in tokens.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// The highest temperature of the dialect.
const MAX_TEMPERATURE: f64 = 1.0;

/// Objects of the body whose unknown fields go back into them.
const OBJECTS: &[&str] = &["thinking", "output_config", "metadata", "tool_choice"];

/// Writes a body, and adds the client's names of what it cannot carry to `dropped`.
///
/// # Errors
/// Where the request asks for what the target cannot do at all and leaving it out would change its
/// meaning: an image for a model that reads text only, audio, a document of an unknown kind.
pub fn write(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<u8>, BadRequest> {
    let mut body = body(request, target, dropped)?;
    for name in target.quirks.omit.iter().flatten() {
        body.remove(name);
    }
    serde_json::to_vec(&body).map_err(|_| unsupported(String::new(), "the request cannot be written as JSON"))
}

/// The body as JSON, from which Bedrock's Converse makes its own.
pub(crate) fn body(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Map<String, Value>, BadRequest> {
    let quirks = target.quirks;
    let mut marks = Marks::new(request, quirks);
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(target.model));
    let max_tokens = max_tokens(request, target);
    body.insert("max_tokens".to_owned(), json!(max_tokens));
    let thinks = thinking::write(request, quirks, max_tokens, &mut body, dropped);
    // Marks are given away in the order in which a prompt is built: tools, instructions, turns.
    tools::write(request, quirks, thinks, &mut marks, &mut body, dropped)?;
    let instruction = write_format(request, quirks, &mut body, dropped);
    turns::write(request, target, instruction, &mut marks, &mut body, dropped)?;
    write_sampling(request, quirks, thinks.is_on(), &mut body, dropped);
    if let Some(user) = &request.user {
        body.insert("metadata".to_owned(), json!({ "user_id": user }));
    }
    if request.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    write_extra(&request.extra, &mut body, dropped);
    apply(quirks, &mut body, dropped);
    Ok(body)
}

/// Names something that is dropped, once.
pub(crate) fn drop_named(dropped: &mut Vec<String>, name: &str) {
    if !dropped.iter().any(|other| other == name) {
        dropped.push(name.to_owned());
    }
}

fn max_tokens(request: &Request, target: &Target<'_>) -> u64 {
    let asked = request.max_tokens.or(target.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
    asked.min(target.max_output.unwrap_or(u64::MAX)).max(1)
}

/// Temperature and its kin. While a model thinks, Anthropic takes no temperature but 1, no `top_k`,
/// and no `top_p` under 0.95.
fn write_sampling(
    request: &Request,
    quirks: &Quirks,
    thinks: bool,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) {
    if let Some(temperature) = request.temperature {
        let lowest = quirks.min_temperature.unwrap_or(0.0);
        let highest = quirks.max_temperature.unwrap_or(MAX_TEMPERATURE).max(lowest);
        if thinks && temperature < 1.0 {
            drop_named(dropped, "temperature");
        } else if !thinks {
            body.insert("temperature".to_owned(), json!(temperature.clamp(lowest, highest)));
        }
    }
    match request.top_p {
        Some(_) if thinks && request.top_p < Some(0.95) => drop_named(dropped, "top_p"),
        Some(top_p) => {
            body.insert("top_p".to_owned(), json!(top_p));
        }
        None => {}
    }
    match request.top_k {
        Some(_) if thinks => drop_named(dropped, "top_k"),
        Some(top_k) => {
            body.insert("top_k".to_owned(), json!(top_k));
        }
        None => {}
    }
    if !request.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(request.stop));
    }
}

/// The form of the answer: a field, or an instruction where the target knows no such field.
fn write_format(
    request: &Request,
    quirks: &Quirks,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Option<String> {
    match &request.format {
        Format::Text => None,
        Format::JsonObject => Some("Answer with one JSON object and nothing else.".to_owned()),
        Format::JsonSchema { schema, .. } => {
            if quirks.json_schema.unwrap_or(JsonSchemaSupport::Native) == JsonSchemaSupport::Native {
                let format = json!({ "type": "json_schema", "schema": super::strict::closed(schema) });
                insert_into(body, "output_config", "format", format);
                return None;
            }
            drop_named(dropped, "response_format");
            Some(format!("Answer with JSON that meets this JSON schema, and with nothing else:\n{schema}"))
        }
    }
}

/// Sets a field of an object of the body, which is made where it is missing.
pub(super) fn insert_into(body: &mut Map<String, Value>, object: &str, field: &str, value: Value) {
    let object = body.entry(object).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(fields) = object {
        fields.entry(field).or_insert(value);
    }
}

/// Puts back what only this dialect knows. A name with a dot is a field of the object before the dot;
/// one of a tool or a block has lost its place, and is named.
fn write_extra(extra: &Map<String, Value>, body: &mut Map<String, Value>, dropped: &mut Vec<String>) {
    for (name, value) in extra {
        match name.split_once('.') {
            None => {
                body.entry(name).or_insert_with(|| value.clone());
            }
            // A thinking that was given up has no display either.
            Some((object, field)) if OBJECTS.contains(&object) && (object != "thinking" || thinks(body)) => {
                insert_into(body, object, field, value.clone());
            }
            Some(_) => drop_named(dropped, name),
        }
    }
}

fn thinks(body: &Map<String, Value>) -> bool {
    body.get("thinking").is_none_or(|thinking| thinking["type"] != "disabled")
}

/// What the quirks say about single fields.
fn apply(quirks: &Quirks, body: &mut Map<String, Value>, dropped: &mut Vec<String>) {
    for name in quirks.drop.iter().flatten() {
        if body.remove(name).is_some() {
            drop_named(dropped, name);
        }
    }
    for (from, to) in quirks.rename.iter().flatten() {
        if let Some(value) = body.remove(from) {
            body.insert(to.clone(), value);
        }
    }
    for (name, value) in quirks.set.iter().flatten() {
        body.insert(name.clone(), value.clone());
    }
}
