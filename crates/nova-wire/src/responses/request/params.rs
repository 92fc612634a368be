//! Everything of a Responses body but the conversation.

use serde_json::{Map, Value, json};

use crate::draft::Draft;
use crate::hub::request::{Format, Thinking, Tool, ToolChoice};
use crate::quirks::{JsonSchemaSupport, ThinkingSwitch, ToolChoiceForm};
use crate::responses::item;

/// The least bound on an answer that OpenAI takes, in tokens.
const MIN_OUTPUT: u64 = 16;

/// What an answer has to include so that its thinking can be sent back.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Writes the fields.
pub(super) fn write(draft: &mut Draft<'_>, most: Option<u64>) {
    extra(draft);
    tools(draft);
    format(draft);
    thinking(draft);
    sampling(draft, most);
    if draft.request.stream {
        draft.set("stream", true);
    }
    // The conversation is always sent whole, so nothing needs to be kept there.
    draft.fields.entry("store").or_insert(Value::Bool(false));
}

/// Puts back what only this dialect knows. A name with a dot is a field of the object before the dot.
fn extra(draft: &mut Draft<'_>) {
    for (name, value) in &draft.request.extra {
        match name.split_once('.') {
            None => draft.set(name, value.clone()),
            Some((object @ ("text" | "reasoning"), field)) => draft.set_in(object, field, value.clone()),
            Some(_) => draft.drop(name),
        }
    }
}

fn tools(draft: &mut Draft<'_>) {
    let mut tools: Vec<Value> = Vec::new();
    for tool in &draft.request.tools {
        let json = match &tool.foreign {
            Some(value) if item::is_foreign_tool(value) => value.clone(),
            Some(_) => {
                draft.drop(&format!("tools.{}", tool.name));
                continue;
            }
            None => function(tool),
        };
        let Some(space) = &tool.namespace else {
            tools.push(json);
            continue;
        };
        let same = |last: &Value| last["type"] == "namespace" && last["name"] == space.as_str();
        if !tools.last().is_some_and(same) {
            let group = json!({"type": "namespace", "name": space, "description": space, "tools": []});
            tools.push(group);
        }
        if let Some(inner) = tools.last_mut().and_then(|last| last["tools"].as_array_mut()) {
            inner.push(json);
        }
    }
    if tools.is_empty() {
        return;
    }
    match draft.request.parallel_tools {
        Some(_) if draft.quirks.parallel_tool_calls == Some(false) => draft.drop("parallel_tool_calls"),
        Some(parallel) => draft.set("parallel_tool_calls", parallel),
        None => {}
    }
    match choice(draft) {
        // A model that cannot be told to call nothing is not shown what it could call.
        Some(ToolChoice::None) if !draft.quirks.allows_tool_choice(ToolChoiceForm::None) => {
            draft.drop("tools");
            return;
        }
        Some(choice) => {
            let json = choice_json(draft, &choice);
            draft.set("tool_choice", json);
        }
        None => {}
    }
    draft.set("tools", tools);
}

fn function(tool: &Tool) -> Value {
    let mut json = Map::new();
    let kind = if tool.custom.is_some() { "custom" } else { "function" };
    json.insert("type".into(), kind.into());
    json.insert("name".into(), tool.name.as_str().into());
    if let Some(description) = &tool.description {
        json.insert("description".into(), description.as_str().into());
    }
    match &tool.custom {
        Some(Value::Null) => {}
        Some(format) => {
            json.insert("format".into(), format.clone());
        }
        None => {
            json.insert("parameters".into(), schema(tool.parameters.as_ref()));
            // The dialect's own default is `true`, which no other dialect's client means by its silence.
            json.insert("strict".into(), tool.strict.unwrap_or(false).into());
        }
    }
    Value::Object(json)
}

/// A schema that is an object with properties, as OpenAI demands.
fn schema(parameters: Option<&Value>) -> Value {
    let mut schema = match parameters {
        Some(Value::Object(schema)) if !schema.is_empty() => schema.clone(),
        _ => Map::from_iter([("type".to_owned(), "object".into())]),
    };
    // The order of properties matters to a model, and this keeps it.
    schema.retain(|name, _| name != "$schema");
    if schema.get("type").is_some_and(|kind| kind == "object") && !schema.contains_key("properties") {
        schema.insert("properties".to_owned(), json!({}));
    }
    Value::Object(schema)
}

