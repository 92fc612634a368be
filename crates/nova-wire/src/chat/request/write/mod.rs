//! Writes a chat request for one upstream.

mod params;
mod turns;

use serde_json::{Value, json};

use crate::draft::Draft;
use crate::error::BadRequest;
use crate::hub::request::{Format, Request};
use crate::quirks::JsonSchemaSupport;
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
    let mut draft = Draft::new(request, target.quirks, request.extra.clone());
    if request.extra.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        // The hub holds one answer.
        draft.fields.remove("n");
        draft.drop("n");
    }
    draft.fields.insert("model".into(), target.model.into());
    draft.tools();
    draft.format();
    draft.thinking();
    draft.bounds(target.max_output);
    draft.stream();
    let messages = turns::write(&mut draft)?;
    draft.fields.insert("messages".into(), messages.into());
    Ok(draft.finish(dropped))
}

/// A request that cannot be put to this upstream.
fn unfit(path: &str, what: &str) -> BadRequest {
    BadRequest { path: path.to_owned(), message: format!("`{path}`: {what}"), code: "unsupported" }
}

impl Draft<'_> {
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
}
