//! The grammar of each dialect's streams, as the strictest clients read it, and what a stream says.

use nova_wire::Dialect;
use serde_json::Value;

/// What a stream says, put together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) thinking: String,
    /// Name and arguments of each call.
    pub(crate) calls: Vec<(String, String)>,
    /// The pages that were cited.
    pub(crate) cited: Vec<String>,
    pub(crate) stop: String,
    pub(crate) prompt: u64,
    pub(crate) output: u64,
}

/// Checks a whole stream and tells what it says.
pub(crate) fn said(client: Dialect, stream: &str, name: &str) -> Said {
    if client == Dialect::Gemini {
        return gemini(stream, name);
    }
    let events: Vec<(&str, &str)> = stream
        .split_terminator("\n\n")
        .filter(|event| !event.starts_with(':'))
        .map(|event| match event.strip_prefix("event: ") {
            Some(rest) => rest.split_once("\ndata: ").expect("data behind the name"),
            None => ("", event.strip_prefix("data: ").expect("data")),
        })
        .collect();
    match client {
        Dialect::Messages => messages(&events, name),
        Dialect::Responses => responses(&events, name),
        _ => chat(&events, name),
    }
}

fn json(data: &str) -> Value {
    serde_json::from_str(data).expect("every event is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat(events: &[(&str, &str)], name: &str) -> Said {
    let (done, chunks) = events.split_last().expect("events");
    assert_eq!(*done, ("", "[DONE]"), "{name}");
    let mut said = Said::default();
    for (at, (_, data)) in chunks.iter().enumerate() {
        let chunk = json(data);
        assert_eq!(chunk["object"], "chat.completion.chunk", "{name}");
        let Some(choice) = chunk["choices"].get(0) else {
            assert_eq!(at + 1, chunks.len(), "{name}: usage is last");
            said.prompt = chunk["usage"]["prompt_tokens"].as_u64().expect("a count");
            said.output = chunk["usage"]["completion_tokens"].as_u64().expect("a count");
            continue;
        };
        assert!(said.stop.is_empty(), "{name}: nothing but usage follows the end");
        let delta = &choice["delta"];
        assert_eq!(delta.get("role").is_some(), at == 0, "{name}: the role is said once");
        said.text.push_str(text(&delta["content"]));
        said.text.push_str(text(&delta["refusal"]));
        said.thinking.push_str(text(&delta["reasoning_content"]));
        let annotations = delta["annotations"].as_array().into_iter().flatten();
        said.cited.extend(annotations.map(|one| text(&one["url_citation"]["url"]).to_owned()));
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
            if call.get("id").is_some() {
                assert_eq!(index, said.calls.len(), "{name}: calls are numbered in order");
                said.calls.push((text(&call["function"]["name"]).to_owned(), String::new()));
            }
            said.calls[index].1.push_str(text(&call["function"]["arguments"]));
        }
        said.stop = text(&choice["finish_reason"]).to_owned();
    }
    assert!(!said.stop.is_empty(), "{name}: the end is said");
    said
}

fn messages(events: &[(&str, &str)], name: &str) -> Said {
    let mut said = Said::default();
    let (mut open, mut next, mut stopped) = (None, 0, false);
    for (at, (kind, data)) in events.iter().enumerate() {
        let event = json(data);
        assert_eq!(event["type"], *kind, "{name}: name and type agree");
        assert_eq!(*kind == "message_start", at == 0, "{name}: message_start is first and once");
        assert!(!stopped, "{name}: nothing follows message_stop");
        match *kind {
            "content_block_start" => {
                assert_eq!((open, event["index"].as_u64()), (None, Some(next)), "{name}");
                open = Some(next);
                if event["content_block"]["type"] == "tool_use" {
                    let tool = text(&event["content_block"]["name"]).to_owned();
                    said.calls.push((tool, String::new()));
                }
            }
            "content_block_delta" => {
                assert_eq!(event["index"].as_u64(), open, "{name}: pieces are of the open block");
                let delta = &event["delta"];
                said.text.push_str(text(&delta["text"]));
                said.thinking.push_str(text(&delta["thinking"]));
                if delta["type"] == "citations_delta" {
                    said.cited.push(text(&delta["citation"]["url"]).to_owned());
                }
                if delta["type"] == "input_json_delta" {
                    said.calls.last_mut().expect("a call").1.push_str(text(&delta["partial_json"]));
                }
            }
            "content_block_stop" => {
                assert_eq!(event["index"].as_u64(), open.take(), "{name}");
                next += 1;
            }
            "message_delta" => {
                assert_eq!(open, None, "{name}: every block is closed");
                said.stop = text(&event["delta"]["stop_reason"]).to_owned();
                let usage = &event["usage"];
                let count = |field: &str| usage[field].as_u64().unwrap_or(0);
                said.prompt = count("input_tokens")
                    + count("cache_read_input_tokens")
                    + count("cache_creation_input_tokens");
                said.output = count("output_tokens");
            }
            "message_stop" => stopped = true,
            _ => {}
        }
    }
    assert!(stopped && !said.stop.is_empty(), "{name}: the end is said");
    said
}

