//! The clouds, by the catalogue's own rows: which path, which headers, which body, and what comes back.

use hmac::{Hmac, KeyInit as _, Mac as _};
use nova_testkit::{RecordedRequest, Script, ScriptedUpstream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::harness::{TestGateway, chat_reply, messages_reply};

fn ask(model: &str, stream: bool) -> String {
    json!({
        "model": model, "stream": stream, "max_tokens": 50,
        "messages": [{ "role": "user", "content": "Hello" }],
    })
    .to_string()
}

fn converse_reply(text: &str) -> String {
    json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": text }] } },
        "stopReason": "end_turn",
        "usage": { "inputTokens": 7, "outputTokens": 2, "totalTokens": 9 },
    })
    .to_string()
}

/// A frame of AWS's event stream.
fn frame(event: &str, payload: &Value) -> Vec<u8> {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let (mut headers, payload) = (Vec::new(), payload.to_string());
    for (name, value) in [(":event-type", event), (":message-type", "event")] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + headers.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
    frame
}

fn frames(frames: &[Vec<u8>]) -> Script {
    Script::body(200, "application/vnd.amazon.eventstream", &[], frames.concat())
}

fn bedrock(url: &str) -> String {
    format!(
        "providers:
  bedrock:
    base_url: \"{url}\"
    parameters: {{ region: eu-west-1 }}
credentials:
  bedrock:
    - access_key_id: AKIDEXAMPLE
      secret_access_key: \"${{SCRIPTED_KEY}}\"
      session_token: session-token
"
    )
}

/// Signature Version 4 of what arrived, by the algorithm as AWS writes it down, apart from its library.
fn signature(request: &RecordedRequest, secret: &str, region: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sign = |key: &[u8], text: &str| -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let date = request.header("x-amz-date").unwrap();
    let scope = format!("{}/{region}/bedrock/aws4_request", &date[..8]);
    let signed = ["host", "x-amz-date", "x-amz-security-token"];
    let headers: String =
        signed.iter().map(|name| format!("{name}:{}\n", request.header(name).unwrap())).collect();
    let canonical = format!(
        "POST\n{}\n\n{headers}\n{}\n{}",
        request.path.replace('%', "%25"),
        signed.join(";"),
        hex(&Sha256::digest(&request.body))
    );
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let start = format!("AWS4{secret}").into_bytes();
    let key =
        [&date[..8], region, "bedrock", "aws4_request"].iter().fold(start, |key, part| sign(&key, part));
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={}, Signature={}",
        signed.join(";"),
        hex(&sign(&key, &text))
    )
}

#[tokio::test]
async fn bedrock_is_asked_in_converse_and_every_request_is_signed() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], converse_reply("Hi."))).await;
    let gateway = TestGateway::start(&bedrock(&upstream.url())).await;
    let reply = gateway.post("/v1/chat/completions", ask("nova-pro", false)).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hi.");
    let request = &upstream.requests()[0];
    assert_eq!(request.path, "/model/us.amazon.nova-pro-v1%3A0/converse");
    assert_eq!(request.header("authorization").unwrap(), signature(request, "provider-secret", "eu-west-1"));
    assert_eq!(request.header("x-amz-security-token"), Some("session-token"));
    assert_eq!(
        request.json(),
        json!({
            "messages": [{ "role": "user", "content": [{ "text": "Hello" }] }],
            "inferenceConfig": { "maxTokens": 50 },
        })
    );
}

#[tokio::test]
async fn a_stream_of_converse_reaches_a_client_of_messages() {
    let events = [
        frame("messageStart", &json!({ "role": "assistant" })),
        frame("contentBlockDelta", &json!({ "contentBlockIndex": 0, "delta": { "text": "Hi." } })),
        frame("contentBlockStop", &json!({ "contentBlockIndex": 0 })),
        frame("messageStop", &json!({ "stopReason": "end_turn" })),
        frame("metadata", &json!({ "usage": { "inputTokens": 7, "outputTokens": 2 } })),
    ];
    let upstream = ScriptedUpstream::answering(move |_| frames(&events)).await;
    let gateway = TestGateway::start(&bedrock(&upstream.url())).await;
    let reply = gateway.post("/v1/messages", ask("nova-pro", true)).await;
    assert!(reply.text().contains("\"text\":\"Hi.\""), "{}", reply.text());
    assert!(reply.text().contains("event: message_stop"), "{}", reply.text());
    let request = &upstream.requests()[0];
    assert_eq!(request.path, "/model/us.amazon.nova-pro-v1%3A0/converse-stream");
    assert_eq!(request.json().get("stream"), None);
}

