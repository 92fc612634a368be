//! Counting tokens: by the provider where it may be asked, else by an estimate that learns.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply, hello, provider};

const PATHS: [(&str, &str); 3] = [
    ("/v1/messages/count_tokens", "input_tokens"),
    ("/router/v1/responses/input_tokens", "input_tokens"),
    ("/v1beta/models/test-model:countTokens", "totalTokens"),
];

fn body(path: &str, text: &str) -> Value {
    if path.contains("responses") {
        json!({ "model": "test-model", "input": text })
    } else if path.contains("v1beta") {
        json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] })
    } else {
        json!({ "model": "test-model", "messages": [{ "role": "user", "content": text }] })
    }
}

#[tokio::test]
async fn an_estimate_says_so_is_never_zero_and_sees_system_tools_and_images() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for (path, field) in PATHS {
        let count = async |body: &Value| {
            let reply = gateway.post(path, body.to_string()).await;
            assert_eq!(
                (reply.status, reply.header("x-novastack-estimate")),
                (200, "true"),
                "{}",
                reply.text()
            );
            reply.json()[field].as_u64().unwrap()
        };
        let short = count(&body(path, "Hi")).await;
        let long = count(&body(path, &"word ".repeat(1000))).await;
        assert!(short > 0 && long > 1000, "{path}: {short} and {long}");
    }
    let count = async |more: Value| {
        let mut body = body("", "Hi");
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = gateway.post(PATHS[0].0, body.to_string()).await;
        reply.json()["input_tokens"].as_u64().unwrap()
    };
    let plain = count(json!({})).await;
    let text = "Be brief. ".repeat(40);
    assert!(count(json!({ "system": text })).await > plain + 50);
    let schema =
        json!({ "type": "object", "properties": { "city": { "type": "string", "description": text } } });
    assert!(count(json!({ "tools": [{ "name": "f", "input_schema": schema }] })).await > plain + 50);
    let source = json!({ "type": "base64", "media_type": "image/png", "data": "A".repeat(5000) });
    let image = |source: Value| json!({ "role": "user", "content": [{ "type": "image", "source": source }] });
    assert!(count(json!({ "messages": [image(source)] })).await > plain + 500);
    let source = json!({ "type": "url", "url": "https://example.com/a.png" });
    assert!(count(json!({ "messages": [image(source)] })).await > plain + 500);
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_count_leaves_a_record_that_costs_nothing() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for (path, recorded) in [
        ("/v1/messages/count_tokens", "/messages/count_tokens"),
        ("/v1/responses/input_tokens", "/responses/input_tokens"),
        ("/v1beta/models/test-model:countTokens", "/models/{model}:countTokens"),
    ] {
        let reply = gateway.post(path, body(path, "Hi").to_string()).await;
        let record = gateway.record(reply.header("x-request-id")).await;
        assert_eq!((&record["path"], &record["outcome"]), (&json!(recorded), &json!("ok")), "{record}");
        assert_eq!((&record["usage"]["input"], gateway.cost_nanos(&record)), (&json!(0), 0), "{record}");
        assert_eq!(record["model_asked"], "test-model");
    }
    let unknown = r#"{"model":"nothing","messages":[{"role":"user","content":"Hi"}]}"#;
    let bad = gateway.post("/v1/messages/count_tokens", unknown).await;
    assert_eq!(bad.status, 404, "{}", bad.text());
    let record = gateway.record(bad.header("x-request-id")).await;
    assert_eq!((&record["path"], &record["status"]), (&json!("/messages/count_tokens"), &json!(404)));
}

#[tokio::test]
async fn estimates_learn_from_what_the_model_reports() {
    let reply = chat_reply("Hi.").replace("\"prompt_tokens\":7", "\"prompt_tokens\":900");
    let upstream = ScriptedUpstream::answering(move |_| Script::json(200, &[], &reply)).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let text = "word ".repeat(300);
    let estimate = async || {
        let reply = gateway.post(PATHS[0].0, body("", &text).to_string()).await;
        reply.json()["input_tokens"].as_u64().unwrap()
    };
    let before = estimate().await;
    let asked = gateway.post("/v1/messages", hello().replace("Hello", &text)).await;
    assert_eq!(asked.status, 200);
    gateway.record(asked.header("x-request-id")).await;
    let after = estimate().await;
    assert!(before < 500 && (800..=1000).contains(&after), "{before}, then {after}");
}

