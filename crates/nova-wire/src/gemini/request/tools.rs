//! What the model may call, written.

use serde_json::{Map, Value, json};

use super::read::{ALLOWED_NAMES, CALLING_MODE};
use super::write::drop_named;
use crate::gemini::schema;
use crate::hub::request::{Request, Thinking, Tool, ToolChoice};
use crate::quirks::{Quirks, ToolChoiceForm};

/// Writes `tools` and `toolConfig`.
pub(super) fn write(
    request: &Request,
    quirks: &Quirks,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) {
    let (mut functions, mut own) = (Vec::new(), Vec::new());
    for tool in &request.tools {
        match &tool.foreign {
            None => functions.push(function(tool)),
            Some(value) if is_of_google(value) => own.push(value.clone()),
            // A tool that another provider runs itself, such as a web search.
            Some(_) => drop_named(dropped, &format!("tools.{}", tool.name)),
        }
    }
    let callable = !functions.is_empty();
    if callable {
        own.insert(0, json!({ "functionDeclarations": functions }));
    }
    if !own.is_empty() {
        body.insert("tools".to_owned(), Value::Array(own));
    }
    if !callable {
        if !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
            drop_named(dropped, "tool_choice");
        }
        return;
    }
    if request.parallel_tools == Some(false) {
        // Gemini has no such switch.
        drop_named(dropped, "parallel_tool_calls");
    }
    if let Some(config) = choice(request, quirks, dropped) {
        body.insert("toolConfig".to_owned(), json!({ "functionCallingConfig": config }));
    }
}

/// A tool of Google's own is an object of one field, named after it; those of other dialects have a type.
fn is_of_google(tool: &Value) -> bool {
    tool.as_object().is_some_and(|fields| fields.len() == 1 && !fields.contains_key("type"))
}

fn function(tool: &Tool) -> Value {
    let mut function = Map::new();
    function.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = tool.description.as_ref().filter(|text| !text.is_empty()) {
        function.insert("description".to_owned(), json!(description));
    }
    function.insert("parametersJsonSchema".to_owned(), schema::of_arguments(tool.parameters.as_ref()));
    Value::Object(function)
}

fn choice(request: &Request, quirks: &Quirks, dropped: &mut Vec<String>) -> Option<Value> {
    let thinks = match request.thinking {
        Thinking::Off => false,
        Thinking::Unsaid => quirks.thinking_default_on == Some(true),
        Thinking::Adaptive { .. } | Thinking::Budget(_) => true,
    };
    let refuses = thinks && quirks.no_forced_tool_when_thinking == Some(true);
    let may = |form| quirks.allows_tool_choice(form) && !refuses;
    Some(match &request.tool_choice {
        None => return None,
        Some(ToolChoice::Auto) => match request.extra.get(CALLING_MODE) {
            Some(mode) => json!({ "mode": mode }),
            None => json!({ "mode": "AUTO" }),
        },
        Some(ToolChoice::None) => json!({ "mode": "NONE" }),
        Some(ToolChoice::Named(name)) if may(ToolChoiceForm::Named) => {
            json!({ "mode": "ANY", "allowedFunctionNames": [name] })
        }
        Some(ToolChoice::Required) if may(ToolChoiceForm::Required) => {
            match request.extra.get(ALLOWED_NAMES) {
                Some(names) => json!({ "mode": "ANY", "allowedFunctionNames": names }),
                None => json!({ "mode": "ANY" }),
            }
        }
        Some(ToolChoice::Named(_)) if may(ToolChoiceForm::Required) => {
            drop_named(dropped, "tool_choice");
            json!({ "mode": "ANY" })
        }
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            drop_named(dropped, "tool_choice");
            json!({ "mode": "AUTO" })
        }
    })
}