#[tokio::test]
async fn claude_on_bedrock_is_asked_in_its_own_schema() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], messages_reply("Hi."))).await;
    // A key of Bedrock's own is a bearer.
    let yaml = bedrock(&upstream.url());
    let (before, _) = yaml.split_once("    - access_key_id").unwrap();
    let gateway = TestGateway::start(&format!("{before}    - key: \"${{SCRIPTED_KEY}}\"\n")).await;
    let reply = gateway.post("/v1/messages", ask("claude-haiku-5-5", false)).await;
    assert_eq!(reply.json()["content"][0]["text"], "Hi.");
    let request = &upstream.requests()[0];
    assert_eq!(request.path, "/model/global.anthropic.claude-haiku-5-5/invoke");
    assert_eq!(request.header("authorization"), Some("Bearer provider-secret"));
    assert_eq!(
        request.json(),
        json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 50,
            "messages": [{ "role": "user", "content": "Hello" }],
        })
    );
    gateway.post("/v1/chat/completions", ask("claude-haiku-5-5", true)).await;
    let request = &upstream.requests()[1];
    assert_eq!(request.path, "/model/global.anthropic.claude-haiku-5-5/invoke-with-response-stream");
    let body = request.json();
    assert_eq!((body.get("model"), body.get("stream")), (None, None));
    assert_eq!(body["anthropic_version"], "bedrock-2023-05-31");
}

#[tokio::test]
async fn azure_has_two_paths_and_a_header_of_its_own() {
    let upstream = ScriptedUpstream::answering(|_| Script::json(200, &[], chat_reply("Hi."))).await;
    let url = upstream.url();
    let gateway = TestGateway::start(&format!(
        "providers:
  azure: {{ base_url: \"{url}\" }}
  azure-deployments: {{ base_url: \"{url}\", parameters: {{ api_version: 2025-01-01 }} }}
models:
  house: {{ offers: [{{ provider: azure-deployments, model: house-gpt }}] }}
credentials:
  azure: [{{ key: \"${{SCRIPTED_KEY}}\" }}]
  azure-deployments: [{{ key: \"${{SCRIPTED_KEY}}\" }}]
"
    ))
    .await;
    for model in ["gpt-5.5", "house"] {
        let reply = gateway.post("/v1/chat/completions", ask(model, false)).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hi.", "{model}");
    }
    let requests = upstream.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/openai/v1/chat/completions",
            "/openai/deployments/house-gpt/chat/completions?api-version=2025-01-01"
        ]
    );
    for request in &requests {
        assert_eq!(request.header("api-key"), Some("provider-secret"));
        assert_eq!(request.header("authorization"), None);
    }
    assert_eq!(requests[0].json()["model"], "gpt-5.5");
}

#[tokio::test]
async fn vertex_serves_gemini_and_claude_each_in_its_own_schema() {
    let answer = |request: &RecordedRequest| {
        if request.path.contains("/anthropic/") {
            return Script::json(200, &[], messages_reply("Hi."));
        }
        let content = json!({ "role": "model", "parts": [{ "text": "Hi." }] });
        let candidates = json!([{ "content": content, "finishReason": "STOP" }]);
        Script::json(200, &[], json!({ "candidates": candidates }).to_string())
    };
    let upstream = ScriptedUpstream::answering(answer).await;
    let gateway = TestGateway::start(&format!(
        "providers:
  vertex:
    base_url: \"{}/v1/projects/{{project}}/locations/{{location}}\"
    parameters: {{ project: p-1, location: us-east5 }}
credentials:
  vertex: [{{ key: \"${{SCRIPTED_KEY}}\" }}]
",
        upstream.url()
    ))
    .await;
    for model in ["gemini-3.8-flash", "claude-sonnet-5"] {
        let reply = gateway.post("/v1/chat/completions", ask(model, false)).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hi.", "{model}");
    }
    let requests = upstream.requests();
    let place = "/v1/projects/p-1/locations/us-east5/publishers";
    assert_eq!(requests[0].path, format!("{place}/google/models/gemini-3.8-flash:generateContent"));
    assert_eq!(requests[1].path, format!("{place}/anthropic/models/claude-sonnet-5:rawPredict"));
    let body = requests[1].json();
    assert_eq!((&body["anthropic_version"], body.get("model")), (&json!("vertex-2023-10-16"), None));
    assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer provider-secret")));
}
