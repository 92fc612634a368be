//! What a human said last in a request, in any dialect: what the request is about.
//!
//! Only rules that ask for the task have it read. Messages are looked at from the last one back, so that all
//! others are only skipped over. Nothing here fails: where nobody said anything, nothing is said.

use nova_wire::Dialect;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Notes that agents put into a human's message.
const REMINDER: &str = "<system-reminder>";

/// The lists in which the dialects keep what was said.
#[derive(Deserialize)]
struct Body<'b> {
    #[serde(borrow, default)]
    messages: Option<Vec<&'b RawValue>>,
    #[serde(borrow, default)]
    input: Option<&'b RawValue>,
    #[serde(borrow, default)]
    contents: Option<Vec<&'b RawValue>>,
}

/// The text of the last message of a human.
pub(crate) fn last(dialect: Dialect, body: &[u8]) -> Option<String> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    match dialect {
        Dialect::Chat | Dialect::Messages | Dialect::Converse => last_of(&body.messages?),
        Dialect::Gemini => last_of(&body.contents?),
        Dialect::Responses => {
            let input = body.input?.get();
            serde_json::from_str::<String>(input).ok().or_else(|| {
                let items: Vec<&RawValue> = serde_json::from_str(input).ok()?;
                last_of(&items)
            })
        }
    }
}

fn last_of(messages: &[&RawValue]) -> Option<String> {
    messages.iter().rev().find_map(|message| {
        let message: Value = serde_json::from_str(message.get()).ok()?;
        // Gemini's contents may leave the role out, where there is only the human.
        let is_human = message.get("role").and_then(Value::as_str).is_none_or(|role| role == "user");
        let text = text(message.get("content").or_else(|| message.get("parts"))?);
        // A message of tools' results alone was said by no human.
        (is_human && !text.is_empty()).then_some(text)
    })
}

fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.filter(|text| !text.trim_start().starts_with(REMINDER)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_a_human_is_found_in_every_dialect() {
        let check = |dialect: Dialect, body: &str, said: Option<&str>| {
            assert_eq!(last(dialect, body.as_bytes()).as_deref(), said, "{body}");
        };
        let chat = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}"#;
        check(Dialect::Chat, chat, Some("b"));
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]}]}"#;
        check(Dialect::Chat, parts, Some("a\nb"));
        let tools = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":"b"}]}]}"#;
        check(Dialect::Messages, tools, Some("a"));
        let reminder = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>debug</system-reminder>"},{"type":"text","text":"a"}]}]}"#;
        check(Dialect::Messages, reminder, Some("a"));
        check(Dialect::Responses, r#"{"input":"a"}"#, Some("a"));
        let items = r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call_output","output":"b"}]}"#;
        check(Dialect::Responses, items, Some("a"));
        check(
            Dialect::Gemini,
            r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}]}"#,
            Some("a"),
        );
        check(Dialect::Converse, r#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#, Some("a"));
        check(Dialect::Chat, r#"{"messages":[{"role":"system","content":"a"}]}"#, None);
        check(Dialect::Chat, r#"{"messages":[5,null,{"role":"user"}]}"#, None);
        check(Dialect::Chat, "{}", None);
        check(Dialect::Chat, "", None);
    }
}
