//! What a request did, and what its client says of it.

use nova_testkit::{Gate, Script, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{Reply, TestGateway, chat_reply, hello, hello_stream, provider};

const CHAT: &str = "/v1/chat/completions";

async fn answering(dialect: &str) -> (ScriptedUpstream, TestGateway) {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), dialect)).await;
    (upstream, gateway)
}

/// A key that made none of the requests.
async fn stranger(gateway: &TestGateway) -> String {
    let created = gateway.admin("POST", "/admin/v1/keys", json!({ "name": "other" })).await;
    created.json()["key"].as_str().unwrap().to_owned()
}

async fn generation(gateway: &TestGateway, id: &str) -> Value {
    let reply = gateway.get(&format!("/v1/generation?id={id}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].clone()
}

#[tokio::test]
async fn a_client_may_ask_what_its_request_did_the_moment_it_has_the_answer() {
    let (_upstream, gateway) = answering("chat").await;
    let responses = json!({ "model": "test-model", "input": "Hello" }).to_string();
    let gemini = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }).to_string();
    let check = async |path: &str, body: String, id_field: &str| {
        let reply = gateway.post(path, body).await;
        let request_id = reply.header("x-request-id").to_owned();
        let data = generation(&gateway, &request_id).await;
        let expected = json!({
            "id": request_id, "model": "test-model", "provider_name": "scripted", "streamed": false, "cancelled": false,
            "total_cost": 0.000_027, "tokens_prompt": 7, "tokens_completion": 2, "native_tokens_prompt": 7,
            "native_tokens_completion": 2, "native_tokens_reasoning": 0, "native_tokens_cached": 0,
            "finish_reason": "stop", "native_finish_reason": "stop",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&data[name], value, "{path} {name}");
        }
        let ours = &data["novastack"];
        assert_eq!((&ours["outcome"], &ours["status"]), (&json!("ok"), &json!(200)), "{path}");
        assert_eq!(ours["attempts"], json!([]), "{path}");
        assert!(data["created_at"].as_str().unwrap().ends_with('Z'));
        assert!(data["latency"].as_f64().unwrap() > 0.0);
        // By the id of the answer, where the gateway wrote it.
        let answer = reply.json()[id_field].as_str().unwrap().to_owned();
        if answer == "c1" {
            let reply = gateway.get("/v1/generation?id=c1").await;
            assert_eq!(reply.status, 404);
            assert!(reply.text().contains("x-request-id"), "{}", reply.text());
        } else {
            assert_eq!(generation(&gateway, &answer).await["id"], data["id"], "{path}");
        }
    };
    check(CHAT, hello(), "id").await;
    check("/v1/messages", hello(), "id").await;
    check("/v1/responses", responses, "id").await;
    check("/v1beta/models/test-model:generateContent", gemini, "responseId").await;
}

#[tokio::test]
async fn the_record_of_a_stream_is_there_before_its_last_event_though_the_provider_stays() {
    let gate = Gate::new();
    let chunk = |delta: Value, finish: Value, usage: Value| {
        let choice = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        format!(
            "data: {}\n\n",
            json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choice, "usage": usage })
        )
    };
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 });
    let script = Script::sse_head(&[])
        .chunk(chunk(json!({ "content": "Hi." }), json!(null), json!(null)))
        .chunk(chunk(json!({}), json!("length"), usage))
        .chunk("data: [DONE]\n\n")
        .wait_for(&gate)
        .end_chunks();
    let upstream = ScriptedUpstream::start([script]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let mut stream = gateway.open_stream(CHAT, hello_stream()).await;
    let id = stream.header("x-request-id").to_owned();
    stream.read_until("[DONE]").await;
    let data = generation(&gateway, &id).await;
    assert_eq!((&data["streamed"], &data["tokens_completion"]), (&json!(true), &json!(2)));
    assert_eq!((&data["finish_reason"], &data["novastack"]["outcome"]), (&json!("length"), &json!("ok")));
    gate.open();
    stream.read_to_end().await;
    let sums = gateway.admin("GET", "/admin/v1/usage/summary", json!(null)).await.json();
    assert_eq!(sums["data"][0]["requests"], 1, "recorded once");
}

