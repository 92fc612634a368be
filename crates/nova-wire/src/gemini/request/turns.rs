//! The conversation, written under Google's rules of order.
//!
//! Turns alternate, and the first is the user's; every call of a turn is answered in the next one, all
//! its results in the order of the calls; a turn has at least one part, and no text is blank. A
//! conversation that breaks a rule is mended, not refused, because every provider of the chat dialect
//! accepts it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::contents::media_type_of;
use super::write::drop_named;
use crate::error::BadRequest;
use crate::gemini::fields::unsupported;
use crate::gemini::object;
use crate::hub::request::{Part, Request, Role, Source, ToolCall, Turn};
use crate::quirks::{Images, Quirks, ReplayThinking, SystemRole};

/// What the user says where a conversation begins with the model.
const OPENING: &str = ".";

/// What stands for a result that never came.
const NO_RESULT: &str = "[no result]";

/// Parts that this dialect knows and the hub does not.
const OWN_PARTS: &[&str] = &[
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
];

/// A part and where it stands in the hub's request.
struct Placed<'a> {
    place: String,
    part: &'a Part,
}

/// Neighbouring turns of one role.
struct Group<'a> {
    model: bool,
    parts: Vec<Placed<'a>>,
}

/// Writes `systemInstruction` and `contents`. `hints` are sentences for the instructions.
pub(super) fn write(
    request: &Request,
    quirks: &Quirks,
    hints: Vec<String>,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Result<(), BadRequest> {
    let mut writer = Writer { quirks, dropped };
    let leading = request.turns.iter().take_while(|turn| turn.role == Role::System).count();
    let mut system = writer.system(&request.turns[..leading])?;
    system.extend(hints.into_iter().map(|hint| json!({ "text": hint })));
    let mut contents = Contents::default();
    if quirks.system_role == Some(SystemRole::User) {
        contents.push("user", system);
    } else if !system.is_empty() {
        body.insert("systemInstruction".to_owned(), json!({ "parts": system }));
    }
    let mut open: Vec<&ToolCall> = Vec::new();
    for group in group(&request.turns[leading..], leading) {
        if !group.model {
            contents.push("user", writer.user(&std::mem::take(&mut open), &group.parts)?);
            continue;
        }
        // No user spoke after the last calls, so they stay without results.
        contents.push("user", writer.user(&std::mem::take(&mut open), &[])?);
        contents.push("model", writer.model(&group.parts)?);
        open = group.parts.iter().filter_map(call_of).collect();
    }
    contents.push("user", writer.user(&open, &[])?);
    body.insert("contents".to_owned(), contents.finish());
    Ok(())
}

fn call_of<'a>(placed: &Placed<'a>) -> Option<&'a ToolCall> {
    match placed.part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    }
}

/// Instructions between turns become the user's words.
fn group(turns: &[Turn], offset: usize) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let model = turn.role == Role::Assistant;
        let place = |at| format!("messages[{}].content[{at}]", offset + index);
        let parts = turn.parts.iter().enumerate().map(|(at, part)| Placed { place: place(at), part });
        match groups.last_mut() {
            Some(last) if last.model == model => last.parts.extend(parts),
            _ => groups.push(Group { model, parts: parts.collect() }),
        }
    }
    groups
}

struct Writer<'a> {
    quirks: &'a Quirks,
    dropped: &'a mut Vec<String>,
}

