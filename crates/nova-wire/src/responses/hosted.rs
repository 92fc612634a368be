//! Tools that OpenAI defines and the client runs: shells, patches, the search for tools.
//!
//! In the client's list they have a type and no schema, and their calls are items of their own. Another
//! provider knows none of them, so each becomes a function whose arguments are what the item holds; a call
//! of it in the answer becomes the item again, if the request offered the tool ([`Hosted::offered`]).

use serde_json::{Map, Value, json};

use crate::hub::request::Tool;

/// Such a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hosted {
    /// `local_shell`: one command, as a list of words.
    LocalShell,
    /// `shell`: several command lines.
    Shell,
    /// `apply_patch`: one file, created, changed or deleted.
    ApplyPatch,
    /// `tool_search` with `execution: client`: finds tools that are not in the list.
    ToolSearch,
}

impl Hosted {
    const ALL: [Self; 4] = [Self::LocalShell, Self::Shell, Self::ApplyPatch, Self::ToolSearch];

    /// The tool's type, and its name as a function.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::LocalShell => "local_shell",
            Self::Shell => "shell",
            Self::ApplyPatch => "apply_patch",
            Self::ToolSearch => "tool_search",
        }
    }

    /// The tool of a definition, if the client runs it.
    pub(super) fn of_tool(tool: &Value) -> Option<Self> {
        let kind = tool.get("type").and_then(Value::as_str)?;
        let found = Self::ALL.into_iter().find(|hosted| hosted.name() == kind)?;
        (found != Self::ToolSearch || is_client(tool)).then_some(found)
    }

    /// The tool whose call this item is.
    pub(super) fn of_call(kind: &str) -> Option<Self> {
        let name = kind.strip_suffix("_call")?;
        Self::ALL.into_iter().find(|hosted| hosted.name() == name)
    }

    /// The tool whose result this item is.
    pub(super) fn of_output(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hosted| {
            kind.strip_prefix(hosted.name()).is_some_and(|rest| matches!(rest, "_call_output" | "_output"))
        })
    }

    /// The tools of this kind that a request offers, by the `tools` that its answer repeats.
    pub(super) fn offered(echo: &Map<String, Value>) -> Vec<Self> {
        let tools = echo.get("tools").and_then(Value::as_array);
        tools.into_iter().flatten().filter_map(Self::of_tool).collect()
    }

    /// The function that stands for the tool.
    pub(super) fn function(self, tool: &Value) -> Tool {
        let description = tool.get("description").and_then(Value::as_str);
        let parameters = tool.get("parameters").filter(|schema| schema.is_object()).cloned();
        Tool {
            name: self.name().to_owned(),
            description: Some(description.unwrap_or_else(|| self.purpose()).to_owned()),
            parameters: Some(parameters.unwrap_or_else(|| self.schema())),
            ..Tool::default()
        }
    }

    const fn purpose(self) -> &'static str {
        match self {
            Self::LocalShell => "Runs one command on the user's machine and returns its output.",
            Self::Shell => "Runs command lines in a shell on the user's machine and returns their output.",
            Self::ApplyPatch => "Creates, changes or deletes one file by a diff.",
            Self::ToolSearch => "Finds further tools that can be called, by what they do.",
        }
    }

    /// The fields of the item that the model fills in, as OpenAI's reference has them.
    fn schema(self) -> Value {
        let words = json!({"type": "array", "items": {"type": "string"}});
        match self {
            Self::LocalShell => json!({
                "type": "object",
                "properties": {
                    "command": words,
                    "env": {"type": "object", "additionalProperties": {"type": "string"}},
                    "working_directory": {"type": "string"},
                    "timeout_ms": {"type": "integer"},
                },
                "required": ["command"],
            }),
            Self::Shell => json!({
                "type": "object",
                "properties": {
                    "commands": words,
                    "timeout_ms": {"type": "integer"},
                    "max_output_length": {"type": "integer"},
                },
                "required": ["commands"],
            }),
            Self::ApplyPatch => json!({
                "type": "object",
                "properties": {
                    "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                    "path": {"type": "string"},
                    "diff": {"type": "string", "description": "A V4A diff; left out for `delete_file`."},
                },
                "required": ["type", "path"],
            }),
            Self::ToolSearch => json!({
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["query"],
            }),
        }
    }

    /// The field of the item that holds what the model filled in.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::LocalShell | Self::Shell => "action",
            Self::ApplyPatch => "operation",
            Self::ToolSearch => "arguments",
        }
    }

    /// What that field holds, as arguments of the function.
    pub(super) fn arguments(self, field: Value) -> String {
        let mut fields = match field {
            Value::Object(fields) => fields,
            // Codex's own search has an object here, and older ones a string.
            Value::String(text) => return text,
            other => return other.to_string(),
        };
        if self == Self::LocalShell {
            fields.remove("type");
        }
        fields.retain(|_, value| !value.is_null());
        Value::Object(fields).to_string()
    }

    /// The prefix of the ids of such items.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::LocalShell => "lsh",
            Self::Shell => "sh",
            Self::ApplyPatch => "apc",
            Self::ToolSearch => "tsc",
        }
    }

    /// The item of a call; `None` where the arguments are not what such an item holds.
    pub(super) fn item(self, id: &str, call_id: &str, arguments: &str, status: &str) -> Option<Value> {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(arguments) else { return None };
        let fits = match self {
            Self::LocalShell => fields.get("command").is_some_and(Value::is_array),
            Self::Shell => fields.get("commands").is_some_and(Value::is_array),
            Self::ApplyPatch => fields.get("path").is_some_and(Value::is_string),
            Self::ToolSearch => true,
        };
        if !fits {
            return None;
        }
        if self == Self::LocalShell {
            fields.insert("type".to_owned(), "exec".into());
            fields.entry("env").or_insert_with(|| json!({}));
        }
        let mut item = json!({
            "type": format!("{}_call", self.name()),
            "id": id,
            "call_id": call_id,
            "status": status,
        });
        item[self.field()] = Value::Object(fields);
        if self == Self::ToolSearch {
            item["execution"] = "client".into();
        }
        Some(item)
    }
}

fn is_client(tool: &Value) -> bool {
    tool.get("execution").and_then(Value::as_str) == Some("client")
}
