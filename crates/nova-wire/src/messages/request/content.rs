//! Content blocks, written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::write::drop_named;
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Part, Request, Source, ToolCall};
use crate::ids;
use crate::quirks::{Images, Quirks, ReplayThinking};

/// The most `cache_control` marks that a request may carry.
const MOST_MARKS: usize = 4;

/// The `cache_control` marks: which of them are written. Where there are too many, the last ones count,
/// because they cover the longest prompts.
#[derive(Debug)]
pub(super) struct Marks {
    /// How many are left out before the first is written.
    skip: usize,
    allowed: bool,
}

impl Marks {
    pub(super) fn new(request: &Request, quirks: &Quirks) -> Self {
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let count = parts.filter(|part| mark_of(part).is_some()).count()
            + request.tools.iter().filter(|tool| tool.cache.is_some()).count();
        Self { skip: count.saturating_sub(MOST_MARKS), allowed: quirks.cache_control != Some(false) }
    }

    /// Puts a mark on a block, if there is one and it is still allowed.
    pub(super) fn put(&mut self, block: &mut Map<String, Value>, mark: Option<&Value>) {
        let Some(mark) = mark else { return };
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.allowed {
            block.insert("cache_control".to_owned(), mark.clone());
        }
    }
}

/// The mark of a part. Empty text carries none: Anthropic refuses that.
fn mark_of(part: &Part) -> Option<&Value> {
    match part {
        Part::Text { text, cache } if !text.trim().is_empty() => cache.as_ref(),
        Part::Image { cache, .. } | Part::Document { cache, .. } | Part::ToolResult { cache, .. } => {
            cache.as_ref()
        }
        _ => None,
    }
}

/// What is the same for all blocks of a request.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) quirks: &'a Quirks,
    pub(super) marks: &'a mut Marks,
    pub(super) dropped: &'a mut Vec<String>,
}

/// Blocks that this dialect knows and the hub does not.
const OWN_BLOCKS: &[&str] =
    &["server_tool_use", "mcp_tool_use", "container_upload", "tool_reference", "document", "image"];

/// Whether a block that the hub does not know is one of this dialect.
pub(super) fn is_own(kind: &str) -> bool {
    OWN_BLOCKS.contains(&kind) || kind.ends_with("_tool_result")
}

