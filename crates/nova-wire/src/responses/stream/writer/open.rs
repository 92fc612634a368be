//! The item that is open: how it begins, grows and ends.

use serde_json::Value;

use super::Events;
use crate::hub::reply::Citation;
use crate::responses::free_text::Unwrap;
use crate::responses::item::{self, Called, Form};
use crate::splice::quoted;

/// The item that is open.
#[derive(Debug, Default)]
pub(super) enum Open {
    #[default]
    None,
    Message(Message),
    Thought(Thought),
    Call(Box<OpenCall>),
}

/// A field as JSON.
fn field(name: &str, text: &str) -> Vec<u8> {
    [b"\"", name.as_bytes(), b"\":", &quoted(text)].concat()
}

/// A message, of which the last part is open.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    /// The parts that are done.
    parts: Vec<Value>,
    open: Option<Part>,
}

#[derive(Debug)]
struct Part {
    refusal: bool,
    text: String,
    /// At which character of all the answer's text it begins, and the pages that it cites.
    from: usize,
    cited: Vec<Citation>,
    /// Where its events belong.
    at: String,
}

impl Part {
    fn json(&self) -> Value {
        match self.refusal {
            true => item::refusal_part(&self.text),
            false => item::cited_part(&self.text, &self.cited, self.from),
        }
    }

    /// The name of one of its events.
    const fn kind(&self, done: bool) -> &'static str {
        match (self.refusal, done) {
            (false, false) => "response.output_text.delta",
            (false, true) => "response.output_text.done",
            (true, false) => "response.refusal.delta",
            (true, true) => "response.refusal.done",
        }
    }

    /// An event with this text, and what the SDKs want beside it.
    fn event(&self, done: bool, text: &[u8], events: &mut Events, out: &mut Vec<u8>) {
        let fields: [&[u8]; 3] = [self.at.as_bytes(), text, b"\"logprobs\":[]"];
        let fields = if self.refusal { &fields[..2] } else { &fields };
        events.write(self.kind(done), fields, out);
    }
}

impl Message {
    pub(super) fn begin(id: String, events: &mut Events, out: &mut Vec<u8>) -> Self {
        events.begin(&item::message_item(&id, &[], "in_progress"), out);
        Self { id, parts: Vec::new(), open: None }
    }

    pub(super) fn push(&mut self, text: &str, refusal: bool, events: &mut Events, out: &mut Vec<u8>) {
        if self.open.as_ref().is_some_and(|part| part.refusal != refusal) {
            self.end_part(events, out);
        }
        let part = self.open.get_or_insert_with(|| {
            let at = format!("{},\"content_index\":{}", events.at(&self.id), self.parts.len());
            let part = Part { refusal, text: String::new(), from: events.said(), cited: Vec::new(), at };
            let json = format!("\"part\":{}", part.json());
            events.write("response.content_part.added", &[part.at.as_bytes(), json.as_bytes()], out);
            part
        });
        if !refusal {
            events.say(text);
        }
        part.text.push_str(text);
        part.event(false, &field("delta", text), events, out);
    }

    /// Whether a text is open.
    pub(super) fn is_speaking(&self) -> bool {
        self.open.as_ref().is_some_and(|part| !part.refusal)
    }

    /// A page that the open part cites.
    pub(super) fn cite(&mut self, citation: Citation, events: &mut Events, out: &mut Vec<u8>) {
        let Some(part) = self.open.as_mut().filter(|part| !part.refusal) else { return };
        let fields = format!(
            "{},\"annotation_index\":{},\"annotation\":{}",
            part.at,
            part.cited.len(),
            item::annotation(&citation, part.from)
        );
        part.cited.push(citation);
        events.write("response.output_text.annotation.added", &[fields.as_bytes()], out);
    }

    fn end_part(&mut self, events: &mut Events, out: &mut Vec<u8>) {
        let Some(part) = self.open.take() else { return };
        let name = if part.refusal { "refusal" } else { "text" };
        part.event(true, &field(name, &part.text), events, out);
        let json = part.json();
        let fields = format!("{},\"part\":{json}", part.at);
        events.write("response.content_part.done", &[fields.as_bytes()], out);
        self.parts.push(json);
    }

    pub(super) fn close(mut self, cut: bool, events: &mut Events, out: &mut Vec<u8>) {
        self.end_part(events, out);
        let status = if cut { "incomplete" } else { "completed" };
        events.end(&item::message_item(&self.id, &self.parts, status), out);
    }
}

/// A thought.
#[derive(Debug)]
pub(super) struct Thought {
    id: String,
    text: String,
    /// Where its events belong, once its summary has begun.
    at: Option<String>,
    pub(super) signature: Option<String>,
}

impl Thought {
    pub(super) fn begin(id: String, events: &mut Events, out: &mut Vec<u8>) -> Self {
        events.begin(&item::reasoning(&id, None, None), out);
        Self { id, text: String::new(), at: None, signature: None }
    }

    pub(super) const fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    pub(super) fn push(&mut self, text: &str, events: &mut Events, out: &mut Vec<u8>) {
        let at = self.begin_summary(events, out);
        let fields: [&[u8]; 2] = [at.as_bytes(), &field("delta", text)];
        events.write("response.reasoning_summary_text.delta", &fields, out);
        self.text.push_str(text);
    }