impl Writer<'_> {
    fn system(&mut self, turns: &[Turn]) -> Result<Vec<Value>, BadRequest> {
        let mut parts = Vec::new();
        for (index, turn) in turns.iter().enumerate() {
            for (at, part) in turn.parts.iter().enumerate() {
                let place = format!("messages[{index}].content[{at}]");
                if !matches!(part, Part::Text { .. }) {
                    return Err(unsupported(place, "instructions must be text"));
                }
                parts.extend(self.part(&place, part)?);
            }
        }
        Ok(parts)
    }

    fn model(&mut self, parts: &[Placed<'_>]) -> Result<Vec<Value>, BadRequest> {
        let mut out = Vec::with_capacity(parts.len());
        let mut first = true;
        for Placed { place, part } in parts {
            match part {
                Part::ToolCall(call) => {
                    // Of several calls at once only the first is signed.
                    let stand_in = self.quirks.call_signature.as_deref().filter(|_| first);
                    first = false;
                    out.push(call_part(call, stand_in));
                }
                Part::Thinking { text, signature } => out.extend(self.thinking(text, signature.as_deref())),
                Part::RedactedThinking { .. } => drop_named(self.dropped, "redacted_thinking"),
                other => out.extend(self.part(place, other)?),
            }
        }
        Ok(out)
    }

    /// A thought goes back with Google's signature on it; one without means nothing to the model.
    fn thinking(&mut self, text: &str, signature: Option<&str>) -> Option<Value> {
        let replay = self.quirks.replay_thinking;
        let unsigned = matches!(replay, Some(ReplayThinking::Accepted | ReplayThinking::Required));
        match signature {
            _ if replay == Some(ReplayThinking::Forbidden) => {}
            Some(signature) if text.is_empty() => {
                return Some(json!({ "text": "", "thoughtSignature": signature }));
            }
            Some(signature) => {
                return Some(json!({ "text": text, "thought": true, "thoughtSignature": signature }));
            }
            None if unsigned && !text.is_empty() => return Some(json!({ "text": text, "thought": true })),
            None => {}
        }
        drop_named(self.dropped, "reasoning_content");
        None
    }

    /// The user's parts: first the results for the open calls, in the order of the calls, then the rest.
    fn user(&mut self, open: &[&ToolCall], parts: &[Placed<'_>]) -> Result<Vec<Value>, BadRequest> {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, placed) in parts.iter().enumerate().rev() {
            if let Part::ToolResult { id, .. } = placed.part {
                by_id.entry(id).or_default().push(at);
            }
        }
        let mut taken = vec![false; parts.len()];
        let (mut out, mut shown) = (Vec::with_capacity(parts.len()), Vec::new());
        for call in open {
            let found = by_id.get_mut(call.id.as_str()).and_then(Vec::pop);
            let response = match found {
                Some(at) => {
                    taken[at] = true;
                    self.response(&parts[at], &mut shown)?
                }
                None => json!({ "output": NO_RESULT }),
            };
            let mut result = Map::new();
            if !call.id.is_empty() {
                result.insert("id".to_owned(), json!(call.id));
            }
            result.insert("name".to_owned(), json!(call.name));
            result.insert("response".to_owned(), response);
            out.push(json!({ "functionResponse": result }));
        }
        // What a tool showed follows its words: older models read no images inside of results.
        out.append(&mut shown);
        for (Placed { place, part }, taken) in parts.iter().zip(taken) {
            match part {
                Part::ToolResult { .. } if taken => {}
                // It answers no call of the turn before, so it is kept as the user's words.
                Part::ToolResult { id, parts, .. } => {
                    out.push(json!({ "text": format!("Result of the tool call `{id}`:") }));
                    for (at, inner) in parts.iter().enumerate() {
                        out.extend(self.part(&format!("{place}.content[{at}]"), inner)?);
                    }
                }
                // Thoughts and calls are the model's; a client that says otherwise is mistaken.
                Part::Thinking { .. } | Part::RedactedThinking { .. } | Part::ToolCall(_) => {}
                other => out.extend(self.part(place, other)?),
            }
        }
        Ok(out)
    }

    /// A result as the object that Google demands; what is no text is put aside into `shown`.
    fn response(&mut self, placed: &Placed<'_>, shown: &mut Vec<Value>) -> Result<Value, BadRequest> {
        let Part::ToolResult { parts, is_error, .. } = placed.part else { return Ok(json!({})) };
        let mut texts = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::Text { text, .. } => texts.push(text.as_str()),
                other => shown.extend(self.part(&format!("{}.content[{at}]", placed.place), other)?),
            }
        }
        let text = texts.join("\n");
        if *is_error {
            return Ok(json!({ "error": text }));
        }
        Ok(structured(&text).unwrap_or_else(|| json!({ "output": text })))
    }

    /// A part of either speaker. `None` where nothing is left of it.
    fn part(&mut self, place: &str, part: &Part) -> Result<Option<Value>, BadRequest> {
        Ok(match part {
            Part::Text { text, .. } | Part::Refusal { text } => {
                (!text.trim().is_empty()).then(|| json!({ "text": text }))
            }
            Part::Image { source, .. } => {
                if self.quirks.images == Some(Images::None) {
                    return Err(unsupported(place.to_owned(), "this model does not read images"));
                }
                Some(self.media(place, source, None, "image/jpeg")?)
            }
            Part::Document { source, name, .. } => {
                if self.quirks.documents == Some(false) {
                    return Err(unsupported(place.to_owned(), "this model does not read documents"));
                }
                Some(self.media(place, source, name.as_deref(), "application/pdf")?)
            }
            Part::Foreign { kind, value } if OWN_PARTS.contains(&kind.as_str()) => Some(value.clone()),
            Part::Foreign { kind, value } => {
                let sound = sound(value);
                if sound.is_none() {
                    drop_named(self.dropped, kind);
                }
                sound
            }
            // The turns' writer places these; one that it left over stands in no order.
            Part::Thinking { .. }
            | Part::RedactedThinking { .. }
            | Part::ToolCall(_)
            | Part::ToolResult { .. } => None,
        })
    }

    /// Data here or elsewhere; `default` is its media type where nothing says one.
    fn media(
        &self,
        place: &str,
        source: &Source,
        name: Option<&str>,
        default: &str,
    ) -> Result<Value, BadRequest> {
        let (field, mut data) = match source {
            Source::Base64 { media_type, data } => {
                let media_type = if media_type.is_empty() { default } else { media_type };
                ("inlineData", json!({ "mimeType": media_type, "data": data }))
            }
            Source::Text(text) => return Ok(json!({ "text": text })),
            Source::Url(_) if self.quirks.images == Some(Images::Data) => {
                let what = "this model takes images and documents as data only, not by URL";
                return Err(unsupported(place.to_owned(), what));
            }
            Source::File(uri) if !uri.contains("://") && !uri.starts_with("files/") => {
                let what = "the file lies in another provider's store, where this model cannot read it";
                return Err(unsupported(place.to_owned(), what));
            }
            // Google knows what lies in its own store, and is better told nothing than a guess.
            Source::File(uri) if media_type_of(uri).is_none() => ("fileData", json!({ "fileUri": uri })),
            Source::Url(uri) | Source::File(uri) => {
                let media_type = media_type_of(uri).unwrap_or(default);
                ("fileData", json!({ "mimeType": media_type, "fileUri": uri }))
            }
        };
        if let Some(name) = name {
            data["displayName"] = json!(name);
        }
        Ok(Value::Object(Map::from_iter([(field.to_owned(), data)])))
    }
}

