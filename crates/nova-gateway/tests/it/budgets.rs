//! What keys may spend in a day, a week, a month or for all time.

use nova_testkit::{Gate, Script, ScriptedUpstream, bounded};
use serde_json::{Value, json};

use crate::harness::{Reply, TestGateway, after, chat_reply, hello, provider};

/// Seven tokens at a dollar per million, and two at ten.
const COST: &str = "0.000027";

/// The text of a new key with this budget.
async fn key_with(gateway: &TestGateway, name: &str, usd: &str, per: &str) -> String {
    let routing = json!({ "budget": { "usd": usd, "per": per } });
    let new = json!({ "name": name, "routing": routing });
    let reply = gateway.admin("POST", "/admin/v1/keys", new).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["key"].as_str().unwrap().to_owned()
}

async fn ask(gateway: &TestGateway, key: &str, path: &str, body: String) -> Reply {
    gateway.send("POST", path, body, &[("x-api-key", key)]).await
}

async fn upstream() -> ScriptedUpstream {
    ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await
}

#[tokio::test]
async fn a_key_that_spent_its_budget_is_told_so_in_its_dialect_before_anybody_is_asked() {
    let upstream = upstream().await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for (name, per) in [("daily", "day"), ("weekly", "week"), ("monthly", "month"), ("once", "total")] {
        let key = key_with(&gateway, name, "0.00005", per).await;
        let asked = upstream.requests().len();
        // Something is left before the second one, and no more after it.
        for _ in 0..2 {
            let reply = ask(&gateway, &key, "/v1/chat/completions", hello()).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(gateway.record(reply.header("x-request-id")).await["cost"], COST);
        }
        let reply = ask(&gateway, &key, "/v1/chat/completions", hello()).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, reply.header("x-should-retry")), (402, "false"), "{}", reply.text());
        assert_eq!(
            (&error["code"], &error["type"]),
            (&json!("key_budget_spent"), &json!("insufficient_quota"))
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&format!("key `{name}` has spent its budget of `$0.00005`")), "{message}");
        assert_eq!(message.contains("00:00 UTC"), per != "total", "{message}");
        assert_eq!(reply.header("retry-after").is_empty(), per == "total");
        let reply = ask(&gateway, &key, "/v1/messages", hello()).await;
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (402, &json!("billing_error")));
        let reply = ask(
            &gateway,
            &key,
            "/v1/embeddings",
            json!({ "model": "test-model", "input": "Hi" }).to_string(),
        )
        .await;
        assert_ne!(reply.status, 200, "{}", reply.text());
        assert_eq!(upstream.requests().len(), asked + 2);
        let reply = ask(&gateway, &key, "/v1/messages/count_tokens", hello()).await;
        assert_eq!(reply.status, 200, "counting costs nothing: {}", reply.text());
        let record = gateway
            .record(
                ask(
                    &gateway,
                    &key,
                    "/v1/responses",
                    json!({ "model": "test-model", "input": "Hi" }).to_string(),
                )
                .await
                .header("x-request-id"),
            )
            .await;
        assert_eq!((&record["outcome"], &record["status"]), (&json!("rejected"), &json!(402)));
        assert_eq!(record["model_asked"], "test-model");
    }
    assert_eq!(gateway.post("/v1/chat/completions", hello()).await.status, 200, "other keys have no budget");
}

#[tokio::test]
async fn requests_at_the_same_time_do_not_cross_a_budget() {
    let gate = Gate::new();
    let scripts = (0..2).map(|_| after(&gate, Script::json(200, &[], chat_reply("Hi."))));
    let upstream = ScriptedUpstream::start(scripts).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    // A hundred tokens of an answer may cost a tenth of a cent.
    let key = key_with(&gateway, "busy", "0.0005", "day").await;
    let first = gateway.spawn("POST", "/v1/chat/completions", hello(), &[("x-api-key", &key)]);
    let asked = async {
        while upstream.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    bounded(asked, "the first request at the upstream").await;
    let second = ask(&gateway, &key, "/v1/chat/completions", hello()).await;
    assert_eq!(
        (second.status, second.header("x-novastack-error")),
        (429, "key_budget_held"),
        "{}",
        second.text()
    );
    assert_eq!((second.header("retry-after"), second.header("x-should-retry")), ("1", "true"));
    gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(
        ask(&gateway, &key, "/v1/chat/completions", hello()).await.status,
        200,
        "it cost less than it might"
    );
}

#[tokio::test]
async fn rules_read_what_is_left() {
    let upstream = upstream().await;
    let rules = "route:
  - if: budget_left < 0.00004
    use: test-model
default_model: other-model
";
    let more = "models:\n  other-model: { offers: [{ provider: scripted, model: other, price: { input: 1, output: 10 } }] }";
    let yaml = provider(&upstream.url(), "chat").replacen("models:", more, 1) + rules;
    let gateway = TestGateway::start(&yaml).await;
    let key = key_with(&gateway, "thrifty", "0.00006", "month").await;
    let body = hello().replace("\"test-model\"", "\"auto\"");
    let explained = async || {
        let reply = ask(&gateway, &key, "/v1/route/explain", body.clone()).await.json();
        (reply["facts"]["budget_left"].clone(), reply["model"].clone())
    };
    assert_eq!(explained().await, (json!(0.00006), json!("other-model")));
    let answered = async || {
        let reply = ask(&gateway, &key, "/v1/chat/completions", body.clone()).await;
        reply.header("x-novastack-model").to_owned()
    };
    assert_eq!(answered().await, "other-model");
    assert_eq!(explained().await, (json!(0.000033), json!("test-model")));
    let listed = gateway.admin("GET", "/admin/v1/keys", Value::Null).await.json();
    let of = |name: &str| {
        let keys = listed["data"].as_array().unwrap().iter();
        keys.clone().find(|key| key["name"] == name).unwrap().clone()
    };
    assert_eq!(of("thrifty")["budget_left"], json!(0.000033));
    assert_eq!(of("test").get("budget_left"), None);
    assert_eq!(answered().await, "test-model");
    let record = gateway.post("/v1/route/explain", body.clone()).await.json();
    assert_eq!(record["facts"]["budget_left"], Value::Null, "a key without a budget has nothing left of one");
    assert_eq!(record["model"], "other-model");
}

#[tokio::test]
async fn instances_on_one_store_count_together() {
    let upstream = upstream().await;
    let yaml = provider(&upstream.url(), "chat");
    let one = TestGateway::start(&yaml).await;
    let key = key_with(&one, "shared", "0.00008", "month").await;
    let spend =
        async |gateway: &TestGateway| ask(gateway, &key, "/v1/chat/completions", hello()).await.status;
    let left = async |gateway: &TestGateway| {
        let reply = ask(gateway, &key, "/v1/route/explain", hello()).await;
        reply.json()["facts"]["budget_left"].as_f64().unwrap()
    };
    assert_eq!(spend(&one).await, 200);
    one.recount_budgets().await;
    // It begins with what the ledger says.
    let other = one.start_beside(&yaml).await;
    assert_eq!((left(&one).await, left(&other).await), (0.000053, 0.000053));
    assert_eq!((spend(&one).await, spend(&other).await), (200, 200));
    assert_eq!((left(&one).await, left(&other).await), (0.000026, 0.000026), "each knows of its own so far");
    one.recount_budgets().await;
    other.recount_budgets().await;
    one.recount_budgets().await;
    assert!(left(&one).await <= 0.0 && left(&other).await <= 0.0);
    assert_eq!((spend(&one).await, spend(&other).await), (402, 402));
}
