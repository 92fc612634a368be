//! From deltas to Responses events.
//!
//! Clients insist on a grammar: `response.created`, `response.in_progress`; items one after another, each
//! with its beginning, its pieces, a `.done` for everything that has pieces, and its end; then the whole
//! answer again. Every event has a number, without gaps. A provider of another dialect may send pieces of
//! several calls in turns, and text between them, so whatever comes while a call is open waits in a queue
//! until the call is complete.
//!
//! Invariant: every byte of text, thought and arguments that comes in goes out, in an item of its own
//! kind, in the order in which the items began, and again in the last event.

mod events;
mod open;

use std::collections::VecDeque;

use self::events::Events;
use self::open::{Message, Open, OpenCall, Thought};
use crate::error::ErrorView;
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish, Image};
use crate::hub::request::Mark;
use crate::responses::CALL_SIGNATURE;
use crate::responses::envelope::{Envelope, State, error_json};
use crate::responses::hosted::Hosted;
use crate::responses::item::{self, Called, Form, Ids};
use crate::responses::reply::status;
use crate::translate::ReplyContext;
use crate::usage::Usage;

/// Writes the events of one stream.
#[derive(Debug)]
pub struct Writer {
    events: Events,
    envelope: Envelope,
    ids: Ids,
    offered: Vec<Hosted>,
    started: bool,
    closed: bool,
    open: Open,
    waiting: VecDeque<Piece>,
    /// Pages that were cited before any text; some hosts name them first.
    cited: Vec<Citation>,
    usage: Option<Usage>,
    finish: Finish,
}

/// What waits until the open call is complete.
#[derive(Debug)]
enum Piece {
    Text(String),
    Refusal(String),
    Thinking(String),
    Signature(String),
    Redacted(String),
    Citation(Box<Citation>),
    Image(Image),
    Tool { index: u32, id: String, name: String, mark: Mark, json: String, ended: bool },
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(ctx: &ReplyContext) -> Self {
        Self {
            events: Events::default(),
            envelope: Envelope::new(ctx),
            ids: Ids::new(ctx),
            offered: Hosted::offered(&ctx.echo),
            started: false,
            closed: false,
            open: Open::None,
            waiting: VecDeque::new(),
            cited: Vec::new(),
            usage: None,
            finish: Finish::Unsaid,
        }
    }

