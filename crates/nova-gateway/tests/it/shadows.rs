//! Shadow traffic: what a model is shown of another one's requests, and what nobody sees of it.

use nova_testkit::{Gate, Script, ScriptedUpstream, bounded};
use serde_json::{Value, json};

use crate::harness::{TestGateway, after, chat_reply};

/// `a`, which clients ask, and `b` and `c`, each at an upstream of its own, for a dollar per million tokens.
fn models(a: &ScriptedUpstream, b: &ScriptedUpstream, c: &ScriptedUpstream, rest: &str) -> String {
    let each = |line: &dyn Fn(&str, &str) -> String| {
        [("a", a), ("b", b), ("c", c)].map(|(name, upstream)| line(name, &upstream.url())).concat()
    };
    let provider = |name: &str, url: &str| {
        format!("  p-{name}: {{ endpoints: [{{ dialect: chat, base_url: \"{url}/v1\" }}] }}\n")
    };
    let model = |name: &str, _: &str| {
        format!(
            "  {name}: {{ context: 8192, capabilities: [tools], offers: [{{ provider: p-{name}, model: up-{name}, price: {{ input: 1, output: 1 }} }}] }}\n"
        )
    };
    let credential =
        |name: &str, _: &str| format!("  p-{name}: [{{ name: main, key: \"${{SCRIPTED_KEY}}\" }}]\n");
    format!(
        "providers:\n{}models:\n{}credentials:\n{}{rest}",
        each(&provider),
        each(&model),
        each(&credential)
    )
}

fn shadow(rest: &str) -> String {
    format!("shadows:\n  - {{ name: try-b, model: a, to: b, percent: 100, budget_per_day: 1{rest} }}\n")
}

async fn answering(text: &'static str) -> ScriptedUpstream {
    ScriptedUpstream::answering(move |_| Script::json(200, &[], chat_reply(text))).await
}

fn asks(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": "Hello" }] })
}

/// Waits until so many requests of the shadow `try-b` came to this.
async fn counted(gateway: &TestGateway, result: &str, count: u32) {
    let line = format!("novastack_shadows_total{{shadow=\"try-b\",result=\"{result}\"}} {count}");
    let seen = async {
        while !gateway.admin("GET", "/metrics", Value::Null).await.text_ref().contains(&line) {
            tokio::task::yield_now().await;
        }
    };
    bounded(seen, &line).await;
}

/// The usage records, once there are so many.
async fn records(gateway: &TestGateway, count: usize) -> Vec<Value> {
    let all = async {
        loop {
            let listed = gateway.admin("GET", "/admin/v1/usage", Value::Null).await.json();
            let records = listed["data"].as_array().unwrap().clone();
            if records.len() >= count {
                return records;
            }
        }
    };
    bounded(all, "the usage records").await
}

