//! The conversation of a chat request.
//!
//! Rules that upstreams insist on: instructions first; the results of tools right behind the calls that
//! they answer, in the order of the calls, one message each, none missing; content that is a plain
//! string wherever it is only text.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::params::{nine, word};
use super::{Draft, unfit};
use crate::error::BadRequest;
use crate::hub::request::{Part, Role, Source, Thinking, ToolCall, Turn};
use crate::quirks::{Images, ReplayThinking, SystemRole, ToolIds};

/// The messages.
pub(super) fn write(draft: &mut Draft<'_>) -> Result<Vec<Value>, BadRequest> {
    let mut pen = Pen { messages: Vec::new(), waiting: Vec::new() };
    let turns = &draft.request.turns;
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    pen.leading(draft, &turns[..leading])?;
    for (at, turn) in turns.iter().enumerate().skip(leading) {
        match turn.role {
            Role::System => pen.system(draft, turn)?,
            Role::User => pen.user(draft, turn)?,
            Role::Assistant => {
                pen.assistant(draft, turn)?;
                pen.results(draft, turn, &turns[at + 1..])?;
            }
        }
    }
    pen.flush();
    if turns.last().is_some_and(|turn| turn.role == Role::Assistant && !turn.parts.iter().any(is_call)) {
        pen.prefill(draft)?;
    }
    Ok(pen.messages)
}

/// The messages so far.
struct Pen {
    messages: Vec<Value>,
    /// Text for the next user message: instructions that may not stand alone there.
    waiting: Vec<Value>,
}

impl Pen {
    /// The instructions at the beginning are one message, with our hints behind them.
    fn leading(&mut self, draft: &mut Draft<'_>, turns: &[Turn]) -> Result<(), BadRequest> {
        let parts: Vec<&Part> =
            turns.iter().flat_map(|turn| &turn.parts).filter(|part| !is_billing(part)).collect();
        let mut parts = content_parts(draft, &parts)?;
        parts.extend(
            std::mem::take(&mut draft.hints).into_iter().map(|hint| json!({"type": "text", "text": hint})),
        );
        if !parts.is_empty() {
            let role = match draft.quirks.system_role.unwrap_or(SystemRole::System) {
                SystemRole::System => "system",
                SystemRole::Developer => "developer",
                SystemRole::User => "user",
            };
            let content = flat(draft, parts);
            self.push(role, content, turns);
        }
        Ok(())
    }

    /// A message, with the fields of the turns that only this dialect knows.
    fn push(&mut self, role: &str, content: Value, turns: &[Turn]) {
        let mut message = Map::new();
        message.insert("role".into(), role.into());
        message.insert("content".into(), content);
        for turn in turns {
            message.extend(turn.extra.clone());
        }
        self.messages.push(message.into());
    }

    /// Instructions between turns: in their place, or as text of the next user message.
    fn system(&mut self, draft: &mut Draft<'_>, turn: &Turn) -> Result<(), BadRequest> {
        let parts: Vec<&Part> = turn.parts.iter().filter(|part| !is_billing(part)).collect();
        let parts = content_parts(draft, &parts)?;
        if parts.is_empty() {
            return Ok(());
        }
        if draft.quirks.mid_system == Some(false) {
            self.waiting.extend(parts);
            return Ok(());
        }
        let role = match draft.quirks.system_role {
            Some(SystemRole::Developer) => "developer",
            Some(SystemRole::User) => "user",
            Some(SystemRole::System) | None => "system",
        };
        let content = flat(draft, parts);
        self.push(role, content, std::slice::from_ref(turn));
        Ok(())
    }

    /// What a user says; the results in the turn were written behind their calls.
    fn user(&mut self, draft: &mut Draft<'_>, turn: &Turn) -> Result<(), BadRequest> {
        let said: Vec<&Part> =
            turn.parts.iter().filter(|part| !matches!(part, Part::ToolResult { .. })).collect();
        if said.is_empty() && !turn.parts.is_empty() {
            return Ok(());
        }
        let mut parts = std::mem::take(&mut self.waiting);
        parts.extend(content_parts(draft, &said)?);
        let content = flat(draft, parts);
        self.push("user", content, std::slice::from_ref(turn));
        Ok(())
    }

    /// Instructions that no user message followed.
    fn flush(&mut self) {
        let parts = std::mem::take(&mut self.waiting);
        if !parts.is_empty() {
            self.messages.push(json!({"role": "user", "content": joined(&parts)}));
        }
    }