#[tokio::test]
async fn the_providers_own_counter_is_asked_where_the_operator_allows_it() {
    let upstream = ScriptedUpstream::answering(|request| match request.path.as_str() {
        "/v1/messages/count_tokens" => Script::json(200, &[], r#"{"input_tokens":42}"#),
        _ => Script::json(404, &[], "{}"),
    })
    .await;
    let base = format!("{}/v1", upstream.url());
    let yaml = provider(&base, "messages");
    let allowed = TestGateway::start(&format!("{yaml}count_tokens: [scripted]\n")).await;
    for (path, field) in PATHS {
        let reply = allowed.post(path, body(path, "Hi").to_string()).await;
        assert_eq!((reply.status, &reply.json()[field]), (200, &json!(42)), "{path}: {}", reply.text());
        assert_eq!(
            (reply.header("x-novastack-estimate"), reply.header("x-novastack-provider")),
            ("", "scripted")
        );
    }
    for request in upstream.requests() {
        let body = request.json();
        assert_eq!(body["model"], "upstream-model");
        assert_eq!((body.get("max_tokens"), body.get("stream")), (None, None), "{body}");
    }
    let asked = upstream.requests().len();
    let quiet = TestGateway::start(&yaml).await;
    let reply = quiet.post(PATHS[0].0, body("", "Hi").to_string()).await;
    assert_eq!((reply.status, reply.header("x-novastack-estimate")), (200, "true"));
    assert_eq!(upstream.requests().len(), asked, "nobody else is asked");
}

#[tokio::test]
async fn a_counter_that_fails_is_replaced_by_the_estimate_and_bad_bodies_are_told() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(500, &[], "{}")).await;
    let yaml =
        format!("{}count_tokens: [scripted]\n", provider(&format!("{}/v1", upstream.url()), "messages"));
    let gateway = TestGateway::start(&yaml).await;
    let reply = gateway.post(PATHS[0].0, body("", "Hi").to_string()).await;
    assert_eq!((reply.status, reply.header("x-novastack-estimate")), (200, "true"));
    assert_eq!(gateway.post(PATHS[0].0, "{").await.status, 400);
    let reply = gateway.post(PATHS[0].0, body("", "Hi").to_string().replace("test-model", "nothing")).await;
    assert_eq!((reply.status, &reply.json()["type"]), (404, &json!("error")));
    assert_eq!(gateway.send("POST", PATHS[0].0, "{}", &[]).await.status, 401);
}

#[tokio::test]
async fn a_counter_is_asked_about_what_would_be_sent() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], r#"{"input_tokens":42}"#)).await;
    let yaml =
        format!("{}count_tokens: [scripted]\n", provider(&format!("{}/v1", upstream.url()), "messages"));
    let gateway = TestGateway::start(&yaml).await;
    let thought = json!({ "type": "thinking", "thinking": "why", "signature": "ns1.deepseek.sealed" });
    let answer = json!({ "role": "assistant", "content": [thought, { "type": "text", "text": "Hm." }] });
    let mut body = body("", "Hi");
    body["messages"] = json!([body["messages"][0], answer, { "role": "user", "content": "And?" }]);
    let beta = [("anthropic-beta", "context-management-2025-06-27")];
    let reply = gateway.post_with(PATHS[0].0, body.to_string(), &beta).await;
    assert_eq!((reply.status, &reply.json()["input_tokens"]), (200, &json!(42)), "{}", reply.text());
    let asked = &upstream.requests()[0];
    assert!(!asked.json().to_string().contains("ns1."), "another provider's signature: {}", asked.json());
    assert_eq!(asked.header("anthropic-beta"), Some("context-management-2025-06-27"));
}
