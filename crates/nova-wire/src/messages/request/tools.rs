//! What the model may call, written.

use serde_json::{Map, Value, json};

use super::content::Marks;
use super::strict;
use super::thinking::{self, Thinks};
use super::write::drop_named;
use crate::error::BadRequest;
use crate::fields::unsupported;
use crate::hub::request::{Request, Tool, ToolChoice};
use crate::ids;
use crate::quirks::{Quirks, ToolChoiceForm};

/// Writes `tools` and `tool_choice`.
pub(super) fn write(
    request: &Request,
    quirks: &Quirks,
    thinks: Thinks,
    marks: &mut Marks,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Result<(), BadRequest> {
    if request.tools.is_empty() {
        if request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::Auto) {
            drop_named(dropped, "tool_choice");
        }
        return Ok(());
    }
    let forbidden = request.tool_choice == Some(ToolChoice::None);
    if forbidden && !quirks.allows_tool_choice(ToolChoiceForm::None) {
        // A model that cannot be told to call nothing is not shown what it could call.
        drop_named(dropped, "tools");
        return Ok(());
    }
    let strict = strict::fits(&request.tools);
    if !strict && request.tools.iter().any(|tool| tool.strict == Some(true)) {
        drop_named(dropped, "tools.strict");
    }
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        match &tool.foreign {
            None => tools.push(function(index, tool, strict, marks)?),
            // Anthropic's own tools have a name and a type with a date; any other kind is unknown there.
            Some(value)
                if value.get("name").is_some_and(Value::is_string) && value.get("function").is_none() =>
            {
                tools.push(value.clone());
            }
            Some(_) => drop_named(dropped, &format!("tools[{index}]")),
        }
    }
    if tools.is_empty() {
        return Ok(());
    }
    body.insert("tools".to_owned(), Value::Array(tools));
    if let Some(choice) = choice(request, quirks, thinks, dropped) {
        body.insert("tool_choice".to_owned(), choice);
    }
    Ok(())
}

fn function(index: usize, tool: &Tool, strict: bool, marks: &mut Marks) -> Result<Value, BadRequest> {
    let mut function = Map::new();
    function.insert("name".to_owned(), json!(name(index, &tool.name)?));
    if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
        function.insert("description".to_owned(), json!(description));
    }
    let mut schema = schema(tool.parameters.as_ref());
    if strict && tool.strict == Some(true) {
        schema = strict::closed(&schema);
        function.insert("strict".to_owned(), Value::Bool(true));
    }
    function.insert("input_schema".to_owned(), schema);
    marks.put(&mut function, tool.cache.as_ref());
    Ok(Value::Object(function))
}

/// The tool's name in letters that Anthropic takes; the reader of the answer spells it back.
fn name(index: usize, name: &str) -> Result<String, BadRequest> {
    let word = ids::to_word(name);
    if word.is_empty() || word.len() > ids::LONGEST_NAME {
        return Err(unsupported(
            format!("tools[{index}].function.name"),
            &format!("a tool's name must have 1 to {} letters", ids::LONGEST_NAME),
        ));
    }
    Ok(word.into_owned())
}

/// A schema whose root is an object, as Anthropic demands.
fn schema(parameters: Option<&Value>) -> Value {
    let Some(Value::Object(schema)) = parameters else {
        return json!({ "type": "object", "properties": {} });
    };
    let mut schema = schema.clone();
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {}
        None => {
            schema.insert("type".to_owned(), json!("object"));
        }
        Some(_) => {
            // The arguments of such a tool cannot be an object of themselves.
            return json!({
                "type": "object",
                "properties": { "value": schema },
                "required": ["value"],
            });
        }
    }
    if schema.len() == 1 {
        schema.insert("properties".to_owned(), json!({}));
    }
    Value::Object(schema)
}

fn choice(request: &Request, quirks: &Quirks, thinks: Thinks, dropped: &mut Vec<String>) -> Option<Value> {
    let refuses =
        quirks.no_forced_tool_when_thinking == Some(true) && (thinks.is_on() || thinking::always(quirks));
    let may = |form| quirks.allows_tool_choice(form) && !refuses;
    let mut choice = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Auto) => Some(json!({ "type": "auto" })),
        Some(ToolChoice::None) => return Some(json!({ "type": "none" })),
        Some(ToolChoice::Named(name)) if may(ToolChoiceForm::Named) => {
            Some(json!({ "type": "tool", "name": ids::to_word(name) }))
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) if may(ToolChoiceForm::Required) => {
            if matches!(request.tool_choice, Some(ToolChoice::Named(_))) {
                drop_named(dropped, "tool_choice");
            }
            Some(json!({ "type": "any" }))
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            drop_named(dropped, "tool_choice");
            Some(json!({ "type": "auto" }))
        }
    };
    if request.parallel_tools == Some(false) {
        if quirks.parallel_tool_calls == Some(false) {
            drop_named(dropped, "parallel_tool_calls");
        } else {
            // The switch stands inside of a choice, so one is made.
            let choice = choice.get_or_insert_with(|| json!({ "type": "auto" }));
            choice["disable_parallel_tool_use"] = Value::Bool(true);
        }
    }
    choice
}
