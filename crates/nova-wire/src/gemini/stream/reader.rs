//! From chunks to deltas.

use serde_json::{Map, Value};

use super::{grounding, partial};
use crate::dialect::Dialect;
use crate::error;
use crate::gemini::{broken, counts, finish, garbage, text};
use crate::hub::delta::Delta;
use crate::hub::reply::{Finish, Image};
use crate::hub::request::Mark;
use crate::quirks::Quirks;
use crate::sse::{self, BadEvent};

/// How many calls one answer may have; real ones have a few dozen at most.
const MAX_CALLS: u32 = 1024;

/// How much of an answer's id goes into the ids of its calls, in bytes.
const LONGEST_ANSWER_ID: usize = 40;

/// Reads the chunks of one stream.
#[derive(Debug, Default)]
pub struct Reader {
    started: bool,
    finished: bool,
    over: bool,
    /// The answer's id, in letters that every client takes in the id of a call.
    answer: String,
    /// How many calls there were.
    calls: u32,
    /// A call whose arguments come in pieces.
    open: Option<Open>,
    /// Whether the last that came was a thought without a signature.
    thinking: bool,
    /// The text so far: Google says by bytes of it what a page was cited for.
    said: String,
    /// Which pages were used for what, the last word on it.
    grounding: Option<Value>,
}

#[derive(Debug)]
struct Open {
    call: Call,
    arguments: Value,
}

#[derive(Debug)]
struct Call {
    id: Option<String>,
    name: String,
    signature: Option<String>,
}

impl Reader {
    /// A reader at the beginning of a stream. No quirk known so far bears on it.
    pub fn new(_quirks: &Quirks) -> Self {
        Self::default()
    }

    /// Reads one event.
    ///
    /// # Errors
    /// Where its data is no JSON object; the stream can be read on.
    pub fn event(&mut self, event: &sse::Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        let mut data = event.data.trim_ascii();
        if self.over {
            return Ok(());
        }
        if event.is_done() {
            if self.finished {
                self.over = true;
                out.push(Delta::End);
            }
            return Ok(());
        }
        if data.is_empty() {
            match event.raw.trim_ascii_start().first() {
                Some(b':') => out.push(Delta::Ping),
                // Google breaks a stream off with an error that has no frame around it.
                Some(b'{') => data = event.raw,
                _ => {}
            }
            if data.is_empty() {
                return Ok(());
            }
        }
        let value: Value = serde_json::from_slice(data).map_err(|_| BadEvent)?;
        self.values(&value, out)
    }

    /// Reads a chunk, or the list of all of them that comes where `alt=sse` was not asked for.
    pub(in crate::gemini) fn values(&mut self, value: &Value, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        match value {
            Value::Object(_) => self.chunk(value, out),
            Value::Array(all) => {
                all.iter().filter(|chunk| chunk.is_object()).for_each(|it| self.chunk(it, out))
            }
            _ => return Err(BadEvent),
        }
        Ok(())
    }

    /// The body has ended. A call that is still open then was cut.
    pub fn end(&mut self, out: &mut Vec<Delta>) {
        if !self.over {
            self.cite(out);
        }
        self.over = true;
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<Delta>) {
        if self.over {
            return;
        }
        if let Some(error) = error::in_success(Dialect::Gemini, chunk) {
            return self.fail(error, out);
        }
        if self.answer.is_empty() {
            self.answer = text(chunk, "responseId").map(word).unwrap_or_default();
        }
        if !std::mem::replace(&mut self.started, true) {
            let model = text(chunk, "modelVersion").map(str::to_owned);
            out.push(Delta::Start { model, usage: None });
        }
        let candidates = chunk.get("candidates").and_then(Value::as_array);
        // Only the first of several candidates has a place in the hub.
        let first = |candidate: &&Value| candidate.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        match candidates.and_then(|all| all.iter().find(first)) {
            Some(candidate) => self.candidate(candidate, counts::read(chunk), out),
            None => {
                self.blocked(chunk.get("promptFeedback").unwrap_or(&Value::Null), out);
                out.extend(counts::read(chunk).map(Delta::Usage));
            }
        }
    }

