//! The conversation, as a list of items.
//!
//! A Responses conversation has no turns: thoughts, messages and calls stand side by side. What the model
//! made without anybody speaking in between is one turn of the hub, and so are results that follow each
//! other, because the other dialects insist on it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::content::{self, plain};
use super::tools;
use crate::error::BadRequest;
use crate::fields::{Object, no_call, unsupported, wrong_type, wrong_value};
use crate::hub::request::{Part, Request, Role, Tool, ToolCall, Turn};
use crate::responses::CALL_SIGNATURE;
use crate::responses::hosted::Hosted;

/// Reads `input`, and the tools that a search of the client has found.
pub(super) fn read(body: &mut Object, request: &mut Request, bridge: bool) -> Result<(), BadRequest> {
    let items = match body.take("input") {
        None => return Err(body.missing("input")),
        Some(Value::String(text)) => {
            request.turns.push(Turn::new(Role::User, vec![plain(text)]));
            return Ok(());
        }
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type("input".to_owned(), "a string or an array of items", &other)),
    };
    let mut reader = Reader { bridge, ..Reader::default() };
    for (at, item) in items.into_iter().enumerate() {
        reader.item(Object::new(format!("input[{at}]"), item)?)?;
    }
    request.turns.append(&mut reader.turns);
    for tool in reader.found {
        // A search may be repeated, and find what is offered already.
        let same = |other: &Tool| other.name == tool.name && other.namespace == tool.namespace;
        if !request.tools.iter().any(same) {
            request.tools.push(tool);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Reader {
    /// Whether calls of OpenAI's own tools become calls of functions.
    bridge: bool,
    turns: Vec<Turn>,
    /// The ids of calls so far.
    calls: HashSet<String>,
    /// Tools that searches found.
    found: Vec<Tool>,
    /// The provider's signature on the next call.
    signature: Option<String>,
}

impl Reader {
    fn item(&mut self, mut item: Object) -> Result<(), BadRequest> {
        let kind = match item.string("type")? {
            Some(kind) => kind,
            None if item.fields.contains_key("role") => "message".to_owned(),
            None => return Err(item.missing("type")),
        };
        match kind.as_str() {
            "message" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => {
                let arguments = arguments(&mut item)?;
                self.call(item, arguments, false)
            }
            "custom_tool_call" => {
                let input = item.need_string("input")?;
                self.call(item, json!({ "input": input }).to_string(), true)
            }
            "function_call_output" | "custom_tool_call_output" => {
                let place = item.place("output");
                let output = match item.take("output") {
                    // Some clients leave their result unspelled.
                    Some(Value::Object(fields)) => vec![plain(Value::Object(fields).to_string())],
                    output => content::read(&place, output)?,
                };
                self.result(item, output)
            }
            "item_reference" => {
                let id = item.need_string("id")?;
                let what = format!("the item `{id}` is not stored here; send the item itself");
                Err(unsupported(item.path, &what))
            }
            other => match (Hosted::of_call(other), Hosted::of_output(other)) {
                (Some(hosted), _) if self.bridges(hosted, &item) => self.hosted_call(hosted, item),
                (_, Some(hosted)) if self.bridges(hosted, &item) => self.hosted_output(hosted, item),
                _ => {
                    item.fields.insert("type".to_owned(), Value::String(kind.clone()));
                    self.assistant(Part::Foreign { kind, value: Value::Object(item.fields) });
                    Ok(())
                }
            },
        }
    }

    /// Whether the client, and not OpenAI, runs the tool of this item, and the target knows no such item.
    fn bridges(&self, hosted: Hosted, item: &Object) -> bool {
        let execution = item.fields.get("execution").and_then(Value::as_str);
        self.bridge && (hosted != Hosted::ToolSearch || execution == Some("client"))
    }

    fn message(&mut self, mut item: Object) -> Result<(), BadRequest> {
        let role = item.need_string("role")?;
        let place = item.place("content");
        let parts = content::read(&place, item.take("content"))?;
        match role.as_str() {
            "assistant" => parts.into_iter().for_each(|part| self.assistant(part)),
            "user" => self.turns.push(Turn::new(Role::User, parts)),
            "system" | "developer" => self.turns.push(Turn::new(Role::System, parts)),
            other => {
                let roles = "`user`, `assistant`, `system` or `developer`";
                return Err(wrong_value(item.place("role"), roles, other));
            }
        }
        Ok(())
    }

    /// A thought: of its text and its summary, the first that says something.
    fn reasoning(&mut self, mut item: Object) -> Result<(), BadRequest> {
        let encrypted = item.string("encrypted_content")?.filter(|data| !data.is_empty());
        if let Some(signature) = encrypted.as_deref().and_then(|data| data.strip_prefix(CALL_SIGNATURE)) {
            self.signature = Some(signature.to_owned());
            return Ok(());
        }
        let content = thought(&mut item, "content", "")?;
        let summary = thought(&mut item, "summary", "\n\n")?;
        let text = content.filter(|text| !text.is_empty()).or(summary);
        match (text, encrypted) {
            (Some(text), signature) if !text.is_empty() || signature.is_some() => {
                self.assistant(Part::Thinking { text, signature });
            }
            (_, Some(data)) => self.assistant(Part::RedactedThinking { data }),
            (_, None) => {}
        }
        Ok(())
    }

    fn call(&mut self, mut item: Object, arguments: String, custom: bool) -> Result<(), BadRequest> {
        let name = item.need_string("name")?;
        let id = call_id(&mut item)?;
        let mut call = ToolCall { id, name, arguments, ..ToolCall::default() };
        call.mark.namespace = item.string("namespace")?;
        call.mark.custom = custom;
        self.push_call(call);
        Ok(())
    }

    fn hosted_call(&mut self, hosted: Hosted, mut item: Object) -> Result<(), BadRequest> {
        let field = item.take(hosted.field()).ok_or_else(|| item.missing(hosted.field()))?;
        let arguments = hosted.arguments(field);
        let id = call_id(&mut item)?;
        let name = hosted.name().to_owned();
        self.push_call(ToolCall { id, name, arguments, ..ToolCall::default() });
        Ok(())
    }

    fn push_call(&mut self, mut call: ToolCall) {
        call.mark.signature = self.signature.take();
        self.calls.insert(call.id.clone());
        self.assistant(Part::ToolCall(call));
    }

    fn hosted_output(&mut self, hosted: Hosted, mut item: Object) -> Result<(), BadRequest> {
        let output = match hosted {
            Hosted::ToolSearch => self.found(&mut item)?,
            Hosted::LocalShell => item.take("output").map_or_else(String::new, unspelled),
            Hosted::Shell => item.take("output").map_or_else(String::new, shell_output),
            Hosted::ApplyPatch => {
                let status = item.string("status")?.unwrap_or_else(|| "completed".to_owned());
                let said = item.take("output").map_or_else(String::new, unspelled);
                if said.is_empty() { status } else { format!("{status}: {said}") }
            }
        };
        self.result(item, vec![plain(output)])
    }

    /// The tools of a search: from now on the model may call them.
    fn found(&mut self, item: &mut Object) -> Result<String, BadRequest> {
        let tools = item.list("tools")?.unwrap_or_default();
        let text = Value::Array(tools.clone()).to_string();
        for (at, tool) in tools.into_iter().enumerate() {
            let tool = Object::new(format!("{}.tools[{at}]", item.path), tool)?;
            tools::read_tool(tool, &mut self.found, true)?;
        }
        Ok(text)
    }

    fn result(&mut self, mut item: Object, parts: Vec<Part>) -> Result<(), BadRequest> {
        let id = call_id(&mut item)?;
        if !self.calls.contains(&id) {
            return Err(no_call(item.place("call_id"), &id));
        }
        let result = Part::ToolResult { id, parts, is_error: false, cache: None };
        match self.turns.last_mut() {
            Some(last)
                if last.role == Role::User
                    && last.parts.iter().all(|part| matches!(part, Part::ToolResult { .. }))
                    && !last.parts.is_empty() =>
            {
                last.parts.push(result);
            }
            _ => self.turns.push(Turn::new(Role::User, vec![result])),
        }
        Ok(())
    }

    fn assistant(&mut self, part: Part) {
        match self.turns.last_mut() {
            Some(last) if last.role == Role::Assistant => last.parts.push(part),
            _ => self.turns.push(Turn::new(Role::Assistant, vec![part])),
        }
    }
}

fn call_id(item: &mut Object) -> Result<String, BadRequest> {
    let id = item.string("id")?;
    // The result of a local shell has the call's id as its own.
    item.string("call_id")?.or(id).filter(|id| !id.is_empty()).ok_or_else(|| item.missing("call_id"))
}

fn arguments(item: &mut Object) -> Result<String, BadRequest> {
    match item.take("arguments") {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(fields @ Value::Object(_)) => Ok(fields.to_string()),
        Some(other) => Err(wrong_type(item.place("arguments"), "a string", &other)),
    }
}

/// The texts of a reasoning item's field; `None` where it is missing or empty.
fn thought(item: &mut Object, field: &str, between: &str) -> Result<Option<String>, BadRequest> {
    let place = item.place(field);
    let parts = match item.take(field) {
        None => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Array(parts)) if parts.is_empty() => return Ok(None),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(wrong_type(place, "an array", &other)),
    };
    let text = |(at, part)| Object::new(format!("{place}[{at}]"), part)?.string("text");
    let texts: Vec<Option<String>> = parts.into_iter().enumerate().map(text).collect::<Result<_, _>>()?;
    let texts: Vec<String> = texts.into_iter().flatten().collect();
    Ok(Some(texts.join(between)))
}

fn unspelled(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What command lines printed, and how each ended.
fn shell_output(output: Value) -> String {
    let Value::Array(chunks) = output else { return unspelled(output) };
    let mut text = String::new();
    for chunk in &chunks {
        for stream in ["stdout", "stderr"] {
            text.push_str(chunk.get(stream).and_then(Value::as_str).unwrap_or_default());
        }
        let outcome = chunk.get("outcome").unwrap_or(&Value::Null);
        let end = match outcome.get("exit_code").and_then(Value::as_i64) {
            Some(code) => format!("[exit code {code}]"),
            None if outcome.get("type").and_then(Value::as_str) == Some("timeout") => {
                "[timed out]".to_owned()
            }
            None => continue,
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&end);
        text.push('\n');
    }
    text
}
