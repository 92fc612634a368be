//! What a human said last in a request, in any dialect: what the request is about.
//!
//! Only rules and modes that ask for the task have it read. Messages are looked at from the last one back, so
//! that all others are only skipped over: results of tools, notes of agents, and everything that was said
//! before. So a conversation keeps its task while tools work. Nothing here fails: where nobody said anything,
//! nothing is said.

use nova_route::task::human;
use nova_wire::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;

use super::outline::Outline;

/// What was said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The human's last words, without what programs put around them.
    pub(crate) text: String,
    /// What the system says; empty where it says nothing.
    pub(crate) system: String,
}

/// What the human said last, and the system.
pub(crate) fn last(dialect: Dialect, body: &Outline<'_>) -> Option<Said> {
    let text = match &body.text {
        Some(text) => human(text),
        None => last_of(&body.turns)?,
    };
    let system = match dialect {
        Dialect::Chat => first_system(&body.turns),
        _ => body.system.map(system_text).unwrap_or_default(),
    };
    (!text.is_empty()).then_some(Said { text, system })
}

fn last_of(messages: &[&RawValue]) -> Option<String> {
    messages.iter().rev().find_map(|message| {
        let message: Value = serde_json::from_str(message.get()).ok()?;
        // Gemini's contents may leave the role out, where there is only the human.
        let is_human = message.get("role").and_then(Value::as_str).is_none_or(|role| role == "user");
        if !is_human {
            return None;
        }
        let said = text(message.get("content").or_else(|| message.get("parts"))?, human);
        // A message of tools' results or of notes alone was said by no human.
        (!said.is_empty()).then_some(said)
    })
}

/// The text of the system's message, where the dialect has one in the list: the first.
fn first_system(messages: &[&RawValue]) -> String {
    let first = messages.first().and_then(|message| serde_json::from_str::<Value>(message.get()).ok());
    let is_system = |message: &Value| matches!(message["role"].as_str(), Some("system" | "developer"));
    first.filter(is_system).map(|message| text(&message["content"], str::to_owned)).unwrap_or_default()
}

fn system_text(raw: &RawValue) -> String {
    let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    text(value.get("parts").unwrap_or(&value), str::to_owned)
}

/// The texts of a message's parts, each as `each` leaves it.
fn text(content: &Value, each: impl Fn(&str) -> String) -> String {
    match content {
        Value::String(text) => each(text),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.map(each).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
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
            let found = last(dialect, &Outline::of(body.as_bytes())).map(|found| found.text);
            assert_eq!(found.as_deref(), said, "{body}");
        };
        let chat = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}"#;
        check(Dialect::Chat, chat, Some("b"));
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]}]}"#;
        check(Dialect::Chat, parts, Some("a\nb"));
        let tools = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":"b"}]}]}"#;
        check(Dialect::Messages, tools, Some("a"));
        let reminder = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>debug</system-reminder>"},{"type":"text","text":"a"}]}]}"#;
        check(Dialect::Messages, reminder, Some("a"));
        let looped = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[]},{"role":"tool","content":"b"},{"role":"assistant","tool_calls":[]},{"role":"tool","content":"c"}]}"#;
        check(Dialect::Chat, looped, Some("a"));
        let notes = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"tool_result","content":"b"},{"type":"text","text":"<system-reminder>c</system-reminder>"}]}]}"#;
        check(Dialect::Messages, notes, Some("a"));
        let environment = r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"<environment_context>x</environment_context>"}]},{"role":"user","content":[{"type":"input_text","text":"a"}]}]}"#;
        check(Dialect::Responses, environment, Some("a"));
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

    #[test]
    fn the_system_is_heard_in_every_dialect() {
        let check = |dialect: Dialect, body: &str| {
            assert_eq!(
                last(dialect, &Outline::of(body.as_bytes())).map(|found| found.system).as_deref(),
                Some("s"),
                "{body}"
            );
        };
        check(
            Dialect::Chat,
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#,
        );
        check(
            Dialect::Chat,
            r#"{"messages":[{"role":"developer","content":[{"type":"text","text":"s"}]},{"role":"user","content":"a"}]}"#,
        );
        check(
            Dialect::Messages,
            r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"}]}"#,
        );
        check(Dialect::Messages, r#"{"system":"s","messages":[{"role":"user","content":"a"}]}"#);
        check(Dialect::Responses, r#"{"instructions":"s","input":"a"}"#);
        check(
            Dialect::Gemini,
            r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
        );
        check(
            Dialect::Converse,
            r#"{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"a"}]}]}"#,
        );
    }
}