#[tokio::test]
async fn a_request_is_shown_once_when_its_client_has_its_answer_and_nobody_sees_more_of_it() {
    let gate = Gate::new();
    let (a, c) = (answering("for you").await, answering("nobody's").await);
    let held = after(&gate, Script::json(200, &[], chat_reply("for nobody")));
    let b = ScriptedUpstream::start([held]).await;
    let gateway = TestGateway::start(&models(&a, &b, &c, &shadow(""))).await;
    let mut body = asks("a");
    body["user"] = "someone".into();
    let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "for you");
    assert_eq!(reply.header("x-novastack-model"), "a");
    gate.wait_for_arrivals(1).await;
    let shown = b.requests()[0].json();
    assert_eq!((&shown["model"], &shown["messages"]), (&json!("up-b"), &body["messages"]));
    gate.open();
    counted(&gateway, "answered", 1).await;
    let records = records(&gateway, 2).await;
    let (own, others): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["request_id"] == reply.header("x-request-id"));
    assert_eq!((own.len(), others.len()), (1, 1));
    assert!(own[0]["key_id"].is_string() && own[0]["experiment"].is_null(), "{}", own[0]);
    let other = others[0];
    assert_eq!((&other["key_id"], &other["experiment"]), (&Value::Null, &json!("shadow:try-b")));
    assert_eq!((&other["model_answered"], &other["cost"]), (&json!("b"), &json!("0.000009")));
    let foreign = gateway.get(&format!("/v1/generation?id={}", other["request_id"].as_str().unwrap())).await;
    assert_eq!(foreign.status, 404);
    let metrics = gateway.admin("GET", "/metrics", Value::Null).await;
    assert!(metrics.text_ref().contains(r#"outcome="ok",stream="false"} 1"#), "a shadow is no request");
}

#[tokio::test]
async fn a_streamed_request_is_shown_whole_in_its_own_dialect() {
    let events = [
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#,
        "data: [DONE]",
    ]
    .map(|event| format!("{event}\n\n"));
    let a = ScriptedUpstream::start([Script::sse(&[&events[0], &events[1]])]).await;
    let (b, c) = (answering("Hi").await, answering("Hi").await);
    let gateway = TestGateway::start(&models(&a, &b, &c, &shadow(""))).await;
    let mut body = asks("a");
    body["stream"] = true.into();
    body["stream_options"] = json!({ "include_usage": true });
    body["store"] = true.into();
    assert_eq!(gateway.post("/v1/chat/completions", body.to_string()).await.status, 200);
    let shown = b.wait_for_requests(1).await[0].json();
    assert_ne!(shown["stream"], true);
    assert_eq!((&shown["stream_options"], &shown["store"]), (&Value::Null, &Value::Null));
    counted(&gateway, "answered", 1).await;
}

#[tokio::test]
async fn a_share_of_nothing_shows_nothing_and_one_of_all_shows_all() {
    let (a, b, c) = (answering("Hi").await, answering("Hi").await, answering("Hi").await);
    // Shadows are shown a request in their order, so that what b has seen c had not.
    let rest = "shadows:
  - { name: none, model: a, to: c, percent: 0, budget_per_day: 1 }
  - { name: try-b, model: a, to: b, percent: 100, budget_per_day: 1, max_in_flight: 100 }
";
    let gateway = TestGateway::start(&models(&a, &b, &c, rest)).await;
    for _ in 0..10 {
        assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    }
    // Another model's requests are nobody's business.
    assert_eq!(gateway.post("/v1/chat/completions", asks("c").to_string()).await.status, 200);
    counted(&gateway, "answered", 10).await;
    assert_eq!((b.requests().len(), c.requests().len()), (10, 1));
}

#[tokio::test]
async fn a_days_budget_ends_it() {
    let (a, c) = (answering("Hi").await, answering("Hi").await);
    let mut dear: Value = serde_json::from_str(&chat_reply("Hi")).unwrap();
    dear["usage"] = json!({ "prompt_tokens": 7, "completion_tokens": 200, "total_tokens": 207 });
    let dear = dear.to_string();
    let b = ScriptedUpstream::answering(move |_| Script::json(200, &[], &dear)).await;
    let rest = shadow("").replace("budget_per_day: 1", "budget_per_day: 0.0002");
    let gateway = TestGateway::start(&models(&a, &b, &c, &rest)).await;
    for (result, count) in [("answered", 1), ("over_budget", 1), ("over_budget", 2)] {
        assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
        counted(&gateway, result, count).await;
    }
    assert_eq!(b.requests().len(), 1);
    // A reload forgets nothing of it; a larger budget has room again.
    gateway.reload(&models(&a, &b, &c, &rest)).unwrap();
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    counted(&gateway, "over_budget", 3).await;
    gateway.reload(&models(&a, &b, &c, &shadow(""))).unwrap();
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    counted(&gateway, "answered", 2).await;
}

#[tokio::test]
async fn no_more_are_shown_at_once_than_may_be() {
    let gate = Gate::new();
    let (a, c) = (answering("Hi").await, answering("Hi").await);
    let b = ScriptedUpstream::start([after(&gate, Script::json(200, &[], chat_reply("Hi")))]).await;
    let gateway = TestGateway::start(&models(&a, &b, &c, &shadow(", max_in_flight: 1"))).await;
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    gate.wait_for_arrivals(1).await;
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    counted(&gateway, "busy", 1).await;
    gate.open();
    counted(&gateway, "answered", 1).await;
}

#[tokio::test]
async fn a_shadow_fails_alone_and_a_request_that_failed_has_none() {
    let refusal = r#"{"error":{"message":"no","type":"invalid_request_error"}}"#;
    let a =
        ScriptedUpstream::start([Script::json(400, &[], refusal), Script::json(200, &[], chat_reply("Hi"))])
            .await;
    let b = ScriptedUpstream::start([Script::json(400, &[], refusal)]).await;
    let c = answering("Hi").await;
    let gateway = TestGateway::start(&models(&a, &b, &c, &shadow(""))).await;
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 400);
    assert_eq!(gateway.post("/v1/chat/completions", asks("a").to_string()).await.status, 200);
    counted(&gateway, "failed", 1).await;
    assert_eq!(b.requests().len(), 1);
}