    fn assistant(&mut self, draft: &mut Draft<'_>, turn: &Turn) -> Result<(), BadRequest> {
        self.flush();
        let mut message = Map::new();
        let (mut text, mut refusal) = (String::new(), String::new());
        let mut calls = Vec::new();
        for part in &turn.parts {
            match part {
                Part::Text { text: more, .. } => text.push_str(more),
                Part::Refusal { text: more } => refusal.push_str(more),
                Part::ToolCall(call) => calls.push(call_json(draft, call)),
                Part::Thinking { .. } => {}
                Part::RedactedThinking { .. } => draft.drop("redacted_thinking"),
                Part::Foreign { kind, value } if is_of_chat(kind) => calls.push(value.clone()),
                Part::Foreign { kind, .. } => draft.drop(kind),
                Part::Image { .. } | Part::Document { .. } | Part::ToolResult { .. } => {
                    return Err(unfit(
                        "messages",
                        "an assistant's turn can hold no image, document or tool result",
                    ));
                }
            }
        }
        thinking(draft, turn, &mut message);
        message.insert("role".into(), "assistant".into());
        // An empty string rather than null: the templates of MiniMax and vLLM want one.
        message.insert("content".into(), text.into());
        if !refusal.is_empty() {
            message.insert("refusal".into(), refusal.into());
        }
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
        message.extend(turn.extra.clone());
        self.messages.push(message.into());
        Ok(())
    }

    /// The results of an assistant's calls, from wherever they stand before its next turn.
    fn results(&mut self, draft: &mut Draft<'_>, turn: &Turn, rest: &[Turn]) -> Result<(), BadRequest> {
        let near = rest.iter().take_while(|turn| turn.role != Role::Assistant);
        let results: Vec<&Part> = near.flat_map(|turn| &turn.parts).filter(|part| is_result(part)).collect();
        // By id, first one first: a long conversation must not be searched for every call.
        let mut by_id: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (at, result) in results.iter().enumerate() {
            if let Part::ToolResult { id, .. } = result {
                by_id.entry(id).or_default().push_back(at);
            }
        }
        let mut shown = Vec::new();
        let mut used = vec![false; results.len()];
        // The last turn's calls may still wait for the client; they are not answered for it.
        let open = rest.is_empty();
        for call in turn.parts.iter().filter_map(call_of).filter(|_| !open) {
            let id = spelled(draft, &call.id);
            let text = match by_id.get_mut(call.id.as_str()).and_then(VecDeque::pop_front) {
                Some(at) => {
                    used[at] = true;
                    result_text(draft, results[at], &mut shown)?
                }
                None => "[no result]".to_owned(),
            };
            self.messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        }
        for (result, _) in results.iter().zip(&used).filter(|(_, used)| !**used) {
            // An answer to a call that nobody made is still something that was said.
            let text = result_text(draft, result, &mut shown)?;
            self.waiting.push(json!({"type": "text", "text": text}));
        }
        if !shown.is_empty() {
            self.waiting.extend(shown);
            // Images cannot stand in a result; they follow in a message of the user.
            let parts = std::mem::take(&mut self.waiting);
            self.messages.push(json!({"role": "user", "content": parts}));
        }
        Ok(())
    }

    /// The last message is the beginning of the answer.
    fn prefill(&mut self, draft: &Draft<'_>) -> Result<(), BadRequest> {
        let Some(field) = &draft.quirks.prefill else {
            return Err(unfit(
                "messages",
                "this model cannot continue an answer that the last message begins",
            ));
        };
        if let Some(Value::Object(last)) = self.messages.last_mut() {
            last.insert(field.clone(), Value::Bool(true));
        }
        Ok(())
    }
}

fn is_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall(_))
}

fn call_of(part: &Part) -> Option<&ToolCall> {
    match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    }
}

fn is_result(part: &Part) -> bool {
    matches!(part, Part::ToolResult { .. })
}

/// Claude Code's first instruction, which changes with every request and would spoil prompt caches.
fn is_billing(part: &Part) -> bool {
    matches!(part, Part::Text { text, .. } if text.starts_with("x-anthropic-billing-header:"))
}

/// Whether a part that the hub does not know is one of this dialect.
fn is_of_chat(kind: &str) -> bool {
    matches!(kind, "input_audio" | "video_url" | "video" | "custom")
}

fn spelled(draft: &Draft<'_>, id: &str) -> String {
    match draft.quirks.tool_ids.unwrap_or(ToolIds::Any) {
        ToolIds::Any => id.to_owned(),
        ToolIds::Word => word(id),
        ToolIds::Nine => nine(id),
    }
}

fn call_json(draft: &Draft<'_>, call: &ToolCall) -> Value {
    // MiniMax and Mistral refuse a conversation in which some arguments are no JSON.
    let whole = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok();
    let arguments = if whole { call.arguments.as_str() } else { "{}" };
    json!({
        "id": spelled(draft, &call.id),
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    })
}

/// The thinking of an earlier turn, as the upstream wants it back.
fn thinking(draft: &mut Draft<'_>, turn: &Turn, message: &mut Map<String, Value>) {
    let mut text = String::new();
    let mut details = Vec::new();
    for part in &turn.parts {
        if let Part::Thinking { text: more, signature } = part {
            text.push_str(more);
            details.push(json!({"type": "reasoning.text", "text": more, "signature": signature}));
        }
    }
    let required = match draft.quirks.replay_thinking.unwrap_or(ReplayThinking::Forbidden) {
        ReplayThinking::Forbidden => {
            if !text.is_empty() {
                draft.drop("thinking");
            }
            return;
        }
        ReplayThinking::Accepted => false,
        ReplayThinking::Required => draft.request.thinking != Thinking::Off,
    };
    let field = draft.quirks.thinking_field.as_deref().unwrap_or("reasoning_content");
    if field == "reasoning_details" && !details.is_empty() {
        message.insert(field.to_owned(), details.into());
    } else if !text.is_empty() {
        message.insert(field.to_owned(), text.into());
    } else if required {
        // DeepSeek and Moonshot refuse a turn without the field; a blank is taken.
        message.insert(field.to_owned(), " ".into());
    }
}

