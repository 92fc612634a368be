//! Who may ask, how often, and for what.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, after, chat_reply, hello, provider};

#[tokio::test]
async fn every_spelling_of_the_key_header_works_on_every_path() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for header in ["x-api-key", "x-goog-api-key", "api-key"] {
            let reply = gateway.send("POST", path, hello(), &[(header, &gateway.key)]).await;
            assert_eq!(reply.status, 200, "{header}: {}", reply.text());
        }
        let bearer = format!("bearer {}", gateway.key);
        assert_eq!(gateway.send("POST", path, hello(), &[("authorization", &bearer)]).await.status, 200);
    }
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_a_401_in_the_callers_dialect() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let stranger = format!("nsk_{}", "x".repeat(43));
    for headers in [
        &[][..],
        &[("x-api-key", "sk-openai")],
        &[("x-api-key", &stranger)],
        &[("authorization", "Basic abc")],
    ] {
        let reply = gateway.send("POST", "/v1/chat/completions", hello(), headers).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &json!("invalid_api_key")));
        assert_eq!(reply.header("x-should-retry"), "false");
        let reply = gateway.send("POST", "/v1/messages", hello(), headers).await;
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (401, &json!("authentication_error")));
        assert_eq!(reply.json()["type"], "error");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let created = gateway.admin("POST", "/admin/v1/keys", json!({ "name": "temporary" })).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let key = created.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(
        gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await.status,
        200
    );
    assert_eq!(gateway.admin("DELETE", "/admin/v1/keys/temporary", json!(null)).await.status, 200);
    let reply = gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("revoked"));
}

#[tokio::test]
async fn a_key_for_some_models_sees_and_gets_only_those() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let created =
        gateway.admin("POST", "/admin/v1/keys", json!({ "name": "narrow", "models": ["other-model"] })).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let reply = gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let reply = gateway.send("GET", "/v1/models", String::new(), &[("x-api-key", &key)]).await;
    assert_eq!(reply.json()["data"], json!([]));
}

#[tokio::test]
async fn a_keys_limits_answer_429_and_say_when() {
    let gate = Gate::new();
    let script = after(&gate, Script::json(200, &[], chat_reply("Hi.")));
    let upstream = ScriptedUpstream::answering(move |_| script.clone()).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let limits = json!({ "requests_per_minute": 2, "max_in_flight": 1 });
    let created = gateway.admin("POST", "/admin/v1/keys", json!({ "name": "tight", "limits": limits })).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    let first = gateway.spawn("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]);
    gate.wait_for_arrivals(1).await;
    let busy = gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await;
    assert_eq!((busy.status, busy.header("x-novastack-error")), (429, "key_too_many_in_flight"));
    gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(
        gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await.status,
        200
    );
    let third = gateway.send("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]).await;
    assert_eq!((third.status, third.header("x-novastack-error")), (429, "key_rate_limited"));
    let wait: u64 = third.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}