fn responses(events: &[(&str, &str)], name: &str) -> Said {
    let mut said = Said::default();
    let (mut items, mut open) = (Vec::new(), None);
    for (at, (kind, data)) in events.iter().enumerate() {
        let event = json(data);
        assert_eq!(event["type"], *kind, "{name}: name and type agree");
        assert_eq!(event["sequence_number"], at, "{name}: numbers have no gaps");
        assert!(said.stop.is_empty(), "{name}: nothing follows the end");
        assert_eq!(*kind == "response.created", at == 0, "{name}: the beginning is first, and once");
        if kind.ends_with(".delta") {
            assert_eq!(
                event["item_id"].as_str().map(str::to_owned),
                open,
                "{name}: pieces are of the open item"
            );
            assert_eq!(event["output_index"], items.len(), "{name}");
        }
        match *kind {
            "response.output_item.added" => {
                assert_eq!((&open, &event["output_index"]), (&None, &Value::from(items.len())), "{name}");
                open = event["item"]["id"].as_str().map(str::to_owned);
            }
            "response.output_text.delta" | "response.refusal.delta" => {
                said.text.push_str(text(&event["delta"]))
            }
            "response.output_text.annotation.added" => {
                said.cited.push(text(&event["annotation"]["url"]).to_owned());
            }
            "response.reasoning_summary_text.delta" => said.thinking.push_str(text(&event["delta"])),
            "response.output_item.done" => {
                let item = event["item"].clone();
                assert_eq!(item["id"].as_str().map(str::to_owned), open.take(), "{name}");
                if item["type"] == "function_call" {
                    said.calls.push((text(&item["name"]).to_owned(), text(&item["arguments"]).to_owned()));
                } else if item["type"] == "custom_tool_call" {
                    let input = serde_json::json!({ "input": item["input"] });
                    said.calls.push((text(&item["name"]).to_owned(), input.to_string()));
                }
                items.push(item);
            }
            "response.completed" | "response.incomplete" => {
                let response = &event["response"];
                assert_eq!((&open, &response["output"]), (&None, &Value::Array(items.clone())), "{name}");
                said.stop = text(&response["status"]).to_owned();
                said.prompt = response["usage"]["input_tokens"].as_u64().unwrap_or(0);
                said.output = response["usage"]["output_tokens"].as_u64().unwrap_or(0);
            }
            _ => {}
        }
    }
    assert!(!said.stop.is_empty(), "{name}: the end is said");
    said
}

/// Read as Google's SDK for JavaScript reads it, which knows one form of a frame and no comments.
fn gemini(stream: &str, name: &str) -> Said {
    let mut said = Said::default();
    let mut rest = stream;
    while !rest.trim().is_empty() {
        let data = rest.trim_start().strip_prefix("data: ").expect("a frame");
        let end = data.find(['\n', '\r', '\u{2028}', '\u{2029}']).expect("the line ends");
        rest = data[end..].strip_prefix("\r\n\r\n").expect("a blank line follows");
        let chunk = json(&data[..end]);
        assert!(said.stop.is_empty(), "{name}: nothing follows the end");
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().expect("parts") {
            let place = if part["thought"] == true { &mut said.thinking } else { &mut said.text };
            place.push_str(text(&part["text"]));
            if let Some(call) = part.get("functionCall") {
                assert!(call["args"].is_object() && !text(&call["id"]).is_empty(), "{name}: calls are whole");
                said.calls.push((text(&call["name"]).to_owned(), call["args"].to_string()));
            }
        }
        let pages = candidate["groundingMetadata"]["groundingChunks"].as_array().into_iter().flatten();
        said.cited.extend(pages.map(|page| text(&page["web"]["uri"]).to_owned()));
        said.stop = text(&candidate["finishReason"]).to_owned();
        let count = |field: &str| chunk["usageMetadata"][field].as_u64().unwrap_or(0);
        said.prompt = count("promptTokenCount");
        said.output = count("candidatesTokenCount") + count("thoughtsTokenCount");
    }
    assert!(!said.stop.is_empty(), "{name}: the end is said");
    said
}
