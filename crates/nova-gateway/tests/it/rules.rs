//! Rules that choose for those who ask for no model, from the socket to the provider.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply, provider};

const RULES: &str = "route:
  - if: task == \"code_review\" or header.x-team == \"infra\"
    use: careful
    fallback: test-model
  - if: budget < 0.5 and metadata.tier in [\"free\"]
    use: other
  - use: test-model
routing: { classifier: keywords }
";

async fn gateway(replies: usize) -> (TestGateway, ScriptedUpstream) {
    gateway_with(RULES, replies).await
}

async fn gateway_with(rules: &str, replies: usize) -> (TestGateway, ScriptedUpstream) {
    let upstream =
        ScriptedUpstream::start((0..replies).map(|_| Script::json(200, &[], chat_reply("Hi")))).await;
    let model = |name: &str| {
        format!("  {name}:\n    offers: [{{ provider: scripted, model: up-{name}, price: free }}]\n")
    };
    let models = format!("models:\n{}{}", model("careful"), model("other"));
    let config = provider(&upstream.url(), "chat").replace("models:\n", &models);
    (TestGateway::start(&format!("{config}{rules}")).await, upstream)
}

fn asks(said: &str) -> Value {
    json!({ "model": "auto", "metadata": { "tier": "free" }, "messages": [{ "role": "user", "content": said }] })
}

#[tokio::test]
async fn a_request_for_auto_goes_where_the_first_rule_that_holds_says() {
    let (gateway, upstream) = gateway(4).await;
    let check = async |body: &Value, headers: &[(&str, &str)], model: &str, line: &str| {
        let reply = gateway.post_with("/v1/chat/completions", body.to_string(), headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.headers["x-novastack-model"], model);
        assert_eq!(reply.headers["x-novastack-route"], line);
    };
    check(
        &asks("Please debug it"),
        &[],
        "careful",
        "rule=1 task=code_review model=careful deployment=scripted/careful@main try=1/2",
    )
    .await;
    check(
        &asks("Hello"),
        &[("x-novastack-budget", "0.1")],
        "other",
        "rule=2 model=other deployment=scripted/other@main try=1/2",
    )
    .await;
    check(
        &asks("Hello"),
        &[("x-novastack-task", "chat")],
        "test-model",
        "rule=3 task=chat model=test-model deployment=scripted/test-model@main try=1/1",
    )
    .await;
    let mut named = asks("Please debug it");
    named["model"] = "other".into();
    check(&named, &[], "other", "asked model=other deployment=scripted/other@main try=1/1").await;
    let models: Vec<Value> =
        upstream.requests().iter().map(|request| request.json()["model"].clone()).collect();
    assert_eq!(models, ["up-careful", "up-other", "upstream-model", "up-other"]);
}

#[tokio::test]
async fn a_budget_that_is_no_amount_is_refused() {
    let (gateway, upstream) = gateway(0).await;
    for budget in ["cheap", "-1", "NaN", ""] {
        let headers = [("x-novastack-budget", budget)];
        let reply = gateway.post_with("/v1/chat/completions", asks("Hello").to_string(), &headers).await;
        assert_eq!(reply.status, 400, "{budget}");
        assert_eq!(reply.json()["error"]["param"], "x-novastack-budget");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_decision_is_explained_without_sending_anything() {
    let (gateway, upstream) = gateway(0).await;
    let reply =
        gateway.post_with("/v1/route/explain", asks("Hello").to_string(), &[("x-team", "infra")]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let explained = reply.json();
    assert_eq!(explained["by"], json!({ "reason": "rule", "rule": 1 }));
    assert_eq!(explained["model"], "careful");
    let rules = explained["rules"].as_array().unwrap();
    let holds: Vec<&Value> = rules.iter().map(|rule| &rule["holds"]).collect();
    assert_eq!(holds, [true, false, true]);
    assert_eq!(rules[0]["if"], "task == \"code_review\" or header.x-team == \"infra\"");
    let tried: Vec<&Value> =
        explained["attempts"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    assert_eq!(tried, ["careful", "test-model"]);
    assert_eq!(gateway.get("/v1/route/explain").await.status, 405);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_conversation_keeps_its_task_while_tools_work_and_agents_side_calls_have_their_own() {
    let rules = "route:
  - if: task == \"side_call\"
    use: other
  - if: task == \"code\" and lang == \"en\" and task_confidence > 0.5 and complexity < 0.9
    use: careful
  - use: test-model
";
    let (gateway, upstream) = gateway_with(rules, 8).await;
    let check = async |path: &str, body: Value, headers: &[(&str, &str)], line: &str| {
        let reply = gateway.post_with(path, body.to_string(), headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let route = reply.headers["x-novastack-route"].to_str().unwrap();
        assert!(route.starts_with(line), "{route}: {body}");
    };
    let fix = "Fix the bug in this Python function, it raises an IndexError:\ndef last(xs):\n    return xs[len(xs)]";
    let user = |said: &str| json!({ "role": "user", "content": said });
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": "c1", "type": "function", "function": { "name": "read", "arguments": "{}" } }] });
    let result = json!({ "role": "tool", "tool_call_id": "c1", "content": "Once upon a time there was a story, a poem and a song." });
    let chat = |messages: Value| json!({ "model": "auto", "messages": messages });
    let path = "/v1/chat/completions";
    check(path, chat(json!([user(fix)])), &[], "rule=2 task=code_review").await;
    // The result of a tool is no new turn of a human, whatever it says.
    check(path, chat(json!([user(fix), call, result])), &[], "rule=2 task=code_review").await;
    // The next human turn is.
    check(path, chat(json!([user(fix), user("Write a poem about the sea.")])), &[], "rule=3 task=creative")
        .await;
    // Notes of agents are said by no human.
    let noted = json!({ "model": "auto", "max_tokens": 9, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "<system-reminder>Write a poem about the sea.</system-reminder>" },
        { "type": "text", "text": fix }] }] });
    check("/v1/messages", noted, &[("anthropic-version", "2023-06-01")], "rule=2 task=code_review").await;
    let title = json!([{ "role": "system", "content": "You are a title generator. Answer with a title only." }, user(fix)]);
    check(path, chat(title), &[], "rule=1 task=side_call").await;
    let mut probe = chat(json!([user("quota")]));
    probe["max_tokens"] = 1.into();
    check(path, probe, &[], "rule=1 task=side_call").await;
    // What the request says of itself counts more.
    check(path, chat(json!([user(fix)])), &[("x-novastack-task", "creative")], "rule=3 task=creative").await;
    assert_eq!(upstream.requests().len(), 7);
}
