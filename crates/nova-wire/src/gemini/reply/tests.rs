use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read, write};
use crate::error::ErrorClass;
use crate::gemini::support::context;
use crate::hub::reply::{Finish, Reply, ReplyPart};
use crate::hub::request::{Mark, ToolCall};
use crate::quirks::Quirks;
use crate::support::repository;
use crate::translate::ReplyContext;
use crate::usage::Usage;

fn written(reply: &Reply) -> Value {
    serde_json::from_slice(&write(reply, &context())).expect("JSON")
}

fn answer(body: &Value) -> Reply {
    read(body.to_string().as_bytes(), &Quirks::default()).expect("an answer")
}

fn call(arguments: &str) -> ReplyPart {
    ReplyPart::ToolCall(ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

#[test]
fn failures_inside_a_success_are_failures() {
    for (body, class) in [
        (r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, ErrorClass::Overloaded),
        (
            r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]"#,
            ErrorClass::Auth,
        ),
        (r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#, ErrorClass::Server),
        (
            r#"{"candidates":[{"finishReason":"OTHER","content":{"parts":[{"text":"a"}]}}]}"#,
            ErrorClass::Server,
        ),
        ("<html>", ErrorClass::Garbage),
        ("", ErrorClass::Garbage),
        ("{}", ErrorClass::Garbage),
        ("[]", ErrorClass::Garbage),
        ("7", ErrorClass::Garbage),
        (r#"{"candidates":[]}"#, ErrorClass::Garbage),
        (r#"{"candidates":3,"promptFeedback":"x"}"#, ErrorClass::Garbage),
    ] {
        let error = read(body.as_bytes(), &Quirks::default()).expect_err(body);
        assert_eq!(error.class, class, "{body}: {error:?}");
    }
}

#[test]
fn answers_without_words_are_answers_all_the_same() {
    for (body, finish) in [
        (
            json!({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}),
            Finish::Length,
        ),
        (json!({"candidates": [{"finishReason": "STOP"}]}), Finish::Stop),
        (json!({"promptFeedback": {"blockReason": "SAFETY"}}), Finish::Filter),
        (json!({"candidates": [{"finishReason": "SAFETY", "safetyRatings": []}]}), Finish::Filter),
    ] {
        let reply = answer(&body);
        assert_eq!((reply.parts.len(), reply.finish), (0, finish), "{body}");
    }
}

#[test]
fn a_whole_list_of_chunks_is_one_answer() {
    // What comes where `alt=sse` was not asked for.
    let chunk = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]});
    let last = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 2}});
    let reply = answer(&json!([chunk("a"), chunk("b"), last]));
    assert_eq!(reply.parts, [ReplyPart::Text("ab".to_owned())]);
    assert_eq!((reply.finish, reply.usage.map(|usage| usage.input)), (Finish::Stop, Some(2)));
}

