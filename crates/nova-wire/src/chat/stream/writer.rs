//! Writes deltas as chunks, as strictly as OpenAI does.
//!
//! Grammar: a chunk with the role; chunks with content; one chunk with `finish_reason`; one with usage
//! where it was asked for; `[DONE]`. Every chunk has id, object, created, model and fingerprint.

use serde::Serialize;
use serde_json::{Value, json};

use crate::chat::message;
use crate::chat::reply::{annotation, finish_word, usage_json};
use crate::error::{self, ErrorView};
use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::sse;
use crate::translate::ReplyContext;
use crate::usage::Usage;
use crate::{dialect::Dialect, splice};

/// Writes one stream.
#[derive(Debug)]
pub struct Writer {
    /// The beginning of every chunk, up to its choices.
    head: Vec<u8>,
    /// The end of every chunk but the last two.
    tail: &'static [u8],
    id: String,
    include_usage: bool,
    want_thinking: bool,
    /// Whether the client knows calls only in the first form, one in an answer.
    legacy: bool,
    started: bool,
    closed: bool,
    calls: Vec<Call>,
    /// How many entries of each list there were.
    entries: [(&'static str, u64); 3],
    finish: Finish,
    usage: Option<Usage>,
}

/// A tool call; its place in the list is its index for the client.
#[derive(Debug)]
struct Call {
    index: u32,
    any_arguments: bool,
    ended: bool,
}

#[derive(Serialize)]
struct Argument<'a> {
    arguments: &'a str,
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(ctx: &ReplyContext) -> Self {
        let mut head =
            format!("data: {{\"id\":\"chatcmpl-{}\",\"object\":\"chat.completion.chunk\",", ctx.id)
                .into_bytes();
        head.extend_from_slice(format!("\"created\":{},\"model\":", ctx.created).as_bytes());
        head.extend_from_slice(&splice::quoted(&ctx.model));
        head.extend_from_slice(b",\"system_fingerprint\":\"fp_novastack\",");
        Self {
            head,
            tail: if ctx.include_usage { b",\"usage\":null}\n\n" } else { b"}\n\n" },
            id: ctx.id.clone(),
            include_usage: ctx.include_usage,
            want_thinking: ctx.want_thinking,
            legacy: ctx.names.legacy_functions,
            started: false,
            closed: false,
            calls: Vec::new(),
            entries: [("annotations", 0), ("images", 0), ("reasoning_details", 0)],
            finish: Finish::Unsaid,
            usage: None,
        }
    }

    /// Appends what a delta is for the client.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        match delta {
            Delta::Start { usage, .. } => {
                self.usage = usage.or(self.usage);
                self.start(out);
            }
            Delta::Thinking(text) if self.want_thinking => self.field("reasoning_content", &text, out),
            Delta::Signature(signature) if self.want_thinking => {
                let detail = json!({"type": "reasoning.text", "signature": signature});
                self.entry("reasoning_details", detail, out);
            }
            Delta::Thinking(_) | Delta::Signature(_) | Delta::RedactedThinking(_) => self.start(out),
            Delta::Text(text) => self.field("content", &text, out),
            Delta::Refusal(text) => self.field("refusal", &text, out),
            Delta::Citation(citation) => self.entry("annotations", annotation(&citation), out),
            Delta::Image(image) => self.entry("images", message::image(&image), out),
            Delta::ToolStart { index, id, name, .. } => self.start_call(index, id, &name, out),
            Delta::ToolArguments { index, json } => self.arguments(index, &json, out),
            Delta::ToolEnd { index } => self.end_call(index, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Finish(finish) => self.finish = finish,
            Delta::Ping => out.extend_from_slice(b": keep-alive\n\n"),
            Delta::Error(_) | Delta::End => {}
        }
    }

    /// Appends the end of a whole answer, once.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        self.start(out);
        if self.finish != Finish::Length {
            for at in 0..self.calls.len() {
                self.end_call(self.calls[at].index, out);
            }
        }
        let word = match finish_word(&self.finish, !self.calls.is_empty()) {
            "tool_calls" if self.legacy => "function_call",
            word => word,
        };
        out.extend_from_slice(&self.head);
        out.extend_from_slice(
            b"\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"",
        );
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\"}]");
        out.extend_from_slice(self.tail);
        if self.include_usage {
            out.extend_from_slice(&self.head);
            let usage = usage_json(&self.usage.unwrap_or_default());
            out.extend_from_slice(format!("\"choices\":[],\"usage\":{usage}}}\n\n").as_bytes());
        }
        out.extend_from_slice(sse::DONE);
        self.closed = true;
    }

    /// Appends the end of an answer that failed, once.
    pub fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.closed, true) {
            out.extend_from_slice(&error::event(Dialect::Chat, view));
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            self.chunk(b"{\"role\":\"assistant\",\"content\":\"\"}", out);
        }
    }

    /// A chunk with one entry of a list. OpenAI's SDK puts lists together by the `index` of their entries.
    fn entry(&mut self, name: &'static str, mut entry: Value, out: &mut Vec<u8>) {
        if let Some((_, count)) = self.entries.iter_mut().find(|(known, _)| *known == name) {
            entry["index"] = (*count).into();
            *count += 1;
        }
        self.field(name, &[entry], out);
    }

    /// A chunk with one field in its delta.
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T, out: &mut Vec<u8>) {
        self.start(out);
        let mut delta = Vec::with_capacity(64);
        delta.push(b'{');
        delta.extend_from_slice(&splice::quoted(name));
        delta.push(b':');
        // Strings and values without foreign keys always serialise.
        if serde_json::to_writer(&mut delta, value).is_ok() {
            delta.push(b'}');
            self.chunk(&delta, out);
        }
    }

    fn chunk(&self, delta: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":");
        out.extend_from_slice(delta);
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":null}]");
        out.extend_from_slice(self.tail);
    }

    fn start_call(&mut self, index: u32, id: String, name: &str, out: &mut Vec<u8>) {
        if self.place(index).is_some() {
            return;
        }
        let at = self.calls.len();
        self.calls.push(Call { index, any_arguments: false, ended: false });
        if self.legacy {
            if at == 0 {
                self.field("function_call", &json!({"name": name, "arguments": ""}), out);
            }
            return;
        }
        let id = if id.is_empty() { format!("call_{}{at}", self.id) } else { id };
        let call =
            json!({"index": at, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        self.field("tool_calls", &[call], out);
    }

    fn arguments(&mut self, index: u32, json: &str, out: &mut Vec<u8>) {
        let Some(at) = self.place(index).filter(|at| !self.calls[*at].ended) else { return };
        if json.is_empty() {
            return;
        }
        self.calls[at].any_arguments = true;
        if self.legacy {
            if at == 0 {
                self.field("function_call", &Argument { arguments: json }, out);
            }
            return;
        }
        let call = json!({"index": at, "function": Argument { arguments: json }});
        self.field("tool_calls", &[call], out);
    }

    /// A call without arguments still gets an object, which clients parse.
    fn end_call(&mut self, index: u32, out: &mut Vec<u8>) {
        let Some(at) = self.place(index) else { return };
        if !self.calls[at].any_arguments && self.finish != Finish::Length {
            self.arguments(index, "{}", out);
        }
        self.calls[at].ended = true;
    }

    fn place(&self, index: u32) -> Option<usize> {
        self.calls.iter().position(|call| call.index == index)
    }
}
