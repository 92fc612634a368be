//! Tools in names and forms that the target takes, and back.
//!
//! Two things that a client may say of its tools are foreign to most upstreams: a name longer than 64
//! letters (OpenAI takes `^[a-zA-Z0-9_-]{1,64}$`), or one that belongs to a `namespace`; and a tool that takes free text instead of JSON
//! (`custom`). [`ToolNames::bridge`] spells such a tool as an ordinary function, in the list of tools,
//! in the choice and in the history; [`ToolNames::call`] and [`ToolNames::mark`] undo it in the answer.
//!
//! Invariant: the spelling depends on the client's own words alone, so that a replayed history is
//! spelled as it was the first time, and no memory is kept between requests.

use std::collections::BTreeMap;

use serde_json::json;

use crate::hub::request::{Mark, Part, Request, Tool, ToolCall, ToolChoice};
use crate::ids;

/// What the target takes as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Whether it knows tools with free text.
    pub custom: bool,
    /// Whether it knows namespaces.
    pub namespaces: bool,
    /// The longest name of a tool, in bytes; at least 10.
    pub longest: usize,
}

/// A tool as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    namespace: Option<String>,
    custom: bool,
}

/// The tools whose spelling differs, by the name that the upstream knows them by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames {
    known: BTreeMap<String, Known>,
    /// Whether the answer comes as the arguments of a tool ([`crate::hub::structured`]).
    pub(crate) wraps_answer: bool,
    /// Whether the client knows calls only in chat's first form, one in an answer.
    pub(crate) legacy_functions: bool,
}

impl ToolNames {
    /// Spells the request's tools, choice and history for the target.
    pub fn bridge(request: &mut Request, takes: Takes) -> Self {
        let mut names = Self::default();
        for tool in &mut request.tools {
            names.tool(tool, takes);
        }
        if let Some(ToolChoice::Named(name)) = &mut request.tool_choice
            && let Some((spelled, _)) = names.known.iter().find(|(_, known)| known.name == *name)
        {
            name.clone_from(spelled);
        }
        for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            if let Part::ToolCall(call) = part {
                names.history(call, takes);
            }
        }
        names
    }

    /// Whether every tool is known by the client's own name and in its own form.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Gives a call of the answer back the name and form that the client knows.
    pub fn call(&self, call: &mut ToolCall) {
        self.mark(&mut call.name, &mut call.mark);
    }

    /// Gives the beginning of a streamed call back the name and form that the client knows.
    pub fn mark(&self, name: &mut String, mark: &mut Mark) {
        if let Some(known) = self.known.get(name) {
            name.clone_from(&known.name);
            mark.namespace.clone_from(&known.namespace);
            mark.custom = known.custom;
        }
    }

    fn tool(&mut self, tool: &mut Tool, takes: Takes) {
        if tool.foreign.is_some() {
            return;
        }
        let (spelled, namespace) = spell(&tool.name, tool.namespace.as_deref(), takes);
        let freed = tool.custom.is_some() && !takes.custom;
        if spelled == tool.name && namespace == tool.namespace && !freed {
            return;
        }
        let known = Known {
            name: std::mem::replace(&mut tool.name, spelled.clone()),
            namespace: std::mem::replace(&mut tool.namespace, namespace),
            custom: tool.custom.is_some(),
        };
        if freed {
            become_function(tool);
        }
        self.known.insert(spelled, known);
    }

    fn history(&self, call: &mut ToolCall, takes: Takes) {
        let (spelled, namespace) = spell(&call.name, call.mark.namespace.as_deref(), takes);
        call.name = spelled;
        call.mark.namespace = namespace;
        call.mark.custom &= takes.custom;
    }
}

/// The name that the target takes, and the namespace that remains.
fn spell(name: &str, namespace: Option<&str>, takes: Takes) -> (String, Option<String>) {
    let (full, kept) = match namespace {
        Some(space) if !takes.namespaces => (format!("{space}__{name}"), None),
        kept => (name.to_owned(), kept.map(str::to_owned)),
    };
    let fits = full.len() <= takes.longest;
    (if fits { full } else { shorten(&full, takes.longest) }, kept)
}