    fn begin_summary(&mut self, events: &mut Events, out: &mut Vec<u8>) -> &str {
        self.at.get_or_insert_with(|| {
            let at = format!("{},\"summary_index\":0", events.at(&self.id));
            let part = format!("\"part\":{}", item::summary_part(""));
            events.write("response.reasoning_summary_part.added", &[at.as_bytes(), part.as_bytes()], out);
            at
        })
    }

    pub(super) fn close(mut self, events: &mut Events, out: &mut Vec<u8>) {
        // A signed thought has a summary even if nothing was said: that tells it from a sealed one.
        let at = self.begin_summary(events, out).to_owned();
        let fields: [&[u8]; 2] = [at.as_bytes(), &field("text", &self.text)];
        events.write("response.reasoning_summary_text.done", &fields, out);
        let part = format!("\"part\":{}", item::summary_part(&self.text));
        events.write("response.reasoning_summary_part.done", &[at.as_bytes(), part.as_bytes()], out);
        events.end(&item::reasoning(&self.id, Some(&self.text), self.signature.as_deref()), out);
    }

    /// Ends a thought of which nothing can be read.
    pub(super) fn close_sealed(self, data: &str, events: &mut Events, out: &mut Vec<u8>) {
        events.end(&item::reasoning(&self.id, None, Some(data)), out);
    }
}

/// A call.
#[derive(Debug)]
pub(super) struct OpenCall {
    /// The upstream's number for it.
    pub(super) index: u32,
    /// Whether the upstream has said that it is complete.
    pub(super) ended: bool,
    form: Form,
    called: Called,
    /// Where its events belong.
    at: String,
    arguments: String,
    /// For a call with free text: what takes the text out of the arguments, and the text so far.
    unwrap: Unwrap,
    input: String,
}

impl OpenCall {
    /// Begins a call. One that is an item of its own kind is written when it is complete.
    pub(super) fn begin(
        index: u32,
        form: Form,
        called: Called,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) -> Self {
        if !matches!(form, Form::Hosted(_)) {
            events.begin(&called.item(form == Form::Custom, "", "in_progress"), out);
        }
        Self {
            index,
            ended: false,
            form,
            at: events.at(&called.id),
            called,
            arguments: String::new(),
            unwrap: Unwrap::default(),
            input: String::new(),
        }
    }

    pub(super) fn push(&mut self, json: &str, events: &mut Events, out: &mut Vec<u8>) {
        if json.is_empty() {
            return;
        }
        self.arguments.push_str(json);
        match self.form {
            Form::Function => self.delta("response.function_call_arguments.delta", json, events, out),
            Form::Custom => {
                let text = self.unwrap.push(json);
                self.type_in(&text, events, out);
            }
            Form::Hosted(_) => {}
        }
    }

    fn delta(&self, kind: &str, text: &str, events: &mut Events, out: &mut Vec<u8>) {
        events.write(kind, &[self.at.as_bytes(), &field("delta", text)], out);
    }

    /// More of the free text.
    fn type_in(&mut self, text: &str, events: &mut Events, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.delta("response.custom_tool_call_input.delta", text, events, out);
            self.input.push_str(text);
        }
    }

    pub(super) fn close(mut self, cut: bool, events: &mut Events, out: &mut Vec<u8>) {
        match self.form {
            Form::Function => self.close_function(cut, events, out),
            Form::Custom => {
                let (rest, whole) = self.unwrap.finish();
                self.type_in(&rest, events, out);
                let fields: [&[u8]; 2] = [self.at.as_bytes(), &field("input", &self.input)];
                events.write("response.custom_tool_call_input.done", &fields, out);
                let status = if cut && !whole { "incomplete" } else { "completed" };
                events.end(&self.called.item(true, &self.input, status), out);
            }
            Form::Hosted(hosted) => {
                let (id, call_id) = (&self.called.id, &self.called.call_id);
                let item = |status| hosted.item(id, call_id, &self.arguments, status);
                if let (Some(begun), Some(done)) = (item("in_progress"), item("completed")) {
                    events.begin(&begun, out);
                    events.end(&done, out);
                    return;
                }
                // The model wrote something else; the client may make sense of it.
                events.begin(&self.called.item(false, "", "in_progress"), out);
                self.form = Form::Function;
                if !self.arguments.is_empty() {
                    self.delta("response.function_call_arguments.delta", &self.arguments, events, out);
                }
                self.close_function(cut, events, out);
            }
        }
    }

    fn close_function(mut self, cut: bool, events: &mut Events, out: &mut Vec<u8>) {
        let whole = serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok();
        let status = if cut && !whole { "incomplete" } else { "completed" };
        if self.arguments.is_empty() && !cut {
            // A call without arguments still gets an object, which clients parse.
            self.push("{}", events, out);
        }
        let name = field("name", &self.called.name);
        let fields: [&[u8]; 3] = [self.at.as_bytes(), &name, &field("arguments", &self.arguments)];
        events.write("response.function_call_arguments.done", &fields, out);
        events.end(&self.called.item(false, &self.arguments, status), out);
    }
}