/// The tool choice, weakened to what the upstream takes. What is lost becomes an instruction.
fn choice(draft: &mut Draft<'_>) -> Option<ToolChoice> {
    let choice = draft.request.tool_choice.clone()?;
    let quirks = draft.quirks;
    let form = match &choice {
        ToolChoice::Auto if quirks.allows_tool_choice(ToolChoiceForm::Auto) => return Some(choice),
        // "auto" is what happens without the field as well.
        ToolChoice::Auto => return None,
        ToolChoice::None => return Some(choice),
        ToolChoice::Required => ToolChoiceForm::Required,
        ToolChoice::Named(_) => ToolChoiceForm::Named,
    };
    let thinks = match draft.request.thinking {
        Thinking::Off => false,
        Thinking::Unsaid => quirks.thinking_default_on == Some(true),
        Thinking::Adaptive { .. } | Thinking::Budget(_) => true,
    };
    let refused = thinks && quirks.no_forced_tool_when_thinking == Some(true);
    if !refused && quirks.allows_tool_choice(form) {
        return Some(choice);
    }
    draft.drop("tool_choice");
    if let ToolChoice::Named(name) = &choice {
        draft.hints.push(format!("Answer with a call of the tool `{name}`."));
        let required = !refused && quirks.allows_tool_choice(ToolChoiceForm::Required);
        return required.then_some(ToolChoice::Required);
    }
    draft.hints.push("Answer with a call of one of the tools.".to_owned());
    None
}

fn choice_json(draft: &Draft<'_>, choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => draft.quirks.tool_choice_required.as_deref().unwrap_or("required").into(),
        ToolChoice::Named(name) => {
            let custom = draft.request.tools.iter().any(|tool| tool.name == *name && tool.custom.is_some());
            json!({"type": if custom { "custom" } else { "function" }, "name": name})
        }
    }
}

/// The form of the answer, down the ladder of what the upstream knows.
fn format(draft: &mut Draft<'_>) {
    let support = draft.quirks.json_schema.unwrap_or(JsonSchemaSupport::Native);
    match (&draft.request.format, support) {
        (Format::Text, _) => {}
        (Format::JsonObject, JsonSchemaSupport::Prompt) => {
            draft.hints.push("Answer with one JSON object and nothing else.".to_owned());
        }
        (Format::JsonObject, _) => {
            draft.set_in("text", "format", json!({"type": "json_object"}));
            // OpenAI refuses this form unless the prompt says "JSON".
            draft.hints.push("Answer with one JSON object.".to_owned());
        }
        (Format::JsonSchema { name, schema, strict }, JsonSchemaSupport::Native) => {
            let mut format = json!({"type": "json_schema", "name": name, "schema": schema});
            format["strict"] = strict.unwrap_or(false).into();
            draft.set_in("text", "format", format);
        }
        (Format::JsonSchema { schema, .. }, support) => {
            if support == JsonSchemaSupport::JsonObject {
                draft.set_in("text", "format", json!({"type": "json_object"}));
            }
            draft.hints.push(format!(
                "Answer with one JSON object and nothing else. It must meet this JSON schema:\n{schema}"
            ));
        }
    }
}

/// Whether and how much the model thinks, and that its thinking can come back.
fn thinking(draft: &mut Draft<'_>) {
    let quirks = draft.quirks;
    let default_on = quirks.thinking_default_on == Some(true);
    let wish = draft.request.thinking.clone();
    let can = quirks.thinking_switch != Some(ThinkingSwitch::None);
    let thinks = match &wish {
        Thinking::Off => {
            let known = quirks.efforts.iter().flatten().any(|effort| effort == "none");
            if known && can {
                draft.set_in("reasoning", "effort", "none");
            } else if default_on {
                draft.drop("thinking");
            }
            false
        }
        Thinking::Unsaid => can && (default_on || quirks.efforts.is_some()),
        Thinking::Adaptive { .. } | Thinking::Budget(_) if !can => {
            draft.drop("thinking");
            default_on
        }
        Thinking::Adaptive { .. } | Thinking::Budget(_) => {
            if let Some(effort) = effort(&wish) {
                let word = draft.nearest_effort(effort);
                draft.set_in("reasoning", "effort", word);
            }
            let asked = draft.request.extra.contains_key("reasoning.summary");
            if !asked && !quirks.drops("reasoning.summary") {
                // Without it OpenAI shows nothing of a thought.
                draft.set_in("reasoning", "summary", "auto");
            }
            true
        }
    };
    if thinks {
        match draft.fields.entry("include").or_insert_with(|| json!([])) {
            Value::Array(include) => include.push(ENCRYPTED.into()),
            other => *other = json!([ENCRYPTED]),
        }
    }
}

/// The effort that a request asks for; a budget of tokens is one as well.
fn effort(thinking: &Thinking) -> Option<&str> {
    match thinking {
        Thinking::Adaptive { effort } => effort.as_deref(),
        Thinking::Budget(0..2048) => Some("low"),
        Thinking::Budget(2048..8192) => Some("medium"),
        Thinking::Budget(_) => Some("high"),
        Thinking::Unsaid | Thinking::Off => None,
    }
}

fn sampling(draft: &mut Draft<'_>, most: Option<u64>) {
    let request = draft.request;
    if let Some(tokens) = request.max_tokens {
        draft.set("max_output_tokens", tokens.min(most.unwrap_or(u64::MAX)).max(MIN_OUTPUT));
    }
    draft.sampling();
    draft.user();
}
