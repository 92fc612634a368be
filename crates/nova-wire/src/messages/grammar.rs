//! The grammar of a Messages stream, as strict clients read it. For tests of this crate.

use bytes::Bytes;
use serde_json::Value;

use crate::sse::Decoder;

/// What a stream says, put together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// The blocks in order.
    pub(crate) blocks: Vec<Block>,
    /// `stop_reason` and `stop_sequence`; `None` for a stream that ends in an error.
    pub(crate) stop: Option<(String, Option<String>)>,
    /// `usage` of the last event.
    pub(crate) usage: Value,
    /// How many pings there were.
    pub(crate) pings: usize,
}

/// A block.
#[derive(Debug, PartialEq)]
pub(crate) enum Block {
    Text(String),
    Thinking { text: String, signature: String },
    Redacted(String),
    Tool { id: String, name: String, json: String },
}

/// Checks every rule of the grammar and returns what the stream says.
///
/// One `message_start` first; blocks with contiguous indices, one open at a time, with pieces of their
/// own kind, none of them empty; one `message_delta`; one `message_stop`; or an `error` as the last event.
/// Every event has a name that equals its type.
#[track_caller]
pub(crate) fn assert_messages_grammar(stream: &[u8]) -> Said {
    let mut decoder = Decoder::new();
    decoder.push(&Bytes::copy_from_slice(stream)).expect("no event is too long");
    let mut check = Check::default();
    while let Some(event) = decoder.next_event() {
        let value: Value = serde_json::from_slice(event.data).expect("every event is JSON");
        let kind = value["type"].as_str().expect("every event has a type");
        assert_eq!(event.name, Some(kind.as_bytes()), "name and type agree");
        check.event(kind, &value);
    }
    decoder.finish();
    assert!(decoder.next_event().is_none(), "the last event has its blank line");
    assert!(check.over, "the stream ends");
    check.said
}

#[derive(Default)]
struct Check {
    said: Said,
    started: bool,
    open: bool,
    over: bool,
}

impl Check {
    #[track_caller]
    fn event(&mut self, kind: &str, value: &Value) {
        assert!(!self.over, "nothing follows the end, but {value}");
        if kind == "error" {
            assert!(value["error"]["type"].is_string() && value["error"]["message"].is_string());
            self.over = true;
            return;
        }
        assert_eq!(kind == "message_start", !self.started, "message_start is first, and once: {value}");
        if self.said.stop.is_some() {
            assert_eq!(kind, "message_stop", "only the end follows message_delta");
        }
        match kind {
            "message_start" => {
                self.started = true;
                let message = &value["message"];
                assert!(message["id"].as_str().is_some_and(|id| id.starts_with("msg_")));
                assert_eq!(message["content"], serde_json::json!([]));
                assert_eq!(message["role"], "assistant");
                assert!(message["model"].is_string() && message["usage"]["input_tokens"].is_u64());
            }
            "content_block_start" => self.start(value),
            "content_block_delta" => self.delta(value),
            "content_block_stop" => {
                self.at(value);
                self.open = false;
            }
            "message_delta" => {
                assert!(!self.open, "the last block is closed");
                let text = |field: &str| value["delta"][field].as_str().map(str::to_owned);
                self.said.stop = Some((text("stop_reason").expect("a reason"), text("stop_sequence")));
                self.said.usage = value["usage"].clone();
                assert!(self.said.usage["output_tokens"].is_u64());
            }
            "message_stop" => {
                assert!(self.said.stop.is_some(), "message_delta comes before");
                self.over = true;
            }
            "ping" => self.said.pings += 1,
            other => panic!("unknown event {other}"),
        }
    }

    #[track_caller]
    fn at(&self, value: &Value) {
        assert!(self.open, "a block is open: {value}");
        assert_eq!(value["index"], self.said.blocks.len() - 1, "the index is that of the open block");
    }

    #[track_caller]
    fn start(&mut self, value: &Value) {
        assert!(!self.open, "one block at a time: {value}");
        assert_eq!(value["index"], self.said.blocks.len(), "indices are contiguous");
        let block = &value["content_block"];
        let text = |field: &str| block[field].as_str().expect("a string").to_owned();
        self.open = true;
        self.said.blocks.push(match text("type").as_str() {
            "text" => Block::Text(text("text")),
            "thinking" => Block::Thinking { text: text("thinking"), signature: text("signature") },
            "redacted_thinking" => Block::Redacted(text("data")),
            "tool_use" => {
                assert_eq!(block["input"], serde_json::json!({}));
                let (id, name) = (text("id"), text("name"));
                assert!(!id.is_empty() && !name.is_empty());
                Block::Tool { id, name, json: String::new() }
            }
            other => panic!("unknown block {other}"),
        });
    }

    #[track_caller]
    fn delta(&mut self, value: &Value) {
        self.at(value);
        let delta = &value["delta"];
        let kind = delta["type"].as_str().expect("a type");
        if kind == "citations_delta" {
            assert!(matches!(self.said.blocks.last(), Some(Block::Text(_))), "text is what cites");
            assert!(delta["citation"]["url"].is_string() && delta["citation"]["cited_text"].is_string());
            return;
        }
        let block = self.said.blocks.last_mut().expect("a block is open");
        let (field, into) = match (kind, block) {
            ("text_delta", Block::Text(text)) => ("text", text),
            ("thinking_delta", Block::Thinking { text, signature }) => {
                assert!(signature.is_empty(), "nothing follows a signature");
                ("thinking", text)
            }
            ("signature_delta", Block::Thinking { signature, .. }) => ("signature", signature),
            ("input_json_delta", Block::Tool { json, .. }) => ("partial_json", json),
            (kind, block) => panic!("{kind} in {block:?}"),
        };
        let piece = delta[field].as_str().expect("a string");
        assert!(!piece.is_empty(), "no piece is empty");
        into.push_str(piece);
    }
}
