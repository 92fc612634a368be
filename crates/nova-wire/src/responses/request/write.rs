//! From the hub to a Responses body: the conversation, as a list of items.
//!
//! Rules that upstreams insist on: a thought stands before the message or call that it led to (OpenAI);
//! results stand right behind the calls that they answer, none missing (DeepSeek, OpenAI); instructions
//! are items like any other, because xAI refuses the field for them.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::params;
use crate::draft::Draft;
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Part, Request, Role, Source, ToolCall, Turn};
use crate::ids;
use crate::quirks::{Images, Quirks, ReplayThinking, SystemRole, ToolIds};
use crate::responses::{free_text, item};
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
    let mut draft = Draft::new(request, target.quirks, Map::new());
    draft.fields.insert("model".into(), target.model.into());
    params::write(&mut draft, target.max_output);
    let items = items(&mut draft)?;
    draft.fields.insert("input".into(), items.into());
    Ok(draft.finish(dropped))
}

fn items(draft: &mut Draft<'_>) -> Result<Vec<Value>, BadRequest> {
    let mut pen = Pen { items: Vec::new(), thoughts: Vec::new(), waiting: Vec::new() };
    let turns = &draft.request.turns;
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    for (at, turn) in turns.iter().enumerate() {
        if at == leading {
            pen.hints(draft);
        }
        match turn.role {
            Role::System => pen.system(draft, turn, at)?,
            Role::User => pen.user(draft, turn, at)?,
            Role::Assistant => {
                pen.assistant(draft, turn, at)?;
                pen.results(draft, turn, &turns[at + 1..], at + 1)?;
            }
        }
    }
    pen.hints(draft);
    pen.flush();
    Ok(pen.items)
}

/// The items so far.
struct Pen {
    items: Vec<Value>,
    /// Thoughts of the turn that nothing has followed yet. OpenAI refuses one that nothing follows.
    thoughts: Vec<Value>,
    /// What the next user message begins with: results that answer no call.
    waiting: Vec<Value>,
}

impl Pen {
    fn hints(&mut self, draft: &mut Draft<'_>) {
        for hint in std::mem::take(&mut draft.hints) {
            let content = json!([{"type": "input_text", "text": hint}]);
            self.items.push(json!({"type": "message", "role": system_role(draft), "content": content}));
        }
    }

    fn system(&mut self, draft: &mut Draft<'_>, turn: &Turn, at: usize) -> Result<(), BadRequest> {
        let mut content = Vec::with_capacity(turn.parts.len());
        for (index, part) in turn.parts.iter().enumerate() {
            content.extend(said(draft, part, &place(at, index))?);
        }
        let leading = self.items.iter().all(|item| item["role"] == system_role(draft));
        let role =
            if leading || draft.quirks.mid_system != Some(false) { system_role(draft) } else { "user" };
        if !content.is_empty() {
            self.items.push(json!({"type": "message", "role": role, "content": content}));
        }
        Ok(())
    }

    /// What a user says; the results in the turn were written behind their calls.
    fn user(&mut self, draft: &mut Draft<'_>, turn: &Turn, at: usize) -> Result<(), BadRequest> {
        let mut content = std::mem::take(&mut self.waiting);
        for (index, part) in turn.parts.iter().enumerate() {
            if !matches!(part, Part::ToolResult { .. }) {
                content.extend(said(draft, part, &place(at, index))?);
            }
        }
        if !content.is_empty() {
            self.items.push(json!({"type": "message", "role": "user", "content": content}));
        }
        Ok(())
    }

    fn flush(&mut self) {
        let content = std::mem::take(&mut self.waiting);
        if !content.is_empty() {
            self.items.push(json!({"type": "message", "role": "user", "content": content}));
        }
    }

    /// Adds what the model said or called, behind the thoughts that led to it.
    fn push(&mut self, item: Value) {
        self.items.append(&mut self.thoughts);
        self.items.push(item);
    }