    /// Appends the events that a delta makes. [`Delta::Error`] and [`Delta::End`] make none: the caller
    /// answers them with [`Self::fail`] and [`Self::finish`].
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        match delta {
            Delta::Start { usage, .. } => {
                self.usage = usage.or(self.usage);
                self.start(out);
            }
            Delta::Thinking(text) => self.piece(Piece::Thinking(text), out),
            Delta::Signature(signature) => self.piece(Piece::Signature(signature), out),
            Delta::RedactedThinking(data) => self.piece(Piece::Redacted(data), out),
            Delta::Text(text) => self.piece(Piece::Text(text), out),
            Delta::Refusal(text) => self.piece(Piece::Refusal(text), out),
            Delta::Citation(citation) => self.piece(Piece::Citation(citation), out),
            Delta::Image(image) => self.piece(Piece::Image(image), out),
            Delta::ToolStart { index, id, name, mark } => {
                let tool = Piece::Tool { index, id, name, mark, json: String::new(), ended: false };
                self.piece(tool, out);
            }
            Delta::ToolArguments { index, json } => self.arguments(index, &json, out),
            Delta::ToolEnd { index } => self.tool_end(index),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Finish(finish) => {
                // Some hosts say it twice, and the second time less exactly.
                if self.finish == Finish::Unsaid || finish != Finish::Stop {
                    self.finish = finish;
                }
            }
            Delta::Ping if self.started => out.extend_from_slice(b": keep-alive\n\n"),
            Delta::Ping | Delta::Error(_) | Delta::End => {}
        }
    }

    /// Appends the end of a whole answer, once.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.start(out);
        let cut = matches!(self.finish, Finish::Length | Finish::Filter);
        while let Some(piece) = self.waiting.pop_front() {
            self.write(piece, out);
        }
        self.close(cut, out);
        let (status, incomplete) = status(&self.finish);
        let kind = if status == "completed" { "response.completed" } else { "response.incomplete" };
        self.response(kind, status, incomplete, out);
    }

    /// Appends the end of an answer that failed, once.
    pub fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.start(out);
        let (error, code) = error_json(view);
        self.events.write("error", &[error.as_bytes()], out);
        let state = State {
            status: "failed",
            output: self.events.done(),
            usage: self.usage,
            incomplete: None,
            error: Some((code, view.message)),
        };
        let mut response = Vec::new();
        self.envelope.write(&state, &mut response);
        self.events.holding("response.failed", &response, out);
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            self.response("response.created", "in_progress", None, out);
            self.response("response.in_progress", "in_progress", None, out);
        }
    }

    /// An event with the whole answer so far.
    fn response(
        &mut self,
        kind: &str,
        status: &'static str,
        incomplete: Option<&'static str>,
        out: &mut Vec<u8>,
    ) {
        let usage = if status == "in_progress" { None } else { self.usage };
        let state = State { status, output: self.events.done(), usage, incomplete, error: None };
        let mut response = Vec::new();
        self.envelope.write(&state, &mut response);
        self.events.holding(kind, &response, out);
    }

    /// Writes a piece, or lets it wait while a call is open.
    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) {
        self.start(out);
        if !self.is_calling() {
            self.write(piece, out);
            return;
        }
        match (self.waiting.back_mut(), piece) {
            (Some(Piece::Text(last)), Piece::Text(text))
            | (Some(Piece::Refusal(last)), Piece::Refusal(text))
            | (Some(Piece::Thinking(last)), Piece::Thinking(text)) => last.push_str(&text),
            (_, piece) => self.waiting.push_back(piece),
        }
        self.drain(out);
    }

    /// Whether a call is open. One that is complete stays open until the next item begins or the answer
    /// ends, since only the end tells whether it was cut.
    fn is_calling(&self) -> bool {
        matches!(self.open, Open::Call(_))
    }

    /// Writes what waited, up to and including the next call that is not complete.
    fn drain(&mut self, out: &mut Vec<u8>) {
        while matches!(&self.open, Open::Call(call) if call.ended) || !self.is_calling() {
            let Some(piece) = self.waiting.pop_front() else { return };
            self.write(piece, out);
        }
    }

    fn arguments(&mut self, index: u32, json: &str, out: &mut Vec<u8>) {
        if let Open::Call(call) = &mut self.open
            && call.index == index
        {
            call.push(json, &mut self.events, out);
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

    fn tool_end(&mut self, index: u32) {
        if let Open::Call(call) = &mut self.open
            && call.index == index
        {
            call.ended = true;
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

    /// Writes a piece. No call is open that is not complete.
    fn write(&mut self, piece: Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Text(text) => self.say(&text, false, out),
            Piece::Refusal(text) => self.say(&text, true, out),
            Piece::Thinking(text) => self.think(Some(&text), None, out),
            Piece::Signature(signature) => self.think(None, Some(signature), out),
            Piece::Redacted(data) => self.redacted(data, out),
            Piece::Citation(citation) => match &mut self.open {
                Open::Message(message) if message.is_speaking() => {
                    message.cite(*citation, &mut self.events, out);
                }
                _ => self.cited.push(*citation),
            },
            Piece::Image(image) => {
                self.close(false, out);
                let item = item::image(&self.item_id("ig"), &image);
                self.events.begin(&item, out);
                self.events.end(&item, out);
            }
            Piece::Tool { index, id, name, mark, json, ended } => {
                if let Some(signature) = &mark.signature {
                    self.redacted(format!("{CALL_SIGNATURE}{signature}"), out);
                }
                self.close(false, out);
                let form = Form::of(&name, &mark, &self.offered);
                let called = Called {
                    id: self.item_id(form.prefix()),
                    call_id: self.ids.call(&id, self.events.place()),
                    name,
                    namespace: mark.namespace,
                };
                let mut call = OpenCall::begin(index, form, called, &mut self.events, out);
                call.push(&json, &mut self.events, out);
                call.ended = ended;
                self.open = Open::Call(Box::new(call));
            }
        }
    }

    fn item_id(&self, prefix: &str) -> String {
        self.ids.item(prefix, self.events.place())
    }

    /// More of the open message; one is begun where none is open.
    fn say(&mut self, text: &str, refusal: bool, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Message(_)) {
            self.close(false, out);
            let id = self.item_id("msg");
            self.open = Open::Message(Message::begin(id, &mut self.events, out));
        }
        if let Open::Message(message) = &mut self.open {
            message.push(text, refusal, &mut self.events, out);
            let cited = if refusal { Vec::new() } else { std::mem::take(&mut self.cited) };
            for citation in cited {
                message.cite(citation, &mut self.events, out);
            }
        }
    }

    /// More of the open thought, or its signature; nothing follows that.
    fn think(&mut self, text: Option<&str>, signature: Option<String>, out: &mut Vec<u8>) {
        let repeated = |thought: &Thought| signature.is_some() && thought.signature == signature;
        if matches!(&self.open, Open::Thought(thought) if repeated(thought)) {
            return;
        }
        if !matches!(&self.open, Open::Thought(thought) if !thought.is_signed()) {
            self.close(false, out);
            let id = self.item_id("rs");
            self.open = Open::Thought(Thought::begin(id, &mut self.events, out));
        }
        if let Open::Thought(thought) = &mut self.open {
            if let Some(text) = text {
                thought.push(text, &mut self.events, out);
            }
            if signature.is_some() {
                thought.signature = signature;
            }
        }
    }

    /// A thought that only its provider can read.
    fn redacted(&mut self, data: String, out: &mut Vec<u8>) {
        self.close(false, out);
        let thought = Thought::begin(self.item_id("rs"), &mut self.events, out);
        thought.close_sealed(&data, &mut self.events, out);
    }

    fn close(&mut self, cut: bool, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.open) {
            Open::None => {}
            Open::Message(message) => message.close(cut, &mut self.events, out),
            Open::Thought(thought) => thought.close(&mut self.events, out),
            Open::Call(call) => call.close(cut, &mut self.events, out),
        }
    }
}
