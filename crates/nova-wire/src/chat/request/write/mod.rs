//! Writes a chat request for one upstream.

mod params;
mod turns;

use serde_json::{Map, Value, json};

use crate::error::BadRequest;
use crate::hub::request::{Format, Request};
use crate::quirks::{JsonSchemaSupport, Quirks};
use crate::translate::Target;

/// Writes a body. What the target cannot carry is added to `dropped`, by the client's names.
///
/// # Errors
/// The request means something that the target cannot do at all, such as reading an image.
pub fn write(
    request: &Request,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<u8>, BadRequest> {
    let mut draft = Draft {
        quirks: target.quirks,
        request,
        fields: request.extra.clone(),
        hints: Vec::new(),
        dropped: Vec::new(),
    };
    if request.extra.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        // The hub holds one answer.
        draft.fields.remove("n");
        draft.drop("n");
    }
    draft.fields.insert("model".into(), target.model.into());
    draft.tools();
    draft.format();
    draft.thinking();
    draft.sampling(target.max_output);
    draft.stream();
    let messages = turns::write(&mut draft)?;
    draft.fields.insert("messages".into(), messages.into());
    draft.bend();
    for name in draft.dropped {
        if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
    Ok(Value::Object(draft.fields).to_string().into_bytes())
}

/// How many names of lost things are kept: a client can think up any number of kinds.
const MAX_DROPPED: usize = 32;

/// A request that cannot be put to this upstream.
fn unfit(path: &str, what: &str) -> BadRequest {
    BadRequest { path: path.to_owned(), message: format!("`{path}`: {what}"), code: "unsupported" }
}

/// A request as it is written.
struct Draft<'a> {
    quirks: &'a Quirks,
    request: &'a Request,
    fields: Map<String, Value>,
    /// Sentences for the instructions, where the upstream has no field for what they say.
    hints: Vec<String>,
    dropped: Vec<String>,
}

impl Draft<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn drop(&mut self, name: &str) {
        if self.dropped.len() < MAX_DROPPED && !self.dropped.iter().any(|known| known == name) {
            self.dropped.push(name.to_owned());
        }
    }

    /// The form of the answer, down the ladder of what the upstream knows.
    fn format(&mut self) {
        let support = self.quirks.json_schema.unwrap_or(JsonSchemaSupport::Native);
        match (&self.request.format, support) {
            (Format::Text, _) => {}
            (Format::JsonObject, JsonSchemaSupport::Prompt) => {
                self.hints.push("Answer with one JSON object and nothing else.".to_owned());
            }
            (Format::JsonObject, _) => {
                self.set("response_format", json!({"type": "json_object"}));
                // OpenAI and DashScope refuse this form unless the prompt says "JSON".
                self.hints.push("Answer with one JSON object.".to_owned());
            }
            (Format::JsonSchema { name, schema, strict }, JsonSchemaSupport::Native) => {
                let mut inner = json!({"name": name, "schema": schema});
                if let Some(strict) = strict {
                    inner["strict"] = (*strict).into();
                }
                self.set("response_format", json!({"type": "json_schema", "json_schema": inner}));
            }
            (Format::JsonSchema { schema, .. }, support) => {
                if support == JsonSchemaSupport::JsonObject {
                    self.set("response_format", json!({"type": "json_object"}));
                }
                self.hints.push(format!(
                    "Answer with one JSON object and nothing else. It must meet this JSON schema:\n{schema}"
                ));
            }
        }
    }

    fn stream(&mut self) {
        if !self.request.stream {
            return;
        }
        self.set("stream", true);
        if self.quirks.stream_options != Some(false) {
            // Always asked for: the gateway counts, whether or not the client wants to see it.
            self.set("stream_options", json!({"include_usage": true}));
        }
    }

    /// What the quirks forbid, rename, and always want.
    fn bend(&mut self) {
        for name in self.quirks.drop.iter().flatten() {
            if self.fields.remove(name).is_some() {
                self.drop(name);
            }
        }
        for (from, to) in self.quirks.rename.iter().flatten() {
            if let Some(value) = self.fields.remove(from) {
                self.fields.insert(to.clone(), value);
            }
        }
        for (name, value) in self.quirks.set.iter().flatten() {
            self.fields.insert(name.clone(), value.clone());
        }
    }
}
