//! A cheap reading of a stream that is passed through byte for byte.
//!
//! Most events carry a few letters and nothing that the gateway needs, so an event is searched for its
//! piece, and read in one pass without a tree only where there is none. A mark with both of its quotes
//! cannot occur inside a JSON string, because quotes are escaped there.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::chat::garbage;
use crate::dialect::Dialect;
use crate::error;
use crate::hub::reply::Finish;
use crate::quirks::Quirks;
use crate::responses::failure;
use crate::responses::glance::Glance;
use crate::sse::Event;
use crate::translate::{Meter, Seen};

/// Reads what the meter needs from the events of one stream.
#[derive(Debug)]
pub struct Observer {
    ended: bool,
    passed: u64,
    /// Whether a call of one of the client's tools has begun: not every last event repeats it.
    has_calls: bool,
}

/// The marks, with their search tables: making those costs more than a search.
struct Marks {
    piece: Finder<'static>,
    /// With these the event holds more than a piece.
    more: [Finder<'static>; 3],
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| Marks {
    piece: Finder::new("\"delta\""),
    more: ["\"response\"", "\"item\"", "\"error\""].map(Finder::new),
});

impl Observer {
    /// An observer at the beginning of a stream. No quirk known so far bears on it.
    pub const fn new(_quirks: &Quirks) -> Self {
        Self { ended: false, passed: 0, has_calls: false }
    }

    /// How many events were good: the number of the next one.
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// Looks at one event.
    pub fn event(&mut self, event: &Event<'_>, meter: &mut Meter) -> Seen {
        let seen = self.look(event, meter);
        self.passed += u64::from(!seen.bad && seen.error.is_none());
        seen
    }

    fn look(&mut self, event: &Event<'_>, meter: &mut Meter) -> Seen {
        let data = event.data.trim_ascii();
        if data.is_empty() || self.ended {
            return Seen::default();
        }
        if event.is_done() {
            return Seen { end: true, ..Seen::default() };
        }
        let whole = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        if whole
            && event.name != Some(b"error")
            && let Some(bytes) = piece(data)
        {
            meter.output_bytes += bytes;
            return Seen { content: bytes > 0, ..Seen::default() };
        }
        match Glance::read(data) {
            Ok(glance) => self.read(&glance, event, meter),
            Err(_) if event.name == Some(b"error") => {
                Seen { error: Some(garbage(&String::from_utf8_lossy(data))), ..Seen::default() }
            }
            Err(_) => {
                meter.bad_events += 1;
                Seen { bad: true, ..Seen::default() }
            }
        }
    }

    fn read(&mut self, glance: &Glance, event: &Event<'_>, meter: &mut Meter) -> Seen {
        let kind = glance.kind.as_deref().unwrap_or_default();
        if event.name == Some(b"error") || kind == "error" || glance.suspicious {
            return failed(event.data);
        }
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                // What it says of usage and status is not the answer's end.
                let mut begun = Meter::default();
                glance.count(&mut begun);
                meter.upstream_model = meter.upstream_model.take().or(begun.upstream_model);
                Seen::default()
            }
            "response.output_item.added" => {
                // Messages and thoughts begin empty; every other item is content by being there.
                let empty = matches!(glance.item.as_deref(), Some("message" | "reasoning"));
                self.has_calls |= glance.is_call();
                Seen { content: !empty, ..Seen::default() }
            }
            "response.output_item.done" => {
                self.has_calls |= glance.is_call();
                Seen { content: true, ..Seen::default() }
            }
            "response.completed" | "response.incomplete" => self.end(glance, meter),
            // A whole answer where a stream was asked for.
            "" if glance.has_output => self.end(glance, meter),
            _ => Seen::default(),
        }
    }

    fn end(&mut self, glance: &Glance, meter: &mut Meter) -> Seen {
        self.ended = true;
        glance.count(meter);
        if self.has_calls && meter.finish == Some(Finish::Stop) {
            meter.finish = Some(Finish::ToolCalls);
        }
        if meter.output_bytes == 0 {
            // Nothing came in pieces.
            meter.output_bytes = glance.output_bytes;
        }
        Seen { content: meter.output_bytes > 0, end: true, ..Seen::default() }
    }
}

/// The length of the piece that an event carries and that is all it carries, as it stands in the JSON,
/// escapes included.
fn piece(data: &[u8]) -> Option<u64> {
    let at = MARKS.piece.find(data)?;
    if MARKS.more.iter().any(|mark| mark.find(data).is_some()) {
        return None;
    }
    let rest = &data[at + MARKS.piece.needle().len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', rest.get(at..)?) {
        if rest[at + found] == b'"' {
            return Some((at + found) as u64);
        }
        at += found + 2;
    }
    None
}

/// The failure that an event reports. Such events are rare, and read again as a whole.
fn failed(data: &[u8]) -> Seen {
    let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let inside = value.get("response").and_then(failure);
    let error = inside
        .or_else(|| failure(&value))
        .unwrap_or_else(|| error::classify(Dialect::Responses, 200, |_| None, data));
    Seen { error: Some(error), ..Seen::default() }
}
