//! Reads chunks of any provider into deltas.

use serde_json::Value;

use crate::chat::{self, message, think};
use crate::dialect::Dialect;
use crate::error;
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish};
use crate::hub::request::Mark;
use crate::quirks::Quirks;
use crate::sse::{BadEvent, Event};
use crate::usage;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    reasoning_outside: Option<bool>,
    splitter: Option<think::Splitter>,
    calls: Vec<Call>,
    started: bool,
    finished: bool,
    over: bool,
    /// Bytes of text given so far, to recognise a last chunk that repeats the whole message.
    text_given: usize,
    thinking_given: usize,
    /// Whether a page was cited.
    cited: bool,
    cost_usd: Option<f64>,
}

/// How many calls one answer may have; real ones have a few dozen at most.
const MAX_CALLS: usize = 1024;

/// A tool call under way.
#[derive(Debug)]
struct Call {
    /// The number that the upstream gives it; none for the legacy `function_call`.
    key: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// How much of `arguments` was given out.
    given: usize,
    started: bool,
    ended: bool,
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub fn new(quirks: &Quirks) -> Self {
        Self {
            reasoning_outside: quirks.reasoning_outside_output,
            splitter: (quirks.think_tags == Some(true)).then(think::Splitter::default),
            calls: Vec::new(),
            started: false,
            finished: false,
            over: false,
            text_given: 0,
            thinking_given: 0,
            cited: false,
            cost_usd: None,
        }
    }

    /// What the provider says that the answer cost.
    pub const fn cost_usd(&self) -> Option<f64> {
        self.cost_usd
    }