fn call_part(call: &ToolCall, stand_in: Option<&str>) -> Value {
    let mut inner = Map::new();
    if !call.id.is_empty() {
        inner.insert("id".to_owned(), json!(call.id));
    }
    inner.insert("name".to_owned(), json!(call.name));
    inner.insert("args".to_owned(), Value::Object(object(&call.arguments)));
    let mut part = Map::from_iter([("functionCall".to_owned(), Value::Object(inner))]);
    if let Some(signature) = call.mark.signature.as_deref().or(stand_in) {
        part.insert("thoughtSignature".to_owned(), json!(signature));
    }
    Value::Object(part)
}

/// A text that is a JSON object, as that object: models read it better than JSON in a string. Only where
/// the reader would give the same text back.
fn structured(text: &str) -> Option<Value> {
    let value: Value = text.starts_with('{').then(|| serde_json::from_str(text).ok())??;
    let fields = value.as_object()?;
    let special = fields.is_empty()
        || (fields.len() == 1 && ["output", "error", "result"].iter().any(|name| fields.contains_key(*name)));
    let again = value.to_string();
    (!special && again == text).then_some(value)
}

/// The chat dialect's sound.
fn sound(part: &Value) -> Option<Value> {
    let sound = part.get("input_audio")?;
    let (data, format) = (sound.get("data")?.as_str()?, sound.get("format")?.as_str()?);
    Some(json!({ "inlineData": { "mimeType": format!("audio/{format}"), "data": data } }))
}

/// The contents so far.
#[derive(Default)]
struct Contents(Vec<(&'static str, Vec<Value>)>);

impl Contents {
    /// Adds parts; to the last content, where the role is the same. No parts are no content.
    fn push(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some((last, list)) if *last == role => list.extend(parts),
            _ => self.0.push((role, parts)),
        }
    }

    fn finish(mut self) -> Value {
        if self.0.first().is_none_or(|(role, _)| *role != "user") {
            self.0.insert(0, ("user", vec![json!({ "text": OPENING })]));
        }
        self.0.into_iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()
    }
}
