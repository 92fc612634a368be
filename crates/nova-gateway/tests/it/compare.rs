//! One prompt, several models: `POST /v1/compare` and the model `compare:a+b+c`.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{Stream, TestGateway, after, chat_reply};

/// Models at upstreams of their own, in US dollars for a million tokens.
fn models(upstreams: &[(&str, &str, u32)]) -> String {
    let mut yaml = String::from("providers:\n");
    for (name, url, _) in upstreams {
        yaml += &format!("  p-{name}: {{ endpoints: [{{ dialect: chat, base_url: \"{url}/v1\" }}] }}\n");
    }
    yaml += "models:\n";
    for (name, _, price) in upstreams {
        yaml += &format!(
            "  {name}: {{ context: 8192, capabilities: [tools], offers: [{{ provider: p-{name}, model: up-{name}, price: {{ input: {price}, output: {price} }} }}] }}\n"
        );
    }
    yaml += "credentials:\n";
    for (name, ..) in upstreams {
        yaml += &format!("  p-{name}: [{{ name: main, key: \"${{SCRIPTED_KEY}}\" }}]\n");
    }
    yaml
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let event = json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] });
    format!("data: {event}\n\n")
}

fn usage(output: u64) -> String {
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output });
    let event = json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage });
    format!("data: {event}\n\n")
}

/// A streamed answer of these words.
fn says(words: &[&str], output: u64) -> Script {
    let mut events: Vec<String> = words.iter().map(|word| chunk(&json!({ "content": word }), None)).collect();
    events.extend([chunk(&json!({}), Some("stop")), usage(output), "data: [DONE]\n\n".to_owned()]);
    Script::sse(&events.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refuses() -> Script {
    Script::json(400, &[], r#"{"error":{"message":"no poems","type":"invalid_request_error"}}"#)
}

async fn upstream(script: Script) -> ScriptedUpstream {
    ScriptedUpstream::start([script]).await
}

fn asks(models: &[&str]) -> Value {
    json!({ "models": models, "messages": [{ "role": "user", "content": "Hello" }] })
}

/// The events of a stream: their names and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |block: &str| {
        let name = block.lines().find_map(|line| line.strip_prefix("event: "))?;
        let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some((name.to_owned(), serde_json::from_str(data).unwrap()))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn every_model_is_asked_at_once_and_answers_with_text_cost_and_times() {
    let gate = Gate::new();
    let held = |word: &'static str, output| after(&gate, says(&[word, "!"], output));
    let (a, b, c) =
        (upstream(held("one", 4)).await, upstream(held("two", 2)).await, upstream(held("three", 9)).await);
    let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 2), ("c", &c.url(), 3)]);
    let gateway = TestGateway::start(&yaml).await;
    let headers = [("x-api-key", gateway.key.as_str())];
    let reply = gateway.spawn("POST", "/v1/compare", asks(&["a", "B", "c"]).to_string(), &headers);
    gate.wait_for_arrivals(3).await;
    gate.open();
    let reply = reply.await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let said = reply.json();
    assert_eq!((&said["object"], &said["id"]), (&json!("comparison"), &json!(reply.header("x-request-id"))));
    let results = said["results"].as_array().unwrap();
    let shown: Vec<_> = results.iter().map(|one| (one["model"].as_str(), one["text"].as_str())).collect();
    assert_eq!(shown, [(Some("a"), Some("one!")), (Some("B"), Some("two!")), (Some("c"), Some("three!"))]);
    let costs: Vec<_> = results.iter().map(|one| one["cost"].as_str().unwrap()).collect();
    assert_eq!(costs, ["0.000014", "0.000024", "0.000057"]);
    assert_eq!((&said["cheapest"], &said["judge"]), (&json!("a"), &Value::Null));
    assert!(said["fastest"].is_string());
    for (place, result) in results.iter().enumerate() {
        assert_eq!(result["finish_reason"], "stop");
        assert_eq!(result["usage"]["prompt_tokens"], 10);
        assert!(result["ttft_ms"].as_f64().unwrap() <= result["total_ms"].as_f64().unwrap());
        let record = gateway.record(result["request_id"].as_str().unwrap()).await;
        assert_eq!(record["cost"], result["cost"]);
        assert_eq!(record["model_answered"], ["a", "b", "c"][place]);
        assert_eq!(record["experiment"], format!("compare:{}", said["id"].as_str().unwrap()));
    }
    let sent = a.requests()[0].json();
    assert_eq!(
        (&sent["model"], &sent["stream"], &sent["models"]),
        (&json!("up-a"), &json!(true), &Value::Null)
    );
}

