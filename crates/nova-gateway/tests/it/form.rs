//! What a client asks of an answer's form, and what it forgets of its history.

use std::sync::atomic::{AtomicUsize, Ordering};

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply, hello, provider};

/// A request for an object with a whole number `age`.
fn asking(stream: bool) -> String {
    let mut body: Value = serde_json::from_str(&hello()).unwrap();
    body["stream"] = stream.into();
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "person", "schema": {
        "type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"],
    }}});
    body.to_string()
}

/// A gateway whose provider says these texts, one after the other; the last one again and again.
async fn saying(texts: &'static [&'static str], quirks: &str) -> (ScriptedUpstream, TestGateway) {
    let count = AtomicUsize::new(0);
    let upstream = ScriptedUpstream::answering(move |_| {
        let at = count.fetch_add(1, Ordering::Relaxed).min(texts.len() - 1);
        Script::json(200, &[], chat_reply(texts[at]))
    })
    .await;
    let yaml = provider(&upstream.url(), "chat")
        .replace("    endpoints:", &format!("    quirks: {quirks}\n    endpoints:"));
    let gateway = TestGateway::start(&yaml).await;
    (upstream, gateway)
}

#[tokio::test]
async fn an_answer_without_the_form_is_asked_for_again_and_both_are_paid() {
    let (upstream, gateway) =
        saying(&[r#"{"age":"old"}"#, r#"{"age":30}"#], "{ json_schema: json_object }").await;
    let reply = gateway.post("/v1/chat/completions", asking(false)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], r#"{"age":30}"#);
    let asked: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert_eq!(asked["response_format"], json!({"type": "json_object"}), "DeepSeek knows no schema");
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("\"age\""), "{asked}");
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!(record["attempts"][0]["outcome"], "mismatch");
    // 7 tokens at 1 and 2 at 10 dollars a million, twice.
    assert_eq!(gateway.cost_nanos(&record), 54_000, "{record}");
}

#[tokio::test]
async fn json_with_words_around_it_is_mended() {
    let (upstream, gateway) = saying(&["Sure:\n```json\n{\"age\":30}\n```"], "{ json_schema: prompt }").await;
    let reply = gateway.post("/v1/chat/completions", asking(false)).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], r#"{"age":30}"#, "{}", reply.text());
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_has_the_form_is_an_error() {
    let (upstream, gateway) = saying(&["I would rather not."], "{}").await;
    let reply = gateway.post("/v1/chat/completions", asking(false)).await;
    assert_eq!(
        (reply.status, reply.header("x-novastack-error")),
        (502, "schema_mismatch"),
        "{}",
        reply.text()
    );
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_schema_can_be_a_tool_that_must_be_called() {
    let call = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"answer_with_json","arguments":"{\"age\":30}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let upstream = ScriptedUpstream::answering(move |_| Script::json(200, &[], call)).await;
    let yaml = provider(&upstream.url(), "chat")
        .replace("    endpoints:", "    quirks: { json_schema: tool }\n    endpoints:");
    let gateway = TestGateway::start(&yaml).await;
    let reply = gateway.post("/v1/chat/completions", asking(false)).await;
    let choice = &reply.json()["choices"][0];
    assert_eq!(choice["message"]["content"], r#"{"age":30}"#, "{}", reply.text());
    assert_eq!(choice["finish_reason"], "stop");
    let asked: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert_eq!(asked["tool_choice"]["function"]["name"], "answer_with_json");
}

#[tokio::test]
async fn a_stream_without_the_form_ends_in_an_error() {
    let stream = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"no\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: [DONE]\n\n",
    ];
    let upstream = ScriptedUpstream::answering(move |_| Script::sse(&stream)).await;
    let yaml = provider(&upstream.url(), "chat").replace(
        "    endpoints:",
        "    quirks: { json_schema: json_object, normalise: true }\n    endpoints:",
    );
    let gateway = TestGateway::start(&yaml).await;
    let reply = gateway.post("/v1/chat/completions", asking(true)).await;
    assert!(reply.text().contains("\"error\"") && !reply.text().contains("[DONE]"), "{}", reply.text());
}

#[tokio::test]
async fn thinking_that_the_client_forgot_goes_back_to_the_provider() {
    let call = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"","reasoning_content":"I need the time.","tool_calls":[{"id":"call_7","type":"function","function":{"name":"clock","arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let upstream = ScriptedUpstream::answering(move |_| Script::json(200, &[], call)).await;
    let yaml = provider(&upstream.url(), "chat")
        .replace("    endpoints:", "    quirks: { replay_thinking: required }\n    endpoints:");
    let gateway = TestGateway::start(&yaml).await;
    gateway.post("/v1/chat/completions", hello()).await;
    let mut next: Value = serde_json::from_str(&hello()).unwrap();
    next["messages"] = json!([
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_7", "type": "function", "function": {"name": "clock", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_7", "content": "noon"},
    ]);
    gateway.post("/v1/chat/completions", next.to_string()).await;
    let asked: Value = serde_json::from_slice(&upstream.requests()[1].body).unwrap();
    assert_eq!(asked["messages"][1]["reasoning_content"], "I need the time.", "{asked}");
}
