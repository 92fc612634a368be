//! Recorded answers of real providers, through every way there is.

use std::path::Path;

use nova_wire::{Dialect, Quirks, translate};
use serde_json::Value;

use crate::grammar::{Said, said};
use crate::support::{DIALECTS, Relayed, context, relay_any_way, shared};

/// One row of the index.
struct Row {
    file: String,
    provider: String,
    upstream: Dialect,
    streaming: bool,
    /// Whether the index says that the answer is, or ends in, an error.
    error: bool,
}

fn rows(folder: &Path) -> Vec<Row> {
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).expect("an index");
    index
        .lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let upstream = match cells[2] {
                "chat" => Dialect::Chat,
                "messages" => Dialect::Messages,
                "responses" => Dialect::Responses,
                "generateContent" => Dialect::Gemini,
                _ => return None,
            };
            // One of them is no answer but a count.
            (cells[8] == "200" && !cells[0].contains("count-tokens")).then(|| Row {
                file: cells[0].to_owned(),
                provider: cells[1].to_owned(),
                upstream,
                streaming: cells[3] == "y",
                // Two answers spliced into one stream are a failure, too, and so is a call of no function.
                error: cells[4].contains("error")
                    || cells[4].contains("UNEXPECTED_TOOL_CALL")
                    || cells[0].contains("spliced-message-start"),
            })
        })
        .collect()
}

/// What the catalogue says of these providers, as far as answers go.
fn quirks(provider: &str) -> Quirks {
    Quirks {
        think_tags: (provider == "minimax").then_some(true),
        no_finish_reason: matches!(provider, "gpustack" | "snowflake").then_some(true),
        ..Quirks::default()
    }
}

/// The stream of a recording; some hold the data of each event alone.
fn stream(folder: &Path, row: &Row) -> Option<Vec<u8>> {
    let bytes = std::fs::read(folder.join(&row.file)).ok()?;
    if !row.file.ends_with(".chunks.txt") {
        return row.file.ends_with(".sse").then_some(bytes);
    }
    let text = String::from_utf8(bytes).ok()?;
    let mut stream = String::new();
    let end = if row.upstream == Dialect::Gemini { "\r\n\r\n" } else { "\n\n" };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        stream.push_str(&format!("data: {line}{end}"));
    }
    if row.upstream == Dialect::Chat && !stream.contains("[DONE]") {
        stream.push_str("data: [DONE]\n\n");
    }
    Some(stream.into_bytes())
}

/// The text that a chat stream carries, read in the plainest way.
fn plain_text(stream: &[u8]) -> String {
    let mut text = String::new();
    for line in String::from_utf8_lossy(stream).lines() {
        let data = line.strip_prefix("data:").unwrap_or_default();
        let Ok(chunk) = serde_json::from_str::<Value>(data) else { continue };
        if chunk["choices"][0]["index"].as_u64().unwrap_or(0) == 0 {
            text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        }
    }
    text
}

/// Relays a recording to every client; all must be told the same.
fn check_stream(row: &Row, stream: &[u8]) -> Relayed {
    let quirks = quirks(&row.provider);
    let relay = |client| relay_any_way(&context(client, row.upstream, &quirks), stream, &row.file);
    let relayed = DIALECTS.map(relay);
    let first = &relayed[0];
    for other in &relayed {
        assert_eq!(other.error, first.error, "{}", row.file);
        assert_eq!(other.meter, first.meter, "{}", row.file);
    }
    let mut direct = context(row.upstream, row.upstream, &quirks);
    direct.hub = false;
    let passed = relay_any_way(&direct, stream, &row.file);
    assert_eq!(passed.meter.usage, first.meter.usage, "{} observed and read", row.file);
    assert_eq!(passed.error.is_some(), first.error.is_some(), "{}: {:?}", row.file, passed.error);
    if row.upstream == Dialect::Responses {
        assert_eq!(passed.meter.finish, first.meter.finish, "{} observed and read", row.file);
    }
    if first.error.is_none() {
        check_said(row, stream, &relayed);
    }
    let [first, ..] = relayed;
    first
}