#[tokio::test]
async fn a_model_that_fails_leaves_the_others_alone() {
    let (a, b) = (upstream(says(&["one"], 1)).await, upstream(refuses()).await);
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
    let said = gateway.post("/router/v1/compare", asks(&["b", "a"]).to_string()).await.json();
    let (bad, good) = (&said["results"][0], &said["results"][1]);
    assert_eq!((&bad["error"]["code"], &bad["text"]), (&json!("upstream_rejected"), &json!("")));
    assert_eq!((&good["error"], &good["text"]), (&Value::Null, &json!("one")));
    assert_eq!((&said["cheapest"], &said["fastest"]), (&json!("a"), &json!("a")));
    let record = gateway.record(bad["request_id"].as_str().unwrap()).await;
    assert_eq!(record["error_code"], "upstream_rejected");
}

#[tokio::test]
async fn no_model_answers_for_another_one() {
    let (a, b) = (upstream(Script::json(500, &[], "{}")).await, upstream(says(&["two"], 1)).await);
    for _ in 0..3 {
        a.push(Script::json(500, &[], "{}"));
    }
    let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 1)]) + "fallbacks: { a: [b] }\n";
    let gateway = TestGateway::start(&yaml).await;
    let said = gateway.post("/v1/compare", asks(&["a", "b"]).to_string()).await.json();
    assert_eq!(said["results"][0]["error"]["code"], "upstream_failed");
    assert_eq!(said["results"][1]["text"], "two");
    assert_eq!(b.requests().len(), 1);
}

#[tokio::test]
async fn a_name_that_is_no_models_is_told_with_its_place_before_anybody_is_asked() {
    let a = upstream(says(&["one"], 1)).await;
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("banana", &a.url(), 1)])).await;
    let check = async |path: &str, body: Value, status: u16, place: &str, hint: &str| {
        let reply = gateway.post(path, body.to_string()).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["param"].as_str()),
            (status, Some(place)),
            "{}",
            reply.text()
        );
        assert!(reply.text().contains(hint), "{}", reply.text());
        let record = gateway.record(reply.header("x-request-id")).await;
        assert_eq!(record["outcome"], "rejected");
    };
    check("/v1/compare", asks(&["a", "bananna"]), 404, "models[1]", "did you mean `banana`?").await;
    check("/v1/compare", asks(&["a"]), 400, "models", "2 to 8").await;
    let mut judged = asks(&["a", "banana"]);
    judged["judge"] = "bananna".into();
    check("/v1/compare", judged, 404, "judge.model", "did you mean `banana`?").await;
    let chat = |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
    check("/v1/chat/completions", chat("compare:a+bananna"), 404, "model", "did you mean `banana`?").await;
    check("/v1/chat/completions", chat("compare:a"), 400, "model", "2 to 8").await;
    assert_eq!(a.requests().len(), 0);
}

#[tokio::test]
async fn a_key_is_admitted_once_for_all_models() {
    let (a, b) = (upstream(says(&["one"], 1)).await, upstream(says(&["two"], 1)).await);
    let limits = "limits: { requests_per_minute: 1, max_in_flight: 1 }\n";
    let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 1)]) + limits;
    let gateway = TestGateway::start(&yaml).await;
    let reply = gateway.post("/v1/compare", asks(&["a", "b"]).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(gateway.post("/v1/compare", asks(&["a", "b"]).to_string()).await.status, 429);
}