#[test]
fn calls_are_whole_or_not_there() {
    let check = |arguments: &str, finish: Finish, expected: Value| {
        let out = written(&Reply { parts: vec![call(arguments)], finish, ..Reply::default() });
        let args = out.pointer("/candidates/0/content/parts/0/functionCall/args").cloned();
        assert_eq!(args.unwrap_or(Value::Null), expected, "{arguments}");
    };
    check(r#"{"a":1}"#, Finish::ToolCalls, json!({"a": 1}));
    check(r#"{"a":1}{"a":1}"#, Finish::ToolCalls, json!({"a": 1}));
    check("", Finish::ToolCalls, json!({}));
    check("null", Finish::ToolCalls, json!({}));
    check("[1]", Finish::ToolCalls, json!({"value": [1]}));
    check(r#"{"a":"#, Finish::ToolCalls, json!({"value": "{\"a\":"}));
    check(r#"{"a":"#, Finish::Length, Value::Null);
    check("", Finish::Length, Value::Null);
    check(r#"{"a":1}"#, Finish::Length, json!({"a": 1}));
}

#[test]
fn thoughts_are_shown_to_those_who_asked() {
    let parts = vec![
        ReplyPart::Thinking { text: "hm".to_owned(), signature: Some("ns1.deepseek.x".to_owned()) },
        ReplyPart::RedactedThinking { data: "secret".to_owned() },
        ReplyPart::Refusal("no".to_owned()),
    ];
    let reply = Reply { parts, finish: Finish::Stop, ..Reply::default() };
    let out = written(&reply);
    let thought = json!({"text": "hm", "thought": true, "thoughtSignature": "bnMxLmRlZXBzZWVrLng="});
    assert_eq!(out["candidates"][0]["content"]["parts"], json!([thought, {"text": "no"}]));
    assert_eq!(out["candidates"][0]["finishReason"], "SAFETY", "a refusal is no plain end");
    let silent = ReplyContext { want_thinking: false, ..context() };
    let out: Value = serde_json::from_slice(&write(&reply, &silent)).expect("JSON");
    assert_eq!(out["candidates"][0]["content"]["parts"], json!([{"text": "no"}]));
}

fn any_part() -> impl Strategy<Value = ReplyPart> {
    let text = "[a-zé字\u{2028}\"\\\\]{1,6}";
    prop_oneof![
        text.prop_map(ReplyPart::Text),
        (text, proptest::option::of("[a-z]{4}"))
            .prop_map(|(text, signature)| ReplyPart::Thinking { text, signature }),
        ("[a-z]{1,3}", "[a-z]{1,3}", 0u8..9, proptest::option::of("[a-z]{4}")).prop_map(
            |(id, name, n, signature)| {
                let mark = Mark { signature, ..Mark::default() };
                ReplyPart::ToolCall(ToolCall { id, name, arguments: json!({ "n": n }).to_string(), mark })
            }
        ),
    ]
}

fn any_usage() -> impl Strategy<Value = Usage> {
    (0u64..99, 0u64..99, 0u64..99, 0u64..99).prop_map(|(input, cache_read, text, reasoning)| Usage {
        input,
        cache_read,
        cache_write: 0,
        output: text + reasoning,
        reasoning,
    })
}

/// Answers as a model gives them: neighbouring pieces of one kind are one piece.
pub(in crate::gemini) fn any_reply() -> impl Strategy<Value = Reply> {
    (proptest::collection::vec(any_part(), 0..6), any_usage(), 0u8..3).prop_map(|(mut parts, usage, end)| {
        let is_call = |part: &ReplyPart| matches!(part, ReplyPart::ToolCall(_));
        parts.dedup_by(|one, other| {
            std::mem::discriminant(one) == std::mem::discriminant(other) && !is_call(one)
        });
        let calls = parts.iter().any(is_call);
        let finish = match end {
            0 => Finish::Length,
            1 => Finish::Filter,
            _ if calls => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        Reply { parts, finish, usage: Some(usage), model: Some("nova".to_owned()) }
    })
}

proptest! {
    #[test]
    fn an_answer_that_is_written_is_read_as_it_was(reply in any_reply()) {
        let body = write(&reply, &context());
        prop_assert_eq!(read(&body, &Quirks::default()).expect("an answer"), reply);
    }
}

#[test]
fn recorded_answers_are_read_and_written_alike() {
    let Ok(folder) = std::fs::read_dir(repository().join("../shared/fixtures/gemini")) else {
        println!("skipped: ../shared/fixtures/gemini is absent");
        return;
    };
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let is_answer = name.starts_with("generateContent-") && name.ends_with(".json");
        if !is_answer || name.ends_with(".req.json") || name.ends_with(".meta.json") {
            continue;
        }
        let body = std::fs::read(&path).expect("bytes");
        let recorded: Value = serde_json::from_slice(&body).expect("JSON");
        let reason = recorded.pointer("/candidates/0/finishReason").and_then(Value::as_str);
        if recorded.get("error").is_some() || reason == Some("UNEXPECTED_TOOL_CALL") {
            assert!(read(&body, &Quirks::default()).is_err(), "{name}");
            continue;
        }
        seen += 1;
        let reply = read(&body, &Quirks::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_ne!(reply.finish, Finish::Unsaid, "{name}");
        let out = written(&reply);
        let calls = |answer: &Value| -> Vec<Value> {
            let parts = answer.pointer("/candidates/0/content/parts").and_then(Value::as_array);
            let calls = parts.into_iter().flatten().filter(|part| part.get("functionCall").is_some());
            let shown = |part: &Value| {
                let call = &part["functionCall"];
                json!([call["name"], call["args"], part["thoughtSignature"]])
            };
            calls.map(shown).collect()
        };
        assert_eq!(calls(&out), calls(&recorded), "{name}");
        if let Some(reason) = reason {
            assert_eq!(out["candidates"][0]["finishReason"], reason, "{name}");
        }
        for field in ["promptTokenCount", "thoughtsTokenCount", "totalTokenCount", "cachedContentTokenCount"]
        {
            if let Some(count) = recorded["usageMetadata"].get(field) {
                assert_eq!(out["usageMetadata"][field], *count, "{name}");
            }
        }
        let again = answer(&out);
        assert_eq!(written(&again), out, "{name}");
    }
    assert!(seen >= 8, "only {seen} answers were found");
}
