//! Bedrock: Converse and the events of InvokeModel, as they were recorded, to every client.

use std::path::Path;

use nova_wire::{Dialect, ErrorClass, Finish, Quirks, translate};
use serde_json::Value;

use crate::grammar::said;
use crate::support::{DIALECTS, Relayed, context, relay_any_way, shared};

/// A frame of AWS's event stream with this event, in the form that it has on the wire.
pub(crate) fn frame(event: &str, payload: &str) -> Vec<u8> {
    framed([(":event-type", event), (":message-type", "event")], payload)
}

pub(crate) fn framed(named: [(&str, &str); 2], payload: &str) -> Vec<u8> {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut headers = Vec::new();
    for (name, value) in named {
        headers.push(u8::try_from(name.len()).expect("a short frame"));
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("a short frame").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + headers.len() + payload.len()).expect("a short frame");
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).expect("a short frame").to_be_bytes());
    frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
    frame
}

/// The rows of the index that are Bedrock's own: file, API, status, features.
fn rows(folder: &Path) -> Vec<(String, String, u16, String)> {
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).expect("an index");
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let rows = index.lines().map(cells).filter(|row| matches!(row[2].as_str(), "converse" | "invoke"));
    rows.map(|row| (row[0].clone(), row[2].clone(), row[8].parse().expect("a status"), row[4].clone()))
        .collect()
}

/// The bytes of a recorded stream; where only the events were kept, in frames again.
fn stream(folder: &Path, file: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(folder.join(file)).expect("a recording");
    if file.ends_with(".bin") {
        return Some(bytes);
    }
    if !file.ends_with(".chunks.txt") {
        return None;
    }
    let mut frames = Vec::new();
    for line in String::from_utf8(bytes).expect("text").lines().filter(|line| !line.trim().is_empty()) {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let (name, payload) = event.as_object().and_then(|event| event.iter().next()).expect("an event");
        frames.extend(frame(name, &payload.to_string()));
    }
    Some(frames)
}

/// Relays a stream to every client, who must all be told the same.
fn to_everybody(upstream: Dialect, quirks: &Quirks, stream: &[u8], file: &str) -> Relayed {
    let mut relayed: Vec<(Dialect, Relayed)> = DIALECTS
        .map(|client| (client, relay_any_way(&context(client, upstream, quirks), stream, file)))
        .into();
    let (_, first) = relayed.remove(0);
    for (client, other) in &relayed {
        assert_eq!((&other.meter, &other.error), (&first.meter, &first.error), "{file} to {client}");
        if first.error.is_none() {
            let (one, another) = (said(Dialect::Chat, &first.text, file), said(*client, &other.text, file));
            assert_eq!(another.text, one.text, "{file} to {client}");
            assert_eq!(another.calls.len(), one.calls.len(), "{file} to {client}");
        }
    }
    first
}

fn invoke() -> Quirks {
    Quirks { event_stream: Some(true), ..Quirks::default() }
}

#[test]
fn every_recorded_stream_reaches_every_client() {
    let Some(folder) = shared("fixtures") else { return };
    let mut whole = 0;
    for (file, api, _, features) in rows(&folder) {
        let Some(stream) = stream(&folder, &file) else { continue };
        let (upstream, quirks) = match api.as_str() {
            "invoke" => (Dialect::Messages, invoke()),
            _ => (Dialect::Converse, Quirks::default()),
        };
        let relayed = to_everybody(upstream, &quirks, &stream, &file);
        if file.contains("broken") {
            let error = relayed.error.expect("a failure");
            assert_eq!(error.class, ErrorClass::Garbage, "{file}");
            continue;
        }
        // Amazon's own models answer InvokeModel in a schema of theirs, which nobody speaks.
        if file.contains("detect-bedrock-invoke") {
            assert_eq!(relayed.error.expect("a failure").class, ErrorClass::Cut);
            continue;
        }
        assert_eq!(relayed.error, None, "{file}");
        assert_eq!(relayed.meter.bad_events, 0, "{file}");
        assert!(
            relayed.meter.usage.is_some_and(|usage| usage.output > 0 || file.contains("guardrail")),
            "{file}"
        );
        let finish = relayed.meter.finish.expect("an end");
        let expected = [
            ("finish=tool_use", Finish::ToolCalls),
            ("finish=guardrail_intervened", Finish::Filter),
            ("finish=end_turn", Finish::Stop),
            ("finish=max_tokens", Finish::Length),
        ];
        for (feature, expected) in expected.iter().filter(|(feature, _)| features.contains(feature)) {
            assert_eq!(finish, *expected, "{file}: {feature}");
        }
        whole += 1;
    }
    assert!(whole >= 12, "{whole}");
}

#[test]
fn every_recorded_answer_reaches_every_client() {
    let Some(folder) = shared("fixtures") else { return };
    let (mut whole, mut failed) = (0, 0);
    for (file, api, status, _) in rows(&folder) {
        if !file.ends_with(".json") {
            continue;
        }
        let body = std::fs::read(folder.join(&file)).expect("a recording");
        if status != 200 {
            let error = nova_wire::error::classify(Dialect::Converse, status, |_| None, &body);
            let expected = if file.contains("model-id") { ErrorClass::Model } else { ErrorClass::BadRequest };
            assert_eq!(error.class, expected, "{file}: {error}");
            failed += 1;
            continue;
        }
        let upstream = if api == "invoke" { Dialect::Messages } else { Dialect::Converse };
        // The older schemas of InvokeModel are not spoken.
        let foreign = file.contains("cohere") || file.contains("anthropic-2-completion");
        for client in DIALECTS {
            let reply = translate::reply(&context(client, upstream, &Quirks::default()), &body);
            assert_eq!(reply.is_err(), foreign, "{file} to {client}: {reply:?}");
            if let Ok(reply) = reply {
                check_answer(&file, &body, &reply);
                whole += 1;
            }
        }
    }
    assert!(whole >= 60 && failed >= 4, "{whole} {failed}");
}