#[tokio::test]
async fn a_stream_carries_all_answers_as_they_grow() {
    let (first, second) = (Gate::new(), Gate::new());
    let mut slow = says(&["one", " more"], 2);
    slow.steps.insert(2, nova_testkit::Step::WaitFor(first.clone()));
    let (a, b) = (upstream(slow).await, upstream(after(&second, says(&["two"], 1))).await);
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
    let mut body = asks(&["a", "b"]);
    body["stream"] = true.into();
    let mut stream: Stream = gateway.open_stream("/v1/compare", body.to_string()).await;
    assert_eq!(stream.header("content-type"), "text/event-stream; charset=utf-8");
    stream.read_until(r#"{"index":0,"model":"a","delta":"one"}"#).await;
    // The second answers to its end while the first is still writing.
    second.open();
    stream.read_until(r#"{"index":1,"model":"b","delta":"two"}"#).await;
    stream.read_until("event: result\n").await;
    first.open();
    let rest = stream.read_to_end().await;
    let rest = events(&format!("event: result\n{rest}"));
    let names: Vec<_> = rest.iter().map(|(name, data)| (name.as_str(), data["index"].as_u64())).collect();
    assert_eq!(names, [("result", Some(1)), ("delta", Some(0)), ("result", Some(0)), ("done", None)]);
    let done = &rest[3].1;
    assert_eq!(
        (&done["results"][0]["text"], &done["results"][1]["text"]),
        (&json!("one more"), &json!("two"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_cancels_every_answer() {
    let stalled = || Script::sse_head(&[]).chunk(chunk(&json!({ "content": "one" }), None)).stall();
    for (path, body) in [
        (
            "/v1/compare",
            json!({ "models": ["a", "b"], "stream": true, "messages": [{ "role": "user", "content": "Hi" }] }),
        ),
        ("/v1/compare", asks(&["a", "b"])),
        (
            "/v1/chat/completions",
            json!({ "model": "compare:a+b", "stream": true, "messages": [{ "role": "user", "content": "Hi" }] }),
        ),
    ] {
        let (a, b) = (upstream(stalled()).await, upstream(stalled()).await);
        let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
        let headers = [("x-api-key", gateway.key.as_str())];
        let client = gateway.spawn("POST", path, body.to_string(), &headers);
        a.wait_for_requests(1).await;
        b.wait_for_requests(1).await;
        client.abort();
        a.wait_for_departures(1).await;
        b.wait_for_departures(1).await;
    }
}

#[tokio::test]
async fn several_models_answer_as_one_in_the_clients_dialect() {
    let text = "## a\n\none\n\n## b\n\ntwo";
    let check = async |path: &str, body: Value, at: &str, tokens: &str| {
        let (a, b) = (upstream(says(&["one"], 3)).await, upstream(says(&["two"], 4)).await);
        let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
        let reply = gateway.post(path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let said = reply.json();
        assert_eq!(said.pointer(at), Some(&json!(text)), "{said}");
        assert_eq!(said.pointer(tokens), Some(&json!(7)), "{said}");
        let ids: Vec<&str> = reply.header("x-novastack-compared").split(',').collect();
        for (id, model) in ids.iter().zip(["a", "b"]) {
            assert_eq!(gateway.record(id).await["model_answered"], model);
        }
        assert_eq!(ids.len(), 2);
    };
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let model = "compare:a+b";
    let chat = json!({ "model": model, "messages": messages });
    check("/v1/chat/completions", chat, "/choices/0/message/content", "/usage/completion_tokens").await;
    let anthropic = json!({ "model": "Compare:a+b", "max_tokens": 99, "messages": messages });
    check("/v1/messages", anthropic, "/content/0/text", "/usage/output_tokens").await;
    let responses = json!({ "model": model, "input": "Hi" });
    check("/v1/responses", responses, "/output/0/content/0/text", "/usage/output_tokens").await;
    let gemini = json!({ "contents": [{ "parts": [{ "text": "Hi" }] }] });
    let path = "/v1beta/models/compare:a+b:generateContent";
    check(path, gemini, "/candidates/0/content/parts/0/text", "/usageMetadata/candidatesTokenCount").await;
}

#[tokio::test]
async fn a_stream_of_several_models_is_in_their_order_and_in_the_clients_dialect() {
    let check = async |path: &str, body: Value, at: &str, end: &str| {
        let gate = Gate::new();
        let (a, b) =
            (upstream(after(&gate, says(&["one", "!"], 1))).await, upstream(says(&["two"], 1)).await);
        let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
        let stream = gateway.open_stream(path, body.to_string()).await;
        // The stream has begun because the second one has answered; its turn has not come.
        gate.open();
        let all = stream.read_to_end().await;
        let data = all.lines().filter_map(|line| line.strip_prefix("data: "));
        let deltas = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        let text: String = deltas.filter_map(|data| Some(data.pointer(at)?.as_str()?.to_owned())).collect();
        assert_eq!(text, "## a\n\none!\n\n## b\n\ntwo", "{all}");
        assert!(all.contains(end), "{all}");
    };
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let chat = json!({ "model": "compare:a+b", "stream": true, "messages": messages });
    check("/v1/chat/completions", chat, "/choices/0/delta/content", "data: [DONE]").await;
    let anthropic = json!({ "model": "compare:a+b", "stream": true, "max_tokens": 9, "messages": messages });
    check("/v1/messages", anthropic, "/delta/text", "message_stop").await;
    let responses = json!({ "model": "compare:a+b", "stream": true, "input": "Hi" });
    check("/v1/responses", responses, "/delta", "response.completed").await;
}

#[tokio::test]
async fn one_answer_for_several_says_who_failed_and_fails_only_if_all_do() {
    let body = json!({ "model": "compare:a+b", "messages": [{ "role": "user", "content": "Hi" }] });
    for stream in [false, true] {
        let mut body = body.clone();
        body["stream"] = stream.into();
        let (a, b) = (upstream(refuses()).await, upstream(says(&["two"], 1)).await);
        let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
        let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
        assert_eq!(reply.status, 200);
        assert!(reply.text().contains(r"## a\n\nno answer: no poems\n\n## b\n\ntwo"), "{}", reply.text());
        let (a, b) = (upstream(refuses()).await, upstream(refuses()).await);
        let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
        let reply = gateway.post("/v1/chat/completions", body.to_string()).await;
        assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (400, Some("no poems")));
    }
}

#[tokio::test]
async fn a_judge_sees_the_answers_without_names_and_its_verdict_is_read_strictly() {
    let check = async |verdict: &str| {
        let (a, b) = (upstream(says(&["one"], 1)).await, upstream(says(&["two"], 1)).await);
        let judge =
            ScriptedUpstream::start((0..4).map(|_| Script::json(200, &[], chat_reply(verdict)))).await;
        let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 1), ("j", &judge.url(), 100)]);
        let gateway = TestGateway::start(&yaml).await;
        let mut body = asks(&["a", "b"]);
        body["judge"] = json!({ "model": "j", "criteria": "brevity" });
        let reply = gateway.post("/v1/compare", body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let sent = judge.requests()[0].json();
        let material: Value = serde_json::from_str(sent["messages"][1]["content"].as_str().unwrap()).unwrap();
        let said = reply.json()["judge"].clone();
        let record = gateway.record(said["request_id"].as_str().unwrap()).await;
        assert_eq!(record["model_asked"], "j");
        (said, material)
    };
    let (said, material) = check(r#"{"scores":{"A":9,"B":4},"winner":"A","reason":"shorter"}"#).await;
    assert_eq!((&material["request"], &material["criteria"]), (&json!("Hello"), &json!("brevity")));
    let first = material["answers"]["A"].as_str().unwrap();
    let (winner, loser) = if first == "one" { ("a", "b") } else { ("b", "a") };
    assert_eq!((&said["winner"], &said["reason"]), (&json!(winner), &json!("shorter")));
    assert_eq!((&said["scores"][winner], &said["scores"][loser]), (&json!(9), &json!(4)));
    assert_eq!((&said["cost"], &said["error"]), (&json!("0.0009"), &Value::Null));
    let (said, _) = check(r#"{"scores":{"A":9,"B":4},"winner":"C","reason":"none"}"#).await;
    assert_eq!((&said["winner"], &said["scores"]), (&Value::Null, &json!({})));
    assert_eq!(said["error"]["code"], "schema_mismatch", "{said}");
}

#[tokio::test]
async fn a_judge_teaches_the_router_where_the_operator_wants_that() {
    for learn in [false, true] {
        let (a, b) = (upstream(says(&["one"], 1)).await, upstream(says(&["two"], 1)).await);
        let verdict = r#"{"scores":{"A":9,"B":9},"winner":"A","reason":"equal"}"#;
        let judge = upstream(Script::json(200, &[], chat_reply(verdict))).await;
        let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 1), ("j", &judge.url(), 1)]);
        let gateway = TestGateway::start(&format!("{yaml}compare: {{ learn: {learn} }}\n")).await;
        let mut body = asks(&["a", "b"]);
        body["judge"] = "j".into();
        let task = [("x-novastack-task", "code")];
        let reply = gateway.post_with("/v1/compare", body.to_string(), &task).await;
        assert_eq!(reply.json()["judge"]["error"], Value::Null, "{}", reply.text());
        let worked = |model: &str| gateway.quality()[model]["code"][0].as_f64();
        assert_eq!(
            (worked("a").is_some(), worked("b").is_some(), worked("j").is_some()),
            (learn, learn, false)
        );
        if let Some(worked) = worked("a") {
            assert!((worked - 0.9).abs() < 0.01, "{worked}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_keeps_what_came_and_says_why() {
    let cut = || Script::sse_head(&[]).chunk(chunk(&json!({ "content": "on" }), None)).close();
    let (a, b) = (upstream(cut()).await, upstream(says(&["two"], 1)).await);
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
    let said = gateway.post("/v1/compare", asks(&["a", "b"]).to_string()).await.json();
    let bad = &said["results"][0];
    assert_eq!((&bad["text"], &bad["error"]["code"]), (&json!("on"), &json!("upstream_cut")));
    assert_eq!((&said["cheapest"], &said["fastest"]), (&json!("b"), &json!("b")));
    let record = gateway.record(bad["request_id"].as_str().unwrap()).await;
    assert_eq!((&record["outcome"], &record["cost"]), (&json!("cut"), &bad["cost"]));
    a.push(cut());
    b.push(says(&["two"], 1));
    let body = json!({ "model": "compare:a+b", "messages": [{ "role": "user", "content": "Hi" }] });
    let said = gateway.post("/v1/chat/completions", body.to_string()).await.json();
    let text = said["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.starts_with("## a\n\non\n\nbroken off: ") && text.ends_with("\n\n## b\n\ntwo"), "{text}");
}

#[tokio::test]
async fn tools_that_are_called_and_fields_that_are_dropped_are_told() {
    let call = json!({ "index": 0, "id": "c1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":" } });
    let more = json!({ "index": 0, "function": { "arguments": "1}" } });
    let events = [
        chunk(&json!({ "tool_calls": [call] }), None),
        chunk(&json!({ "tool_calls": [more] }), None),
        chunk(&json!({}), Some("tool_calls")),
        "data: [DONE]\n\n".to_owned(),
    ];
    let script = || Script::sse(&events.iter().map(String::as_str).collect::<Vec<_>>());
    let (a, b) = (upstream(script()).await, upstream(says(&["two"], 1)).await);
    a.push(script());
    b.push(says(&["two"], 1));
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
    let mut body = json!({
        "models": ["a", "b"], "max_tokens": 9, "top_k": 3, "system": "Be brief",
        "messages": [{ "role": "user", "content": "Hi" }],
        "tools": [{ "name": "look", "input_schema": { "type": "object", "properties": {} } }],
    });
    let said = gateway.post("/v1/compare", body.to_string()).await.json();
    let result = &said["results"][0];
    assert_eq!(result["tool_calls"], json!([{ "name": "look", "arguments": "{\"at\":1}" }]), "{said}");
    assert_eq!((&result["finish_reason"], &result["dropped"]), (&json!("tool_calls"), &json!(["top_k"])));
    body.as_object_mut().unwrap().remove("models");
    body["model"] = "compare:a+b".into();
    let reply = gateway.post("/v1/messages", body.to_string()).await;
    assert_eq!(reply.json()["content"][0]["text"], "## a\n\n`look({\"at\":1})`\n\n## b\n\ntwo");
    assert_eq!(reply.header("x-novastack-dropped"), "top_k");
}

#[tokio::test]
async fn a_silent_comparison_is_kept_alive_and_ends_in_its_dialect() {
    let body = |stream_of: &str, value: Value| {
        let mut body =
            json!({ "stream": true, "max_tokens": 9, "messages": [{ "role": "user", "content": "Hi" }] });
        body[stream_of] = value;
        body.to_string()
    };
    let check = async |path: &str, body: String, alive: &str, end: &str| {
        let gate = Gate::new();
        let (a, b) = (upstream(after(&gate, refuses())).await, upstream(after(&gate, refuses())).await);
        let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 1)]) + "timeouts: { keep_alive: 20ms }\n";
        let gateway = TestGateway::start(&yaml).await;
        let mut stream = gateway.open_stream(path, body).await;
        stream.read_until(alive).await;
        gate.open();
        let rest = stream.read_to_end().await;
        assert!(rest.contains(end) && rest.contains("no poems"), "{rest}");
        assert!(!rest.contains("[DONE]") && !rest.contains("message_stop"), "{rest}");
    };
    check("/v1/compare", body("models", json!(["a", "b"])), ": keep-alive", "event: done").await;
    let together = || json!("compare:a+b");
    check("/v1/chat/completions", body("model", together()), ": keep-alive", "data: {\"error\"").await;
    check("/v1/messages", body("model", together()), "event: ping", "event: error").await;
}

#[tokio::test]
async fn a_conversation_goes_on_after_several_models_have_answered() {
    let (a, b) = (upstream(says(&["one"], 1)).await, upstream(says(&["two"], 1)).await);
    a.push(Script::json(200, &[], chat_reply("more")));
    let gateway = TestGateway::start(&models(&[("a", &a.url(), 1), ("b", &b.url(), 1)])).await;
    let first = json!({ "model": "compare:a+b", "input": "Hi" });
    let first = gateway.post("/v1/responses", first.to_string()).await.json();
    let next = json!({ "model": "a", "input": "Which?", "previous_response_id": first["id"] });
    let reply = gateway.post("/v1/responses", next.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let history = a.requests()[1].json()["messages"].clone();
    assert_eq!(history[1]["content"], "## a\n\none\n\n## b\n\ntwo", "{history}");
}

#[tokio::test]
async fn several_models_are_explained_one_by_one() {
    let (a, b) = (upstream(says(&["one"], 1)).await, upstream(says(&["two"], 1)).await);
    let yaml = models(&[("a", &a.url(), 1), ("b", &b.url(), 2)]) + "fallbacks: { a: b }\n";
    let gateway = TestGateway::start(&yaml).await;
    let explain = async |model: &str, more: Value| {
        let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.post("/v1/route/explain", body.to_string()).await
    };
    let reply = explain("Compare:A+auto:best", json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = reply.json();
    assert_eq!(reply["asked"], "Compare:A+auto:best");
    let plans = reply["plans"].as_array().unwrap();
    assert_eq!((plans.len(), &plans[0]["asked"], &plans[0]["model"]), (2, &json!("A"), &json!("a")));
    assert_eq!(plans[0]["attempts"].as_array().unwrap().len(), 1, "nobody answers in its place");
    assert_eq!(plans[1]["choice"]["mode"], "best");
    // What speaks against one of them stands in its place.
    let image = json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } }] }] });
    let plans = explain("compare:a+b", image).await.json();
    assert_eq!(plans["plans"][1]["error"]["code"], "no_capable_model");
    assert_eq!(explain("compare:a+nobody", json!({})).await.status, 404);
    assert_eq!(explain("compare:a", json!({})).await.status, 400);
    assert_eq!(a.requests().len() + b.requests().len(), 0);
    let admin = gateway
        .admin(
            "POST",
            "/admin/v1/explain",
            json!({ "model": "compare:a+b", "messages": [{ "role": "user", "content": "Hi" }] }),
        )
        .await;
    assert_eq!(admin.json()["plans"].as_array().map(Vec::len), Some(2), "{}", admin.text());
}
