//! What a request asks of routing beside its model, in every dialect, from the socket to the provider.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestGateway, chat_reply};

/// Two providers of two models; `first` is the dear one.
fn config(first: &str, second: &str) -> String {
    format!(
        "providers:
  first:
    name: First & Co
    endpoints: [{{ dialect: chat, base_url: \"{first}/v1\" }}]
  second:
    data_collection: deny
    endpoints: [{{ dialect: chat, base_url: \"{second}/v1\" }}]
models:
  test-model:
    offers:
      - {{ provider: first, model: up-test, price: {{ input: 3, output: 9 }} }}
      - {{ provider: second, model: up-test, quantization: fp8, price: {{ input: 1, output: 2 }} }}
  other-model:
    offers: [{{ provider: second, model: up-other, price: {{ input: 1, output: 2 }} }}]
fallbacks: {{ test-model: other-model }}
credentials:
  first: [{{ key: \"${{SCRIPTED_KEY}}\" }}]
  second: [{{ key: \"${{SCRIPTED_KEY}}\" }}]
"
    )
}

struct Both {
    gateway: TestGateway,
    first: ScriptedUpstream,
    second: ScriptedUpstream,
}

async fn both(first: Vec<Script>, second: Vec<Script>) -> Both {
    let first = ScriptedUpstream::start(first).await;
    let second = ScriptedUpstream::start(second).await;
    let gateway = TestGateway::start(&config(&first.url(), &second.url())).await;
    Both { gateway, first, second }
}

fn good() -> Script {
    Script::json(200, &[], chat_reply("Hi"))
}

/// A request of each dialect, with these fields besides.
fn asked(model: &str, fields: &Value) -> [(String, Value); 4] {
    let said = json!([{ "role": "user", "content": "Hello" }]);
    let mut bodies = [
        ("/v1/chat/completions".to_owned(), json!({ "model": model, "messages": said })),
        ("/v1/messages".to_owned(), json!({ "model": model, "max_tokens": 9, "messages": said })),
        ("/v1/responses".to_owned(), json!({ "model": model, "input": "Hello" })),
        (
            format!("/v1beta/models/{model}:generateContent"),
            json!({ "contents": [{ "parts": [{ "text": "Hello" }] }] }),
        ),
    ];
    for (_, body) in &mut bodies {
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    bodies
}

#[tokio::test]
async fn preferences_choose_the_provider_in_every_dialect_and_reach_none() {
    let Both { gateway, first, second } = both(vec![], (0..4).map(|_| good()).collect()).await;
    for (path, body) in asked("test-model", &json!({ "provider": { "sort": "price" }, "route": "fallback" }))
    {
        let reply = gateway.post(&path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.headers["x-novastack-provider"], "second", "{path}");
        assert!(!reply.headers.contains_key("x-novastack-dropped"), "{path}: {:?}", reply.headers);
    }
    assert_eq!(first.requests().len(), 0);
    for request in second.requests() {
        let body = request.json();
        assert_eq!(body["model"], "up-test");
        assert!(body.get("provider").is_none() && body.get("route").is_none(), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_passed_on_keeps_every_other_byte() {
    let Both { gateway, second, .. } = both(vec![], vec![good()]).await;
    let body = r#"{ "model": "other-model", "models":["test-model"],  "messages":[ {"role":"user","content":"a\u0062"}],"provider" : {"only":["second"]} , "x":1.50}"#;
    let reply = gateway.post("/v1/chat/completions", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let requests = second.requests();
    let sent = requests[0].text();
    assert_eq!(
        sent,
        r#"{ "model": "up-other",  "messages":[ {"role":"user","content":"a\u0062"}] , "x":1.50}"#
    );
}

#[tokio::test]
async fn each_preference_and_each_spelling_of_fallbacks_is_kept() {
    let check = async |fields: Value, down: bool, expected: &[(&str, &str)]| {
        let failing = || {
            Script::json(
                400,
                &[],
                json!({ "error": { "message": "model gone", "code": "model_not_found" } }).to_string(),
            )
        };
        let answers = vec![if down { failing() } else { good() }];
        let Both { gateway, first, second } = both(answers, vec![good()]).await;
        let [(path, mut body), ..] = asked("test-model", &fields);
        if fields["models"][0] == "test-model" {
            body.as_object_mut().unwrap().remove("model");
        }
        let reply = gateway.post(&path, body.to_string()).await;
        let mut asked: Vec<(&str, String)> = Vec::new();
        for (name, upstream) in [("first", &first), ("second", &second)] {
            let models =
                upstream.requests().into_iter().map(|it| it.json()["model"].as_str().unwrap().to_owned());
            asked.extend(models.map(|model| (name, model)));
        }
        let asked: Vec<(&str, &str)> = asked.iter().map(|(name, model)| (*name, model.as_str())).collect();
        assert_eq!(asked, expected, "{fields}: {}", reply.text());
    };
    check(json!({}), false, &[("first", "up-test")]).await;
    check(json!({ "provider": { "order": ["second"] } }), false, &[("second", "up-test")]).await;
    check(json!({ "provider": { "ignore": ["First & Co"] } }), false, &[("second", "up-test")]).await;
    check(json!({ "provider": { "data_collection": "deny" } }), false, &[("second", "up-test")]).await;
    check(json!({ "provider": { "quantizations": ["fp8"] } }), false, &[("second", "up-test")]).await;
    check(json!({ "provider": { "max_price": { "prompt": "2" } } }), false, &[("second", "up-test")]).await;
    check(json!({ "provider": { "allow_fallbacks": false } }), true, &[("first", "up-test")]).await;
    let otherwise = [("first", "up-test"), ("second", "up-other")];
    let only = json!(["first", "second/fp8"]);
    check(
        json!({ "models": ["test-model", "other-model"], "provider": { "ignore": ["second/fp8"] } }),
        true,
        &[("first", "up-test"), ("second", "up-other")],
    )
    .await;
    check(
        json!({ "fallbacks": ["other-model"], "provider": { "ignore": ["second/fp8"] } }),
        true,
        &otherwise,
    )
    .await;
    check(
        json!({ "fallbacks": [{ "model": "other-model" }], "provider": { "ignore": ["second/fp8"] } }),
        true,
        &otherwise,
    )
    .await;
    check(json!({ "provider": { "ignore": ["second/fp8"] } }), true, &otherwise).await;
    check(
        json!({ "disable_fallbacks": true, "provider": { "ignore": ["second/fp8"] } }),
        true,
        &otherwise[..1],
    )
    .await;
    check(json!({ "provider": { "only": only, "order": ["second"] } }), false, &[("second", "up-test")])
        .await;
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_callers_dialect_with_its_place() {
    let Both { gateway, first, second } = both(vec![], vec![]).await;
    let check = async |fields: Value, status: u16, param: &str, words: &str| {
        for (path, body) in asked("test-model", &fields) {
            let reply = gateway.post(&path, body.to_string()).await;
            assert_eq!(reply.status, status, "{path} {fields}: {}", reply.text());
            assert!(reply.text().contains(words), "{path}: {}", reply.text());
            if path == "/v1/chat/completions" {
                assert_eq!(reply.json()["error"]["param"], param, "{fields}");
            }
        }
    };
    check(
        json!({ "provider": { "sort": "cheap" } }),
        400,
        "provider.sort",
        "`price`, `throughput` or `latency`",
    )
    .await;
    check(json!({ "provider": { "srot": "price" } }), 400, "provider.srot", "did you mean `sort`?").await;
    check(
        json!({ "provider": { "max_price": { "prompt": -1 } } }),
        400,
        "provider.max_price",
        "an amount of US dollars",
    )
    .await;
    check(json!({ "provider": "openai" }), 400, "provider", "an object").await;
    check(json!({ "models": "other-model" }), 400, "models", "an array").await;
    check(json!({ "models": [7] }), 400, "models[0]", "the name of a model").await;
    check(
        json!({ "fallbacks": [{ "model": "other-model", "messages": [] }] }),
        400,
        "fallbacks[0].messages",
        "only name its `model`",
    )
    .await;
    check(json!({ "disable_fallbacks": 1 }), 400, "disable_fallbacks", "true or false").await;
    check(json!({ "route": "random" }), 400, "route", "`fallback`").await;
    check(json!({ "models": ["other-modle"] }), 404, "models[0]", "did you mean `other-model`").await;
    check(json!({ "models": ["other-model:floor"] }), 400, "models[0]", "other suffixes").await;
    check(
        json!({ "provider": { "only": ["groq"] } }),
        404,
        "provider",
        "`provider.only` does not name its provider",
    )
    .await;
    check(json!({ "provider": { "zdr": true } }), 404, "provider", "`provider.zdr` is true").await;
    assert_eq!((first.requests().len(), second.requests().len()), (0, 0));
}

#[tokio::test]
async fn a_suffix_of_the_name_sorts() {
    let Both { gateway, second, .. } = both(vec![], (0..4).map(|_| good()).collect()).await;
    for (path, body) in asked("Test-Model:floor", &json!({})) {
        let reply = gateway.post(&path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.headers["x-novastack-provider"], "second", "{path}");
    }
    assert!(second.requests().iter().all(|request| request.json()["model"] == "up-test"));
}

const PRESETS: &str = "presets:
  support:
    description: Answers for customers
    model: test-model:floor
    system: Be brief.
    parameters: { temperature: 0.25 }
  cautious:
    provider: { data_collection: deny }
";

#[tokio::test]
async fn a_preset_brings_its_model_its_prompt_its_parameters_and_its_preferences() {
    let first = ScriptedUpstream::start([]).await;
    let second = ScriptedUpstream::start((0..8).map(|_| good())).await;
    let yaml = config(&first.url(), &second.url()) + PRESETS;
    let gateway = TestGateway::start(&yaml).await;
    let named = ["preset/support", "@preset/Support", "test-model:floor@preset/support"];
    for (place, (path, body)) in asked("preset/support", &json!({})).into_iter().enumerate() {
        let mut body = body;
        if let Some(name) = named.get(place) {
            body["model"] = (*name).into();
        }
        let reply = gateway.post(&path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.headers["x-novastack-provider"], "second", "{path}");
        let line = reply.headers["x-novastack-route"].to_str().unwrap();
        assert!(line.starts_with("preset=support asked model=test-model "), "{line}");
        let body = second.requests()[place].json();
        assert_eq!(body["messages"][0]["content"], "Be brief.", "{path}: {body}");
        assert_eq!((&body["temperature"], &body["model"]), (&json!(0.25), &json!("up-test")), "{path}");
    }
    let beside = |preset: Value| {
        let [(path, body), ..] = asked("test-model", &json!({ "preset": preset, "temperature": 1 }));
        (path, body.to_string())
    };
    let (path, body) = beside("cautious".into());
    let reply = gateway.post(&path, body).await;
    assert_eq!((reply.status, &reply.headers["x-novastack-provider"]), (200, &"second".parse().unwrap()));
    for (preset, status, words) in
        [("suport".into(), 404, "did you mean `support`?"), (json!(7), 400, "the name of a preset")]
    {
        let (path, body) = beside(preset);
        let reply = gateway.post(&path, body).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (status, &json!("preset")));
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    let [(path, body), ..] = asked("@preset/cautious", &json!({}));
    let reply = gateway.post(&path, body.to_string()).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("model")));
    assert_eq!(first.requests().len(), 0);
    let rows = gateway.get("/v1/models").await.json();
    let listed = rows["data"].as_array().unwrap().iter().find(|row| row["id"] == "preset/support").unwrap();
    assert_eq!(
        (&listed["description"], &listed["name"]),
        (&json!("Answers for customers"), &json!("support"))
    );
    assert_eq!(gateway.get("/v1/models/preset/support").await.json()["id"], "preset/support");
}

#[tokio::test]
async fn the_name_switches_thinking_in_the_providers_own_way() {
    let first = ScriptedUpstream::start((0..4).map(|_| good())).await;
    let second = ScriptedUpstream::start([]).await;
    let chat = format!("dialect: chat, base_url: \"{}/v1\"", first.url());
    let yaml = config(&first.url(), &second.url())
        .replace(&chat, &format!("{chat}, quirks: {{ thinking_switch: enable_thinking }}"));
    let gateway = TestGateway::start(&yaml).await;
    for (path, body) in asked("test-model:nothink", &json!({})) {
        let reply = gateway.post(&path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    let sent: Vec<Value> =
        first.requests().iter().map(|request| request.json()["enable_thinking"].clone()).collect();
    assert_eq!(sent, [false, false, false, false]);
}

#[tokio::test]
async fn a_name_that_stands_for_many_is_passed_on_with_the_part_that_was_asked_for() {
    let failing = Script::json(500, &[], json!({ "error": { "message": "down" } }).to_string());
    let first = ScriptedUpstream::start([good(), good(), failing]).await;
    let second = ScriptedUpstream::start([good(), good()]).await;
    let yaml = config(&first.url(), &second.url())
        .replace("models:\n", "models:\n  vendor/*:\n    offers: [{ provider: first, model: \"up/*\" }]\n")
        .replace(
            "fallbacks:",
            "aliases: { \"gpt-4*\": other-model }\nretry: { attempts_per_deployment: 1 }\nfallbacks:",
        );
    let gateway = TestGateway::start(&yaml).await;
    let check = async |model: &str, fields: Value, answered: &str| {
        let [(path, body), ..] = asked(model, &fields);
        let reply = gateway.post(&path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.text());
        assert_eq!(reply.headers["x-novastack-model"], answered, "{model}");
        let line = reply.headers["x-novastack-route"].to_str().unwrap();
        assert!(line.contains(&format!(" model={answered} ")), "{line}");
    };
    check("vendor/Big-1.5", json!({}), "vendor/Big-1.5").await;
    check("Vendor/small:nothink", json!({}), "vendor/small").await;
    check("gpt-4.1-mini", json!({}), "other-model").await;
    check("vendor/a", json!({ "models": ["other-model", "vendor/b"] }), "other-model").await;
    let sent: Vec<Value> = first.requests().iter().map(|request| request.json()["model"].clone()).collect();
    assert_eq!(sent, ["up/Big-1.5", "up/small", "up/a"]);
    let body = json!({ "model": "vendor/c", "messages": [{ "role": "user", "content": "Hi" }] });
    let explained = gateway.post("/v1/route/explain", body.to_string()).await.json();
    assert_eq!(explained["attempts"][0]["upstream_model"], "up/c", "{explained}");
}

#[tokio::test]
async fn an_answer_says_that_its_model_retires_and_that_another_model_gave_it() {
    let drifted = || Script::json(200, &[], chat_reply("Hi").replace("upstream-model", "up-cheaper"));
    let named = |model: &str| Script::json(200, &[], chat_reply("Hi").replace("upstream-model", model));
    let first = ScriptedUpstream::start([named("up-test-2026-01-01"), drifted(), drifted()]).await;
    let second = ScriptedUpstream::start([named("up-other")]).await;
    let yaml = config(&first.url(), &second.url())
        .replace("  other-model:\n", "  other-model:\n    deprecated: 2026-11-30\n");
    let gateway = TestGateway::start(&yaml).await;
    let ask = async |model: &str| {
        let [(path, body), ..] = asked(model, &json!({}));
        let reply = gateway.post(&path, body.to_string()).await;
        let warnings = reply.headers.get_all("x-novastack-warning").iter();
        warnings.map(|warning| warning.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ask("test-model").await, Vec::<String>::new());
    let drift = "`first` was asked for `up-test` and says that `up-cheaper` answered";
    assert_eq!(ask("test-model").await, [drift]);
    assert_eq!(ask("test-model").await, [drift]);
    assert_eq!(ask("other-model").await, ["model `other-model` is retired by its maker on 2026-11-30"]);
    let metrics = gateway.admin("GET", "/metrics", Value::Null).await;
    let line = "novastack_model_drift_total{provider=\"first\",model=\"test-model\"} 2";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[tokio::test]
async fn who_demands_that_nothing_is_lost_is_sent_where_nothing_is() {
    let first = ScriptedUpstream::start([]).await;
    let second = ScriptedUpstream::start((0..2).map(|_| good())).await;
    // Messages has no field for a seed.
    let messages =
        config(&first.url(), &second.url()).replacen("{ dialect: chat,", "{ dialect: messages,", 1);
    let gateway = TestGateway::start(&messages).await;
    let body = |provider: Value| {
        let said = json!([{ "role": "user", "content": "Hello" }]);
        json!({ "model": "test-model", "seed": 7, "max_tokens": 9, "messages": said, "provider": provider })
            .to_string()
    };
    let explained = async |provider: Value| {
        let reply = gateway.post("/v1/route/explain", body(provider)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let whole = json!({ "order": ["first"], "require_parameters": true });
    let plan = explained(whole.clone()).await;
    assert_eq!(plan["attempts"][0]["provider"], "second");
    assert_eq!(
        plan["removed"][0]["why"],
        "`provider.require_parameters` is true, and `seed` would be lost there"
    );
    let reply = gateway.post("/v1/chat/completions", body(whole)).await;
    assert_eq!((reply.status, reply.header("x-novastack-provider")), (200, "second"), "{}", reply.text());
    let plan = explained(json!({ "order": ["first"] })).await;
    assert_eq!((&plan["attempts"][0]["provider"], &plan["removed"]), (&json!("first"), &json!([])));

    let alone = json!({ "only": ["first"], "require_parameters": true });
    let reply = gateway.post("/v1/chat/completions", body(alone)).await;
    assert_eq!((reply.status, reply.header("x-novastack-error")), (404, "no_wanted_provider"));
    assert!(reply.text().contains("`seed` would be lost there"), "{}", reply.text());
    // With `auto` such models are left out of the ranking, and the record replays.
    let auto = body(json!({ "require_parameters": true })).replace("test-model", "auto");
    let reply = gateway.post("/v1/chat/completions", auto).await;
    assert_eq!((reply.status, reply.header("x-novastack-provider")), (200, "second"), "{}", reply.text());
    let record = gateway.record(reply.header("x-request-id")).await;
    let decision: nova_route::record::Record = serde_json::from_value(record["decision"].clone()).unwrap();
    assert!(decision.signals.iter().any(|did| did.signals.loses));
    assert!(gateway.replays(&decision), "{decision:?}");
    assert_eq!(first.requests().len(), 0);
}
