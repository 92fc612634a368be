//! From Messages events to deltas.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::error;
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish, ReplyPart};
use crate::hub::request::Mark;
use crate::ids;
use crate::messages::{finish, garbage, reply, text};
use crate::quirks::Quirks;
use crate::sse::{self, BadEvent};
use crate::usage::{self, Usage};

/// Reads the events of one stream.
#[derive(Debug)]
pub struct Reader {
    usage: Option<Usage>,
    blocks: Vec<Block>,
    /// How many characters of text there were.
    said: usize,
    started: bool,
    /// Whether any block has begun; a second beginning of the answer is a fault from then on.
    content: bool,
    finished: bool,
    ended: bool,
}

/// A block that is open upstream.
#[derive(Debug)]
struct Block {
    index: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Text, where it began, and the pages that it cites.
    Text {
        from: usize,
        cited: Vec<Citation>,
    },
    Thinking,
    /// A call of the client's tool, with arguments that stood in its beginning, until a piece of them
    /// comes on its own.
    Tool {
        whole: Option<String>,
    },
    /// What the provider's own tools do, and blocks that nobody knows.
    Foreign,
}

impl Reader {
    /// A reader at the beginning of a stream. No quirk known so far bears on it.
    pub const fn new(_quirks: &Quirks) -> Self {
        Self {
            usage: None,
            blocks: Vec::new(),
            said: 0,
            started: false,
            content: false,
            finished: false,
            ended: false,
        }
    }

    /// Reads one event.
    ///
    /// # Errors
    /// Where its data is no JSON object; the stream can be read on.
    pub fn event(&mut self, event: &sse::Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        if event.is_blank() || self.ended {
            return Ok(());
        }
        // OpenRouter ends its Messages streams with both dialects' marks.
        if event.is_done() {
            self.stop(out);
            return Ok(());
        }
        let data: Value = serde_json::from_slice(event.data).map_err(|_| BadEvent)?;
        if !data.is_object() {
            return Err(BadEvent);
        }
        if let Some(error) = error::in_success(Dialect::Messages, &data) {
            self.fail(error, out);
            return Ok(());
        }
        match text(&data, "type") {
            "message_start" => self.message_start(&data, out),
            "content_block_start" => self.block_start(&data, out),
            "content_block_delta" => self.block_delta(&data, out),
            "content_block_stop" => self.block_stop(index(&data), out),
            "message_delta" => self.message_delta(&data, out),
            "message_stop" => self.stop(out),
            "ping" => out.push(Delta::Ping),
            "message" => self.whole(&data, out),
            _ if event.name == Some(b"error") => {
                let error = error::classify(Dialect::Messages, 200, |_| None, event.data);
                self.fail(error, out);
            }
            _ => {}
        }
        Ok(())
    }

    /// The body has ended. Some hosts leave the last event out; an answer whose end was told is whole.
    pub fn end(&mut self, out: &mut Vec<Delta>) {
        if self.finished {
            self.stop(out);
        }
    }