    fn assistant(&mut self, draft: &mut Draft<'_>, turn: &Turn, at: usize) -> Result<(), BadRequest> {
        self.flush();
        let mut content = Vec::new();
        for (index, part) in turn.parts.iter().enumerate() {
            match part {
                Part::Text { text, .. } => content.push(json!({"type": "output_text", "text": text})),
                Part::Refusal { text } => content.push(json!({"type": "refusal", "refusal": text})),
                _ => self.message(&mut content),
            }
            match part {
                Part::Text { .. } | Part::Refusal { .. } => {}
                Part::Thinking { text, signature } => self.think(draft, text, signature.as_deref()),
                Part::RedactedThinking { data } => {
                    if draft.quirks.replay_thinking == Some(ReplayThinking::Forbidden) {
                        draft.drop("thinking");
                    } else {
                        let item = json!({"type": "reasoning", "summary": [], "encrypted_content": data});
                        self.thoughts.push(item);
                    }
                }
                Part::ToolCall(call) => self.push(call_item(draft.quirks, call)),
                Part::Foreign { kind, value } if item::is_foreign_item(kind) => self.push(value.clone()),
                Part::Foreign { kind, .. } => draft.drop(kind),
                Part::Image { .. } | Part::Document { .. } | Part::ToolResult { .. } => {
                    let what = "an assistant's turn can hold no image, document or tool result";
                    return Err(unsupported(place(at, index), what));
                }
            }
        }
        self.message(&mut content);
        if !self.thoughts.is_empty() {
            self.thoughts.clear();
            draft.drop("thinking");
        }
        Ok(())
    }

    fn message(&mut self, content: &mut Vec<Value>) {
        let content = std::mem::take(content);
        if !content.is_empty() {
            self.push(json!({"type": "message", "role": "assistant", "content": content}));
        }
    }

    /// A signed thought goes back to whoever signed it; an unsigned one only to a model that wants it.
    fn think(&mut self, draft: &mut Draft<'_>, text: &str, signature: Option<&str>) {
        let replay = draft.quirks.replay_thinking;
        let item = match (replay, signature) {
            (Some(ReplayThinking::Forbidden), _) => None,
            (_, Some(signature)) => {
                let summary = json!([{"type": "summary_text", "text": text}]);
                let summary = if text.is_empty() { json!([]) } else { summary };
                Some(json!({"type": "reasoning", "summary": summary, "encrypted_content": signature}))
            }
            (Some(ReplayThinking::Required | ReplayThinking::Accepted), None) => {
                let content = json!([{"type": "reasoning_text", "text": text}]);
                let id = format!("rs_{}", self.items.len() + self.thoughts.len());
                Some(json!({"type": "reasoning", "id": id, "summary": [], "content": content}))
            }
            (None, None) => None,
        };
        match item {
            Some(item) => self.thoughts.push(item),
            None => draft.drop("thinking"),
        }
    }

    /// The results of an assistant's calls, from wherever they stand before its next turn.
    fn results(
        &mut self,
        draft: &mut Draft<'_>,
        turn: &Turn,
        rest: &[Turn],
        offset: usize,
    ) -> Result<(), BadRequest> {
        let near = rest.iter().enumerate().take_while(|(_, turn)| turn.role != Role::Assistant);
        let mut results = Vec::new();
        // By id, first one first: a long conversation must not be searched for every call.
        let mut by_id: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (at, turn) in near {
            for (index, part) in turn.parts.iter().enumerate() {
                if let Part::ToolResult { id, .. } = part {
                    by_id.entry(id).or_default().push_back(results.len());
                    results.push((place(offset + at, index), part));
                }
            }
        }
        let mut used = vec![false; results.len()];
        // The last turn's calls may still wait for the client; they are not answered for it.
        let open = rest.is_empty();
        for part in turn.parts.iter().filter(|_| !open) {
            let Part::ToolCall(call) = part else { continue };
            let output = match by_id.get_mut(call.id.as_str()).and_then(VecDeque::pop_front) {
                Some(at) => {
                    used[at] = true;
                    output(draft, results[at].1, &results[at].0)?
                }
                None => "[no result]".into(),
            };
            let kind = if call.mark.custom { "custom_tool_call_output" } else { "function_call_output" };
            let id = call_id(draft.quirks, &call.id);
            self.items.push(json!({"type": kind, "call_id": id, "output": output}));
        }
        for ((place, result), _) in results.into_iter().zip(used).filter(|(_, used)| !used) {
            // An answer to a call that nobody made is still something that was said.
            let Part::ToolResult { parts, .. } = result else { continue };
            for part in parts {
                self.waiting.extend(said(draft, part, &place)?);
            }
        }
        Ok(())
    }
}

fn place(turn: usize, part: usize) -> String {
    format!("messages[{turn}].content[{part}]")
}

