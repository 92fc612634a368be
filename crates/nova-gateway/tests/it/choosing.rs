//! How a model and a deployment are chosen where neither a client nor a rule names one.

use nova_route::features::{BUCKETS, DENSE, Features, extract};
use nova_route::quality::{Cell, Forest, Learnt, Quality};
use nova_route::record::Record;
use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{Reply, TemporaryFile, TestGateway, after, chat_reply};

/// Three models of which the middle one is the cheapest that is good enough, all at one upstream.
fn three_models(url: &str, rest: &str) -> String {
    let model = |name: &str, price: &str, points: u8| {
        format!(
            "  {name}:
    context: 8192
    capabilities: [tools]
    quality: {{ source: a test, scores: {{ code: {points}, chat: 80 }} }}
    offers: [{{ provider: scripted, model: up-{name}, price: {{ input: {price}, output: {price} }} }}]\n"
        )
    };
    let models = [model("small", "0.1", 40), model("middle", "1", 80), model("large", "10", 85)].concat();
    format!(
        "providers: {{ scripted: {{ endpoints: [{{ dialect: chat, base_url: \"{url}/v1\" }}] }} }}
models:
{models}credentials: {{ scripted: [{{ name: main, key: \"${{SCRIPTED_KEY}}\" }}] }}
{rest}"
    )
}

/// One model with two deployments side by side.
fn two_deployments(first: &str, second: &str) -> String {
    format!(
        "providers:
  one: {{ endpoints: [{{ dialect: chat, base_url: \"{first}/v1\" }}] }}
  two: {{ endpoints: [{{ dialect: chat, base_url: \"{second}/v1\" }}] }}
models:
  test-model: {{ offers: [{{ provider: one, price: free }}, {{ provider: two, price: free }}] }}
credentials:
  one: [{{ name: main, key: \"${{SCRIPTED_KEY}}\" }}]
  two: [{{ name: main, key: \"${{SCRIPTED_KEY}}\" }}]
deployments:
  - {{ model: test-model, provider: one }}
  - {{ model: test-model, provider: two }}
"
    )
}

fn asks(model: &str, said: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": said }] })
}

async fn answers(count: usize) -> ScriptedUpstream {
    ScriptedUpstream::start((0..count).map(|_| Script::json(200, &[], chat_reply("Hi")))).await
}

fn shown<'r>(reply: &'r Reply, header: &str) -> &'r str {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.headers[header].to_str().unwrap()
}

#[tokio::test]
async fn auto_takes_the_cheapest_model_that_is_good_enough_for_the_task() {
    let upstream = answers(6).await;
    let gateway = TestGateway::start(&three_models(&upstream.url(), "")).await;
    let check = async |model: &str, expected: &str| {
        let reply = gateway.post("/v1/chat/completions", asks(model, "Hello").to_string()).await;
        assert_eq!(shown(&reply, "x-novastack-route"), expected);
    };
    let line = |by: &str, model: &str| format!("{by} model={model} deployment=scripted/{model}@main try=1/3");
    check("auto/code", &line("mode=capable task=code", "middle")).await;
    check("auto/chat", &line("mode=capable task=chat", "small")).await;
    check("AUTO/code:best", &line("mode=best task=code", "large")).await;
    check("auto/code:cheap", &line("mode=cheap task=code", "small")).await;
    let budget = [("x-novastack-budget", "0.001")];
    let body = asks("auto/code:best", "Hello").to_string();
    let reply = gateway.post_with("/v1/chat/completions", body.clone(), &budget).await;
    assert_eq!(
        shown(&reply, "x-novastack-route"),
        "mode=best task=code model=middle deployment=scripted/middle@main try=1/2"
    );
    let budget = [("x-novastack-budget", "0.0000001")];
    let reply = gateway.post_with("/v1/chat/completions", body, &budget).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(reply.text().contains("should cost more"), "{}", reply.text());
}

#[tokio::test]
async fn the_mode_the_pool_and_what_is_enough_are_the_operators() {
    let upstream = answers(2).await;
    let routing = "routing: { mode: best, models: [small, middle] }\n";
    let gateway = TestGateway::start(&three_models(&upstream.url(), routing)).await;
    let reply = gateway.post("/v1/chat/completions", asks("auto/code", "Hello").to_string()).await;
    assert_eq!(shown(&reply, "x-novastack-model"), "middle");
    gateway.reload(&three_models(&upstream.url(), "routing: { enough: 0.3 }\n")).unwrap();
    let reply = gateway.post("/v1/chat/completions", asks("auto/code", "Hello").to_string()).await;
    assert_eq!(shown(&reply, "x-novastack-model"), "small");
}

#[tokio::test]
async fn the_mode_budget_spends_what_is_granted_and_pays_back_what_was_too_much() {
    // Nine tokens cost 90 millionths with the large model, 9 with the middle one.
    let upstream = answers(301).await;
    let routing = "routing: { mode: budget, budget_per_request: 0.00003 }\n";
    let gateway = TestGateway::start(&three_models(&upstream.url(), routing)).await;
    // At first it overspends, because nobody knows yet how short answers are; then it pays that back.
    let mut models = Vec::new();
    for _ in 0..300 {
        let reply = gateway.post("/v1/chat/completions", asks("auto/code", "Hello").to_string()).await;
        models.push(shown(&reply, "x-novastack-model").to_owned());
    }
    let large = |models: &[String]| models.iter().filter(|model| *model == "large").count();
    assert_eq!((large(&models[..50]), large(&models[250..])), (50, 0));
    // Where money is no object the best is taken.
    let routing = "routing: { mode: budget, budget_per_request: 1 }\n";
    gateway.reload(&three_models(&upstream.url(), routing)).unwrap();
    let reply = gateway.post("/v1/chat/completions", asks("auto/code", "Hello").to_string()).await;
    assert_eq!(shown(&reply, "x-novastack-model"), "large");
}

#[tokio::test]
async fn of_equal_deployments_the_one_with_less_in_flight_is_asked() {
    let gate = Gate::new();
    let scripts = || (0..8).map(|_| after(&gate, Script::json(200, &[], chat_reply("Hi"))));
    let (one, two) = (ScriptedUpstream::start(scripts()).await, ScriptedUpstream::start(scripts()).await);
    let gateway = TestGateway::start(&two_deployments(&one.url(), &two.url())).await;
    let mut waiting = Vec::new();
    for count in 1..=8 {
        let headers = [("x-api-key", gateway.key.as_str())];
        let body = asks("test-model", "Hello").to_string();
        waiting.push(gateway.spawn("POST", "/v1/chat/completions", body, &headers));
        nova_testkit::bounded(
            async {
                while one.requests().len() + two.requests().len() < count {
                    tokio::task::yield_now().await;
                }
            },
            "a request at an upstream",
        )
        .await;
        let apart = one.requests().len().abs_diff(two.requests().len());
        assert!(apart <= 1, "after {count} requests they are {apart} apart");
    }
    gate.open();
    for reply in waiting {
        assert_eq!(reply.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_conversation_stays_with_the_deployment_that_knows_it() {
    let (one, two) = (answers(20).await, answers(20).await);
    let gateway = TestGateway::start(&two_deployments(&one.url(), &two.url())).await;
    let mut body = asks("test-model", "Hello");
    let mut places = Vec::new();
    for turn in 0..10 {
        let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
        places.push(shown(&reply, "x-novastack-provider").to_owned());
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({ "role": "assistant", "content": "Hi" }));
        messages.push(json!({ "role": "user", "content": format!("And {turn}?") }));
    }
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
    // Equal first turns of others are spread.
    let mut spread = std::collections::HashSet::new();
    for _ in 0..20 {
        let reply = gateway.post("/v1/chat/completions", asks("test-model", "Hello").to_string()).await;
        spread.insert(shown(&reply, "x-novastack-provider").to_owned());
    }
    assert_eq!(spread.len(), 2);
}

#[tokio::test]
async fn a_deployment_that_asks_for_a_pause_gets_it() {
    let refusal =
        r#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let limited = Script::json(429, &[("retry-after", "60")], refusal);
    let one = ScriptedUpstream::start(std::iter::once(limited)).await;
    let two = answers(12).await;
    let gateway = TestGateway::start(&two_deployments(&one.url(), &two.url())).await;
    for _ in 0..12 {
        let reply = gateway.post("/v1/chat/completions", asks("test-model", "Hello").to_string()).await;
        assert_eq!(shown(&reply, "x-novastack-provider"), "two");
    }
    assert!(one.requests().len() <= 1, "it is asked once and then left alone");
}

#[tokio::test]
async fn an_experiment_gives_each_user_one_arm() {
    let upstream = answers(60).await;
    let experiment = "experiments:
  - name: larger
    model: middle
    by: user
    arms: [{ model: middle, weight: 1 }, { name: big, model: large, weight: 1 }]
";
    let gateway = TestGateway::start(&three_models(&upstream.url(), experiment)).await;
    let mut arms = std::collections::HashMap::new();
    for round in 0..3 {
        for user in 0..20 {
            let mut body = asks("middle", &format!("Round {round}"));
            body["user"] = format!("user-{user}").into();
            let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
            let line = shown(&reply, "x-novastack-route").to_owned();
            assert!(line.starts_with("experiment=larger/"), "{line}");
            let arm = shown(&reply, "x-novastack-model").to_owned();
            assert_eq!(arms.entry(user).or_insert_with(|| arm.clone()), &arm, "user {user}");
        }
    }
    let large = arms.values().filter(|arm| *arm == "large").count();
    assert!((3..=17).contains(&large), "{large} of 20");
}

#[tokio::test]
async fn the_arithmetic_of_a_choice_can_be_asked_for() {
    let upstream = answers(0).await;
    let gateway = TestGateway::start(&three_models(&upstream.url(), "")).await;
    let reply = gateway.post("/v1/route/explain", asks("auto/code", "Hello").to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let choice = &reply.json()["choice"];
    let ranked: Vec<&str> =
        choice["ranked"].as_array().unwrap().iter().map(|one| one["model"].as_str().unwrap()).collect();
    assert_eq!(ranked, ["middle", "large", "small"]);
    assert_eq!(
        (&choice["mode"], &choice["task"], &choice["runner_up"]),
        (&json!("capable"), &json!("code"), &json!("large"))
    );
    assert_eq!(choice["cheaper_but_not_enough"]["model"], "small");
    let first = &choice["ranked"][0];
    let cost = &first["cost"];
    let tokens = cost["input_tokens"].as_i64().unwrap() + cost["output_tokens"].as_i64().unwrap();
    assert_eq!(cost["nano_usd"], tokens * 1_000, "a dollar per million tokens");
    assert_eq!((&first["enough"], &first["measured"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn a_decision_is_kept_with_its_record_and_replays() {
    let upstream = answers(3).await;
    let yaml = three_models(&upstream.url(), "");
    let gateway = TestGateway::start(&yaml).await;
    for model in ["auto/code", "auto/chat:best"] {
        let reply = gateway.post("/v1/chat/completions", asks(model, "Hello").to_string()).await;
        let record = gateway.record(reply.headers["x-request-id"].to_str().unwrap()).await;
        let decision: Record = serde_json::from_value(record["decision"].clone()).unwrap();
        assert_eq!(decision.decided.model, shown(&reply, "x-novastack-model"));
        assert_eq!(decision.signals.len(), 3);
        assert!(gateway.replays(&decision), "{decision:?}");
    }
    let reply = gateway.post("/v1/chat/completions", asks("middle", "Hello").to_string()).await;
    let record = gateway.record(reply.headers["x-request-id"].to_str().unwrap()).await;
    assert_eq!(record["decision"], Value::Null, "there was nothing to choose");
}

#[tokio::test]
async fn a_key_says_what_its_requests_may_cost_and_where_its_prompts_may_go() {
    let upstream = answers(4).await;
    let rules = "route: [{ if: 'tags.team == \"search\"', use: large }]\n";
    let yaml = three_models(&upstream.url(), rules);
    let gateway = TestGateway::start(&yaml).await;
    let key = async |name: &str, routing: Value| {
        let new = json!({ "name": name, "routing": routing });
        gateway.admin("POST", "/admin/v1/keys", new).await.json()["key"].as_str().unwrap().to_owned()
    };
    let ask = async |key: &str, model: &str| {
        let headers = [("x-api-key", key)];
        gateway.send("POST", "/v1/chat/completions", asks(model, "Hello").to_string(), &headers).await
    };
    let tagged = key("tagged", json!({ "tags": { "team": "search" } })).await;
    assert!(shown(&ask(&tagged, "auto").await, "x-novastack-route").starts_with("rule=1 "));
    let thrifty = key("thrifty", json!({ "request_budget": "0.001" })).await;
    assert_eq!(shown(&ask(&thrifty, "auto/code:best").await, "x-novastack-model"), "middle");
    let strict = key("strict", json!({ "data": { "data_collection": "deny" } })).await;
    let refused = ask(&strict, "middle").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("data policy"), "{}", refused.text());
    let kept = yaml.replace("providers: { scripted: {", "providers: { scripted: { data_collection: deny,");
    gateway.reload(&kept).unwrap();
    assert_eq!(ask(&strict, "middle").await.status, 200);
    let elsewhere = key("elsewhere", json!({ "data": { "regions": ["eu"] } })).await;
    assert_eq!(ask(&elsewhere, "auto").await.status, 403);
}

const EASY: &str = "Say hello to my grandmother";
const HARD: &str = "Prove that there is no largest prime";

/// An artefact that knows two models: the large one answers anything, the small one what reads like [`EASY`].
fn graded() -> Vec<u8> {
    let (columns, mut weights) = (3, vec![0.0; (BUCKETS + DENSE) * 3]);
    let mut features = Features::default();
    for (said, weight) in [(EASY, 9.0), (HARD, -9.0)] {
        extract(said, &mut features);
        features.hashed.iter().for_each(|(bucket, _)| weights[*bucket as usize * columns + 1] = weight);
    }
    // The first dense features of the large model's column say nothing; its cell says all.
    let cell = |mean: f32| Cell { mean, mass: 400.0, output_tokens: 100.0 };
    let learnt = Learnt {
        models: vec!["SMALL".into(), "large".into()],
        kinds: vec!["all".into()],
        provenance: "a test".into(),
        cells: vec![cell(0.5), cell(0.95)],
        weights,
        forest: Forest::default(),
    };
    Quality::of(&learnt).unwrap().to_bytes()
}

#[tokio::test]
async fn graded_answers_say_of_each_prompt_how_well_a_model_answers_it() {
    let upstream = answers(8).await;
    let file = TemporaryFile::new(&graded());
    let routing =
        format!("routing: {{ models: [small, large], quality: {{ path: \"{}\" }} }}\n", file.path());
    let gateway = TestGateway::start(&three_models(&upstream.url(), &routing)).await;
    let check = async |model: &str, said: &str, expected: &str| {
        let reply = gateway.post("/v1/chat/completions", asks(model, said).to_string()).await;
        assert_eq!(shown(&reply, "x-novastack-model"), expected, "{model}: {said}");
        gateway.record(reply.headers["x-request-id"].to_str().unwrap()).await
    };
    let reply = gateway.post("/v1/route/explain", asks("auto/code", EASY).to_string()).await.json();
    let small = &reply["choice"]["ranked"][0];
    assert_eq!((&small["model"], &small["measured"]), (&json!("small"), &json!(true)));
    assert!(small["quality"].as_f64().unwrap() > 0.7, "{small}");
    assert_eq!(small["cost"]["output_tokens"], 100);

    // By what is declared the small model is far from enough for code, and as good as any for a chat.
    let record = check("auto/code", EASY, "small").await;
    let decision: Record = serde_json::from_value(record["decision"].clone()).unwrap();
    assert!(gateway.replays(&decision), "{decision:?}");
    check("auto/chat", HARD, "large").await;
    check("auto", EASY, "small").await;
    check("auto", HARD, "large").await;
    check("auto:cheap", HARD, "small").await;

    // Without the file it is as declared.
    gateway.reload(&three_models(&upstream.url(), "routing: { models: [small, large] }\n")).unwrap();
    check("auto/code", EASY, "large").await;
}

#[tokio::test]
async fn what_agents_ask_beside_the_conversation_goes_to_the_cheapest_model_that_summarises_well_enough() {
    let upstream = answers(3).await;
    let yaml = three_models(&upstream.url(), "").replace("chat: 80", "chat: 80, summarize: 75");
    let gateway = TestGateway::start(&yaml).await;
    let fix = "Fix the bug in this Python function, it raises an IndexError:\ndef last(xs):\n    return xs[len(xs)]";
    let ask = async |messages: Value| {
        let body = json!({ "model": "auto", "messages": messages }).to_string();
        let reply = gateway.post("/v1/chat/completions", body).await;
        shown(&reply, "x-novastack-route").to_owned()
    };
    let line = ask(json!([{ "role": "user", "content": fix }])).await;
    assert!(line.starts_with("mode=capable task=code_review model=middle "), "{line}");
    let system =
        json!({ "role": "system", "content": "You are a title generator. Answer with a title only." });
    let line = ask(json!([system, { "role": "user", "content": fix }])).await;
    assert!(line.starts_with("mode=capable task=side_call model=small "), "{line}");
    // It is no cheaper than that it can still do it.
    let poor = yaml.replace("{ code: 40, chat: 80, summarize: 75 }", "{ code: 40, chat: 80, summarize: 20 }");
    assert_ne!(poor, yaml);
    gateway.reload(&poor).unwrap();
    let line = ask(json!([system, { "role": "user", "content": fix }])).await;
    assert!(line.starts_with("mode=capable task=side_call model=middle "), "{line}");
}
