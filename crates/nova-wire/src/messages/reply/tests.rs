use serde_json::{Value, json};

use super::*;
use crate::error::ErrorClass;
use crate::messages::support::context;
use crate::support::repository;

/// What a reply looks like to a Messages client.
fn written(reply: &Reply) -> Value {
    serde_json::from_slice(&write(reply, &context())).expect("JSON")
}

fn call(id: &str, arguments: &str) -> ReplyPart {
    ReplyPart::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

#[test]
fn finishes_are_told_in_anthropics_words() {
    let text = || ReplyPart::Text("hi".to_owned());
    for (finish, parts, reason, sequence) in [
        (Finish::Stop, vec![text()], "end_turn", None),
        (Finish::Unsaid, vec![text()], "end_turn", None),
        (Finish::Unsaid, vec![call("a", "{}")], "tool_use", None),
        (Finish::Stop, vec![call("a", "{}")], "tool_use", None),
        (Finish::ToolCalls, vec![text()], "end_turn", None),
        (Finish::Length, vec![text()], "max_tokens", None),
        (Finish::StopSequence(Some("END".to_owned())), vec![text()], "stop_sequence", Some("END")),
        (Finish::StopSequence(None), vec![], "stop_sequence", None),
        (Finish::Filter, vec![], "refusal", None),
        (Finish::Stop, vec![ReplyPart::Refusal("no".to_owned())], "refusal", None),
        (Finish::Pause, vec![text()], "pause_turn", None),
    ] {
        let name = format!("{finish:?} {parts:?}");
        let answer = written(&Reply { parts, finish, ..Reply::default() });
        assert_eq!(answer["stop_reason"], reason, "{name}");
        assert_eq!(answer["stop_sequence"].as_str(), sequence, "{name}");
    }
}

#[test]
fn calls_are_written_so_that_they_can_be_carried_out_or_not_at_all() {
    for (finish, arguments, input) in [
        (Finish::ToolCalls, "", Some(json!({}))),
        (Finish::ToolCalls, "{}", Some(json!({}))),
        (Finish::ToolCalls, "null", Some(json!({}))),
        (Finish::ToolCalls, r#"{"a":1}"#, Some(json!({"a": 1}))),
        (Finish::ToolCalls, r#"{"a":1}{"a":1}"#, Some(json!({"a": 1}))),
        (Finish::ToolCalls, "[1]", Some(json!({"value": [1]}))),
        (Finish::Length, r#"{"a":1}"#, Some(json!({"a": 1}))),
        (Finish::Length, r#"{"a":"#, None),
        (Finish::Length, "", None),
    ] {
        let reply = Reply { parts: vec![call("a", arguments)], finish, ..Reply::default() };
        let answer = written(&reply);
        assert_eq!(answer["content"].get(0).map(|block| block["input"].clone()), input, "{reply:?}");
    }
}

#[test]
fn ids_are_made_up_spelled_and_kept_apart() {
    let parts = vec![call("", "{}"), call("functions.f:0", "{}"), call("x", "{}"), call("x", "{}")];
    let answer = written(&Reply { parts, ..Reply::default() });
    let ids: Vec<&str> = (0..4).map(|at| answer["content"][at]["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["toolu_abc_0", "ns1_functions-df-c0", "x", "x_2"]);
}

#[test]
fn thinking_is_shown_to_those_who_asked() {
    let reply = Reply {
        parts: vec![
            ReplyPart::Thinking { text: "hm".to_owned(), signature: None },
            ReplyPart::RedactedThinking { data: "x".to_owned() },
            ReplyPart::Text("hi".to_owned()),
        ],
        ..Reply::default()
    };
    assert_eq!(
        written(&reply)["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "hi"},
        ])
    );
    let silent = ReplyContext { want_thinking: false, ..context() };
    let answer: Value = serde_json::from_slice(&write(&reply, &silent)).expect("JSON");
    assert_eq!(answer["content"], json!([{"type": "text", "text": "hi"}]));
}

#[test]
fn counts_keep_their_meaning() {
    let usage = Usage { input: 10, cache_read: 3, cache_write: 2, output: 7, reasoning: 4 };
    let answer = written(&Reply { usage: Some(usage), ..Reply::default() });
    let back = from_json(&answer).expect("an answer");
    assert_eq!(back.usage, Some(usage));
    assert_eq!(written(&Reply::default())["usage"]["input_tokens"], 42, "the estimate stands in");
}

#[test]
fn failures_inside_a_success_are_failures() {
    for (body, class) in [
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, ErrorClass::Overloaded),
        (r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#, ErrorClass::Balance),
        ("<html>", ErrorClass::Garbage),
        ("", ErrorClass::Garbage),
        ("{}", ErrorClass::Garbage),
        ("[]", ErrorClass::Garbage),
        (r#"{"type":"message","content":3}"#, ErrorClass::Garbage),
    ] {
        let error = read(body.as_bytes(), &Quirks::default()).expect_err(body);
        assert_eq!(error.class, class, "{body}: {error:?}");
    }
}

#[test]
fn recorded_answers_are_read_and_written_alike() {
    let Ok(folder) = std::fs::read_dir(repository().join("../shared/fixtures/anthropic")) else {
        println!("skipped: ../shared/fixtures/anthropic is absent");
        return;
    };
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let is_answer = name.starts_with("messages-") && name.ends_with(".json");
        if !is_answer || name.ends_with(".req.json") || name.ends_with(".meta.json") {
            continue;
        }
        let body = std::fs::read(&path).expect("bytes");
        let recorded: Value = serde_json::from_slice(&body).expect("JSON");
        if recorded["type"] != "message" {
            assert!(read(&body, &Quirks::default()).is_err(), "{name}");
            continue;
        }
        seen += 1;
        let reply = read(&body, &Quirks::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_ne!(reply.finish, Finish::Unsaid, "{name}");
        let answer = written(&reply);
        let calls = |answer: &Value| -> Vec<Value> {
            let blocks = answer["content"].as_array().into_iter().flatten();
            let calls = blocks.filter(|block| block["type"] == "tool_use");
            calls.map(|call| json!([call["id"], call["name"], call["input"]])).collect()
        };
        assert_eq!(calls(&answer), calls(&recorded), "{name}");
        for field in ["input_tokens", "output_tokens"] {
            assert_eq!(answer["usage"][field], recorded["usage"][field], "{name}");
        }
        let kept = ["end_turn", "tool_use", "max_tokens", "stop_sequence", "refusal", "pause_turn"];
        // Calls wait for their results, whatever else is said.
        let waits = recorded["stop_reason"] == "end_turn" && !calls(&recorded).is_empty();
        if !waits && kept.iter().any(|reason| recorded["stop_reason"] == **reason) {
            assert_eq!(answer["stop_reason"], recorded["stop_reason"], "{name}");
        }
        // The provider's explanation of a refusal becomes text, and stays text.
        let again = from_json(&answer).expect("an answer");
        assert_eq!(written(&again), answer, "{name}");
    }
    assert!(seen >= 30, "only {seen} answers were found");
}
