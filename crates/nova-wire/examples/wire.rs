//! What translating costs: one line a case, with the time of one translation in microseconds and how many times
//! it is what serde_json needs to read the same bytes into a tree and write them again.
//!
//! Each figure is the best of many short batches: other work on the machine only ever adds time.

#![allow(clippy::print_stdout, reason = "its figures are what it prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nova_wire::{Dialect, Peek, Quirks, ReplyContext, StreamRelay, Target, translate};
use serde_json::{Value, json};

const BATCHES: usize = 400;
const BATCH: usize = 25;
/// Chunks of a stream that are pushed one by one.
const CHUNKS: usize = 200;

fn main() {
    println!("case  us  times-serde");
    let dialects = [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini];
    let body = request();
    for upstream in dialects {
        let quirks = Quirks::default();
        let target = Target { dialect: upstream, model: "up", quirks: &quirks, max_output: Some(4096) };
        let translated = best(|| {
            let peek = Peek::read(Dialect::Chat, &body).ok();
            peek.and_then(|peek| translate::request(Dialect::Chat, &body, &peek, &target).ok())
                .map(|out| out.body.len())
        });
        line(&format!("request-chat-to-{upstream}"), translated, best(|| tree(&body)));
    }
    for upstream in dialects {
        for client in dialects {
            let chunk = chunk(upstream);
            let pushed = stream(client, upstream, &chunk);
            let data: Vec<u8> = chunk.iter().copied().skip_while(|byte| *byte != b'{').collect();
            line(&format!("chunk-{upstream}-to-{client}"), pushed, best(|| tree(data.trim_ascii_end())));
        }
    }
}

fn line(name: &str, took: Duration, serde: Duration) {
    println!("{name}  {:.2}  {:.2}", took.as_secs_f64() * 1e6, took.as_secs_f64() / serde.as_secs_f64());
}

/// The best time of one call.
fn best<T>(mut call: impl FnMut() -> T) -> Duration {
    (0..BATCHES)
        .map(|_| {
            let begun = Instant::now();
            (0..BATCH).for_each(|_| drop(black_box(call())));
            begun.elapsed()
        })
        .min()
        .unwrap_or_default()
        / BATCH as u32
}

fn tree(json: &[u8]) -> Option<usize> {
    let tree: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_vec(&tree).ok().map(|written| written.len())
}

/// The best time of one chunk in the middle of a stream.
fn stream(client: Dialect, upstream: Dialect, chunk: &Bytes) -> Duration {
    let fastest = (0..BATCHES).map(|_| {
        let mut relay = StreamRelay::new(context(client, upstream));
        let mut out = Vec::new();
        relay.push(&first(upstream), &mut out);
        relay.push(chunk, &mut out);
        let begun = Instant::now();
        for _ in 0..CHUNKS {
            relay.push(chunk, &mut out);
            black_box(&out);
            out.clear();
        }
        begun.elapsed()
    });
    fastest.min().unwrap_or_default() / CHUNKS as u32
}

/// A chat request of two kilobytes: instructions, three turns, a tool.
fn request() -> Vec<u8> {
    let text =
        "Gateways sit between many clients and many models, and should be invisible to both. ".repeat(4);
    let tool = json!({"type": "function", "function": {"name": "search", "description": "Searches the code base.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}}, "required": ["query"]}}});
    let body = json!({
        "model": "test-model", "temperature": 0.7, "max_tokens": 512, "tools": [tool], "tool_choice": "auto",
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": text},
            {"role": "assistant", "content": "I will look.", "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "search", "arguments": "{\"query\":\"router\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": text},
            {"role": "user", "content": text},
        ],
    });
    body.to_string().into_bytes()
}

fn first(upstream: Dialect) -> Bytes {
    Bytes::from_static(match upstream {
        Dialect::Messages => b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":0}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        Dialect::Responses => b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"object\":\"response\",\"created_at\":1,\"status\":\"in_progress\",\"model\":\"up\",\"output\":[]}}\n\nevent: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"in_progress\",\"content\":[]}}\n\nevent: response.content_part.added\ndata: {\"type\":\"response.content_part.added\",\"sequence_number\":2,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}}\n\n",
        _ => b"\n",
    })
}

fn chunk(upstream: Dialect) -> Bytes {
    Bytes::from_static(match upstream {
        Dialect::Messages => b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" invisible\"}}\n\n",
        Dialect::Responses => b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":3,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\" invisible\"}\n\n",
        Dialect::Gemini => b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" invisible\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":2,\"totalTokenCount\":7},\"modelVersion\":\"up\"}\r\n\r\n",
        Dialect::Chat | Dialect::Converse => b"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"up\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" invisible\"},\"finish_reason\":null}]}\n\n",
    })
}

fn context(client: Dialect, upstream: Dialect) -> ReplyContext {
    ReplyContext {
        client,
        upstream,
        hub: client != upstream,
        model: "test-model".to_owned(),
        id: "0123456789abcdef".to_owned(),
        created: 1_700_000_000,
        include_usage: true,
        want_thinking: true,
        prompt_estimate: 500,
        quirks: Quirks::default().into(),
        provider: "provider".into(),
        check: None,
        names: Default::default(),
        echo: Default::default(),
        stops: Default::default(),
    }
}
