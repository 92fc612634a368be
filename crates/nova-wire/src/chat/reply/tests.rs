use serde_json::json;

use super::*;
use crate::chat::stream::tests::context;
use crate::error::ErrorClass;

fn answer(message: Value, finish: Value) -> Value {
    json!({"model": "real", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

fn parsed(answer: &Value, quirks: &Quirks) -> Reply {
    read(format!("\n  {answer}").as_bytes(), quirks).expect("an answer")
}

fn call(id: &str, name: &str, arguments: &str) -> ReplyPart {
    ReplyPart::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        ..ToolCall::default()
    })
}

fn thinking(text: &str) -> ReplyPart {
    ReplyPart::Thinking { text: text.into(), signature: None }
}

#[test]
fn messages_of_every_provider_are_read() {
    let check = |message: Value, finish: Value, parts: &[ReplyPart], expected: &Finish| {
        let reply = parsed(&answer(message.clone(), finish), &Quirks::default());
        assert_eq!((&reply.parts[..], &reply.finish), (parts, expected), "{message}");
    };
    let text = |text: &str| ReplyPart::Text(text.into());
    check(json!({"content": "a"}), json!("stop"), &[text("a")], &Finish::Stop);
    check(json!({"content": "a"}), json!("eos"), &[text("a")], &Finish::Stop);
    check(json!({"content": "a"}), json!(""), &[text("a")], &Finish::Unsaid);
    check(json!({"content": ""}), json!("length"), &[], &Finish::Length);
    check(
        json!({"content": null, "refusal": "no"}),
        json!("stop"),
        &[ReplyPart::Refusal("no".into())],
        &Finish::Stop,
    );
    let twice = json!({"content": "a", "reasoning_content": "t", "reasoning": "t"});
    check(twice, json!("stop"), &[thinking("t"), text("a")], &Finish::Stop);
    let list = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}]});
    check(list, json!("stop"), &[thinking("t"), text("a")], &Finish::Stop);
    let calls = json!({"content": null, "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}},
        {"function": {"name": "g", "arguments": {"a": 1}}}]});
    check(
        calls,
        json!("stop"),
        &[call("x", "f", "{}"), call("call_1", "g", r#"{"a":1}"#)],
        &Finish::ToolCalls,
    );
    let legacy = json!({"content": null, "function_call": {"name": "f", "arguments": "{}"}});
    check(legacy, json!("function_call"), &[call("call_0", "f", "{}")], &Finish::ToolCalls);
    check(json!(null), json!("content_filter"), &[], &Finish::Filter);
}

#[test]
fn think_tags_are_split_off() {
    let quirks = Quirks { think_tags: Some(true), ..Quirks::default() };
    let reply = parsed(&answer(json!({"content": "<think>\nt</think>\n\na"}), json!("stop")), &quirks);
    assert_eq!(reply.parts, [thinking("t"), ReplyPart::Text("a".into())]);
    let reply = parsed(&answer(json!({"content": "<think>\nt"}), json!("length")), &quirks);
    assert_eq!(reply.parts, [thinking("t")]);
}

#[test]
fn failures_inside_a_success_are_failures() {
    let check = |body: &str, class: Option<ErrorClass>| {
        let error = read(body.as_bytes(), &Quirks::default()).expect_err(body);
        assert!(class.is_none_or(|class| class == error.class), "{body}: {error}");
        assert!(meter(body.as_bytes(), &Quirks::default()).is_err(), "{body}");
    };
    check("", Some(ErrorClass::Garbage));
    check("<html>", Some(ErrorClass::Garbage));
    check("{}", Some(ErrorClass::Garbage));
    check(r#"{"choices":[]}"#, Some(ErrorClass::Garbage));
    check(r#"{"error":{"message":"m","code":"x"}}"#, None);
    check(r#"{"error":"m"}"#, None);
    check(r#"{"object":"error","message":"m"}"#, None);
    check(r#"{"code":400,"message":"m","type":"Bad Request"}"#, None);
    check(r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#, None);
    check(
        r#"{"choices":[{"message":{},"finish_reason":"insufficient_system_resource"}]}"#,
        Some(ErrorClass::Overloaded),
    );
}

#[test]
fn an_answer_is_written_as_openai_writes_it() {
    let reply = Reply {
        parts: vec![thinking("t"), ReplyPart::Text("a".into()), call("x", "f", "")],
        finish: Finish::ToolCalls,
        usage: Some(Usage { input: 1, cache_read: 2, cache_write: 3, output: 4, reasoning: 1 }),
        model: Some("real".into()),
    };
    let json: Value = serde_json::from_slice(&write(&reply, &context(false, true))).expect("JSON");
    assert_eq!(
        json,
        json!({
            "id": "chatcmpl-0a", "object": "chat.completion", "created": 7, "model": "asked",
            "system_fingerprint": "fp_novastack",
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "a", "refusal": null, "reasoning_content": "t",
                "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            }}],
            "usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 1}},
        })
    );
    let hidden = write(&reply, &context(false, false));
    assert!(!String::from_utf8_lossy(&hidden).contains("reasoning_content"));
}

#[test]
fn a_written_answer_reads_as_it_was() {
    let reply = Reply {
        parts: vec![
            ReplyPart::Thinking { text: "t".into(), signature: Some("s".into()) },
            ReplyPart::Text("a".into()),
            ReplyPart::Refusal("no".into()),
            call("x", "f", r#"{"a":1}"#),
        ],
        finish: Finish::ToolCalls,
        usage: Some(Usage { input: 1, cache_read: 2, cache_write: 3, output: 4, reasoning: 1 }),
        model: Some("asked".into()),
    };
    let body = write(&reply, &context(false, true));
    assert_eq!(read(&body, &Quirks::default()).expect("an answer"), reply);
}