/// All text, the usage and the reason for the end are there.
fn check_answer(file: &str, body: &[u8], reply: &nova_wire::Reply) {
    let (answer, out) = (
        serde_json::from_slice::<Value>(body).expect("JSON"),
        serde_json::from_slice::<Value>(&reply.body).expect("JSON").to_string(),
    );
    let blocks = answer.pointer("/output/message/content").or_else(|| answer.get("content"));
    for block in blocks.and_then(Value::as_array).into_iter().flatten() {
        if let Some(text) = block["text"].as_str() {
            let quoted = Value::from(text).to_string();
            assert!(out.contains(quoted.trim_matches('"')), "{file}: {text:?} is lost in {out}");
        }
    }
    let total = answer.pointer("/usage/totalTokens").and_then(Value::as_u64);
    if let Some(total) = total {
        assert_eq!(reply.meter.usage.map(|usage| usage.total()), Some(total), "{file}");
    }
    assert_eq!(reply.meter.usage.is_some(), answer.get("usage").is_some(), "{file}");
    assert!(reply.meter.finish.is_some(), "{file}");
}

#[test]
fn a_stream_is_read_frame_by_frame() {
    let check = |events: &[(&str, &str)], expected: Result<(&str, &str), ErrorClass>| {
        let stream: Vec<u8> = events.iter().flat_map(|(event, payload)| frame(event, payload)).collect();
        let relayed = to_everybody(Dialect::Converse, &Quirks::default(), &stream, "frames");
        match expected {
            Ok((text, stop)) => {
                assert_eq!(relayed.error, None);
                let said = said(Dialect::Chat, &relayed.text, "frames");
                assert_eq!((said.text.as_str(), said.stop.as_str()), (text, stop));
                assert_eq!((said.prompt, said.output), (5, 2));
            }
            Err(class) => assert_eq!(relayed.error.expect("a failure").class, class),
        }
    };
    let start = ("messageStart", r#"{"role":"assistant","p":"ab"}"#);
    let text = ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#);
    let stop = ("contentBlockStop", r#"{"contentBlockIndex":0}"#);
    let end = ("messageStop", r#"{"stopReason":"end_turn"}"#);
    let usage = ("metadata", r#"{"usage":{"inputTokens":3,"cacheReadInputTokens":2,"outputTokens":2}}"#);
    // A block that nobody announced, and usage behind the stop.
    check(&[start, text, stop, end, usage], Ok(("Hi", "stop")));
    check(&[start, text, stop, usage, end], Ok(("Hi", "stop")));
    let intervened = ("messageStop", r#"{"stopReason":"guardrail_intervened"}"#);
    check(&[start, text, stop, intervened, usage], Ok(("Hi", "content_filter")));
    check(&[start, text], Err(ErrorClass::Cut));
    check(&[], Err(ErrorClass::Cut));
    let malformed = ("messageStop", r#"{"stopReason":"malformed_tool_use"}"#);
    check(&[start, text, stop, malformed], Err(ErrorClass::Server));
}

#[test]
fn an_exception_is_a_failure_of_its_class() {
    let check = |kind: &str, class: ErrorClass| {
        let mut stream = frame("messageStart", r#"{"role":"assistant"}"#);
        let named = [(":exception-type", kind), (":message-type", "exception")];
        stream.extend(framed(named, "{\"message\":\"so it is\"}"));
        let relayed = to_everybody(Dialect::Converse, &Quirks::default(), &stream, kind);
        let error = relayed.error.expect("a failure");
        assert_eq!((error.class, error.message.as_str()), (class, "so it is"), "{kind}");
    };
    check("throttlingException", ErrorClass::Rate);
    check("serviceUnavailableException", ErrorClass::Overloaded);
    check("validationException", ErrorClass::BadRequest);
    check("modelStreamErrorException", ErrorClass::Server);
    check("internalServerException", ErrorClass::Server);
}

#[test]
fn claude_on_bedrock_streams_to_a_client_of_messages_as_it_is() {
    let Some(folder) = shared("fixtures") else { return };
    let file = "bedrock/invoke-ol-anthropic-3-completion-streaming0.bin";
    let mut ctx = context(Dialect::Messages, Dialect::Messages, &invoke());
    ctx.hub = false;
    let relayed = relay_any_way(&ctx, &std::fs::read(folder.join(file)).expect("a recording"), file);
    assert_eq!(relayed.error, None);
    let direct = said(Dialect::Messages, &relayed.text, file);
    let hub = to_everybody(
        Dialect::Messages,
        &invoke(),
        &std::fs::read(folder.join(file)).expect("a recording"),
        file,
    );
    assert_eq!(direct.text, said(Dialect::Chat, &hub.text, file).text);
    assert!(relayed.text.starts_with("event: message_start\ndata: {"), "{}", relayed.text);
}
