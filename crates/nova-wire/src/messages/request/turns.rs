//! The conversation, written under Anthropic's rules of order.
//!
//! Turns alternate and the first is the user's; every call of a turn is answered at the beginning of
//! the next one, in the order of the calls; ids are unique; no text is blank; the last turn of the
//! model does not end in white space. A conversation that breaks a rule is mended, not refused, because
//! every provider of the chat dialect accepts it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::content::{Marks, Writer, call, is_own};
use super::write::drop_named;
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Part, Request, Role, Turn};
use crate::ids;
use crate::translate::Target;

/// What the user says where a conversation begins with the model.
const OPENING: &str = ".";

/// A part and where it stands in the hub's request.
struct Placed<'a> {
    place: String,
    part: &'a Part,
}

/// Neighbouring turns of one role.
struct Group<'a> {
    role: Role,
    parts: Vec<Placed<'a>>,
}

/// Writes `system` and `messages`.
pub(super) fn write(
    request: &Request,
    target: &Target<'_>,
    instruction: Option<String>,
    marks: &mut Marks,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Result<(), BadRequest> {
    let mut writer = Writer { quirks: target.quirks, marks, dropped };
    let leading = request.turns.iter().take_while(|turn| turn.role == Role::System).count();
    if let Some(system) = system(&request.turns[..leading], instruction, &mut writer)? {
        body.insert("system".to_owned(), system);
    }
    let groups = group(&request.turns[leading..], leading, target.quirks.mid_system == Some(true));
    let mut messages = Messages::default();
    let mut open = Vec::new();
    let mut used = HashSet::new();
    for group in &groups {
        if group.role == Role::User {
            let blocks = user(std::mem::take(&mut open), &group.parts, &mut writer)?;
            messages.push("user", blocks);
            continue;
        }
        // No user spoke after the last calls, so they stay without results.
        messages.push("user", user(std::mem::take(&mut open), &[], &mut writer)?);
        if group.role == Role::Assistant {
            let (blocks, calls) = assistant(&group.parts, &mut used, &mut writer)?;
            messages.push("assistant", blocks);
            open = calls;
        } else {
            let blocks = user(Vec::new(), &group.parts, &mut writer)?;
            messages.push("system", blocks);
        }
    }
    messages.push("user", user(open, &[], &mut writer)?);
    body.insert("messages".to_owned(), messages.finish());
    Ok(())
}

/// The leading instructions: one string, or blocks where one of them carries a mark.
fn system(
    turns: &[Turn],
    instruction: Option<String>,
    writer: &mut Writer<'_>,
) -> Result<Option<Value>, BadRequest> {
    let mut blocks = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        for (at, part) in turn.parts.iter().enumerate() {
            let place = format!("messages[{index}].content[{at}]");
            if !matches!(part, Part::Text { .. }) {
                return Err(unsupported(place, "instructions must be text"));
            }
            blocks.extend(writer.block(&place, part)?);
        }
    }
    blocks.extend(instruction.map(|text| json!({ "type": "text", "text": text })));
    if blocks.is_empty() {
        return Ok(None);
    }
    if blocks.iter().any(|block| block.get("cache_control").is_some()) {
        return Ok(Some(Value::Array(blocks)));
    }
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    Ok(Some(json!(texts.join("\n\n"))))
}

/// Instructions between turns become the user's words where the target does not take them there, and
/// where they would stand between a call and its result.
fn group(turns: &[Turn], offset: usize, keeps_system: bool) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let after_calls = groups.last().is_some_and(|last| {
            last.role == Role::Assistant
                && last.parts.iter().any(|placed| matches!(placed.part, Part::ToolCall(_)))
        });
        let folded = turn.role == Role::System && (after_calls || !keeps_system);
        let role = if folded { Role::User } else { turn.role };
        let place = |at| format!("messages[{}].content[{at}]", offset + index);
        let parts = turn.parts.iter().enumerate().map(|(at, part)| Placed { place: place(at), part });
        match groups.last_mut() {
            Some(last) if last.role == role => last.parts.extend(parts),
            _ => groups.push(Group { role, parts: parts.collect() }),
        }
    }
    groups
}

/// A call that waits for its result.
struct OpenCall {
    /// The id as the hub has it.
    id: String,
    /// The id on the wire, unique in the request.
    word: String,
}

