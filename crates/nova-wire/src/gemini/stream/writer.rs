//! From deltas to chunks.
//!
//! A chunk is whole in itself, so there is no block to open or close. Three rules remain: a call stands in
//! one part with all its arguments; exactly one chunk, the last, has a `finishReason` and the counts; and
//! every chunk has a part, if only an empty text, because the chats of Google's SDKs forget a turn of
//! which one chunk had none.
//!
//! The frame is the one that Google's SDK for JavaScript (1.30, which Gemini CLI brings along) searches
//! for: `data: `, one line, a blank line. It takes no comments and no event names, and its search stops
//! at U+2028 and U+2029, which are plain letters in JSON, so they are escaped.

use serde::Serialize;
use serde_json::{Value, json};

use crate::gemini::reply::{chunk_of, function_call, inline, thought, told};
use crate::gemini::{counts, finish_reason};
use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::hub::request::ToolCall;
use crate::splice;
use crate::translate::ReplyContext;
use crate::usage::Usage;

/// What keeps a stream of this dialect alive: a blank line between events, of which no reader sees
/// anything. Tried with Google's SDKs: the one for Python takes a comment for an answer that is no JSON
/// and fails, and the one for JavaScript that Gemini CLI brings along finds no event behind a comment any
/// more. An empty chunk would be shown to the application as an answer.
pub(crate) const KEEP_ALIVE: &[u8] = b"\r\n";

/// Writes the chunks of one stream.
#[derive(Debug)]
pub struct Writer {
    /// The beginning of every chunk, up to the first part.
    head: &'static [u8],
    /// The end of every chunk but the last, behind its parts.
    tail: Vec<u8>,
    id: String,
    model: String,
    want_thinking: bool,
    calls: Vec<Call>,
    /// How many of the calls were written or let go.
    given: usize,
    started: bool,
    closed: bool,
    refused: bool,
    /// The pages that were cited, for the last chunk.
    cited: Vec<Value>,
    finish: Finish,
    usage: Option<Usage>,
}

/// A call, until it is whole.
#[derive(Debug)]
struct Call {
    index: u32,
    call: ToolCall,
    ended: bool,
}

/// What a chunk is put together from; one part at a time.
const HEAD: &[u8] = b"data: {\"candidates\":[{\"content\":{\"parts\":[";

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(ctx: &ReplyContext) -> Self {
        let mut tail = b"],\"role\":\"model\"},\"index\":0}],\"modelVersion\":".to_vec();
        tail.extend_from_slice(&splice::quoted(&ctx.model));
        tail.extend_from_slice(b",\"responseId\":");
        tail.extend_from_slice(&splice::quoted(&ctx.id));
        tail.extend_from_slice(b"}\r\n\r\n");
        Self {
            head: HEAD,
            tail,
            id: ctx.id.clone(),
            model: ctx.model.clone(),
            want_thinking: ctx.want_thinking,
            calls: Vec::new(),
            given: 0,
            started: false,
            closed: false,
            refused: false,
            cited: Vec::new(),
            finish: Finish::Unsaid,
            usage: None,
        }
    }

    /// Appends the chunks that a delta makes.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        match delta {
            Delta::Start { usage, .. } => self.usage = usage.or(self.usage),
            Delta::Thinking(text) if self.want_thinking => self.text(&text, ",\"thought\":true}", out),
            Delta::Signature(signature) if self.want_thinking => {
                self.part(&thought("", Some(&signature)), out)
            }
            Delta::Text(text) => self.text(&text, "}", out),
            Delta::Refusal(text) => {
                self.refused = true;
                self.text(&text, "}", out);
            }
            Delta::Citation(citation) => self.cited.push(chunk_of(&citation)),
            Delta::Image(image) => self.part(&inline(&image), out),
            Delta::ToolStart { index, id, name, mark } => {
                let at = self.calls.len();
                let id = if id.is_empty() { format!("call_{}_{at}", self.id) } else { id };
                let call = ToolCall { id, name, arguments: String::new(), mark };
                self.calls.push(Call { index, call, ended: false });
            }
            Delta::ToolArguments { index, json } => {
                if let Some(call) = self.call(index) {
                    call.call.arguments.push_str(&json);
                }
            }
            Delta::ToolEnd { index } => {
                if let Some(call) = self.call(index) {
                    call.ended = true;
                }
                self.give(out);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Finish(finish) => self.finish = finish,
            Delta::Ping if self.started => out.extend_from_slice(KEEP_ALIVE),
            Delta::Thinking(_)
            | Delta::Signature(_)
            | Delta::RedactedThinking(_)
            | Delta::Ping
            | Delta::Error(_)
            | Delta::End => {}
        }
    }

    /// Appends a clean end, once: calls that nobody ended, the reason, and the counts.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        for call in &mut self.calls {
            call.ended = true;
        }
        self.give(out);
        let finish = told(&self.finish, self.refused);
        let mut chunk = json!({
            "candidates": [{
                "content": { "parts": [{ "text": "" }], "role": "model" },
                "finishReason": finish_reason(&finish),
                "index": 0,
            }],
        });
        if !self.cited.is_empty() {
            let cited = std::mem::take(&mut self.cited);
            chunk["candidates"][0]["groundingMetadata"] = json!({ "groundingChunks": cited });
        }
        if let Some(usage) = &self.usage {
            chunk["usageMetadata"] = counts::write(usage);
        }
        chunk["modelVersion"] = json!(self.model);
        chunk["responseId"] = json!(self.id);
        out.extend_from_slice(b"data: ");
        write(&chunk, out);
        out.extend_from_slice(b"\r\n\r\n");
        self.closed = true;
    }

    /// The call under way with the upstream's number, the latest of that number.
    fn call(&mut self, index: u32) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| call.index == index && !call.ended)
    }

    /// Writes the calls that are whole, in the order in which they began.
    fn give(&mut self, out: &mut Vec<u8>) {
        while let Some(call) = self.calls.get(self.given).filter(|call| call.ended) {
            let part = function_call(&call.call, &self.finish);
            self.given += 1;
            if let Some(part) = part {
                self.part(&part, out);
            }
        }
    }

    fn part(&mut self, part: &Value, out: &mut Vec<u8>) {
        self.started = true;
        out.extend_from_slice(self.head);
        write(part, out);
        out.extend_from_slice(&self.tail);
    }

    /// A piece of text. This runs for every token, so it builds no tree.
    fn text(&mut self, text: &str, rest: &str, out: &mut Vec<u8>) {
        self.started = true;
        out.extend_from_slice(self.head);
        out.extend_from_slice(b"{\"text\":");
        write(text, out);
        out.extend_from_slice(rest.as_bytes());
        out.extend_from_slice(&self.tail);
    }
}

/// Appends JSON in one line, as JavaScript counts lines.
fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Writing strings and trees into memory cannot fail.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
    if memchr::memmem::find(&out[start..], LINE_ENDS).is_some() {
        let escaped = String::from_utf8_lossy(&out[start..])
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029");
        out.truncate(start);
        out.extend_from_slice(escaped.as_bytes());
    }
}

/// What U+2028 and U+2029 begin with in UTF-8.
const LINE_ENDS: &[u8] = b"\xE2\x80";
