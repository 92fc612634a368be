//! Input that nobody sends in good faith: no panic, no hang, and no two readers that disagree.

use bytes::Bytes;
use nova_wire::sse::Decoder;
use nova_wire::{Dialect, Peek, Quirks, Target, translate};
use serde::Deserialize;

use crate::support::{DIALECTS, context, relay_any_way, shared};

fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Puts bytes into every reader, raw and in the places where a body holds foreign values.
fn feed(bytes: &[u8]) {
    let quirks = Quirks::default();
    let around = |before: &str, after: &str| [before.as_bytes(), bytes, after.as_bytes()].concat();
    let bodies = [
        bytes.to_vec(),
        around(r#"{"model":"m","messages":[{"role":"user","content":"a"}],"metadata":"#, "}"),
        around(r#"{"model":"m","messages":[{"role":"user","content":"#, "}]}"),
        around(r#"{"model":"m","max_tokens":9,"messages":"#, "}"),
        around(r#"{"model":"m","tools":"#, r#","messages":[{"role":"user","content":"a"}]}"#),
        around(r#"{"model":"m","input":"#, "}"),
        around(r#"{"model":"m","input":[{"type":"message","role":"user","content":"#, "}]}"),
        around(r#"{"model":"m","input":"a","tools":[{"type":"function","name":"f","parameters":"#, "}]}"),
        around(r#"{"contents":"#, "}"),
        around(r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":"#, "}}]}]}"),
        around(r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","response":"#, "}}]}]}"),
        around(r#"{"contents":[{"parts":["#, "]}]}"),
        around(
            r#"{"tools":[{"functionDeclarations":[{"name":"f","parameters":"#,
            r#"}]}],"contents":[{"parts":[{"text":"a"}]}]}"#,
        ),
        around(r#"{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":"#, "}"),
        around(r#"{"candidates":[{"content":{"parts":["#, r#"]},"finishReason":"STOP"}]}"#),
    ];
    for body in &bodies {
        for client in DIALECTS {
            let Ok(peek) = Peek::read(client, body) else { continue };
            let parsed: Result<serde_json::Value, _> = serde_json::from_slice(body);
            for dialect in DIALECTS {
                let target = Target { dialect, model: "up", quirks: &quirks, max_output: None };
                let Ok(out) = translate::request(client, body, &peek, &target) else { continue };
                let sent = serde_json::from_slice::<serde::de::IgnoredAny>(&out.body);
                assert!(sent.is_ok(), "what is sent is JSON");
                // A lone surrogate is JSON and no text: it passes through, and no tree can hold it.
                let sent: Result<serde_json::Value, _> = serde_json::from_slice(&out.body);
                if let (Ok(sent), Ok(parsed)) = (sent, &parsed) {
                    // The path names a Gemini model.
                    assert!(dialect == Dialect::Gemini || sent["model"] == "up");
                    let said = |value: &serde_json::Value| {
                        ["messages", "input", "contents"].map(|field| value[field].clone())
                    };
                    assert!(out.hub || said(&sent) == said(parsed));
                }
            }
        }
    }
    for upstream in DIALECTS {
        for client in DIALECTS {
            let ctx = context(client, upstream, &quirks);
            for body in &bodies {
                let _ = translate::reply(&ctx, body).is_ok();
            }
            let mut direct = ctx.clone();
            direct.hub = client != upstream;
            let _ = translate::reply(&direct, bytes).is_ok();
        }
    }
}

#[test]
fn hostile_json_breaks_nothing() {
    let Some(folder) = shared("badinput/json") else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    assert!(!found.is_empty());
    for path in found {
        let bytes = std::fs::read(&path).expect("a file");
        if bytes.len() < 200_000 {
            feed(&bytes);
        }
    }
}

#[test]
fn json_that_its_test_suite_refuses_is_refused() {
    let Some(folder) = shared("badinput/json") else { return };
    let mut found = Vec::new();
    files(&folder, &mut found);
    let mut checked = 0;
    for path in found {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = std::fs::read(&path).expect("a file");
        let body = [br#"{"model":"m","messages":[{"role":"user"}],"x":"#, &bytes[..], b"}"].concat();
        let accepted = Peek::read(Dialect::Chat, &body).is_ok();
        let serde = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        if accepted {
            assert!(serde, "{name} is accepted here and refused by serde_json");
        }
        if name.starts_with("y_") && std::str::from_utf8(&bytes).is_ok() {
            assert_eq!(accepted, serde, "{name}");
        }
        checked += 1;
    }
    println!("{checked} files");
}

/// One case of a parser's test suite.
#[derive(Deserialize)]
struct Case {
    name: String,
    chunks: Vec<String>,
    events: Vec<serde_json::Value>,
}

fn cases() -> Vec<Case> {
    let Some(folder) = shared("badinput/sse") else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join("eventsource_fixtures.jsonl")).expect("the cases");
    let cases: Vec<Case> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(cases.len() > 10, "{}", cases.len());
    cases
}

#[test]
fn streams_of_a_parsers_test_suite_are_read_as_it_says() {
    // Its byte order marks are spelled as characters, not as the bytes that a stream has.
    for case in cases().into_iter().filter(|case| !case.name.contains("Bom")) {
        let mut decoder = Decoder::new();
        let mut events = Vec::new();
        for chunk in &case.chunks {
            decoder.push(&Bytes::copy_from_slice(chunk.as_bytes())).expect("short");
            while let Some(event) = decoder.next_event() {
                if !event.is_blank() {
                    let name = event.name.map(|name| String::from_utf8_lossy(name).into_owned());
                    events.push((name.unwrap_or_default(), String::from_utf8_lossy(event.data).into_owned()));
                }
            }
        }
        let text =
            |event: &serde_json::Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let expected: Vec<(String, String)> = case
            .events
            .iter()
            .filter(|event| event["type"] == "event" && event["data"] != "")
            .map(|event| (text(event, "event"), text(event, "data")))
            .collect();
        assert_eq!(events, expected, "{}", case.name);
    }
}

#[test]
fn hostile_streams_break_nothing() {
    for case in cases() {
        let bytes = case.chunks.concat().into_bytes();
        for upstream in DIALECTS {
            for client in DIALECTS {
                relay_any_way(&context(client, upstream, &Quirks::default()), &bytes, &case.name);
            }
        }
    }
}
