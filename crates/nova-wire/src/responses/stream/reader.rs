//! From Responses events to deltas.
//!
//! Events are told apart by the `type` in their data, because some hosts send no `event:` line, and
//! belong to the item with their `output_index`, because others change an item's id with every event.
//! What an upstream says twice (pieces, then the whole, then the item, then the answer) is given once.

use serde_json::Value;

use crate::chat::garbage;
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::delta::Delta;
use crate::hub::reply::{Citation, Finish, ReplyPart};
use crate::hub::request::ToolCall;
use crate::quirks::Quirks;
use crate::responses::{failure, finish, parallel, reply, text};
use crate::sse::{BadEvent, Event};
use crate::usage;

/// How many items one answer may have; real ones have a few dozen at most.
const MAX_ITEMS: usize = 1024;

/// Reads the events of one stream.
#[derive(Debug)]
pub struct Reader {
    items: Vec<Item>,
    /// How many calls were begun; a call's number is its place among them.
    calls: u32,
    /// How many characters of text there were, and at which the last part of a message began.
    said: usize,
    part_from: usize,
    /// Whether an event cited a page; hosts that send none name it in the item.
    cited: bool,
    started: bool,
    over: bool,
    cost_usd: Option<f64>,
}

/// An item of the answer.
#[derive(Debug)]
struct Item {
    /// The upstream's place for it.
    place: Option<u64>,
    /// The upstream's id for it, where there is no place.
    id: String,
    kind: Kind,
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    /// A message, with the content parts of which pieces were given.
    Message {
        parts: Vec<u64>,
    },
    /// A thought, with what its pieces were of.
    Thought {
        source: Option<Source>,
        part: u64,
    },
    Call(Call),
    /// What the provider's own tools do, and items that nobody knows.
    Foreign,
}

/// What the pieces of a thought are of. Some hosts send both, and they say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Text,
    Summary,
}

/// A call under way.
#[derive(Debug)]
struct Call {
    /// The number given out; none while the call may still turn out to be a wrapper around others.
    index: Option<u32>,
    call: ToolCall,
}

impl Reader {
    /// A reader at the beginning of a stream. No quirk known so far bears on it.
    pub const fn new(_quirks: &Quirks) -> Self {
        Self {
            items: Vec::new(),
            calls: 0,
            said: 0,
            part_from: 0,
            cited: false,
            started: false,
            over: false,
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
    /// Where its data is no JSON object; the stream can be read on.
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        // OpenRouter ends with chat's mark; the answer's own end stands before it.
        if self.over || event.is_done() {
            return Ok(());
        }
        let data = event.data.trim_ascii();
        if data.is_empty() {
            if event.raw.first() == Some(&b':') {
                out.push(Delta::Ping);
            }
            return Ok(());
        }
        let value: Value = match serde_json::from_slice(data) {
            Ok(value @ Value::Object(_)) => value,
            _ if event.name == Some(b"error") => {
                self.fail(error::classify(Dialect::Responses, 200, |_| None, data), out);
                return Ok(());
            }
            _ => return Err(BadEvent),
        };
        if let Some(failure) = error::in_success(Dialect::Responses, &value) {
            self.fail(failure, out);
            return Ok(());
        }
        self.read(&value, out);
        if event.name == Some(b"error") && !self.over {
            self.fail(error::classify(Dialect::Responses, 200, |_| None, data), out);
        }
        Ok(())
    }

    /// The body has ended. An answer without its last event is not whole.
    pub fn end(&mut self, _out: &mut Vec<Delta>) {}

    fn read(&mut self, event: &Value, out: &mut Vec<Delta>) {
        match text(event, "type") {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(event.get("response").unwrap_or(&Value::Null), out);
            }
            "response.output_item.added" => {
                let item = event.get("item").unwrap_or(&Value::Null);
                self.open(event, item, out);
            }
            "response.output_item.done" => self.item_done(event, out),
            "response.output_text.delta" => self.said(event, "delta", Delta::Text, out),
            "response.refusal.delta" => self.said(event, "delta", Delta::Refusal, out),
            "response.output_text.done" => self.said(event, "text", Delta::Text, out),
            "response.refusal.done" => self.said(event, "refusal", Delta::Refusal, out),
            "response.output_text.annotation.added" => {
                let annotation = event.get("annotation").unwrap_or(&Value::Null);
                self.cited = true;
                self.cite(reply::citation(annotation, self.part_from), out);
            }
            "response.reasoning_text.delta" | "response.reasoning.delta" => {
                self.thought(event, Source::Text, "delta", out);
            }
            "response.reasoning_text.done" => self.thought(event, Source::Text, "text", out),
            "response.reasoning_summary_text.delta" => self.thought(event, Source::Summary, "delta", out),
            "response.reasoning_summary_text.done" => self.thought(event, Source::Summary, "text", out),
            "response.function_call_arguments.delta" => self.arguments(event, text(event, "delta"), out),
            "response.custom_tool_call_input.delta" => {
                let piece = json_letters(text(event, "delta"));
                self.arguments(event, &piece, out);
            }
            "response.function_call_arguments.done" => self.whole(event, text(event, "arguments"), out),
            kind @ ("response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled") => {
                let response = event.get("response").unwrap_or(&Value::Null);
                self.close(response, &kind["response.".len()..], out);
            }
            "keepalive" => out.push(Delta::Ping),
            // A whole answer where a stream was asked for.
            _ if event.get("output").is_some_and(Value::is_array) => {
                self.close(event, "completed", out);
            }
            _ => {}
        }
    }

