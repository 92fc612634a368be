//! A cheap reading of a Messages stream that is passed through byte for byte.
//!
//! Nearly every event is a piece of content, in which only the length of one string is of interest, so
//! such an event is searched and not parsed. A field with both of its quotes cannot occur inside a JSON
//! string, because quotes are escaped there.

use memchr::memmem;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::error;
use crate::messages::{finish, garbage, text};
use crate::quirks::Quirks;
use crate::sse;
use crate::translate::{Meter, Seen};
use crate::usage;

/// Reads what the meter needs from the events of one stream.
#[derive(Debug)]
pub struct Observer {
    started: bool,
    content: bool,
    ended: bool,
}

impl Observer {
    /// An observer at the beginning of a stream.
    pub const fn new(_quirks: &Quirks) -> Self {
        Self { started: false, content: false, ended: false }
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
        if self.ended {
            // Nothing follows the end; whatever it is, no client is waiting for it.
            return bad(meter);
        }
        let whole = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        if whole && event.name == Some(b"content_block_delta") && memmem::find(data, b"\"error\"").is_none() {
            self.content = true;
            meter.output_bytes += delta_bytes(data);
            return Seen { content: true, ..Seen::default() };
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(value) if value.is_object() => self.value(&value, event, meter),
            _ if event.name == Some(b"error") => {
                failed(error::classify(Dialect::Messages, 200, |_| None, data))
            }
            _ => bad(meter),
        }
    }

    fn value(&mut self, value: &Value, event: &sse::Event<'_>, meter: &mut Meter) -> Seen {
        if let Some(error) = error::in_success(Dialect::Messages, value) {
            return failed(error);
        }
        match text(value, "type") {
            "message_start" if self.content => {
                failed(garbage("the provider began a second answer inside of the first"))
            }
            // Said twice before any content, the second is not passed on.
            "message_start" if self.started => bad(meter),
            "message_start" => {
                self.started = true;
                let message = value.get("message").unwrap_or(&Value::Null);
                count(message, meter);
                Seen::default()
            }
            "content_block_start" => {
                self.content = true;
                let block = value.get("content_block").unwrap_or(&Value::Null);
                let bytes = text(block, "text").len() + text(block, "thinking").len();
                meter.output_bytes += bytes as u64;
                // Text and thinking begin empty; every other block is content by being there.
                let empty = matches!(text(block, "type"), "text" | "thinking") && bytes == 0;
                Seen { content: !empty, ..Seen::default() }
            }
            // Hosts that name no events send them here.
            "content_block_delta" => {
                self.content = true;
                meter.output_bytes += delta_bytes(event.data);
                Seen { content: true, ..Seen::default() }
            }
            "message_delta" => {
                count(value, meter);
                let delta = value.get("delta").unwrap_or(&Value::Null);
                let sequence = delta.get("stop_sequence").and_then(Value::as_str);
                meter.finish = finish(text(delta, "stop_reason"), sequence).or(meter.finish.take());
                Seen::default()
            }
            "message_stop" => {
                self.ended = true;
                Seen { end: true, ..Seen::default() }
            }
            _ => Seen::default(),
        }
    }
}

fn count(object: &Value, meter: &mut Meter) {
    if meter.upstream_model.is_none() {
        meter.upstream_model = object.get("model").and_then(Value::as_str).map(str::to_owned);
    }
    if let Some(counts) = object.get("usage") {
        meter.usage = usage::from_messages(counts, meter.usage).or(meter.usage);
        meter.upstream_cost_usd = usage::cost_usd(counts).or(meter.upstream_cost_usd);
    }
}

fn failed(error: error::UpstreamError) -> Seen {
    Seen { error: Some(error), ..Seen::default() }
}

fn bad(meter: &mut Meter) -> Seen {
    meter.bad_events += 1;
    Seen { bad: true, ..Seen::default() }
}

/// The bytes of the piece as they stand in the JSON, escapes included.
fn delta_bytes(data: &[u8]) -> u64 {
    ["\"text\":", "\"thinking\":", "\"partial_json\":"]
        .iter()
        .find_map(|field| string_after(data, field.as_bytes()))
        .unwrap_or(0)
}

fn string_after(data: &[u8], field: &[u8]) -> Option<u64> {
    let rest = &data[memmem::find(data, field)? + field.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', rest.get(at..)?) {
        if rest[at + found] == b'"' {
            return Some((at + found) as u64);
        }
        at += found + 2;
    }
    None
}
