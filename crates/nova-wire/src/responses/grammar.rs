//! The grammar of a Responses stream, as strict clients read it. For tests of this crate.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::sse::Decoder;

/// What a stream says, put together.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// The items in order, as they were when they were done.
    pub(crate) items: Vec<Value>,
    /// The answer in the last event.
    pub(crate) response: Value,
    /// How many pieces each item came in.
    pub(crate) pieces: Vec<usize>,
}

/// Checks every rule of the grammar and returns what the stream says.
///
/// `response.created` and `response.in_progress` first; numbers without gaps; items with contiguous places,
/// one open at a time; pieces of the open part alone, none of them empty, and a `.done` that repeats them;
/// the whole answer last, with all items; or an `error` and the failed answer. Every event has a name that
/// equals its type.
#[track_caller]
pub(crate) fn assert_responses_grammar(stream: &[u8]) -> Said {
    let mut decoder = Decoder::new();
    decoder.push(&Bytes::copy_from_slice(stream)).expect("no event is too long");
    let mut check = Check::default();
    while let Some(event) = decoder.next_event() {
        if event.is_blank() {
            continue;
        }
        let value: Value = serde_json::from_slice(event.data).expect("every event is JSON");
        let kind = value["type"].as_str().expect("every event has a type").to_owned();
        assert_eq!(event.name, Some(kind.as_bytes()), "name and type agree");
        assert_eq!(value["sequence_number"], check.events, "numbers have no gaps: {value}");
        check.event(&kind, &value);
        check.events += 1;
    }
    decoder.finish();
    assert!(decoder.next_event().is_none(), "the last event has its blank line");
    assert!(check.over, "the stream ends");
    check.said
}

#[derive(Default)]
struct Check {
    said: Said,
    events: u64,
    failed: bool,
    over: bool,
    /// The item that is open.
    item: Option<Value>,
    /// The kind of the open part, and its pieces.
    part: Option<(String, String)>,
    /// The parts of the open item that are done.
    parts: Vec<Value>,
}