    fn start(&mut self, response: &Value, out: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.started, true) {
            let model = response.get("model").and_then(Value::as_str).map(str::to_owned);
            out.push(Delta::Start { model, usage: None });
        }
    }

    fn fail(&mut self, failure: UpstreamError, out: &mut Vec<Delta>) {
        self.over = true;
        out.push(Delta::Error(failure));
    }

    /// The item that an event belongs to: by its place, else by its id, else the last one.
    fn find(&self, event: &Value) -> Option<usize> {
        if let Some(place) = event.get("output_index").and_then(Value::as_u64) {
            return self.items.iter().rposition(|item| item.place == Some(place));
        }
        match text(event, "item_id") {
            "" => self.items.len().checked_sub(1),
            id => self.items.iter().rposition(|item| item.id == id),
        }
    }

    /// Begins an item, unless it has begun.
    fn open(&mut self, event: &Value, item: &Value, out: &mut Vec<Delta>) -> Option<usize> {
        let place = event.get("output_index").and_then(Value::as_u64);
        let id = text(item, "id");
        let known = match place {
            Some(_) => self.items.iter().rposition(|item| item.place == place),
            None => self.items.iter().rposition(|item| !id.is_empty() && item.id == id),
        };
        if known.is_some() {
            return known;
        }
        if self.items.len() == MAX_ITEMS {
            self.fail(garbage("the provider's answer has too many items in it"), out);
            return None;
        }
        let kind = match text(item, "type") {
            "message" => Kind::Message { parts: Vec::new() },
            "reasoning" => Kind::Thought { source: None, part: 0 },
            "function_call" | "custom_tool_call" => Kind::Call(self.begin_call(item, out)),
            _ => Kind::Foreign,
        };
        self.items.push(Item { place, id: id.to_owned(), kind, ended: false });
        Some(self.items.len() - 1)
    }

    /// Begins a call. Its arguments are left for later, even if some stand in the item already.
    fn begin_call(&mut self, item: &Value, out: &mut Vec<Delta>) -> Call {
        let call = ToolCall {
            id: reply::call_id(item).to_owned(),
            name: text(item, "name").to_owned(),
            arguments: String::new(),
            mark: reply::mark(item),
        };
        let index = (!parallel::may_wrap(&call.name)).then(|| self.tool_start(&call, out));
        Call { index, call }
    }

    fn tool_start(&mut self, call: &ToolCall, out: &mut Vec<Delta>) -> u32 {
        let index = self.calls;
        self.calls += 1;
        let ToolCall { id, name, mark, .. } = call.clone();
        out.push(Delta::ToolStart { index, id, name, mark });
        index
    }

    /// More of a message, or the whole of a part of which no piece came.
    fn said(&mut self, event: &Value, field: &str, kind: fn(String) -> Delta, out: &mut Vec<Delta>) {
        let said = text(event, field);
        let part = event.get("content_index").and_then(Value::as_u64).unwrap_or(0);
        // A host that announces no items still says something.
        let parts = match self.find(event).map(|at| &mut self.items[at].kind) {
            Some(Kind::Message { parts }) => Some(parts),
            None => None,
            Some(_) => return,
        };
        let known = parts.as_ref().is_some_and(|parts| parts.contains(&part));
        if said.is_empty() || (field != "delta" && known) {
            return;
        }
        if let Some(parts) = parts.filter(|parts| !known && parts.len() < MAX_ITEMS) {
            parts.push(part);
        }
        let delta = kind(said.to_owned());
        if let Delta::Text(text) = &delta {
            if !known {
                self.part_from = self.said;
            }
            self.said += text.chars().count();
        }
        out.push(delta);
    }

    fn cite(&mut self, citations: impl IntoIterator<Item = Citation>, out: &mut Vec<Delta>) {
        out.extend(citations.into_iter().map(|citation| Delta::Citation(Box::new(citation))));
    }

    fn thought(&mut self, event: &Value, from: Source, field: &str, out: &mut Vec<Delta>) {
        let said = text(event, field);
        let index = if from == Source::Text { "content_index" } else { "summary_index" };
        let now = event.get(index).and_then(Value::as_u64).unwrap_or(0);
        let Some(at) = self.find(event) else { return };
        let Kind::Thought { source, part } = &mut self.items[at].kind else { return };
        let repeats = field != "delta" && *source == Some(from) && now <= *part;
        if said.is_empty() || repeats || source.is_some_and(|source| source != from) {
            return;
        }
        let next = source.is_some() && now > *part && from == Source::Summary;
        *source = Some(from);
        *part = now;
        out.push(Delta::Thinking(if next { format!("\n\n{said}") } else { said.to_owned() }));
    }

    fn arguments(&mut self, event: &Value, piece: &str, out: &mut Vec<Delta>) {
        let Some(Kind::Call(call)) = self.find(event).map(|at| &mut self.items[at].kind) else { return };
        if piece.is_empty() {
            return;
        }
        let open = call.call.mark.custom && call.call.arguments.is_empty();
        let piece = if open { format!("{}{piece}", OPEN) } else { piece.to_owned() };
        call.call.arguments.push_str(&piece);
        out.extend(call.index.map(|index| Delta::ToolArguments { index, json: piece }));
    }

    /// The whole arguments: what of them did not come in pieces is new.
    fn whole(&mut self, event: &Value, arguments: &str, out: &mut Vec<Delta>) {
        let Some(Kind::Call(call)) = self.find(event).map(|at| &mut self.items[at].kind) else { return };
        let Some(rest) = arguments.strip_prefix(call.call.arguments.as_str()) else { return };
        if rest.is_empty() {
            return;
        }
        call.call.arguments.push_str(rest);
        out.extend(call.index.map(|index| Delta::ToolArguments { index, json: rest.to_owned() }));
    }

    fn item_done(&mut self, event: &Value, out: &mut Vec<Delta>) {
        let item = event.get("item").unwrap_or(&Value::Null);
        let Some(at) = self.open(event, item, out) else { return };
        if std::mem::replace(&mut self.items[at].ended, true) {
            return;
        }
        match &self.items[at].kind {
            Kind::Message { parts } if parts.is_empty() => {
                out.extend(reply::item_parts(item, &mut self.said).into_iter().flat_map(deltas));
            }
            Kind::Message { .. } if !self.cited => {
                let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
                let cited: Vec<Citation> =
                    parts.flat_map(|part| reply::citations(part, self.part_from)).collect();
                self.cite(cited, out);
            }
            Kind::Thought { source: None, .. } | Kind::Foreign => {
                out.extend(reply::item_parts(item, &mut self.said).into_iter().flat_map(deltas));
            }
            Kind::Thought { source: Some(_), .. } => {
                let signature = text(item, "encrypted_content");
                out.extend((!signature.is_empty()).then(|| Delta::Signature(signature.to_owned())));
            }
            Kind::Call(_) => self.call_done(at, item, out),
            Kind::Message { .. } => {}
        }
    }

    fn call_done(&mut self, at: usize, item: &Value, out: &mut Vec<Delta>) {
        let whole = reply::call(item).arguments;
        let Kind::Call(Call { index, call }) = &mut self.items[at].kind else { return };
        let mut rest = whole.strip_prefix(call.arguments.as_str()).unwrap_or_default().to_owned();
        if call.mark.custom && rest.is_empty() && !call.arguments.ends_with(CLOSE) {
            // The item repeats another text than its pieces were, or none.
            CLOSE.clone_into(&mut rest);
        }
        call.arguments.push_str(&rest);
        if let Some(index) = *index {
            out.extend((!rest.is_empty()).then_some(Delta::ToolArguments { index, json: rest }));
            out.push(Delta::ToolEnd { index });
            return;
        }
        let call = call.clone();
        for call in parallel::unwrap(&call).unwrap_or_else(|| vec![call]) {
            let index = self.tool_start(&call, out);
            let json = call.arguments;
            out.extend((!json.is_empty()).then_some(Delta::ToolArguments { index, json }));
            out.push(Delta::ToolEnd { index });
        }
    }

    /// The end of the answer, which repeats all of it. Where the answer has no status, the event is one.
    fn close(&mut self, response: &Value, status: &str, out: &mut Vec<Delta>) {
        if let Some(failure) = failure(response) {
            self.fail(failure, out);
            return;
        }
        self.start(response, out);
        if self.items.is_empty() {
            // Nothing came before.
            let items = response.get("output").and_then(Value::as_array);
            let mut said = 0;
            for part in items.into_iter().flatten().flat_map(|item| reply::item_parts(item, &mut said)) {
                match part {
                    ReplyPart::ToolCall(call) => {
                        let index = self.tool_start(&call, out);
                        let json = call.arguments;
                        out.extend((!json.is_empty()).then_some(Delta::ToolArguments { index, json }));
                        out.push(Delta::ToolEnd { index });
                    }
                    part => out.extend(deltas(part)),
                }
            }
        }
        if let Some(counts) = response.get("usage") {
            self.cost_usd = usage::cost_usd(counts).or(self.cost_usd);
            out.extend(usage::from_responses(counts).map(Delta::Usage));
        }
        let status = Some(text(response, "status")).filter(|status| !status.is_empty()).unwrap_or(status);
        if status == "completed" {
            self.end_calls(response, out);
        }
        let end = finish(status, reply::reason(response), self.calls > 0);
        out.push(Delta::Finish(end.unwrap_or(Finish::Stop)));
        out.push(Delta::End);
        self.over = true;
    }

    /// Ends calls of which the upstream did not say that they are complete, by the whole answer.
    fn end_calls(&mut self, response: &Value, out: &mut Vec<Delta>) {
        for at in 0..self.items.len() {
            let item = &mut self.items[at];
            if matches!(item.kind, Kind::Call(_)) && !std::mem::replace(&mut item.ended, true) {
                let place = item.place.and_then(|place| usize::try_from(place).ok()).unwrap_or(at);
                let whole = response.get("output").and_then(|items| items.get(place)).cloned();
                self.call_done(at, &whole.unwrap_or_default(), out);
            }
        }
    }
}

/// What frames a free text in the arguments that carry it.
const OPEN: &str = "{\"input\":\"";
const CLOSE: &str = "\"}";

/// A text as it stands inside of a JSON string.
fn json_letters(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A part that came whole and is no call.
fn deltas(part: ReplyPart) -> Vec<Delta> {
    match part {
        ReplyPart::Thinking { text, signature } => {
            let text = (!text.is_empty()).then_some(Delta::Thinking(text));
            text.into_iter().chain(signature.map(Delta::Signature)).collect()
        }
        ReplyPart::RedactedThinking { data } => vec![Delta::RedactedThinking(data)],
        ReplyPart::Text(text) => vec![Delta::Text(text)],
        ReplyPart::Refusal(text) => vec![Delta::Refusal(text)],
        ReplyPart::Citation(citation) => vec![Delta::Citation(Box::new(citation))],
        ReplyPart::Image(image) => vec![Delta::Image(image)],
        ReplyPart::ToolCall(_) => Vec::new(),
    }
}
