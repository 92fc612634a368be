//! A cheap reading of a stream that is passed through byte for byte.
//!
//! Most events carry a few letters of text and nothing that the gateway needs, so an event is searched
//! for marks, and parsed only where one is found. A mark with both of its quotes cannot occur inside a
//! JSON string, because quotes are escaped there.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::chat;
use crate::hub::reply::Finish;
use crate::quirks::Quirks;
use crate::sse;
use crate::translate::{Meter, Seen};
use crate::usage;

/// Reads what the meter needs from the events of one stream.
#[derive(Debug)]
pub struct Observer {
    reasoning_outside: Option<bool>,
}

impl Observer {
    /// An observer at the beginning of a stream.
    pub fn new(quirks: &Quirks) -> Self {
        Self { reasoning_outside: quirks.reasoning_outside_output }
    }

    /// Looks at one event.
    pub fn event(&mut self, event: &sse::Event<'_>, meter: &mut Meter) -> Seen {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Seen::default();
        }
        if event.is_done() {
            return Seen { end: true, ..Seen::default() };
        }
        let whole = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        let named_error = event.name == Some(b"error");
        if whole && !named_error && meter.content_started && !has_marks(data) {
            meter.output_bytes += output_bytes(data);
            return Seen { content: true, ..Seen::default() };
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(chunk) if chunk.is_object() => self.chunk(&chunk, data, named_error, meter),
            _ if named_error => {
                Seen { error: Some(chat::garbage(&String::from_utf8_lossy(data))), ..Seen::default() }
            }
            _ => {
                meter.bad_events += 1;
                Seen { bad: true, ..Seen::default() }
            }
        }
    }

    fn chunk(&self, chunk: &Value, data: &[u8], named_error: bool, meter: &mut Meter) -> Seen {
        if let Some(error) = chat::failure(chunk, data) {
            return Seen { error: Some(error), ..Seen::default() };
        }
        if named_error {
            let error = crate::error::classify(crate::Dialect::Chat, 200, |_| None, data);
            return Seen { error: Some(error), ..Seen::default() };
        }
        if meter.upstream_model.is_none() {
            meter.upstream_model = chat::text(chunk, "model").map(str::to_owned);
        }
        let choice = chunk.pointer("/choices/0");
        let counted = [chunk.get("usage"), choice.and_then(|choice| choice.get("usage"))];
        let mut has_usage = false;
        for usage in counted.into_iter().flatten() {
            if let Some(read) = usage::from_chat(usage, self.reasoning_outside) {
                meter.usage = Some(read);
                has_usage = true;
            }
            meter.upstream_cost_usd = usage::cost_usd(usage).or(meter.upstream_cost_usd);
        }
        let Some(choice) = choice else {
            return Seen { usage_only: has_usage, ..Seen::default() };
        };
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
            && let Some(finish) = chat::finish(reason, choice)
        {
            if let Finish::Failed(word) = &finish {
                return Seen { error: Some(chat::broken(word)), ..Seen::default() };
            }
            meter.finish = Some(finish);
        }
        let bytes = output_bytes(data);
        meter.output_bytes += bytes;
        Seen { content: bytes > 0 || calls_tool(choice), ..Seen::default() }
    }
}

/// The marks, with their search tables: making those costs more than a search.
struct Marks {
    /// With these the event has to be parsed: it names usage, an end, or a failure.
    parse: [Finder<'static>; 4],
    delta: Finder<'static>,
    text: [Finder<'static>; 3],
    arguments: Finder<'static>,
    rare: [Finder<'static>; 2],
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| Marks {
    parse: ["\"usage\"", "\"finish_reason\"", "\"error\"", "\"base_resp\""].map(Finder::new),
    delta: Finder::new("\"delta\""),
    text: ["\"content\"", "\"reasoning_content\"", "\"reasoning\""].map(Finder::new),
    arguments: Finder::new("\"arguments\""),
    // Mistral's list of parts, OpenRouter's details, refusals.
    rare: ["\"refusal\"", "\"text\""].map(Finder::new),
});

/// Whether the event has to be parsed.
fn has_marks(data: &[u8]) -> bool {
    MARKS.parse.iter().any(|field| says(data, field))
}

/// Whether the field is there with a value other than null.
fn says(data: &[u8], field: &Finder<'_>) -> bool {
    let mut rest = data;
    while let Some(at) = field.find(rest) {
        rest = &rest[at + field.needle().len()..];
        match value_at(rest) {
            Some(value) if value.starts_with(b"null") => {}
            Some(_) => return true,
            None => {}
        }
    }
    false
}

/// What follows a key, past its colon.
fn value_at(after_key: &[u8]) -> Option<&[u8]> {
    Some(after_key.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

/// The bytes of text, thinking and arguments in the delta, as they stand in the JSON.
fn output_bytes(data: &[u8]) -> u64 {
    let Some(at) = MARKS.delta.find(data) else { return 0 };
    let delta = &data[at..];
    if let Some(bytes) = first_string(delta, &MARKS.text) {
        return bytes;
    }
    let (mut bytes, mut rest) = (0, delta);
    while let Some(at) = MARKS.arguments.find(rest) {
        rest = &rest[at + MARKS.arguments.needle().len()..];
        bytes += value_at(rest).map_or(0, string_length);
    }
    if bytes > 0 { bytes } else { first_string(delta, &MARKS.rare).unwrap_or(0) }
}

/// The length of the first of these fields that is a string and not empty.
fn first_string(data: &[u8], fields: &[Finder<'_>]) -> Option<u64> {
    fields.iter().find_map(|field| {
        let at = field.find(data)?;
        let length = string_length(value_at(&data[at + field.needle().len()..])?);
        (length > 0).then_some(length)
    })
}

/// The length of the string that stands here, 0 for any other value.
fn string_length(value: &[u8]) -> u64 {
    let Some(rest) = value.strip_prefix(b"\"") else { return 0 };
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[at..]) {
        at += found;
        if rest[at] == b'"' {
            return at as u64;
        }
        at = (at + 2).min(rest.len());
    }
    rest.len() as u64
}

fn calls_tool(choice: &Value) -> bool {
    let Some(delta) = choice.get("delta") else { return false };
    delta.get("tool_calls").and_then(Value::as_array).is_some_and(|calls| !calls.is_empty())
        || delta.get("function_call").is_some_and(Value::is_object)
}
