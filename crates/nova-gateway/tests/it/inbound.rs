//! What stands around a request: its path, its key, its encoding.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use nova_testkit::{Script, ScriptedUpstream};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;

use crate::harness::{TestGateway, chat_reply, hello, provider};

fn packed(encoding: &str, text: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        "deflate" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        _ => compress_to_vec(text, CompressionLevel::Fastest),
    }
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_before_they_are_read() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    for path in ["/v1/chat/completions", "/router/v1/messages"] {
        for encoding in ["gzip", "deflate", "zstd"] {
            let headers = [("x-api-key", gateway.key.as_str()), ("content-encoding", encoding)];
            let reply = gateway.send("POST", path, packed(encoding, hello().as_bytes()), &headers).await;
            assert_eq!(reply.status, 200, "{encoding}: {}", reply.text());
        }
    }
    for request in upstream.requests() {
        assert_eq!(request.json()["model"], "upstream-model");
        assert_eq!(request.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn a_bomb_is_a_413_and_an_unknown_encoding_a_400() {
    let upstream = ScriptedUpstream::start([]).await;
    let yaml = format!("{}limits:\n  body_bytes: 64KiB\n", provider(&upstream.url(), "chat"));
    let gateway = TestGateway::start(&yaml).await;
    for encoding in ["gzip", "deflate", "zstd"] {
        let headers = [("x-api-key", gateway.key.as_str()), ("content-encoding", encoding)];
        let bomb = packed(encoding, &vec![b' '; 8 << 20]);
        let reply = gateway.send("POST", "/v1/messages", bomb, &headers).await;
        assert_eq!(reply.status, 413, "{encoding}: {}", reply.text());
        let reply = gateway.send("POST", "/v1/messages", hello(), &headers).await;
        assert_eq!(reply.status, 400, "{encoding}: {}", reply.text());
    }
    let headers = [("content-encoding", "br")];
    let reply = gateway.post_with("/v1/chat/completions", hello(), &headers).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (400, &json!("request_body_encoding_unsupported"))
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_gemini_path_names_the_model_and_its_query_may_hold_the_key() {
    let upstream = ScriptedUpstream::start([]).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body = || json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }).to_string();
    for prefix in ["/v1beta", "/v1", "/router/v1beta", "/router/v1"] {
        let path = format!("{prefix}/models/no%2Fsuch:generateContent");
        let reply = gateway.send("POST", &path, body(), &[]).await;
        assert_eq!(reply.status, 401, "{path}: {}", reply.text());
        let reply = gateway.send("POST", &format!("{path}?key={}", gateway.key), body(), &[]).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        assert!(reply.text().contains("`no/such`"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_body_is_answered_in_its_own_schema_on_the_other_path() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let messages = hello().replace("\"messages\"", "\"system\":\"Be brief.\",\"messages\"");
    let reply = gateway.post("/v1/chat/completions", messages).await;
    assert_eq!((reply.status, reply.header("x-novastack-dialect")), (200, "messages"), "{}", reply.text());
    assert_eq!(reply.json()["content"][0]["text"], "Hi.");
    assert_eq!(upstream.requests()[0].json()["messages"][0]["role"], "system");

    let chat = hello().replace("\"messages\"", "\"stop\":\"x\",\"messages\"");
    let reply = gateway.post("/v1/messages", chat).await;
    assert_eq!((reply.status, reply.header("x-novastack-dialect")), (200, "chat"), "{}", reply.text());
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hi.");

    let unknown = hello().replace("\"max_tokens\"", "\"system\":\"Be brief.\",\"max_tokens\"");
    let reply = gateway.post("/v1/chat/completions", unknown.replace("test-model", "nothing")).await;
    assert_eq!((reply.status, reply.header("x-novastack-dialect")), (404, "messages"));
    assert_eq!(reply.json()["type"], "error", "errors speak the recognised dialect, too");

    let reply = gateway.post("/v1/chat/completions", hello()).await;
    assert_eq!((reply.status, reply.header("x-novastack-dialect")), (200, ""));
}

const GEMINI: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Hello"}]}]}"#;

#[tokio::test]
async fn gemini_is_answered_whole_in_events_and_in_an_array() {
    let stream = [
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi."}}]}"#,
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ]
    .map(|event| format!("data: {event}\n\n"));
    let upstream = ScriptedUpstream::answering(move |request| {
        if request.json()["stream"] == true {
            Script::sse(&stream.each_ref().map(String::as_str))
        } else {
            Script::json(200, &[], chat_reply("Hi."))
        }
    })
    .await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let text = |body: &serde_json::Value| body["candidates"][0]["content"]["parts"][0]["text"].clone();
    for prefix in ["/v1beta", "/router/v1"] {
        let model = format!("{prefix}/models/test-model");
        let reply = gateway.post(&format!("{model}:generateContent"), GEMINI).await;
        assert_eq!((reply.status, text(&reply.json())), (200, json!("Hi.")), "{}", reply.text());
        let reply = gateway.post(&format!("{model}:streamGenerateContent"), GEMINI).await;
        assert_eq!((reply.status, text(&reply.json()[0])), (200, json!("Hi.")), "{}", reply.text());
        let path = format!("{model}:streamGenerateContent?alt=sse&key={}", gateway.key);
        let reply = gateway.send("POST", &path, GEMINI, &[]).await;
        assert!(reply.header("content-type").starts_with("text/event-stream"));
        assert!(reply.text().starts_with("data: {") && reply.text().contains("Hi."), "{}", reply.text());
        let reply = gateway.post(&format!("{prefix}/models/nothing:streamGenerateContent"), GEMINI).await;
        assert_eq!((reply.status, &reply.json()[0]["error"]["code"]), (404, &json!(404)), "{}", reply.text());
    }
}

#[tokio::test]
async fn responses_are_answered_on_both_prefixes_and_on_the_chat_path() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    let body = json!({ "model": "test-model", "input": "Hello" }).to_string();
    for path in ["/v1/responses", "/router/v1/responses", "/v1/chat/completions"] {
        let reply = gateway.post(path, body.clone()).await;
        assert_eq!((reply.status, &reply.json()["object"]), (200, &json!("response")), "{}", reply.text());
        assert_eq!(reply.json()["output"][0]["content"][0]["text"], "Hi.");
    }
}

#[tokio::test]
async fn providers_are_told_that_a_body_is_json() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let gateway = TestGateway::start(&provider(&upstream.url(), "chat")).await;
    assert_eq!(gateway.post("/v1/chat/completions", hello()).await.status, 200);
    assert_eq!(upstream.requests()[0].header("content-type"), Some("application/json"));
}
