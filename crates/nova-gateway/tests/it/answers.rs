//! Whole answers: what goes up, what comes back, what is recorded.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply, hello, messages_reply, provider};

#[tokio::test]
async fn a_chat_request_reaches_a_chat_provider_with_nothing_changed_but_the_model() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], chat_reply("Hi."))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body = r#"{ "zeta":1e2, "model" : "Test-Model", "messages":[{"role":"user","content":"H\u00e9llo"}],"alpha":[ ]}"#;
    let reply = gateway.post("/v1/chat/completions", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.text(), chat_reply("Hi."), "same dialect: the answer's bytes are the provider's");
    let sent = &upstream.requests()[0];
    assert_eq!(sent.path, "/v1/chat/completions");
    assert_eq!(sent.text(), body.replace("\"Test-Model\"", "\"upstream-model\""));
    assert_eq!(sent.header("authorization"), Some("Bearer provider-secret"));
    assert_eq!(reply.header("x-novastack-model"), "test-model");
    assert_eq!(reply.header("x-novastack-provider"), "scripted");
    assert_eq!(reply.header("x-novastack-attempts"), "1");
    assert_eq!(reply.header("x-request-id"), reply.header("request-id"));
    assert!(reply.header("server-timing").contains("upstream;dur="));
}

#[tokio::test]
async fn the_clients_key_and_headers_never_reach_a_provider() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], chat_reply("Hi."))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway
        .post_with("/v1/chat/completions", hello(), &[("cookie", "secret=1"), ("x-private", "2")])
        .await;
    assert_eq!(reply.status, 200);
    let sent = &upstream.requests()[0];
    assert!(!format!("{:?}", sent.headers).contains(&gateway.key));
    assert_eq!((sent.header("cookie"), sent.header("x-private")), (None, None));
}

#[tokio::test]
async fn a_messages_client_is_answered_by_a_chat_provider_and_the_reverse() {
    let upstream = ScriptedUpstream::answering(|request| {
        let body =
            if request.path.ends_with("/messages") { messages_reply("Hi.") } else { chat_reply("Hi.") };
        Script::json(200, &[], body)
    })
    .await;
    let chat = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = chat.post("/v1/messages", hello()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(
        (&body["type"], &body["role"], &body["model"]),
        (&json!("message"), &json!("assistant"), &json!("test-model"))
    );
    assert_eq!(body["content"], json!([{ "type": "text", "text": "Hi." }]));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(7), &json!(2)));

    let messages = TestGateway::start(&provider(&upstream.url(), "messages")).await;
    let reply = messages.post("/router/v1/chat/completions", hello()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["choices"][0]["message"]["content"], "Hi.");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 9);
}

#[tokio::test]
async fn what_a_target_cannot_carry_is_named() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], messages_reply("Hi."))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "messages")).await;
    let mut body: Value = serde_json::from_str(&hello()).unwrap();
    body["logit_bias"] = json!({ "50256": -100 });
    let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("x-novastack-dropped").contains("logit_bias"), "{:?}", reply.headers);
}

#[tokio::test]
async fn each_request_leaves_one_record_with_tokens_cost_and_attempts() {
    let upstream = ScriptedUpstream::start([Script::json(200, &[], chat_reply("Hi."))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!(record["outcome"], "ok");
    assert_eq!(record["status"], 200);
    assert_eq!((&record["usage"]["input"], &record["usage"]["output"]), (&json!(7), &json!(2)));
    assert_eq!(record["estimated"], false);
    // 7 tokens at 1 dollar and 2 tokens at 10 dollars a million.
    assert_eq!(gateway.cost_nanos(&record), 27_000);
    assert_eq!(record["model_answered"], "test-model");
    assert_eq!(record["provider"], "scripted");
}

#[tokio::test]
async fn an_answer_without_usage_is_estimated_and_says_so() {
    let mut body: Value =
        serde_json::from_str(&chat_reply("Eight words that nobody has counted so far.")).unwrap();
    body.as_object_mut().unwrap().remove("usage");
    let upstream = ScriptedUpstream::start([Script::json(200, &[], body.to_string())]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!(record["estimated"], true);
    assert!(record["usage"]["output"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn whitespace_before_a_whole_answer_does_not_hurt() {
    let upstream =
        ScriptedUpstream::start([Script::json(200, &[], format!("\n\n   {}", chat_reply("Hi.")))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hi.");
}