#[tokio::test]
async fn a_refused_request_has_a_record_too_and_a_strangers_has_none() {
    let (_upstream, gateway) = answering("chat").await;
    let reply = gateway.post(CHAT, hello().replace("test-model", "unknown-model")).await;
    let id = reply.header("x-request-id").to_owned();
    let data = generation(&gateway, &id).await;
    assert_eq!((&data["model"], &data["provider_name"]), (&json!("unknown-model"), &json!(null)));
    assert_eq!(
        (&data["novastack"]["error_code"], &data["total_cost"]),
        (&json!("model_not_found"), &json!(0.0))
    );
    let other = stranger(&gateway).await;
    let theirs = |path: String, body: String, method: &'static str| {
        let (gateway, other) = (&gateway, other.as_str());
        async move { gateway.send(method, &path, body, &[("x-api-key", other)]).await }
    };
    let shown = theirs(format!("/v1/generation?id={id}"), String::new(), "GET").await;
    let unknown = theirs(format!("/v1/generation?id={}", "0".repeat(32)), String::new(), "GET").await;
    assert_eq!((shown.status, unknown.status), (404, 404));
    let without =
        |reply: &Reply, id: &str| reply.text().replace(id, "…").replace(reply.header("x-request-id"), "");
    assert_eq!(without(&shown, &id), without(&unknown, &"0".repeat(32)), "nothing tells them apart");
    let body = json!({ "request_id": id, "metric": "score", "value": 1 }).to_string();
    assert_eq!(theirs("/v1/feedback".to_owned(), body, "POST").await.status, 404);
    assert_eq!(gateway.quality(), json!({}));
}

#[tokio::test]
async fn failures_are_told_in_the_callers_own_shape() {
    let (_upstream, gateway) = answering("chat").await;
    let unknown = format!("/v1/generation?id={}", "0".repeat(32));
    let good = json!({ "request_id": "0".repeat(32), "metric": "score", "value": 1 }).to_string();
    let bad = json!({ "request_id": "0".repeat(32), "metric": "score", "value": 2 }).to_string();
    let two = json!({ "request_id": "a", "generation_id": "a", "metric": "score", "value": 1 }).to_string();
    let cases = [
        ("GET", unknown.as_str(), "", 404, "generation_not_found"),
        ("GET", "/router/v1/generation?id=chatcmpl-9", "", 404, "generation_not_found"),
        ("GET", "/v1/generation", "", 400, "invalid_request"),
        ("DELETE", unknown.as_str(), "", 405, "method_not_allowed"),
        ("POST", "/v1/feedback", good.as_str(), 404, "generation_not_found"),
        ("POST", "/router/v1/feedback", bad.as_str(), 400, "invalid_request"),
        ("POST", "/v1/feedback", two.as_str(), 400, "invalid_request"),
        ("POST", "/v1/feedback", "{", 400, "invalid_request"),
        ("GET", "/v1/feedback", "", 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in cases {
        let key = ("x-api-key", gateway.key.as_str());
        let reply = gateway.send(method, path, body.to_owned(), &[key]).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{method} {path}");
        let messages = [key, ("anthropic-version", "2023-06-01")];
        let reply = gateway.send(method, path, body.to_owned(), &messages).await;
        let kind = if status == 404 { "not_found_error" } else { "invalid_request_error" };
        assert_eq!((reply.status, &reply.json()["type"]), (status, &json!("error")), "{method} {path}");
        assert_eq!(reply.json()["error"]["type"], kind, "{method} {path}");
        if status != 405 {
            let gemini = [("x-goog-api-key", gateway.key.as_str())];
            let reply = gateway.send(method, path, body.to_owned(), &gemini).await;
            assert_eq!(
                (reply.status, &reply.json()["error"]["code"]),
                (status, &json!(status)),
                "{method} {path}"
            );
        }
    }
    for path in ["/v1/generation?id=a", "/v1/feedback"] {
        let method = if path.ends_with("feedback") { "POST" } else { "GET" };
        assert_eq!(gateway.send(method, path, String::new(), &[]).await.status, 401);
    }
}

#[tokio::test]
async fn the_last_word_on_an_answer_is_kept_shown_and_learnt_from_once() {
    let (_upstream, gateway) = answering("chat").await;
    let id = gateway.post(CHAT, hello()).await.header("x-request-id").to_owned();
    let say = async |body: Value| {
        let mut said = json!({ "request_id": id });
        said.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let reply = gateway.post("/v1/feedback", said.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["data"].clone()
    };
    let first = say(json!({ "metric": "thumbs", "value": "down", "comment": "too long" })).await;
    let kept = json!({ "request_id": id, "metric": "thumbs", "value": 0.0, "comment": "too long", "replaced": false });
    assert_eq!(first, kept);
    assert_eq!(say(json!({ "metric": "thumbs", "value": false })).await["replaced"], true);
    assert_eq!(say(json!({ "metric": "thumbs", "value": true })).await["value"], 1.0);
    say(json!({ "metric": "score", "value": 0.75 })).await;
    say(json!({ "metric": "score", "value": "only words now" })).await;
    let shown = generation(&gateway, &id).await["novastack"]["feedback"].clone();
    let shown: Vec<_> =
        shown.as_array().unwrap().iter().map(|it| (&it["metric"], &it["value"], &it["comment"])).collect();
    let (score, thumbs) = (json!("score"), json!("thumbs"));
    let (null, one, words) = (json!(null), json!(1.0), json!("only words now"));
    assert_eq!(shown, [(&score, &null, &words), (&thumbs, &one, &null)]);
    // Thumbs down became thumbs up, and a score of three quarters came beside it.
    let quality = gateway.quality();
    let weights = &quality["test-model"]["other"];
    let near = |at: usize, is: f64| (weights[at].as_f64().unwrap() - is).abs() < 0.01;
    assert!(near(0, 1.75) && near(1, 0.25), "{quality}");
}

#[tokio::test]
async fn metrics_of_the_configuration_have_their_own_scale() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let yaml = provider(&upstream.url(), "chat");
    let gateway = TestGateway::start(&yaml).await;
    let id = gateway.post(CHAT, hello()).await.header("x-request-id").to_owned();
    let stars = json!({ "generation_id": format!("gen-{id}"), "metric": "stars", "value": 4 }).to_string();
    let refused = gateway.post("/v1/feedback", stars.clone()).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("metric")));
    gateway
        .reload(&format!("{yaml}feedback: {{ metrics: {{ stars: {{ worst: 1, best: 5 }} }} }}\n"))
        .unwrap();
    let kept = gateway.post("/v1/feedback", stars).await;
    assert_eq!((kept.status, &kept.json()["data"]["value"]), (200, &json!(0.75)), "{}", kept.text());
    let quality = gateway.quality();
    let worked = quality["test-model"]["other"][0].as_f64().unwrap();
    assert!((worked - 0.75).abs() < 0.01, "{quality}");
}