fn check_said(row: &Row, stream: &[u8], relayed: &[Relayed]) {
    let told = |(client, relayed): (Dialect, &Relayed)| said(client, &relayed.text, &row.file);
    let all: Vec<Said> = DIALECTS.into_iter().zip(relayed).map(told).collect();
    let chat = &all[0];
    for other in &all {
        assert_eq!(other.text, chat.text, "{}", row.file);
        assert_eq!(other.thinking, chat.thinking, "{}", row.file);
        assert_eq!(other.cited, chat.cited, "{}", row.file);
        assert_eq!(other.calls.len(), chat.calls.len(), "{}", row.file);
        if let Some(usage) = relayed[0].meter.usage {
            assert_eq!((other.prompt, other.output), (usage.prompt(), usage.output), "{}", row.file);
        }
    }
    if chat.stop == "tool_calls" {
        for (client, said) in DIALECTS.iter().zip(&all) {
            for (name, arguments) in &said.calls {
                // Messages says by silence that there are none.
                let none = *client == Dialect::Messages && arguments.is_empty();
                let whole = none || serde_json::from_str::<Value>(arguments).is_ok();
                assert!(whole, "{} for {client}: {name}({arguments})", row.file);
            }
        }
    }
    if row.upstream == Dialect::Chat && row.provider != "minimax" && row.provider != "mistral" {
        assert!(chat.text.starts_with(&plain_text(stream)), "{}", row.file);
    }
}

#[test]
fn recorded_streams_come_out_whole_in_every_dialect() {
    let Some(folder) = shared("fixtures") else { return };
    let (mut whole, mut failed) = (0, Vec::new());
    for row in rows(&folder).into_iter().filter(|row| row.streaming) {
        let Some(stream) = stream(&folder, &row) else { continue };
        let relayed = check_stream(&row, &stream);
        match relayed.error {
            None => whole += 1,
            Some(error) => failed.push((row.file, row.error, error.to_string())),
        }
    }
    println!("{whole} whole streams, {} failures", failed.len());
    assert!(whole > 120, "{whole}");
    for (file, expected, error) in failed {
        assert!(expected, "{file}: {error}");
    }
}

#[test]
fn recorded_answers_come_out_whole_in_every_dialect() {
    let Some(folder) = shared("fixtures") else { return };
    let (mut whole, mut failed) = (0, Vec::new());
    for row in rows(&folder).into_iter().filter(|row| !row.streaming && row.file.ends_with(".json")) {
        let Ok(body) = std::fs::read(folder.join(&row.file)) else { continue };
        let quirks = quirks(&row.provider);
        let mut direct = context(row.upstream, row.upstream, &quirks);
        direct.hub = false;
        let passed = translate::reply(&direct, &body);
        for client in DIALECTS {
            match translate::reply(&context(client, row.upstream, &quirks), &body) {
                Ok(reply) => {
                    let passed = passed.as_ref().expect("what can be translated can be passed on");
                    assert_eq!(passed.body, body);
                    assert_eq!(reply.meter.usage, passed.meter.usage, "{}", row.file);
                    check_answer(&row, &body, client, &reply.body);
                    whole += 1;
                }
                Err(error) => {
                    assert!(passed.is_err(), "{}", row.file);
                    failed.push((row.file.clone(), row.error, error.to_string()));
                }
            }
        }
    }
    println!("{whole} whole answers, {} failures", failed.len());
    assert!(whole > 400, "{whole}");
    for (file, expected, error) in failed {
        assert!(expected, "{file}: {error}");
    }
}

fn check_answer(row: &Row, body: &[u8], client: Dialect, out: &[u8]) {
    let answer: Value = serde_json::from_slice(body).expect("JSON");
    let out: Value = serde_json::from_slice(out).expect("JSON");
    let (text, expected) = (text_of(client, &out), text_of(row.upstream, &answer));
    if row.provider != "minimax" {
        assert!(text.starts_with(&expected), "{}: {text:?} is not {expected:?}", row.file);
    }
}

/// The text of a whole answer, read in the plainest way.
fn text_of(dialect: Dialect, answer: &Value) -> String {
    let texts = |parts: &Value, kind: &str| -> String {
        let parts = parts.as_array().into_iter().flatten().filter(|part| part["type"] == kind);
        parts.filter_map(|part| part["text"].as_str()).collect()
    };
    match dialect {
        Dialect::Messages => texts(&answer["content"], "text"),
        Dialect::Responses => {
            let items = answer["output"].as_array().into_iter().flatten();
            items.map(|item| texts(&item["content"], "output_text")).collect()
        }
        Dialect::Gemini => {
            let parts = answer["candidates"][0]["content"]["parts"].as_array().into_iter().flatten();
            parts.filter(|part| part["thought"] != true).filter_map(|part| part["text"].as_str()).collect()
        }
        _ => answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
    }
}