impl Check {
    #[track_caller]
    fn event(&mut self, kind: &str, value: &Value) {
        assert!(!self.over, "nothing follows the end, but {value}");
        assert!(!self.failed || kind == "response.failed", "only the failed answer follows an error");
        match self.events {
            0 => assert!(matches!(kind, "response.created" | "error"), "{kind} is first"),
            1 => assert!(matches!(kind, "response.in_progress" | "response.failed"), "{kind} is second"),
            _ => {}
        }
        match kind.strip_prefix("response.").unwrap_or(kind) {
            "created" | "in_progress" => self.response(value, "in_progress"),
            "output_item.added" => self.added(value),
            "output_item.done" => self.done(value),
            "content_part.added" | "reasoning_summary_part.added" => self.part_added(value),
            "content_part.done" | "reasoning_summary_part.done" => self.part_done(value),
            "output_text.delta" | "refusal.delta" | "reasoning_summary_text.delta" => {
                self.at(value);
                self.piece(value);
            }
            "output_text.done" => self.repeated(value, "text"),
            "refusal.done" => self.repeated(value, "refusal"),
            "reasoning_summary_text.done" => self.repeated(value, "text"),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.at(value);
                self.part.get_or_insert_with(|| ("call".to_owned(), String::new()));
                self.piece(value);
            }
            "function_call_arguments.done" => self.call_done(value, "function_call", "arguments"),
            "custom_tool_call_input.done" => self.call_done(value, "custom_tool_call", "input"),
            "completed" | "incomplete" => {
                assert!(self.item.is_none(), "the last item is done");
                self.response(value, kind.trim_start_matches("response."));
                assert_eq!(value["response"]["output"], json!(self.said.items), "the answer has all items");
                self.over = true;
            }
            "error" => {
                assert!(value["error"]["message"].is_string() && value["error"]["type"].is_string());
                self.failed = true;
            }
            "failed" => {
                assert!(self.failed, "an error stands before");
                self.response(value, "failed");
                assert!(value["response"]["error"]["code"].is_string());
                self.over = true;
            }
            other => panic!("unknown event {other}"),
        }
    }

    #[track_caller]
    fn response(&mut self, value: &Value, status: &str) {
        let response = &value["response"];
        assert_eq!(response["status"], status);
        assert!(response["id"].as_str().is_some_and(|id| id.starts_with("resp_")));
        // What openai-python's `Response` requires.
        for key in [
            "created_at",
            "error",
            "incomplete_details",
            "instructions",
            "metadata",
            "model",
            "object",
            "output",
            "parallel_tool_calls",
            "temperature",
            "tool_choice",
            "tools",
            "top_p",
        ] {
            assert!(response.get(key).is_some(), "{key} is there");
        }
        self.said.response = response.clone();
    }

    #[track_caller]
    fn added(&mut self, value: &Value) {
        assert!(self.item.is_none(), "one item at a time: {value}");
        assert_eq!(value["output_index"], self.said.items.len(), "places are contiguous");
        let item = value["item"].clone();
        assert!(item["id"].as_str().is_some_and(|id| !id.is_empty()), "{item}");
        assert_ne!(item["id"], item["call_id"], "an item and its call have ids of their own");
        self.item = Some(item);
        self.said.pieces.push(0);
    }

    #[track_caller]
    fn at(&self, value: &Value) {
        let item = self.item.as_ref().expect("an item is open");
        assert_eq!(value["item_id"], item["id"], "{value}");
        assert_eq!(value["output_index"], self.said.items.len(), "{value}");
        if let Some(index) = value.get("content_index").or_else(|| value.get("summary_index")) {
            assert_eq!(*index, self.parts.len(), "{value}");
        }
    }

    #[track_caller]
    fn part_added(&mut self, value: &Value) {
        self.at(value);
        assert!(self.part.is_none(), "one part at a time: {value}");
        let kind = value["part"]["type"].as_str().expect("a type").to_owned();
        self.part = Some((kind, String::new()));
    }

    #[track_caller]
    fn piece(&mut self, value: &Value) {
        let piece = value["delta"].as_str().expect("a string");
        assert!(!piece.is_empty(), "no piece is empty");
        self.part.as_mut().expect("a part is open").1.push_str(piece);
        *self.said.pieces.last_mut().expect("an item is open") += 1;
    }

    #[track_caller]
    fn repeated(&mut self, value: &Value, field: &str) {
        self.at(value);
        let (_, text) = self.part.as_ref().expect("a part is open");
        assert_eq!(value[field], text.as_str(), "the whole is the sum of its pieces");
    }

    #[track_caller]
    fn part_done(&mut self, value: &Value) {
        self.at(value);
        let (kind, text) = self.part.take().expect("a part is open");
        let field = if kind == "refusal" { "refusal" } else { "text" };
        assert_eq!((&value["part"]["type"], &value["part"][field]), (&json!(kind), &json!(text)));
        self.parts.push(value["part"].clone());
    }

    #[track_caller]
    fn call_done(&mut self, value: &Value, kind: &str, field: &str) {
        self.at(value);
        assert_eq!(self.item.as_ref().expect("an item is open")["type"], kind);
        let text = self.part.take().map(|(_, text)| text).unwrap_or_default();
        assert_eq!(value[field], text.as_str(), "the whole is the sum of its pieces");
        self.parts.push(json!(text));
    }

    #[track_caller]
    fn done(&mut self, value: &Value) {
        let begun = self.item.take().expect("an item is open");
        let item = value["item"].clone();
        assert_eq!(value["output_index"], self.said.items.len());
        assert_eq!((&item["id"], &item["type"]), (&begun["id"], &begun["type"]));
        assert!(self.part.is_none(), "the last part is done: {value}");
        let parts = std::mem::take(&mut self.parts);
        match item["type"].as_str().expect("a type") {
            "message" => assert_eq!(item["content"], json!(parts)),
            "reasoning" => assert_eq!(item["summary"], json!(parts)),
            "function_call" => assert_eq!(json!([item["arguments"]]), json!(parts)),
            "custom_tool_call" => assert_eq!(json!([item["input"]]), json!(parts)),
            _ => assert!(parts.is_empty()),
        }
        self.said.items.push(item);
    }
}