impl Writer<'_> {
    /// The block of a user's or an assistant's part. `None` where nothing is left of it.
    pub(super) fn block(&mut self, place: &str, part: &Part) -> Result<Option<Value>, BadRequest> {
        let (mut block, mark) = match part {
            Part::Text { text, cache } => {
                if text.trim().is_empty() {
                    return Ok(None);
                }
                (text_block(text), cache.as_ref())
            }
            Part::Refusal { text } => {
                return Ok((!text.trim().is_empty()).then(|| Value::Object(text_block(text))));
            }
            Part::Image { source, cache, .. } => (self.image(place, source)?, cache.as_ref()),
            Part::Document { source, name, cache } => {
                (self.document(place, source, name.as_deref())?, cache.as_ref())
            }
            Part::Thinking { text, signature } => {
                return Ok(self.thinking(text, signature.as_deref()));
            }
            Part::RedactedThinking { data } => {
                if self.quirks.replay_thinking == Some(ReplayThinking::Forbidden) {
                    return Ok(None);
                }
                return Ok(Some(json!({ "type": "redacted_thinking", "data": data })));
            }
            // The turns' writer places calls and results; one that it left over stands in no order.
            Part::ToolCall(_) | Part::ToolResult { .. } => return Ok(None),
            Part::Foreign { kind, value } => {
                if is_own(kind) {
                    return Ok(Some(value.clone()));
                }
                return Err(unsupported(
                    place.to_owned(),
                    &format!("content of type `{kind}` cannot be sent to this model"),
                ));
            }
        };
        self.marks.put(&mut block, mark);
        Ok(Some(Value::Object(block)))
    }

    /// Only a thought with its provider's signature goes back, except where unsigned ones are wanted.
    fn thinking(&mut self, text: &str, signature: Option<&str>) -> Option<Value> {
        let unsigned = self.quirks.replay_thinking == Some(ReplayThinking::Required);
        let forbidden = self.quirks.replay_thinking == Some(ReplayThinking::Forbidden);
        match signature {
            Some(signature) if !forbidden => {
                Some(json!({ "type": "thinking", "thinking": text, "signature": signature }))
            }
            None if unsigned && !text.is_empty() => {
                Some(json!({ "type": "thinking", "thinking": text, "signature": "" }))
            }
            _ => {
                drop_named(self.dropped, "reasoning_content");
                None
            }
        }
    }

    fn image(&self, place: &str, source: &Source) -> Result<Map<String, Value>, BadRequest> {
        if self.quirks.images == Some(Images::None) {
            return Err(unsupported(place.to_owned(), "this model does not read images"));
        }
        let source = match source {
            Source::Base64 { media_type, data } => {
                let media_type = match media_type.to_ascii_lowercase().as_str() {
                    "image/jpg" | "image/jpeg" => "image/jpeg",
                    "image/png" => "image/png",
                    "image/gif" => "image/gif",
                    "image/webp" => "image/webp",
                    other => {
                        let what = format!("images must be png, jpeg, gif or webp, but this is `{other}`");
                        return Err(unsupported(place.to_owned(), &what));
                    }
                };
                json!({ "type": "base64", "media_type": media_type, "data": data })
            }
            Source::Url(_) if self.quirks.images == Some(Images::Data) => {
                return Err(unsupported(
                    place.to_owned(),
                    "this model takes images as data only, not by URL",
                ));
            }
            Source::Url(url) => json!({ "type": "url", "url": url }),
            Source::File(id) => json!({ "type": "file", "file_id": id }),
            Source::Text(_) => return Err(unsupported(place.to_owned(), "text is no image")),
        };
        Ok(object("image", source))
    }

    fn document(
        &self,
        place: &str,
        source: &Source,
        name: Option<&str>,
    ) -> Result<Map<String, Value>, BadRequest> {
        if self.quirks.documents == Some(false) {
            return Err(unsupported(place.to_owned(), "this model does not read documents"));
        }
        let source = match source {
            Source::Base64 { media_type, data } if media_type.eq_ignore_ascii_case("application/pdf") => {
                json!({ "type": "base64", "media_type": "application/pdf", "data": data })
            }
            Source::Base64 { media_type, data } if media_type.starts_with("text/") => {
                let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let Some(text) = text else {
                    return Err(unsupported(place.to_owned(), "the document is not base64 of UTF-8 text"));
                };
                json!({ "type": "text", "media_type": "text/plain", "data": text })
            }
            Source::Base64 { media_type, .. } => {
                let what = format!("documents must be PDF or text, but this is `{media_type}`");
                return Err(unsupported(place.to_owned(), &what));
            }
            Source::Url(url) => json!({ "type": "url", "url": url }),
            Source::File(id) => json!({ "type": "file", "file_id": id }),
            Source::Text(text) => json!({ "type": "text", "media_type": "text/plain", "data": text }),
        };
        let mut block = object("document", source);
        if let Some(name) = name {
            block.insert("title".to_owned(), json!(name));
        }
        Ok(block)
    }

    /// A result, for the call that has this id on the wire.
    pub(super) fn result(&mut self, place: &str, part: &Part, id: &str) -> Result<Value, BadRequest> {
        let mut block = Map::new();
        block.insert("type".to_owned(), json!("tool_result"));
        block.insert("tool_use_id".to_owned(), json!(id));
        let Part::ToolResult { parts, is_error, cache, .. } = part else {
            // Nobody answered this call; without an answer the whole request would be refused.
            block.insert("content".to_owned(), json!("[no result]"));
            return Ok(Value::Object(block));
        };
        let mut content = Vec::new();
        for (index, inner) in parts.iter().enumerate() {
            content.extend(self.block(&format!("{place}.content[{index}]"), inner)?);
        }
        let content = match content.as_slice() {
            [] => json!(""),
            [Value::Object(only)] if only.len() == 2 && only.contains_key("text") => only["text"].clone(),
            _ => Value::Array(content),
        };
        block.insert("content".to_owned(), content);
        if *is_error {
            block.insert("is_error".to_owned(), Value::Bool(true));
        }
        self.marks.put(&mut block, cache.as_ref());
        Ok(Value::Object(block))
    }
}

fn text_block(text: &str) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("text"));
    block.insert("text".to_owned(), json!(text));
    block
}

fn object(kind: &str, source: Value) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!(kind));
    block.insert("source".to_owned(), source);
    block
}

/// A call, with the id that it has on the wire.
pub(super) fn call(call: &ToolCall, id: &str) -> Value {
    json!({
        "type": "tool_use",
        "id": id,
        "name": ids::to_word(&call.name),
        "input": arguments(&call.arguments),
    })
}

/// Arguments as the object that Anthropic demands. Models write nothing for no arguments, and one that
/// was cut off may have written half of them.
pub(crate) fn arguments(json: &str) -> Value {
    if json.trim().is_empty() {
        return Value::Object(Map::new());
    }
    match serde_json::from_str(json) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        Ok(Value::Null) => Value::Object(Map::new()),
        Ok(other) => json!({ "value": other }),
        Err(_) => json!({ "value": json }),
    }
}