fn system_role(draft: &Draft<'_>) -> &'static str {
    match draft.quirks.system_role {
        Some(SystemRole::Developer) => "developer",
        Some(SystemRole::User) => "user",
        Some(SystemRole::System) | None => "system",
    }
}

/// An id that OpenAI takes: at most 64 letters.
fn call_id(quirks: &Quirks, id: &str) -> String {
    match quirks.tool_ids {
        Some(ToolIds::Word | ToolIds::Nine) => ids::fit(id).into_owned(),
        _ if (1..=ids::LONGEST_ID).contains(&id.len()) => id.to_owned(),
        _ => ids::fit(id).into_owned(),
    }
}

fn call_item(quirks: &Quirks, call: &ToolCall) -> Value {
    let id = call_id(quirks, &call.id);
    let mut item = if call.mark.custom {
        let input = free_text::whole(&call.arguments);
        json!({"type": "custom_tool_call", "call_id": id, "name": call.name, "input": input})
    } else {
        // A call that was cut would make the whole conversation unreadable to some upstreams.
        let whole = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_ok();
        let arguments = if whole { call.arguments.as_str() } else { "{}" };
        json!({"type": "function_call", "call_id": id, "name": call.name, "arguments": arguments})
    };
    if let Some(namespace) = &call.mark.namespace {
        item["namespace"] = namespace.as_str().into();
    }
    item
}

/// What a tool answered: a string where it is only text.
fn output(draft: &mut Draft<'_>, result: &Part, place: &str) -> Result<Value, BadRequest> {
    let Part::ToolResult { parts, is_error, .. } = result else { return Ok(Value::Null) };
    let failed = |text: &str| *is_error && !text.starts_with("Error");
    match parts.as_slice() {
        [] => Ok(if *is_error { "Error" } else { "" }.into()),
        [Part::Text { text, .. }] if failed(text) => Ok(format!("Error: {text}").into()),
        [Part::Text { text, .. }] => Ok(text.as_str().into()),
        parts => {
            let mut out = Vec::with_capacity(parts.len());
            for (at, part) in parts.iter().enumerate() {
                out.extend(said(draft, part, &format!("{place}.content[{at}]"))?);
            }
            let first = out.first().and_then(|part| part["text"].as_str()).unwrap_or_default();
            if failed(first) {
                out.insert(0, json!({"type": "input_text", "text": "Error:"}));
            }
            Ok(out.into())
        }
    }
}

/// A part that is not the assistant's. `None` where nothing is left of it.
fn said(draft: &mut Draft<'_>, part: &Part, place: &str) -> Result<Option<Value>, BadRequest> {
    Ok(Some(match part {
        // A mark only saves money; the dialect knows none, and its providers cache by themselves.
        Part::Text { text, .. } | Part::Refusal { text } => json!({"type": "input_text", "text": text}),
        Part::Image { source, detail, .. } => {
            let mut image = image(draft.quirks, source, place)?;
            if let Some(detail) = detail {
                image["detail"] = detail.as_str().into();
            }
            image
        }
        Part::Document { source, name, .. } => document(draft.quirks, source, name.as_deref(), place)?,
        Part::Foreign { kind, value } if item::is_foreign_part(kind) => value.clone(),
        Part::Foreign { kind, .. } => {
            let what = format!("content of type `{kind}` cannot be sent to this model");
            return Err(unsupported(place.to_owned(), &what));
        }
        Part::Thinking { .. } | Part::RedactedThinking { .. } => {
            draft.drop("thinking");
            return Ok(None);
        }
        Part::ToolCall(_) | Part::ToolResult { .. } => return Ok(None),
    }))
}

fn image(quirks: &Quirks, source: &Source, place: &str) -> Result<Value, BadRequest> {
    let refuse = |what: &str| Err(unsupported(place.to_owned(), what));
    let images = quirks.images.unwrap_or(Images::Any);
    let url = match source {
        _ if images == Images::None => return refuse("this model does not read images"),
        Source::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        Source::Url(_) if images == Images::Data => {
            return refuse("this model takes images as data only, not by URL");
        }
        Source::Url(url) => url.clone(),
        Source::File(id) => return Ok(json!({"type": "input_image", "detail": "auto", "file_id": id})),
        Source::Text(_) => return refuse("text is no image"),
    };
    Ok(json!({"type": "input_image", "detail": "auto", "image_url": url}))
}

fn document(quirks: &Quirks, source: &Source, name: Option<&str>, place: &str) -> Result<Value, BadRequest> {
    let mut file = match source {
        Source::Text(text) => {
            let text = name.map_or_else(|| text.clone(), |name| format!("{name}\n\n{text}"));
            return Ok(json!({"type": "input_text", "text": text}));
        }
        _ if quirks.documents == Some(false) => {
            return Err(unsupported(place.to_owned(), "this model does not read documents"));
        }
        Source::Base64 { media_type, data } => {
            let name = name.unwrap_or("document.pdf");
            let data = format!("data:{media_type};base64,{data}");
            return Ok(json!({"type": "input_file", "filename": name, "file_data": data}));
        }
        Source::Url(url) => json!({"type": "input_file", "file_url": url}),
        Source::File(id) => json!({"type": "input_file", "file_id": id}),
    };
    if let Some(name) = name {
        file["filename"] = name.into();
    }
    Ok(file)
}