#[tokio::test]
async fn conditions_and_the_clients_own_wishes_hold_for_shadows() {
    let (a, b, c) = (answering("Hi").await, answering("Hi").await, answering("Hi").await);
    let rest = "default_model: c
shadows:
  - { name: tools, model: a, to: c, percent: 100, budget_per_day: 1, if: has_tools }
  - { name: try-b, model: auto, to: b, percent: 100, budget_per_day: 1, if: header.x-team == \"infra\" }
";
    let gateway = TestGateway::start(&models(&a, &b, &c, rest)).await;
    let path = "/v1/chat/completions";
    let team = [("x-team", "infra")];
    assert_eq!(gateway.post_with(path, asks("a").to_string(), &team).await.status, 200);
    assert_eq!(gateway.post(path, asks("auto").to_string()).await.status, 200);
    assert_eq!(gateway.post_with(path, asks("auto").to_string(), &team).await.status, 200);
    counted(&gateway, "answered", 1).await;
    assert_eq!((a.requests().len(), b.requests().len(), c.requests().len()), (1, 1, 2));
    // Who may answer may also be the only one to see it.
    let mut private = asks("auto");
    private["provider"] = json!({ "only": ["p-c"] });
    assert_eq!(gateway.post_with(path, private.to_string(), &team).await.status, 200);
    counted(&gateway, "unfit", 1).await;
    assert_eq!(b.requests().len(), 1);
}

/// A judge who likes what stands in this answer, or says something else.
async fn judge(likes: &'static str, verdict: Option<&'static str>) -> ScriptedUpstream {
    ScriptedUpstream::answering(move |request| {
        let asked = request.json();
        let material: Value =
            serde_json::from_str(asked["messages"][1]["content"].as_str().unwrap()).unwrap();
        let liked = |label: &str| material["answers"][label].as_str().unwrap() == likes;
        let score = |label: &str| if liked(label) { 9 } else { 3 };
        let winner = if liked("A") { "A" } else { "B" };
        let said = json!({ "scores": { "A": score("A"), "B": score("B") }, "winner": winner, "reason": "r" });
        Script::json(200, &[], chat_reply(&verdict.map_or_else(|| said.to_string(), str::to_owned)))
    })
    .await
}

async fn judged(gateway: &TestGateway, result: &str) {
    let line = format!("novastack_shadow_verdicts_total{{shadow=\"try-b\",result=\"{result}\"}} 1");
    let seen = async {
        while !gateway.admin("GET", "/metrics", Value::Null).await.text_ref().contains(&line) {
            tokio::task::yield_now().await;
        }
    };
    bounded(seen, &line).await;
}

#[tokio::test]
async fn a_judge_compares_what_the_client_got_with_what_the_shadow_said_and_the_router_learns() {
    let events = [
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"for "},"finish_reason":null}]}"#,
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"you"},"finish_reason":"stop"}]}"#,
        "data: [DONE]",
    ]
    .map(|event| format!("{event}\n\n"));
    for (stream, likes, better, path) in [
        (false, "for nobody", "shadow", "/v1/chat/completions"),
        (true, "for you", "client", "/v1/chat/completions"),
        (false, "for you", "client", "/v1/messages"),
        (false, "for nobody", "shadow", "/v1/responses"),
    ] {
        let a = if stream {
            ScriptedUpstream::start([Script::sse(&[&events[0], &events[1], &events[2]])]).await
        } else {
            answering("for you").await
        };
        let (b, c) = (answering("for nobody").await, judge(likes, None).await);
        let rest = shadow(", judge: { model: c, criteria: brevity }");
        let gateway = TestGateway::start(&models(&a, &b, &c, &rest)).await;
        let mut body = asks("a");
        body["stream"] = stream.into();
        if path == "/v1/responses" {
            body = json!({ "model": "a", "input": "Hello" });
        }
        let reply = gateway.post_with(path, body.to_string(), &[("x-novastack-task", "code")]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        judged(&gateway, better).await;
        let asked = c.requests()[0].json();
        let material: Value =
            serde_json::from_str(asked["messages"][1]["content"].as_str().unwrap()).unwrap();
        assert_eq!((&material["request"], &material["criteria"]), (&json!("Hello"), &json!("brevity")));
        let mut answers = ["A", "B"].map(|label| material["answers"][label].as_str().unwrap().to_owned());
        answers.sort();
        assert_eq!(answers, ["for nobody", "for you"]);
        let quality = gateway.quality();
        let worked = ["a", "b"].map(|model| quality[model]["code"][0].as_f64().unwrap_or(-1.0));
        let expected = if better == "shadow" { [0.3, 0.9] } else { [0.9, 0.3] };
        assert!(worked.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-6), "{worked:?}");
        let records = records(&gateway, 3).await;
        let verdict = records.iter().find(|record| record["experiment"] == "shadow:try-b/judge").unwrap();
        assert_eq!((&verdict["key_id"], &verdict["model_answered"]), (&Value::Null, &json!("c")));
    }
}

#[tokio::test]
async fn a_verdict_that_says_nothing_and_one_that_there_is_no_budget_for_teach_nothing() {
    let nonsense = Some("both are nice");
    // Nine tokens of the shadow cost nine millionths of a dollar, which leaves nothing for a judge.
    for (verdict, budget) in [(nonsense, "1"), (None, "0.0002")] {
        let (a, b, c) = (answering("for you").await, answering("for nobody").await, judge("", verdict).await);
        let rest = format!(
            "shadows:\n  - {{ name: try-b, model: a, to: b, percent: 100, budget_per_day: {budget}, judge: {{ model: c }} }}\n"
        );
        let gateway = TestGateway::start(&models(&a, &b, &c, &rest)).await;
        let reply = gateway.post("/v1/chat/completions", asks("a").to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        judged(&gateway, "none").await;
        let quality = gateway.quality();
        assert_eq!((&quality["a"], &quality["b"]), (&Value::Null, &Value::Null));
        assert_eq!(c.requests().is_empty(), verdict.is_none());
    }
}