    /// Reads one event.
    ///
    /// # Errors
    /// The event is no chunk; the caller may skip it.
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        let data = event.data.trim_ascii();
        if self.over {
            return Ok(());
        }
        if data.is_empty() {
            if event.raw.first() == Some(&b':') {
                out.push(Delta::Ping);
            }
            return Ok(());
        }
        if event.is_done() {
            self.end(out);
            if !self.finished {
                self.finish(Finish::Stop, out);
            }
            out.push(Delta::End);
            self.over = true;
            return Ok(());
        }
        let named_error = event.name == Some(b"error");
        let chunk = match serde_json::from_slice::<Value>(data) {
            Ok(chunk) if chunk.is_object() => chunk,
            _ if named_error => return self.fail(error::classify(Dialect::Chat, 200, |_| None, data), out),
            _ => return Err(BadEvent),
        };
        if let Some(failure) = chat::failure(&chunk, data) {
            return self.fail(failure, out);
        }
        if named_error {
            return self.fail(error::classify(Dialect::Chat, 200, |_| None, data), out);
        }
        self.chunk(&chunk, out)
    }

    /// The body has ended: gives out what was held back.
    pub fn end(&mut self, out: &mut Vec<Delta>) {
        if self.over {
            return;
        }
        if let Some(mut splitter) = self.splitter.take() {
            let mut pieces = Vec::new();
            splitter.end(&mut pieces);
            self.pieces(pieces, out);
        }
        self.end_calls(out);
    }

    fn fail(&mut self, failure: error::UpstreamError, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        self.over = true;
        out.push(Delta::Error(failure));
        Ok(())
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Delta::Start { model: chat::text(chunk, "model").map(str::to_owned), usage: None });
        }
        let choices = chunk.get("choices").and_then(Value::as_array);
        // Only the first of several choices has a place in the hub.
        let first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        if let Some(choice) = choices.and_then(|choices| choices.iter().find(first)) {
            if let Some(delta) = choice.get("delta").filter(|delta| delta.is_object()) {
                self.delta(delta, out);
            } else if let Some(message) = choice.get("message").filter(|message| message.is_object()) {
                self.whole(message, out);
            }
            self.count(choice.get("usage"), out);
            if !self.cited && !self.finished && choice.get("finish_reason").is_some_and(Value::is_string) {
                self.cite(message::sources(chunk), out);
            }
            let reason = choice.get("finish_reason").and_then(Value::as_str);
            match reason.and_then(|reason| chat::finish(reason, choice)) {
                Some(Finish::Failed(word)) => return self.fail(chat::broken(&word), out),
                Some(finish) => self.finish(finish, out),
                None => {}
            }
        }
        self.count(chunk.get("usage"), out);
        Ok(())
    }

    fn count(&mut self, usage: Option<&Value>, out: &mut Vec<Delta>) {
        let Some(usage) = usage else { return };
        self.cost_usd = usage::cost_usd(usage).or(self.cost_usd);
        out.extend(usage::from_chat(usage, self.reasoning_outside).map(Delta::Usage));
    }

    /// The first reason counts: SGLang and OpenRouter give it twice.
    fn finish(&mut self, finish: Finish, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.end_calls(out);
        let calls = self.calls.iter().any(|call| call.started);
        out.push(Delta::Finish(if finish == Finish::Stop && calls { Finish::ToolCalls } else { finish }));
    }

    fn cite(&mut self, citations: Vec<Citation>, out: &mut Vec<Delta>) {
        self.cited |= !citations.is_empty();
        out.extend(citations.into_iter().map(|citation| Delta::Citation(Box::new(citation))));
    }

    fn delta(&mut self, delta: &Value, out: &mut Vec<Delta>) {
        let thought = message::thinking(delta);
        if !thought.text.is_empty() {
            self.thinking_given += thought.text.len();
            out.push(Delta::Thinking(thought.text));
        }
        out.extend(thought.signature.map(Delta::Signature));
        let text = message::content(delta);
        if !text.is_empty() {
            self.text(text, out);
        }
        self.cite(message::citations(delta), out);
        out.extend(message::images(delta).into_iter().map(Delta::Image));
        if let Some(refusal) = chat::text(delta, "refusal") {
            out.push(Delta::Refusal(refusal.to_owned()));
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call.get("index").and_then(Value::as_u64), call, call.get("function"), out);
        }
        if let Some(function) = delta.get("function_call").filter(|function| function.is_object()) {
            self.call(None, function, Some(function), out);
        }
    }

    /// A chunk with a whole message: the only one, or (older MiniMax) a repetition at the end.
    fn whole(&mut self, message: &Value, out: &mut Vec<Delta>) {
        let thought = message::thinking(message).text;
        if let Some(rest) = thought.get(self.thinking_given..).filter(|rest| !rest.is_empty()) {
            out.push(Delta::Thinking(rest.to_owned()));
            self.thinking_given = thought.len();
        }
        let text = message::content(message);
        if let Some(rest) = text.get(self.text_given..).filter(|rest| !rest.is_empty()) {
            self.text(rest.to_owned(), out);
        }
        if self.calls.is_empty() {
            for (index, call) in
                message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
            {
                self.call(Some(index as u64), call, call.get("function"), out);
            }
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<Delta>) {
        self.text_given += text.len();
        let Some(splitter) = &mut self.splitter else {
            out.push(Delta::Text(text));
            return;
        };
        let mut pieces = Vec::new();
        splitter.push(&text, &mut pieces);
        self.pieces(pieces, out);
    }

    fn pieces(&self, pieces: Vec<think::Piece>, out: &mut Vec<Delta>) {
        out.extend(pieces.into_iter().map(|piece| match piece {
            think::Piece::Thinking(text) => Delta::Thinking(text),
            think::Piece::Text(text) => Delta::Text(text),
        }));
    }

    /// A piece of a tool call. Later pieces repeat id and name, leave them out, or send them empty.
    fn call(&mut self, key: Option<u64>, call: &Value, function: Option<&Value>, out: &mut Vec<Delta>) {
        let none = Value::Null;
        let function = function.unwrap_or(&none);
        let id = chat::text(call, "id").unwrap_or_default();
        let name = chat::text(function, "name").unwrap_or_default();
        let known = self.find(key, id, name);
        if known.is_none() && self.calls.len() == MAX_CALLS {
            self.over = true;
            out.push(Delta::Error(chat::garbage("the provider's answer has too many tool calls in it")));
        }
        if self.over {
            return;
        }
        let at = known.unwrap_or_else(|| {
            self.calls.push(Call::new(key));
            self.calls.len() - 1
        });
        let current = &mut self.calls[at];
        if current.id.is_empty() {
            id.clone_into(&mut current.id);
        }
        if current.name.is_empty() {
            name.clone_into(&mut current.name);
        }
        current.append(&message::arguments(function));
        self.give(at, out);
    }

    /// The call that a piece belongs to; `None` where it begins a new one.
    fn find(&self, key: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let at = match key {
            Some(_) => self.calls.iter().rposition(|call| call.key == key)?,
            None if !id.is_empty() => return self.calls.iter().rposition(|call| call.id == id),
            None => self.calls.len().checked_sub(1)?,
        };
        let call = &self.calls[at];
        let other_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
        let said_again = id.is_empty() && !name.is_empty() && call.is_complete();
        (!other_id && !said_again).then_some(at)
    }

    /// Gives out what is new of a call, once its name is known.
    fn give(&mut self, at: usize, out: &mut Vec<Delta>) {
        if self.calls[at].name.is_empty() || self.calls[at].ended {
            return;
        }
        if !self.calls[at].started {
            // Complete calls before this one get no more; saying so lets a writer go on to this one.
            for index in 0..at {
                if !self.calls[index].ended && self.calls[index].is_complete() {
                    self.end_call(index, out);
                }
            }
        }
        let index = number(at);
        let call = &mut self.calls[at];
        if !std::mem::replace(&mut call.started, true) {
            out.push(Delta::ToolStart {
                index,
                id: call.id.clone(),
                name: call.name.clone(),
                mark: Mark::default(),
            });
        }
        if call.given < call.arguments.len() {
            out.push(Delta::ToolArguments { index, json: call.arguments[call.given..].to_owned() });
            call.given = call.arguments.len();
        }
    }

    fn end_calls(&mut self, out: &mut Vec<Delta>) {
        for at in 0..self.calls.len() {
            self.end_call(at, out);
        }
    }

    fn end_call(&mut self, at: usize, out: &mut Vec<Delta>) {
        let call = &mut self.calls[at];
        if call.started && !std::mem::replace(&mut call.ended, true) {
            out.push(Delta::ToolEnd { index: number(at) });
        }
    }
}

impl Call {
    fn new(key: Option<u64>) -> Self {
        Self {
            key,
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
            given: 0,
            started: false,
            ended: false,
        }
    }

    /// Adds a piece of the arguments. Where it repeats all that came before, only what is new counts.
    ///
    /// A repetition is told from a nested value by the grammar: a value can only begin behind `:`, `[`
    /// or `,`, and inside a string its quotes would be escaped.
    fn append(&mut self, piece: &str) {
        let so_far = self.arguments.trim_end();
        let repeats = so_far.starts_with('{')
            && !so_far.ends_with([':', '[', ','])
            && piece.starts_with(self.arguments.as_str());
        self.arguments.push_str(if repeats { &piece[self.arguments.len()..] } else { piece });
    }

    fn is_complete(&self) -> bool {
        self.arguments.trim_end().ends_with('}')
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