/// The beginning of a name and a hash of the whole.
fn shorten(name: &str, longest: usize) -> String {
    let mut end = longest - 9;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{:08x}", &name[..end], ids::hash(name, 0) >> 32)
}

/// A tool with free text as a function with one string.
fn become_function(tool: &mut Tool) {
    let format = tool.custom.take().unwrap_or_default();
    let mut description = tool.description.take().unwrap_or_default();
    if let Some(definition) = format.get("definition").and_then(|value| value.as_str()) {
        // The grammar cannot be enforced, but the model can read it.
        let syntax = format.get("syntax").and_then(|value| value.as_str()).unwrap_or("lark");
        description.push_str(&format!("\n\n`input` must match this grammar ({syntax}):\n{definition}"));
    }
    tool.description = Some(description.trim_start().to_owned()).filter(|text| !text.is_empty());
    tool.parameters = Some(json!({
        "type": "object",
        "properties": { "input": { "type": "string", "description": "The tool's whole input, as plain text." } },
        "required": ["input"],
        "additionalProperties": false,
    }));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::hub::request::{Role, Turn};

    const PLAIN: Takes = Takes { custom: false, namespaces: false, longest: 64 };

    fn offered(name: &str, namespace: Option<&str>, custom: Option<Value>) -> Tool {
        Tool { name: name.into(), namespace: namespace.map(Into::into), custom, ..Tool::default() }
    }

    #[test]
    fn tools_come_back_by_the_name_that_the_client_knows() {
        let long = "x".repeat(70);
        let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"});
        let check = |tool: Tool, spelled: &str| {
            let call = ToolCall {
                name: tool.name.clone(),
                mark: Mark {
                    namespace: tool.namespace.clone(),
                    custom: tool.custom.is_some(),
                    signature: None,
                },
                ..ToolCall::default()
            };
            let mut request = Request {
                tools: vec![tool],
                tool_choice: Some(ToolChoice::Named(call.name.clone())),
                turns: vec![Turn::new(Role::Assistant, vec![Part::ToolCall(call.clone())])],
                ..Request::default()
            };
            let names = ToolNames::bridge(&mut request, PLAIN);
            assert_eq!(request.tools[0].name, spelled);
            assert!(request.tools[0].custom.is_none() && request.tools[0].namespace.is_none());
            assert_eq!(request.tool_choice, Some(ToolChoice::Named(spelled.into())));
            let Part::ToolCall(replayed) = &request.turns[0].parts[0] else { panic!("a call") };
            assert_eq!((replayed.name.as_str(), &replayed.mark), (spelled, &Mark::default()));
            let mut answered = ToolCall { name: spelled.into(), ..ToolCall::default() };
            names.call(&mut answered);
            assert_eq!(answered, call);
        };
        check(offered("f", None, None), "f");
        check(offered("get", Some("mcp__files"), None), "mcp__files__get");
        check(offered("apply_patch", None, Some(grammar)), "apply_patch");
        check(offered("note", Some("n"), Some(Value::Null)), "n__note");
        check(offered(&long, None, None), &shorten(&long, 64));
        assert_eq!(shorten(&long, 64).len(), 64);
        assert_ne!(shorten(&"é".repeat(60), 64), shorten(&"é".repeat(61), 64));
    }

    #[test]
    fn a_target_that_knows_free_text_and_namespaces_gets_them() {
        let tool = offered("apply_patch", Some("n"), Some(Value::Null));
        let mut request = Request { tools: vec![tool.clone()], ..Request::default() };
        assert!(
            ToolNames::bridge(&mut request, Takes { custom: true, namespaces: true, longest: 64 }).is_empty()
        );
        assert_eq!(request.tools, [tool]);
    }
}
