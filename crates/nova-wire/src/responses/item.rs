//! The items of an answer: messages, thoughts, calls.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::hosted::Hosted;
use crate::chat::message;
use crate::hub::reply::{Citation, Image};
use crate::hub::request::Mark;
use crate::translate::ReplyContext;

/// The ids of one answer. Items are numbered by their place; the id of an item is not that of its call.
#[derive(Debug)]
pub(super) struct Ids {
    answer: String,
    used: HashSet<String>,
}

impl Ids {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        Self { answer: ctx.id.clone(), used: HashSet::new() }
    }

    /// The id of the item at this place.
    pub(super) fn item(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}_{}_{at}", self.answer)
    }

    /// The id of a call: the provider's own, made up where it gave none, and each one once.
    pub(super) fn call(&mut self, id: &str, at: usize) -> String {
        let id = if id.is_empty() { format!("call_{}_{at}", self.answer) } else { id.to_owned() };
        let mut unique = id.clone();
        let mut count = 2;
        while !self.used.insert(unique.clone()) {
            unique = format!("{id}_{count}");
            count += 1;
        }
        unique
    }
}

/// What kind of item a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `function_call`, with JSON.
    Function,
    /// `custom_tool_call`, with free text.
    Custom,
    /// An item of its own kind.
    Hosted(Hosted),
}

impl Form {
    pub(super) fn of(name: &str, mark: &Mark, offered: &[Hosted]) -> Self {
        let hosted = offered.iter().find(|hosted| hosted.name() == name && mark.namespace.is_none());
        match hosted {
            _ if mark.custom => Self::Custom,
            Some(hosted) => Self::Hosted(*hosted),
            None => Self::Function,
        }
    }

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Function => "fc",
            Self::Custom => "ctc",
            Self::Hosted(hosted) => hosted.prefix(),
        }
    }
}

/// What a call is called.
#[derive(Debug)]
pub(super) struct Called {
    /// The id of the item.
    pub(super) id: String,
    /// The id of the call.
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
}

impl Called {
    /// A `function_call` or a `custom_tool_call` with its arguments or its input.
    pub(super) fn item(&self, custom: bool, content: &str, status: &str) -> Value {
        let (kind, field) =
            if custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        let mut item = Map::new();
        item.insert("type".into(), kind.into());
        item.insert("id".into(), self.id.as_str().into());
        item.insert("status".into(), status.into());
        item.insert("call_id".into(), self.call_id.as_str().into());
        item.insert("name".into(), self.name.as_str().into());
        if let Some(namespace) = &self.namespace {
            item.insert("namespace".into(), namespace.as_str().into());
        }
        item.insert(field.into(), content.into());
        Value::Object(item)
    }
}

pub(super) fn message_item(id: &str, content: &[Value], status: &str) -> Value {
    json!({"type": "message", "id": id, "status": status, "role": "assistant", "content": content})
}

pub(super) fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// A text with the pages that it cites. They say where in all the answer's text they stand, and are to stand
/// by the characters of this part, which begins at `from`.
pub(super) fn cited_part(text: &str, citations: &[Citation], from: usize) -> Value {
    let mut part = text_part(text);
    part["annotations"] = citations.iter().map(|citation| annotation(citation, from)).collect();
    part
}

/// A cited page; see [`cited_part`].
pub(super) fn annotation(citation: &Citation, from: usize) -> Value {
    let span = citation.span.map(|(start, end)| (start.saturating_sub(from), end.saturating_sub(from)));
    let mut annotation = message::url_citation(&Citation { span, ..citation.clone() });
    annotation["type"] = "url_citation".into();
    annotation
}

/// An image that the model made.
pub(super) fn image(id: &str, image: &Image) -> Value {
    let format = image.media_type.strip_prefix("image/").unwrap_or("png");
    json!({
        "type": "image_generation_call", "id": id, "status": "completed",
        "result": image.data, "output_format": format,
    })
}

/// The image of an item that holds one.
pub(super) fn made_image(item: &Value) -> Option<Image> {
    let field = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let media_type = format!("image/{}", field("output_format").unwrap_or("png"));
    Some(Image { media_type, data: field("result")?.to_owned() })
}

pub(super) fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

pub(super) fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// A thought. One without a summary can only be read by its provider.
pub(super) fn reasoning(id: &str, text: Option<&str>, encrypted: Option<&str>) -> Value {
    let summary: Vec<Value> = text.map(summary_part).into_iter().collect();
    let mut item = json!({"type": "reasoning", "id": id, "summary": summary});
    if let Some(encrypted) = encrypted {
        item["encrypted_content"] = encrypted.into();
    }
    item
}

/// Whether an item that the hub has no form for is one of this dialect: what the provider's own tools did,
/// and conversations that it compacted.
pub(super) fn is_foreign_item(kind: &str) -> bool {
    matches!(
        kind,
        "apply_patch_call"
            | "apply_patch_call_output"
            | "code_interpreter_call"
            | "compaction"
            | "compaction_summary"
            | "computer_call"
            | "computer_call_output"
            | "file_search_call"
            | "image_generation_call"
            | "local_shell_call"
            | "local_shell_call_output"
            | "mcp_approval_request"
            | "mcp_approval_response"
            | "mcp_call"
            | "mcp_list_tools"
            | "program"
            | "program_output"
            | "shell_call"
            | "shell_call_output"
            | "tool_search_call"
            | "tool_search_output"
            | "web_search_call"
    )
}

/// Whether a part of a message that the hub has no form for is one of this dialect.
pub(super) fn is_foreign_part(kind: &str) -> bool {
    kind.starts_with("input_")
}

/// Whether a tool that is no function is one of this dialect: these have a type and no name.
pub(super) fn is_foreign_tool(tool: &Value) -> bool {
    let has = |field: &str| tool.get(field).is_some();
    let kind = tool.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind != "mcp_toolset") && !has("name") && !has("function") && !has("custom")
}