#[tokio::test]
async fn an_operator_goes_back_to_an_earlier_version_of_what_was_learnt() {
    let (_upstream, gateway) = answering("chat").await;
    let versions =
        async || gateway.admin("GET", "/admin/v1/quality", json!(null)).await.json()["data"].clone();
    assert_eq!(versions().await, json!([]));
    let first = json!({ "test-model": { "code": [3.0, 1.0] } });
    for data in [&first, &json!({})] {
        gateway.save_quality(&data.to_string()).await;
    }
    assert_eq!(gateway.quality(), json!({}), "what an instance saved itself is not restored");
    let back = async |version: Value| {
        gateway.admin("POST", "/admin/v1/quality/rollback", json!({ "version": version })).await
    };
    let reply = back(json!(1)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let active: Vec<_> =
        reply.json()["data"].as_array().unwrap().iter().map(|it| it["active"].clone()).collect();
    assert_eq!(active, [json!(false), json!(true)], "the newest first");
    assert_eq!(gateway.quality(), first);
    assert_eq!(back(json!(0)).await.status, 200);
    assert_eq!(gateway.quality(), json!({}));
    assert_eq!(back(json!(9)).await.status, 404);
    assert_eq!(back(json!("x")).await.status, 400);
    assert_eq!(gateway.quality(), json!({}));
    assert_eq!(gateway.get("/admin/v1/quality").await.status, 403);
}

#[tokio::test]
async fn what_a_client_tells_one_instance_all_of_them_learn_once() {
    let (upstream, one) = answering("chat").await;
    let id = one.post(CHAT, hello()).await.header("x-request-id").to_owned();
    let other = one.start_beside(&provider(&upstream.url(), "chat")).await;
    let say = async |gateway: &TestGateway, value: f64| {
        let said = json!({ "request_id": id, "metric": "score", "value": value });
        let reply = gateway.post("/v1/feedback", said.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    let learnt = async |worked: f64, failed: f64| {
        for gateway in [&one, &other] {
            // Once more changes nothing.
            gateway.hear_others().await;
            gateway.hear_others().await;
            let evidence = gateway.quality()["test-model"]["other"].clone();
            assert_eq!(evidence, json!([worked, failed]));
        }
    };
    say(&one, 0.25).await;
    learnt(0.25, 0.75).await;
    // The last word wins, wherever it was said.
    say(&other, 1.0).await;
    learnt(1.0, 0.0).await;
    say(&one, 0.5).await;
    learnt(0.5, 0.5).await;
}
