//! From deltas to Messages events.
//!
//! Clients insist on a grammar: `message_start` once; blocks one after another, with indices 0, 1, 2…,
//! each with its beginning, its pieces and its end; `message_delta` once; `message_stop` once. A
//! provider of another dialect may send pieces of several tool calls in turns, and text between them,
//! so whatever comes while a call is open waits in a queue until the call is complete.
//!
//! Invariant: every byte of text, thought and arguments that comes in goes out, in a block of its own
//! kind, in the order in which the blocks began.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::error::{self, ErrorView};
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish, Image};
use crate::messages::reply::{CallIds, told, usage_json, web_location};
use crate::messages::stop_reason;
use crate::sse;
use crate::translate::ReplyContext;
use crate::usage::Usage;

/// Writes the events of one stream.
#[derive(Debug)]
pub struct Writer {
    id: String,
    model: String,
    want_thinking: bool,
    usage: Usage,
    ids: CallIds,
    state: State,
    /// The index of the next block.
    next: u64,
    open: Open,
    waiting: VecDeque<Piece>,
    /// Pages that were cited before any text; some hosts name them first.
    cited: Vec<Citation>,
    has_calls: bool,
    refused: bool,
    finish: Finish,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    New,
    Started,
    Closed,
}

/// The block that is open on the wire. Its index is one less than [`Writer::next`].
#[derive(Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    /// Whether the thought is signed; nothing may follow the signature.
    Thinking {
        signed: bool,
    },
    /// The call with the upstream's number.
    Tool(u32),
}

/// What waits until the open call is complete.
#[derive(Debug)]
enum Piece {
    Text(String),
    Thinking(String),
    Signature(String),
    Redacted(String),
    Citation(Box<Citation>),
    Tool { index: u32, id: String, name: String, json: String, ended: bool },
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(ctx: &ReplyContext) -> Self {
        Self {
            id: ctx.id.clone(),
            model: ctx.model.clone(),
            want_thinking: ctx.want_thinking,
            usage: Usage { input: ctx.prompt_estimate, ..Usage::default() },
            ids: CallIds::new(ctx),
            state: State::New,
            next: 0,
            open: Open::None,
            waiting: VecDeque::new(),
            cited: Vec::new(),
            has_calls: false,
            refused: false,
            finish: Finish::Unsaid,
        }
    }