    fn stop(&mut self, out: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Delta::End);
        }
    }

    fn fail(&mut self, error: error::UpstreamError, out: &mut Vec<Delta>) {
        self.ended = true;
        out.push(Delta::Error(error));
    }

    fn message_start(&mut self, data: &Value, out: &mut Vec<Delta>) {
        if self.content {
            // Two answers in one stream: nobody can tell what belongs to which.
            self.fail(garbage("the provider began a second answer inside of the first"), out);
            return;
        }
        let message = data.get("message").unwrap_or(&Value::Null);
        self.count(message);
        if !std::mem::replace(&mut self.started, true) {
            let model = message.get("model").and_then(Value::as_str).map(str::to_owned);
            out.push(Delta::Start { model, usage: self.usage });
        }
    }

    fn count(&mut self, object: &Value) -> bool {
        let read = object.get("usage").and_then(|usage| usage::from_messages(usage, self.usage));
        self.usage = read.or(self.usage);
        read.is_some()
    }

    fn block_start(&mut self, data: &Value, out: &mut Vec<Delta>) {
        self.content = true;
        let index = index(data);
        let block = data.get("content_block").unwrap_or(&Value::Null);
        let kind = match text(block, "type") {
            "text" => {
                let from = self.said;
                self.said(text(block, "text"), out);
                let cited = block.get("citations").and_then(Value::as_array).into_iter().flatten();
                Kind::Text { from, cited: cited.filter_map(reply::citation).collect() }
            }
            "thinking" => {
                push_text(text(block, "thinking"), Delta::Thinking, out);
                push_text(text(block, "signature"), Delta::Signature, out);
                Kind::Thinking
            }
            "redacted_thinking" => {
                push_text(text(block, "data"), Delta::RedactedThinking, out);
                Kind::Foreign
            }
            "tool_use" => {
                let id = text(block, "id").to_owned();
                let name = ids::from_word(text(block, "name")).into_owned();
                out.push(Delta::ToolStart { index, id, name, mark: Mark::default() });
                let whole = block.get("input").filter(|input| match input {
                    Value::Object(fields) => !fields.is_empty(),
                    _ => false,
                });
                Kind::Tool { whole: whole.map(Value::to_string) }
            }
            _ => Kind::Foreign,
        };
        self.blocks.retain(|block| block.index != index);
        self.blocks.push(Block { index, kind });
    }

    fn block_delta(&mut self, data: &Value, out: &mut Vec<Delta>) {
        self.content = true;
        let index = index(data);
        let delta = data.get("delta").unwrap_or(&Value::Null);
        let block = self.blocks.iter_mut().find(|block| block.index == index);
        let kind = block.map(|block| &mut block.kind);
        match (text(delta, "type"), kind) {
            (_, Some(Kind::Foreign)) => {}
            ("text_delta", None | Some(Kind::Text { .. })) => self.said(text(delta, "text"), out),
            ("citations_delta", Some(Kind::Text { cited, .. })) => {
                cited.extend(delta.get("citation").and_then(reply::citation));
            }
            ("thinking_delta", None | Some(Kind::Thinking)) => {
                push_text(text(delta, "thinking"), Delta::Thinking, out);
            }
            ("signature_delta", None | Some(Kind::Thinking)) => {
                push_text(text(delta, "signature"), Delta::Signature, out);
            }
            ("input_json_delta", Some(Kind::Tool { whole })) => {
                let json = text(delta, "partial_json");
                if !json.is_empty() {
                    *whole = None;
                    out.push(Delta::ToolArguments { index, json: json.to_owned() });
                }
            }
            // Compactions, and pieces of the wrong kind.
            _ => {}
        }
    }

    fn block_stop(&mut self, index: u32, out: &mut Vec<Delta>) {
        let Some(at) = self.blocks.iter().position(|block| block.index == index) else { return };
        match self.blocks.remove(at).kind {
            Kind::Tool { whole } => {
                out.extend(whole.map(|json| Delta::ToolArguments { index, json }));
                out.push(Delta::ToolEnd { index });
            }
            Kind::Text { from, cited } => {
                let span = reply::placed(&(from..self.said));
                let placed = cited.into_iter().map(|citation| Citation { span, ..citation });
                out.extend(placed.map(|citation| Delta::Citation(Box::new(citation))));
            }
            Kind::Thinking | Kind::Foreign => {}
        }
    }

    fn said(&mut self, text: &str, out: &mut Vec<Delta>) {
        self.said += text.chars().count();
        push_text(text, Delta::Text, out);
    }

    fn message_delta(&mut self, data: &Value, out: &mut Vec<Delta>) {
        if self.count(data) {
            out.extend(self.usage.map(Delta::Usage));
        }
        let delta = data.get("delta").unwrap_or(&Value::Null);
        let sequence = delta.get("stop_sequence").and_then(Value::as_str);
        let Some(finish) = finish(text(delta, "stop_reason"), sequence) else { return };
        if finish == Finish::Filter {
            push_text(reply::explanation(delta).unwrap_or_default(), Delta::Refusal, out);
        }
        self.finished = true;
        out.push(Delta::Finish(finish));
    }

    /// A whole answer where a stream was asked for.
    fn whole(&mut self, data: &Value, out: &mut Vec<Delta>) {
        let answer = match reply::from_json(data) {
            Ok(answer) => answer,
            Err(error) => return self.fail(error, out),
        };
        out.push(Delta::Start { model: answer.model, usage: answer.usage });
        for (index, part) in (0..).zip(answer.parts) {
            match part {
                ReplyPart::Thinking { text, signature } => {
                    push_text(&text, Delta::Thinking, out);
                    out.extend(signature.map(Delta::Signature));
                }
                ReplyPart::RedactedThinking { data } => out.push(Delta::RedactedThinking(data)),
                ReplyPart::Text(text) => out.push(Delta::Text(text)),
                ReplyPart::Refusal(text) => out.push(Delta::Refusal(text)),
                ReplyPart::Citation(citation) => out.push(Delta::Citation(Box::new(citation))),
                ReplyPart::Image(image) => out.push(Delta::Image(image)),
                ReplyPart::ToolCall(call) => {
                    out.push(Delta::ToolStart { index, id: call.id, name: call.name, mark: Mark::default() });
                    out.push(Delta::ToolArguments { index, json: call.arguments });
                    out.push(Delta::ToolEnd { index });
                }
            }
        }
        out.extend(answer.usage.map(Delta::Usage));
        out.push(Delta::Finish(answer.finish));
        self.stop(out);
    }
}

fn index(data: &Value) -> u32 {
    data.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
}

fn push_text(text: &str, delta: fn(String) -> Delta, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(delta(text.to_owned()));
    }
}
