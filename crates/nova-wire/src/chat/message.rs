//! What a whole message and a stream's delta have in common: the fields of an assistant's message, under
//! all the names that providers give them.

use serde_json::Value;

use crate::chat;

/// Thinking, as one field says it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Thought {
    pub(crate) text: String,
    pub(crate) signature: Option<String>,
}

/// The thinking of a message: of `reasoning_content`, `reasoning`, `reasoning_details` and thinking parts
/// of the content, the first that says something. Some providers send the same in two of them.
pub(crate) fn thinking(message: &Value) -> Thought {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    let plain = ["reasoning_content", "reasoning"].iter().find_map(|field| chat::text(message, field));
    let mut thought = Thought::default();
    for detail in details.into_iter().flatten() {
        if plain.is_none() {
            let text = chat::text(detail, "text").or_else(|| chat::text(detail, "summary"));
            thought.text.push_str(text.unwrap_or_default());
        }
        if let Some(signature) = chat::text(detail, "signature") {
            thought.signature = Some(signature.to_owned());
        }
    }
    if let Some(plain) = plain {
        plain.clone_into(&mut thought.text);
    }
    if thought.text.is_empty() {
        for part in message.get("content").and_then(Value::as_array).into_iter().flatten() {
            thought.text.push_str(&part_thinking(part));
        }
    }
    thought
}

/// The text of a thinking part: `{thinking: "…"}` or Mistral's `{thinking: [{type: text, text}]}`.
pub(crate) fn part_thinking(part: &Value) -> String {
    match part.get("thinking") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| chat::text(part, "text")).collect(),
        _ => String::new(),
    }
}

/// The text of a message's content, which is a string or a list of parts.
pub(crate) fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.as_str().or_else(|| chat::text(part, "text"))).collect()
        }
        _ => String::new(),
    }
}

/// The arguments of a call as JSON text; a few servers send the object itself.
pub(crate) fn arguments(function: &Value) -> String {
    match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Object(_) | Value::Array(_))) => value.to_string(),
        _ => String::new(),
    }
}