    /// Appends the events that a delta makes. [`Delta::Error`] and [`Delta::End`] make none: the caller
    /// answers them with [`Self::fail`] and [`Self::finish`].
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.state == State::Closed {
            return;
        }
        match delta {
            Delta::Start { usage, .. } => {
                self.usage = usage.unwrap_or(self.usage);
                self.start(out);
            }
            Delta::Thinking(text) if self.want_thinking => self.piece(Piece::Thinking(text), out),
            Delta::Signature(text) if self.want_thinking => self.piece(Piece::Signature(text), out),
            Delta::RedactedThinking(data) if self.want_thinking => self.piece(Piece::Redacted(data), out),
            Delta::Thinking(_) | Delta::Signature(_) | Delta::RedactedThinking(_) => self.start(out),
            Delta::Text(text) => self.piece(Piece::Text(text), out),
            Delta::Refusal(text) => {
                self.refused = true;
                self.piece(Piece::Text(text), out);
            }
            Delta::Citation(citation) => self.piece(Piece::Citation(citation), out),
            Delta::Image(_) => self.piece(Piece::Text(Image::UNSHOWN.to_owned()), out),
            Delta::ToolStart { index, id, name, .. } => {
                self.has_calls = true;
                let id = self.ids.word(&id);
                self.piece(Piece::Tool { index, id, name, json: String::new(), ended: false }, out);
            }
            Delta::ToolArguments { index, json } => self.arguments(index, &json, out),
            Delta::ToolEnd { index } => self.tool_end(index, out),
            Delta::Usage(usage) => self.usage = usage,
            Delta::Finish(finish) => {
                // Some hosts say it twice, and the second time less exactly.
                if self.finish == Finish::Unsaid || finish != Finish::Stop {
                    self.finish = finish;
                }
            }
            Delta::Ping if self.state == State::Started => ping(out),
            Delta::Ping | Delta::Error(_) | Delta::End => {}
        }
    }

    /// Appends a clean end, once: the rest of what waited, the reason, and the counts.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Closed {
            return;
        }
        self.start(out);
        for piece in &mut self.waiting {
            if let Piece::Tool { ended, .. } = piece {
                *ended = true;
            }
        }
        self.close(out);
        self.drain(out);
        self.close(out);
        let finish = told(&self.finish, self.refused);
        let (reason, sequence) = stop_reason(&finish, self.has_calls);
        let event = json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": sequence },
            "usage": usage_json(&self.usage),
        });
        sse::write(out, Some("message_delta"), &event);
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        self.state = State::Closed;
    }

    /// Appends the end of an answer that failed, once.
    pub fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<u8>) {
        if self.state != State::Closed {
            self.state = State::Closed;
            out.extend_from_slice(&error::event(Dialect::Messages, view));
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.state != State::New {
            return;
        }
        self.state = State::Started;
        // The counts of the answer come at its end; strict clients want the whole object here too.
        let usage = Usage { output: 0, reasoning: 0, ..self.usage };
        let event = json!({
            "type": "message_start",
            "message": {
                "id": format!("msg_{}", self.id),
                "type": "message",
                "role": "assistant",
                "model": self.model,
                "content": [],
                "stop_reason": null,
                "stop_sequence": null,
                "usage": usage_json(&usage),
            },
        });
        sse::write(out, Some("message_start"), &event);
    }

    /// Writes a piece, or lets it wait while a call is open.
    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) {
        self.start(out);
        if !matches!(self.open, Open::Tool(_)) {
            self.write(piece, out);
            return;
        }
        match (self.waiting.back_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text))
            | (Some(Piece::Thinking(last)), Piece::Thinking(text)) => {
                last.push_str(&text);
            }
            (_, piece) => self.waiting.push_back(piece),
        }
    }

    fn arguments(&mut self, index: u32, json: &str, out: &mut Vec<u8>) {
        if json.is_empty() {
            return;
        }
        if self.open == Open::Tool(index) {
            self.block_delta("input_json_delta", "partial_json", json, out);
            return;
        }
        let waits = self.waiting.iter_mut().rev().find_map(|piece| match piece {
            Piece::Tool { index: own, json, ended: false, .. } if *own == index => Some(json),
            _ => None,
        });
        if let Some(waits) = waits {
            waits.push_str(json);
        }
    }

    fn tool_end(&mut self, index: u32, out: &mut Vec<u8>) {
        if self.open == Open::Tool(index) {
            self.close(out);
            self.drain(out);
            return;
        }
        for piece in &mut self.waiting {
            if let Piece::Tool { index: own, ended, .. } = piece
                && *own == index
            {
                *ended = true;
            }
        }
    }

    /// Writes what waited, up to and including the next call that is not complete.
    fn drain(&mut self, out: &mut Vec<u8>) {
        while !matches!(self.open, Open::Tool(_)) {
            let Some(piece) = self.waiting.pop_front() else { return };
            self.write(piece, out);
        }
    }

    /// Writes a piece. No call is open.
    fn write(&mut self, piece: Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => {
                if self.open != Open::Text {
                    self.block_start(Open::Text, &json!({ "type": "text", "text": "" }), out);
                }
                self.block_delta("text_delta", "text", &text, out);
                for citation in std::mem::take(&mut self.cited) {
                    self.cite(&citation, out);
                }
            }
            Piece::Thinking(text) => {
                self.think(false, out);
                self.block_delta("thinking_delta", "thinking", &text, out);
            }
            Piece::Signature(signature) => {
                self.think(true, out);
                self.block_delta("signature_delta", "signature", &signature, out);
                self.open = Open::Thinking { signed: true };
            }
            Piece::Redacted(data) => {
                let block = json!({ "type": "redacted_thinking", "data": data });
                self.block_start(Open::Thinking { signed: true }, &block, out);
                self.close(out);
            }
            Piece::Citation(citation) if self.open == Open::Text => self.cite(&citation, out),
            Piece::Citation(citation) => self.cited.push(*citation),
            Piece::Tool { index, id, name, json, ended } => {
                let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                self.block_start(Open::Tool(index), &block, out);
                if !json.is_empty() {
                    self.block_delta("input_json_delta", "partial_json", &json, out);
                }
                if ended {
                    self.close(out);
                }
            }
        }
    }

    /// A page that the open text cites.
    fn cite(&self, citation: &Citation, out: &mut Vec<u8>) {
        let delta = json!({ "type": "citations_delta", "citation": web_location(citation) });
        let event = json!({ "type": "content_block_delta", "index": self.next - 1, "delta": delta });
        sse::write(out, Some("content_block_delta"), &event);
    }

    /// Makes sure that a thought is open: an unsigned one, or for a signature any.
    fn think(&mut self, for_signature: bool, out: &mut Vec<u8>) {
        let fits = matches!(self.open, Open::Thinking { signed } if !signed || for_signature);
        if !fits {
            let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
            self.block_start(Open::Thinking { signed: false }, &block, out);
        }
    }

    fn block_start(&mut self, open: Open, block: &Value, out: &mut Vec<u8>) {
        self.close(out);
        let event = json!({ "type": "content_block_start", "index": self.next, "content_block": block });
        sse::write(out, Some("content_block_start"), &event);
        if self.next == 0 {
            // Anthropic's own first ping stands here.
            ping(out);
        }
        self.open = open;
        self.next += 1;
    }

    /// A piece of the open block. This runs for every token, so it builds no tree.
    fn block_delta(&self, kind: &str, field: &str, text: &str, out: &mut Vec<u8>) {
        let head = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"{kind}\",\"{field}\":",
            self.next - 1
        );
        out.extend_from_slice(head.as_bytes());
        let start = out.len();
        if serde_json::to_writer(&mut *out, text).is_err() {
            // Writing a string into memory cannot fail.
            out.truncate(start);
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"}}\n\n");
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.open, Open::None) != Open::None {
            let event = json!({ "type": "content_block_stop", "index": self.next - 1 });
            sse::write(out, Some("content_block_stop"), &event);
        }
    }
}

fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}