fn assistant(
    parts: &[Placed<'_>],
    used: &mut HashSet<String>,
    writer: &mut Writer<'_>,
) -> Result<(Vec<Value>, Vec<OpenCall>), BadRequest> {
    let (mut blocks, mut open) = (Vec::new(), Vec::new());
    for Placed { place, part } in parts {
        match part {
            Part::ToolCall(tool_call) => {
                let word = unique(&ids::fit(&tool_call.id), used);
                blocks.push(call(tool_call, &word));
                open.push(OpenCall { id: tool_call.id.clone(), word });
            }
            Part::Image { .. } | Part::Document { .. } => {
                return Err(unsupported(
                    place.clone(),
                    "the model's own turns cannot hold images or documents",
                ));
            }
            // What another provider's own tools did is no loss to the conversation.
            Part::Foreign { kind, .. } if !is_own(kind) => drop_named(writer.dropped, kind),
            other => blocks.extend(writer.block(place, other)?),
        }
    }
    Ok((blocks, open))
}

/// Some hosts use an id again in a later turn, which Anthropic refuses.
fn unique(word: &str, used: &mut HashSet<String>) -> String {
    let mut candidate = word.to_owned();
    let mut count = 2;
    while !used.insert(candidate.clone()) {
        let end = word.len().min(ids::LONGEST_ID - 8);
        candidate = format!("{}_{count}", &word[..end]);
        count += 1;
    }
    candidate
}

/// The user's blocks: first the results for the open calls, in the order of the calls, then the rest.
fn user(
    open: Vec<OpenCall>,
    parts: &[Placed<'_>],
    writer: &mut Writer<'_>,
) -> Result<Vec<Value>, BadRequest> {
    let mut taken = vec![false; parts.len()];
    let mut blocks = Vec::with_capacity(parts.len());
    let nothing = Part::Text { text: String::new(), cache: None };
    for call in open {
        let answers =
            |placed: &Placed<'_>| matches!(placed.part, Part::ToolResult { id, .. } if *id == call.id);
        let found = (0..parts.len()).find(|at| !taken[*at] && answers(&parts[*at]));
        blocks.push(match found {
            Some(at) => {
                taken[at] = true;
                writer.result(&parts[at].place, parts[at].part, &call.word)?
            }
            None => writer.result("", &nothing, &call.word)?,
        });
    }
    for (Placed { place, part }, taken) in parts.iter().zip(taken) {
        match part {
            Part::ToolResult { .. } if taken => {}
            // It answers no call of the turn before, so it is kept as the user's words.
            Part::ToolResult { id, parts, .. } => {
                let heading = format!("Result of the tool call `{id}`:");
                blocks.push(json!({ "type": "text", "text": heading }));
                for (at, inner) in parts.iter().enumerate() {
                    blocks.extend(writer.block(&format!("{place}.content[{at}]"), inner)?);
                }
            }
            // Thoughts and calls are the model's; a client that says otherwise is mistaken.
            Part::Thinking { .. } | Part::RedactedThinking { .. } | Part::ToolCall(_) => {}
            other => blocks.extend(writer.block(place, other)?),
        }
    }
    Ok(blocks)
}

/// The messages so far.
#[derive(Default)]
struct Messages {
    list: Vec<(&'static str, Vec<Value>)>,
}

impl Messages {
    /// Adds blocks; to the last message, where the role is the same. No blocks are no message.
    fn push(&mut self, role: &'static str, blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some((last, list)) if *last == role => list.extend(blocks),
            _ => self.list.push((role, blocks)),
        }
    }

    fn finish(mut self) -> Value {
        if self.list.first().is_none_or(|(role, _)| *role != "user") {
            self.list.insert(0, ("user", vec![json!({ "type": "text", "text": OPENING })]));
        }
        if let Some(("assistant", blocks)) = self.list.last_mut() {
            trim_end(blocks);
        }
        let message = |(role, blocks): (&str, Vec<Value>)| {
            let content = match blocks.as_slice() {
                [Value::Object(only)] if only.len() == 2 && only.contains_key("text") => only["text"].clone(),
                _ => Value::Array(blocks),
            };
            json!({ "role": role, "content": content })
        };
        Value::Array(self.list.into_iter().map(message).collect())
    }
}

fn trim_end(blocks: &mut [Value]) {
    if let Some(Value::String(text)) = blocks.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}
