//! The admin API, health and metrics.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, chat_reply, hello, provider};

#[tokio::test]
async fn only_admin_keys_reach_the_admin_api_and_the_metrics() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for path in ["/admin/v1/keys", "/admin/v1/usage", "/admin/v1/status", "/metrics"] {
        assert_eq!(gateway.send("GET", path, String::new(), &[]).await.status, 401, "{path}");
        assert_eq!(gateway.get(path).await.status, 403, "{path}");
        assert_eq!(gateway.admin("GET", path, json!(null)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn usage_is_paged_and_summed() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let reply = gateway.post("/v1/chat/completions", hello()).await;
        ids.push(reply.header("x-request-id").to_owned());
        gateway.record(ids.last().unwrap()).await;
    }
    let mut seen = Vec::new();
    let mut path = "/admin/v1/usage?limit=2".to_owned();
    loop {
        let page = gateway.admin("GET", &path, json!(null)).await.json();
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|record| record["request_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/admin/v1/usage?limit=2&before={next}");
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first, each once");
    for by in ["key", "model", "provider"] {
        let sums =
            gateway.admin("GET", &format!("/admin/v1/usage/summary?by={by}"), json!(null)).await.json();
        assert_eq!(sums["data"][0]["requests"], 3, "{by}");
        assert_eq!(sums["data"][0]["usage"]["output"], 6, "{by}");
    }
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/chat/completions", hello()).await;
    gateway.record(reply.header("x-request-id")).await;
    let text = gateway.admin("GET", "/metrics", json!(null)).await.text();
    for line in [
        r#"novastack_requests_total{dialect="chat",outcome="ok",stream="false"} 1"#,
        r#"novastack_tokens_total{provider="scripted",model="test-model",kind="output"} 2"#,
        r#"novastack_cost_nanousd_total{provider="scripted",model="test-model"} 27000"#,
        "novastack_open_receipts 0",
        "novastack_reserved_nanousd 0",
        "novastack_usage_written_total 1",
        "novastack_upstream_connections 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    // Every metric that is exposed stands in the reference.
    let exposed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(exposed.len() > 10, "{text}");
    for name in exposed {
        let known = |(metric, ..): &(&str, &str, &str)| metric.trim_end_matches("_total") == name;
        assert!(nova_gateway::telemetry::METRICS.iter().any(known), "{name}");
    }
}

#[tokio::test]
async fn a_plan_is_explained_without_sending_anything() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body: serde_json::Value = serde_json::from_str(&hello()).unwrap();
    let plan = gateway.admin("POST", "/admin/v1/explain", body).await;
    assert_eq!(plan.status, 200, "{}", plan.text());
    assert!(plan.text().contains("scripted"), "{}", plan.text());
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn bad_input_of_operators_is_explained() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let check = async |method: &str, path: &str, body: serde_json::Value, status: u16, words: &str| {
        let reply = gateway.admin(method, path, body).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(words), "{path}: {}", reply.text());
    };
    check("POST", "/admin/v1/keys", json!({ "name": "" }), 400, "name").await;
    check("POST", "/admin/v1/keys", json!({ "nmae": "x" }), 400, "nmae").await;
    check("DELETE", "/admin/v1/keys/nobody", json!(null), 404, "nobody").await;
    check("GET", "/admin/v1/usage?before=x", json!(null), 400, "cursor").await;
    check("GET", "/admin/v1/usage/unknown", json!(null), 404, "unknown").await;
    check("GET", "/admin/v1/nothing", json!(null), 404, "/admin/v1/nothing").await;
}

#[tokio::test]
async fn health_needs_no_key() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(gateway.send("GET", path, String::new(), &[]).await.status, 200, "{path}");
    }
}
