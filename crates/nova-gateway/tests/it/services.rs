//! Services that are passed on: embeddings, completions, reranking, moderations, images, audio.

use nova_testkit::{Script, ScriptedUpstream};
use serde_json::json;

use crate::harness::{TestGateway, provider, two_providers};

const ALL: [&str; 7] = [
    "embeddings",
    "completions",
    "rerank",
    "moderations",
    "images/generations",
    "images/edits",
    "audio/speech",
];

fn embedding() -> String {
    let usage = json!({ "prompt_tokens": 5, "total_tokens": 5 });
    json!({ "object": "list", "model": "upstream-model", "data": [{ "embedding": [0.5] }], "usage": usage })
        .to_string()
}

#[tokio::test]
async fn every_service_reaches_the_same_path_and_only_the_model_changes() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], embedding())).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for service in ALL {
        let body = r#"{ "model" : "test-model" , "input":"Hi", "unknown":[1, 2.50] }"#;
        for prefix in ["/v1", "/router/v1"] {
            let reply = gateway.post(&format!("{prefix}/{service}"), body).await;
            assert_eq!((reply.status, reply.text_ref()), (200, embedding().as_str()), "{service}");
            assert_eq!(reply.header("x-novastack-provider"), "scripted");
            let sent = upstream.requests().pop().unwrap();
            assert_eq!(sent.path, format!("/v1/{service}"));
            assert_eq!(sent.text(), body.replace("test-model", "upstream-model"));
            assert_eq!(sent.header("authorization"), Some("Bearer provider-secret"));
            assert_eq!(sent.header("content-type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn tokens_are_recorded_and_paid_once_even_without_output() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], embedding())).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let reply = gateway.post("/v1/embeddings", r#"{"model":"test-model","input":"Hi"}"#).await;
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!((&record["path"], &record["outcome"]), (&json!("/embeddings"), &json!("ok")));
    assert_eq!((&record["usage"]["input"], &record["estimated"]), (&json!(5), &json!(false)), "{record}");
    assert_eq!(gateway.cost_nanos(&record), 5_000);
}

#[tokio::test]
async fn a_form_keeps_its_bytes_around_the_model() {
    let answer = json!({ "text": "Hello.", "usage": { "input_tokens": 14, "output_tokens": 3 } }).to_string();
    let upstream = ScriptedUpstream::answering(move |_| Script::json(200, &[], &answer)).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let mut form =
        b"--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n".to_vec();
    form.extend((0..=255).cycle().take(4000).collect::<Vec<u8>>());
    form.extend(
        b"\r\n--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntest-model\r\n--b1--\r\n",
    );
    let kind = "multipart/form-data; boundary=b1";
    let headers = [("x-api-key", gateway.key.as_str()), ("content-type", kind)];
    for service in ["audio/transcriptions", "audio/translations", "images/edits"] {
        let reply = gateway.send("POST", &format!("/v1/{service}"), form.clone(), &headers).await;
        assert_eq!((reply.status, &reply.json()["text"]), (200, &json!("Hello.")));
        let sent = upstream.requests().pop().unwrap();
        assert_eq!(sent.header("content-type"), Some(kind));
        assert_eq!(sent.body.len(), form.len() + "upstream-model".len() - "test-model".len());
        assert_eq!(sent.body[..3000], form[..3000]);
        let record = gateway.record(reply.header("x-request-id")).await;
        assert_eq!((&record["usage"]["input"], &record["usage"]["output"]), (&json!(14), &json!(3)));
    }
}

#[tokio::test]
async fn sound_and_events_flow_through_as_they_come() {
    let events = [
        r#"{"choices":[{"text":"Hel"}]}"#,
        r#"{"choices":[{"text":"lo"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}"#,
        "[DONE]",
    ];
    let lines = events.map(|event| format!("data: {event}\n\n"));
    let upstream = ScriptedUpstream::start([Script::sse(&lines.each_ref().map(String::as_str))]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body = r#"{"model":"test-model","prompt":"Hi","stream":true}"#;
    let stream = gateway.open_stream("/v1/completions", body.to_owned()).await;
    assert!(stream.header("content-type").starts_with("text/event-stream"));
    let id = stream.header("x-request-id").to_owned();
    let text = stream.read_to_end().await;
    assert!(events.iter().all(|event| text.contains(event)), "{text}");
    let record = gateway.record(&id).await;
    assert_eq!((&record["usage"]["output"], &record["stream"]), (&json!(2), &json!(true)), "{record}");

    upstream.push(Script::body(200, "audio/mpeg", &[], "ID3 sound"));
    let reply = gateway.post("/v1/audio/speech", r#"{"model":"test-model","input":"Hi","voice":"a"}"#).await;
    assert_eq!((reply.header("content-type"), reply.text_ref()), ("audio/mpeg", "ID3 sound"));
    let record = gateway.record(reply.header("x-request-id")).await;
    assert_eq!((&record["path"], &record["estimated"]), (&json!("/audio/speech"), &json!(true)));
}

#[tokio::test]
async fn the_next_deployment_of_the_same_model_is_asked() {
    let first = ScriptedUpstream::answering(|_| Script::json(404, &[], "{}")).await;
    let second = ScriptedUpstream::answering(|_| Script::json(200, &[], embedding())).await;
    let gateway = TestGateway::start(&two_providers(&first.url(), &second.url())).await;
    let reply = gateway.post("/v1/embeddings", r#"{"model":"test-model","input":"Hi"}"#).await;
    assert_eq!((reply.status, reply.header("x-novastack-provider")), (200, "second"), "{}", reply.text());
    assert_eq!(reply.header("x-novastack-attempts"), "2");
}

#[tokio::test]
async fn what_nobody_serves_is_said_clearly() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(404, &[], "{}")).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let check = async |gateway: &TestGateway, body: &str, status: u16, words: &str| {
        let reply = gateway.post("/v1/embeddings", body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{message}");
    };
    let body = r#"{"model":"test-model","input":"Hi"}"#;
    check(&gateway, body, 404, "`scripted` does not serve `/v1/embeddings`").await;
    check(&gateway, r#"{"model":"nothing","input":"Hi"}"#, 404, "no model `nothing`").await;
    check(&gateway, r#"{"input":"Hi"}"#, 400, "`model` is missing").await;
    let asked = upstream.requests().len();
    assert_eq!(gateway.send("POST", "/v1/embeddings", body, &[]).await.status, 401);
    assert_eq!(gateway.get("/v1/embeddings").await.status, 405);
    let other = TestGateway::start(&provider(&upstream.url(), "messages")).await;
    check(&other, body, 404, "no provider of model `test-model` serves `/v1/embeddings`").await;
    assert_eq!(upstream.requests().len(), asked);
}

#[tokio::test]
async fn a_provider_that_is_known_to_lack_a_service_is_never_asked() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], embedding())).await;
    let knows =
        provider(&upstream.url(), "chat").replace("    endpoints:", "    services: [rerank]\n    endpoints:");
    assert!(knows.contains("services:"), "{knows}");
    let gateway = TestGateway::start(&knows).await;
    let body = r#"{"model":"test-model","input":"Hi"}"#;
    assert_eq!(gateway.post("/v1/rerank", body).await.status, 200);
    let check = async |service: &str, body: &str, words: &[&str]| {
        let reply = gateway.post(&format!("/v1/{service}"), body).await;
        assert_eq!(reply.status, 404, "{}", reply.text());
        let error = reply.json()["error"].clone();
        assert_eq!((&error["param"], &error["type"]), (&json!("model"), &json!("invalid_request_error")));
        let message = error["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let lacks = "no provider of model `test-model` serves `/v1/embeddings`";
    check("embeddings", body, &[lacks, "hint: `dashscope`, `dashscope-cn`, `zhipu`, `openai`, "]).await;
    check("moderations", r#"{"input":"Hi"}"#, &["no model `omni-moderation-latest`", "`mistral`"]).await;
    let other = r#"{"model":"a-rare-name","query":"Hi"}"#;
    // Of the providers in use, one has it.
    check("rerank", other, &["no model `a-rare-name`", "hint: `scripted` has it: add the model"]).await;
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_client_that_leaves_settles_its_request() {
    let script = Script::sse_head(&[]).chunk("data: {\"choices\":[{\"text\":\"Hel\"}]}\n\n").stall();
    let upstream = ScriptedUpstream::start([script]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body = r#"{"model":"test-model","prompt":"Hi","stream":true}"#;
    let mut stream = gateway.open_stream("/v1/completions", body.to_owned()).await;
    stream.read_until("Hel").await;
    let id = stream.header("x-request-id").to_owned();
    drop(stream);
    upstream.wait_for_departures(1).await;
    assert_eq!(gateway.record(&id).await["outcome"], "client_gone");
}