    fn candidate(&mut self, candidate: &Value, usage: Option<crate::usage::Usage>, out: &mut Vec<Delta>) {
        let reason = text(candidate, "finishReason").unwrap_or_default();
        let why = text(candidate, "finishMessage");
        let finish = finish(reason);
        if let Some(Finish::Failed(_)) = finish {
            // What stands in this chunk is the fault itself, such as a call of a function that nobody offered.
            out.extend(usage.map(Delta::Usage));
            return self.fail(broken(reason, why), out);
        }
        let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            self.part(part, out);
            if self.over {
                return;
            }
        }
        if let Some(grounding) = candidate.get("groundingMetadata") {
            self.grounding = Some(grounding.clone());
        }
        if finish == Some(Finish::Filter)
            && let Some(why) = why
        {
            out.push(Delta::Refusal(why.to_owned()));
        }
        if let Some(finish) = finish {
            self.finish(finish, out);
        }
        out.extend(usage.map(Delta::Usage));
    }

    /// A prompt that was not let through has no candidates.
    fn blocked(&mut self, feedback: &Value, out: &mut Vec<Delta>) {
        let Some(reason) = text(feedback, "blockReason") else { return };
        if reason == "BLOCK_REASON_UNSPECIFIED" || self.finished {
            return;
        }
        if let Some(why) = text(feedback, "blockReasonMessage") {
            out.push(Delta::Refusal(why.to_owned()));
        }
        self.finish(Finish::Filter, out);
    }

    /// The first reason counts.
    fn finish(&mut self, finish: Finish, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let open = self.open.take();
        if finish != Finish::Length {
            self.close(open, out);
        }
        self.cite(out);
        out.push(Delta::Finish(if finish == Finish::Stop && self.calls > 0 {
            Finish::ToolCalls
        } else {
            finish
        }));
    }

    /// Gives out the pages that the answer has something from.
    fn cite(&mut self, out: &mut Vec<Delta>) {
        let Some(grounding) = self.grounding.take() else { return };
        let cited = grounding::citations(&grounding, &self.said).into_iter();
        out.extend(cited.map(|citation| Delta::Citation(Box::new(citation))));
    }

    fn part(&mut self, part: &Value, out: &mut Vec<Delta>) {
        let signature = text(part, "thoughtSignature");
        if let Some(call) = part.get("functionCall").filter(|call| call.is_object()) {
            self.thinking = false;
            return self.call(call, signature, out);
        }
        let thought = part.get("thought").and_then(Value::as_bool) == Some(true);
        if let Some(said) = text(part, "text") {
            self.thinking = thought;
            let said = said.to_owned();
            if !thought {
                self.said.push_str(&said);
            }
            out.push(if thought { Delta::Thinking(said) } else { Delta::Text(said) });
        }
        if let Some(image) = part.get("inlineData").filter(|_| !thought).and_then(image) {
            out.push(Delta::Image(image));
        }
        // A signature on plain text is not carried: Google does not insist on it, and to a client of
        // another dialect it would be an empty thought behind the text, which agents take for the last word.
        if let Some(signature) = signature.filter(|_| thought || self.thinking) {
            self.thinking = false;
            out.push(Delta::Signature(signature.to_owned()));
        }
    }

    /// A whole call, or a piece of one: the first has its name, the last says that nothing follows.
    fn call(&mut self, piece: &Value, signature: Option<&str>, out: &mut Vec<Delta>) {
        let goes_on = piece.get("willContinue").and_then(Value::as_bool) == Some(true);
        if let Some(name) = text(piece, "name") {
            let before = self.open.take();
            self.close(before, out);
            let call = Call {
                id: text(piece, "id").map(str::to_owned),
                name: name.to_owned(),
                signature: signature.map(str::to_owned),
            };
            let args = piece.get("args").filter(|args| args.is_object()).cloned();
            let arguments = args.unwrap_or_else(|| Value::Object(Map::new()));
            self.open = Some(Open { call, arguments });
        }
        let Some(open) = &mut self.open else { return };
        if open.call.signature.is_none() {
            open.call.signature = signature.map(str::to_owned);
        }
        if let Some(pieces) = piece.get("partialArgs") {
            partial::add(&mut open.arguments, pieces);
        }
        if !goes_on {
            let open = self.open.take();
            self.close(open, out);
        }
    }

    /// Gives a call out, which is whole now.
    fn close(&mut self, open: Option<Open>, out: &mut Vec<Delta>) {
        let Some(Open { call, arguments }) = open else { return };
        if self.calls == MAX_CALLS {
            return self.fail(garbage("the provider's answer has too many calls in it"), out);
        }
        let index = self.calls;
        self.calls += 1;
        // Google gives an id to few calls; without an answer's id the writer makes one.
        let made =
            || if self.answer.is_empty() { String::new() } else { format!("call_{}_{index}", self.answer) };
        let id = call.id.unwrap_or_else(made);
        let mark = Mark { signature: call.signature, ..Mark::default() };
        out.push(Delta::ToolStart { index, id, name: call.name, mark });
        out.push(Delta::ToolArguments { index, json: arguments.to_string() });
        out.push(Delta::ToolEnd { index });
    }

    fn fail(&mut self, error: error::UpstreamError, out: &mut Vec<Delta>) {
        self.over = true;
        out.push(Delta::Error(error));
    }
}

/// An image that the model made; data of other kinds is not carried.
fn image(data: &Value) -> Option<Image> {
    let media_type = text(data, "mimeType").filter(|kind| kind.starts_with("image/"))?.to_owned();
    Some(Image { media_type, data: text(data, "data")?.to_owned() })
}

/// The letters of an id that may stand in the id of a call.
fn word(id: &str) -> String {
    let letters = id.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    letters.take(LONGEST_ANSWER_ID).collect()
}
