//! What providers do wrong, what is tried next, and what the client is told.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, chat_reply, hello, hello_stream, messages_reply, provider, two_providers};

const OVERLOADED: &str = r#"{"error":{"message":"Service is too busy.","type":"server_error","code":null}}"#;

#[tokio::test]
async fn a_deployment_that_fails_is_replaced_by_the_next_one_and_nobody_sees_it() {
    let bad = ScriptedUpstream::answering(|_| Script::json(503, &[], OVERLOADED)).await;
    let good = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&two_providers(&bad.url(), &good.url())).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-novastack-provider"), "second");
    let attempts: usize = reply.header("x-novastack-attempts").parse().unwrap();
    assert!(attempts >= 2);
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!(record["attempts"][0]["outcome"], "overloaded");
    assert_eq!(record["attempts"][0]["status"], 503);
    assert_eq!(good.requests().len(), 1);
}

#[tokio::test]
async fn a_fallback_model_answers_when_the_model_cannot_and_is_named() {
    let bad = ScriptedUpstream::answering(|_| {
        Script::json(402, &[], r#"{"error":{"message":"Insufficient Balance"}}"#)
    })
    .await;
    let good = ScriptedUpstream::answering(|_| Script::json(200, &[], messages_reply("Hi."))).await;
    let yaml = two_providers(&bad.url(), &good.url()).replace(
        "      - { provider: second, model: upstream-model }\n",
        "  other-model:\n    offers:\n      - { provider: second, model: upstream-model }\n",
    );
    let yaml = yaml.replace(
        &format!("dialect: chat, base_url: \"{}/v1\"", good.url()),
        &format!("dialect: messages, base_url: \"{}\"", good.url()),
    );
    let gateway = TestGateway::start(&format!("{yaml}fallbacks:\n  test-model: [other-model]\n")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-novastack-model"), "other-model");
    assert_eq!(bad.requests().len(), 1, "an empty account is not asked twice");
}

#[tokio::test]
async fn what_is_the_callers_fault_is_told_at_once_in_the_providers_words() {
    let upstream = ScriptedUpstream::answering(|_| {
        Script::json(
            400,
            &[],
            r#"{"error":{"message":"temperature must be at most 2","type":"invalid_request_error"}}"#,
        )
    })
    .await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/messages", hello()).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["error"],
        json!({ "type": "invalid_request_error", "message": "temperature must be at most 2" })
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn each_fault_of_a_provider_has_its_own_status_and_code() {
    let check = async |script: Script, status: u16, code: &str| {
        let upstream = ScriptedUpstream::answering(move |_| script.clone()).await;
        let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
        let reply = gateway.post("/v1/chat/completions", hello()).await;
        assert_eq!((reply.status, reply.header("x-novastack-error")), (status, code), "{}", reply.text());
        assert!(!reply.text().contains("provider-secret"));
    };
    let error = |message: &str| json!({ "error": { "message": message } }).to_string();
    check(Script::json(401, &[], error("Incorrect API key provided: provider-secret")), 502, "upstream_auth")
        .await;
    check(Script::json(402, &[], error("Insufficient Balance")), 502, "upstream_balance").await;
    check(
        Script::json(429, &[("retry-after", "30")], error("Rate limit reached")),
        429,
        "upstream_rate_limited",
    )
    .await;
    check(Script::json(500, &[], error("boom")), 502, "upstream_failed").await;
    check(Script::json(200, &[], "<html>Bad gateway</html>"), 502, "upstream_garbage").await;
    check(Script::json(200, &[], ""), 502, "upstream_garbage").await;
    check(Script::json(200, &[], error("The server had an error")), 502, "upstream_failed").await;
    check(
        Script::json(200, &[], r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#),
        502,
        "upstream_balance",
    )
    .await;
    check(
        Script::new().write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"").close(),
        502,
        "upstream_cut",
    )
    .await;
    check(Script::new().reset(), 502, "upstream_unreachable").await;
    check(Script::new().write("nonsense\r\n\r\n").close(), 502, "upstream_garbage").await;
}

#[tokio::test]
async fn a_providers_retry_after_reaches_the_client() {
    let upstream = ScriptedUpstream::answering(|_| {
        Script::json(429, &[("retry-after", "30")], r#"{"error":{"message":"Rate limit reached"}}"#)
    })
    .await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "30"));
    assert_eq!(upstream.requests().len(), 1, "thirty seconds are the client's to wait");
}

#[tokio::test]
async fn a_silent_provider_is_given_up_in_time() {
    let upstream = ScriptedUpstream::answering(|_| Script::new().stall()).await;
    let yaml = format!("{}timeouts:\n  first_byte: 50ms\n  whole: 60ms\n", provider(&upstream.url(), "chat"));
    let gateway = TestGateway::start(&yaml).await;
    for (count, body) in [(1, hello()), (2, hello_stream())] {
        let reply = gateway.post("/v1/chat/completions", body).await;
        assert_eq!((reply.status, reply.header("x-novastack-error")), (504, "upstream_timeout"));
        upstream.wait_for_departures(count).await;
    }
}

#[tokio::test]
async fn a_deployment_that_keeps_failing_rests_and_is_not_asked() {
    let bad = ScriptedUpstream::answering(|_| Script::json(500, &[], OVERLOADED)).await;
    let gateway = TestGateway::start(&provider(&bad.url(), "chat")).await;
    let mut last = gateway.post("/v1/chat/completions", hello()).await;
    for _ in 0..10 {
        if last.status == 503 {
            break;
        }
        last = gateway.post("/v1/chat/completions", hello()).await;
    }
    assert_eq!((last.status, last.header("x-novastack-error")), (503, "no_healthy_deployment"));
    let asked = bad.requests().len();
    gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!(bad.requests().len(), asked);
}

#[tokio::test]
async fn a_mistake_keeps_the_code_that_the_provider_gave_it() {
    let words = r#"{"error":{"message":"Unknown parameter.","type":"invalid_request_error","param":null,"code":"unknown_parameter"}}"#;
    let upstream = ScriptedUpstream::answering(move |_| Script::json(400, &[], words)).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!((reply.status, reply.header("x-novastack-error")), (400, "upstream_rejected"));
    assert_eq!(reply.json()["error"]["code"], "unknown_parameter");
}