/// The text of a result. Images go into `shown`.
fn result_text(draft: &mut Draft<'_>, result: &Part, shown: &mut Vec<Value>) -> Result<String, BadRequest> {
    let Part::ToolResult { parts, is_error, .. } = result else { return Ok(String::new()) };
    let mut texts = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } => texts.push(text.clone()),
            Part::Image { .. } => {
                let image = content_parts(draft, &[part])?;
                texts.push("[the image follows in the next message]".to_owned());
                shown.extend(image);
            }
            other => {
                let inner = content_parts(draft, &[other])?;
                texts.extend(inner.iter().filter_map(|part| Some(part.get("text")?.as_str()?.to_owned())));
            }
        }
    }
    let text = texts.join("\n");
    Ok(if *is_error && !text.starts_with("Error") { format!("Error: {text}") } else { text })
}

/// The parts of a message that is not the assistant's.
fn content_parts(draft: &mut Draft<'_>, parts: &[&Part]) -> Result<Vec<Value>, BadRequest> {
    let marks = draft.quirks.cache_control == Some(true);
    let mut out = Vec::new();
    for part in parts {
        let (mut json, mark) = match part {
            Part::Text { text, cache } => (json!({"type": "text", "text": text}), cache.as_ref()),
            Part::Image { source, detail, cache } => {
                let mut image = image(draft, source)?;
                if let Some(detail) = detail {
                    // Codex's word for the most that there is; only Responses has it.
                    let detail = if detail == "original" { "high" } else { detail };
                    image["image_url"]["detail"] = detail.into();
                }
                (image, cache.as_ref())
            }
            Part::Document { source, name, cache } => {
                (document(draft, source, name.as_deref())?, cache.as_ref())
            }
            Part::Refusal { text } => (json!({"type": "text", "text": text}), None),
            Part::Foreign { kind, value } if is_of_chat(kind) => (value.clone(), None),
            Part::Foreign { kind, .. } => {
                draft.drop(kind);
                continue;
            }
            Part::Thinking { .. } | Part::RedactedThinking { .. } => {
                draft.drop("thinking");
                continue;
            }
            Part::ToolCall(_) | Part::ToolResult { .. } => continue,
        };
        match mark {
            Some(mark) if marks => json["cache_control"] = mark.clone(),
            // A mark only saves money; a target that knows none caches by itself or not at all.
            _ => {}
        }
        out.push(json);
    }
    Ok(out)
}

fn image(draft: &Draft<'_>, source: &Source) -> Result<Value, BadRequest> {
    let images = draft.quirks.images.unwrap_or(Images::Any);
    if images == Images::None {
        return Err(unfit("messages", "this model reads text only, and an image stands in the conversation"));
    }
    let url = match source {
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        Source::Url(url) if images == Images::Any || url.starts_with("data:") || url.starts_with("ms://") => {
            url.clone()
        }
        Source::Url(_) => {
            return Err(unfit(
                "messages",
                "this provider takes images inline only, and one is given by its URL",
            ));
        }
        Source::File(_) | Source::Text(_) => {
            return Err(unfit("messages", "an image of another provider's file store cannot be read here"));
        }
    };
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

fn document(draft: &Draft<'_>, source: &Source, name: Option<&str>) -> Result<Value, BadRequest> {
    match source {
        Source::Text(text) => {
            let text = name.map_or_else(|| text.clone(), |name| format!("{name}\n\n{text}"));
            Ok(json!({"type": "text", "text": text}))
        }
        Source::File(id) if draft.quirks.documents == Some(true) => {
            Ok(json!({"type": "file", "file": {"file_id": id}}))
        }
        Source::Base64 { media_type, data } if draft.quirks.documents == Some(true) => {
            let name = name.unwrap_or("document.pdf");
            let data = format!("data:{media_type};base64,{data}");
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data}}))
        }
        Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
            Err(unfit("messages", "this model cannot read the document in the conversation"))
        }
    }
}

/// A plain string where all parts are plain text, and the upstream may want that.
fn flat(draft: &Draft<'_>, parts: Vec<Value>) -> Value {
    let plain = parts
        .iter()
        .all(|part| part.get("text").is_some() && part.as_object().is_some_and(|fields| fields.len() == 2));
    if plain && (draft.quirks.flat_content != Some(false) || parts.len() < 2) {
        return joined(&parts).into();
    }
    parts.into()
}

fn joined(parts: &[Value]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    texts.join("\n\n")
}
