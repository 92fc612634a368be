//! A new configuration while requests are under way.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, after, chat_reply, hello, provider};

#[tokio::test]
async fn a_reload_takes_effect_for_new_requests_and_leaves_those_under_way_alone() {
    let gate = Gate::new();
    let slow = after(&gate, Script::json(200, &[], chat_reply("old")));
    let old = ScriptedUpstream::answering(move |_| slow.clone()).await;
    let new = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("new"))).await;
    let gateway = TestGateway::start(&provider(&old.url(), "chat")).await;
    let under_way = gateway.spawn("POST", "/v1/chat/completions", hello(), &[("x-api-key", &gateway.key)]);
    gate.wait_for_arrivals(1).await;
    gateway.reload(&provider(&new.url(), "chat")).unwrap();
    assert!(gateway.post("/v1/chat/completions", hello()).await.text().contains("new"));
    gate.open();
    assert!(under_way.await.unwrap().text().contains("old"));
}

#[tokio::test]
async fn a_broken_configuration_never_replaces_a_good_one() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let error = gateway.reload("provders: []\n").unwrap_err();
    assert!(error.contains("provders") && error.contains("providers"), "{error}");
    assert_eq!(gateway.post("/v1/chat/completions", hello()).await.status, 200);
    let status = gateway.admin("GET", "/admin/v1/status", json!(null)).await.json();
    assert!(status["configuration"]["reload_error"].as_str().unwrap().contains("provders"), "{status}");
}
