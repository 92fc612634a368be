//! What clients do wrong, and what they are told.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, chat_reply, hello, messages_reply, provider};

async fn gateway() -> (TestGateway, ScriptedUpstream) {
    let upstream = ScriptedUpstream::start([]).await;
    (TestGateway::start(&provider(&upstream.url(), "chat")).await, upstream)
}

#[tokio::test]
async fn bad_bodies_are_told_the_place_in_the_callers_dialect_and_reach_nobody() {
    let (gateway, upstream) = gateway().await;
    let check = async |path: &str, body: &str, place: &str| {
        let reply = gateway.post(path, body).await;
        let body = body.get(..80).unwrap_or(body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(place), "{body}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(
            reply.json()["type"] == json!("error"),
            path.ends_with("messages"),
            "the dialect is the path's"
        );
    };
    for path in ["/v1/chat/completions", "/v1/messages"] {
        check(path, "", "JSON").await;
        check(path, "{", "JSON").await;
        check(path, "[]", "object").await;
        check(path, r#"{"messages":[{"role":"user","content":"Hi"}]}"#, "model").await;
        check(path, r#"{"model":7,"messages":[{"role":"user","content":"Hi"}]}"#, "model").await;
        check(path, r#"{"model":"test-model"}"#, "messages").await;
        check(path, r#"{"model":"test-model","messages":[]}"#, "messages").await;
        check(path, r#"{"model":"test-model","messages":{}}"#, "messages").await;
        check(
            path,
            r#"{"model":"test-model","messages":[{"role":"user","content":"Hi"}],"stream":"yes"}"#,
            "stream",
        )
        .await;
        check(
            path,
            r#"{"model":"test-model","model":"other","messages":[{"role":"user","content":"Hi"}]}"#,
            "model",
        )
        .await;
        check(
            path,
            &format!(
                r#"{{"model":"test-model","messages":[{{"role":"user","content":"Hi"}}],"x":{}1{}}}"#,
                "[".repeat(10_000),
                "]".repeat(10_000)
            ),
            "deep",
        )
        .await;
    }
    assert!(upstream.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn an_unknown_model_is_told_the_nearest_names() {
    let (gateway, _upstream) = gateway().await;
    let reply = gateway.post("/v1/chat/completions", hello().replace("test-model", "tset-model")).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["error"]["code"], "model_not_found");
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("`test-model`"), "{}", reply.text());
}

#[tokio::test]
async fn a_known_model_without_a_credential_is_told_which_variable_to_set() {
    let (gateway, _upstream) = gateway().await;
    let reply = gateway.post("/v1/messages", hello().replace("test-model", "claude-opus-4-7")).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["error"]["type"], "not_found_error");
    assert!(reply.text().contains("ANTHROPIC_API_KEY"), "{}", reply.text());
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_a_413_before_it_was_sent() {
    let upstream = ScriptedUpstream::start([]).await;
    let yaml = format!("{}limits:\n  body_bytes: 1KiB\n", provider(&upstream.url(), "chat"));
    let gateway = TestGateway::start(&yaml).await;
    let reply = gateway.post("/v1/messages", hello().replace("Hello", &"x".repeat(2000))).await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.json()["error"]["type"], "request_too_large");
}

#[tokio::test]
async fn paths_that_are_not_served_name_the_right_ones() {
    let (gateway, _upstream) = gateway().await;
    for (path, right) in
        [("/v1/v1/messages", "`/v1/messages`"), ("/chat/completions", "`/v1/chat/completions`")]
    {
        let reply = gateway.post(path, hello()).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains(right), "{}", reply.text());
    }
    let reply = gateway.get("/v1/chat/completions").await;
    assert_eq!(reply.status, 405);
}

#[tokio::test]
async fn a_refused_request_leaves_a_record_unless_nobody_knows_whose_it_is() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for (body, code, model) in [
        (hello().replace("test-model", "no-such-model"), "model_not_found", "no-such-model"),
        ("{".to_owned(), "invalid_request", ""),
    ] {
        let reply = gateway.post("/v1/chat/completions", body).await;
        assert_eq!(reply.header("x-novastack-error"), code, "{}", reply.text());
        let record = gateway.record(reply.header("x-request-id")).await;
        assert_eq!((&record["outcome"], &record["error_code"]), (&"rejected".into(), &code.into()));
        assert_eq!((&record["model_asked"], &record["cost"]), (&model.into(), &"0".into()), "{record}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_strict_request_is_refused_rather_than_cut_down() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], messages_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "messages")).await;
    let body = hello().replace("\"max_tokens\"", "\"logit_bias\":{\"1\":2},\"max_tokens\"");
    let reply = gateway.post("/v1/chat/completions", body.clone()).await;
    assert_eq!((reply.status, reply.header("x-novastack-dropped")), (200, "logit_bias"));
    let reply = gateway.post_with("/v1/chat/completions", body, &[("x-novastack-strict", "true")]).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("`logit_bias`"), "{}", reply.text());
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn hosts_with_an_envelope_are_told_of_the_features_that_they_know_in_the_body() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], messages_reply("Hi."))).await;
    let quirks = "quirks: { omit: [model], betas: [context-1m-2025-08-07] }, base_url";
    let config = provider(&upstream.url(), "messages").replacen("base_url", quirks, 1);
    let gateway = TestGateway::start(&config).await;
    let headers = [("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07")];
    let reply = gateway.post_with("/v1/messages", hello(), &headers).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-novastack-dropped"), "anthropic-beta.claude-code-20250219");
    let sent = upstream.requests().pop().unwrap();
    assert_eq!(sent.header("anthropic-beta"), None);
    assert_eq!(sent.json()["anthropic_beta"], json!(["context-1m-2025-08-07"]));
    let strict = [headers[0], ("x-novastack-strict", "true")];
    assert_eq!(gateway.post_with("/v1/messages", hello(), &strict).await.status, 400);
    let plain = gateway.post("/v1/messages", hello()).await;
    assert_eq!((plain.status, plain.header("x-novastack-dropped")), (200, ""), "{}", plain.text());
    assert_eq!(upstream.requests().pop().unwrap().json().get("anthropic_beta"), None);
}

#[tokio::test]
async fn what_a_messages_client_switches_on_reaches_a_provider_of_its_dialect_alone() {
    for (dialect, answer, told) in [
        ("messages", messages_reply("Hi."), Some("context-management-2025-06-27")),
        ("chat", chat_reply("Hi."), None),
    ] {
        let upstream = ScriptedUpstream::answering(move |_| Script::json(200, &[], &answer)).await;
        let gateway = TestGateway::start(&provider(&upstream.url(), dialect)).await;
        let headers =
            [("anthropic-beta", "context-management-2025-06-27"), ("anthropic-version", "2023-06-01")];
        let reply = gateway.post_with("/v1/messages", hello(), &headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(upstream.requests()[0].header("anthropic-beta"), told);
    }
}
