//! Streams.

use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::sse::{BadEvent, Event};
use crate::translate::{Meter, ReplyContext, Seen};

/// Reads an upstream's events.
#[derive(Debug)]
pub struct Reader;

impl Reader {
    /// A reader at the beginning of an answer.
    pub fn new(_quirks: &Quirks) -> Self {
        Self
    }

    /// Takes one event.
    ///
    /// # Errors
    /// Where the event cannot be read; it is skipped.
    pub fn event(&mut self, _event: &Event<'_>, _out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        Err(BadEvent)
    }

    /// The body ended.
    pub fn end(&mut self, _out: &mut Vec<Delta>) {}
}

/// Writes a client's events.
#[derive(Debug)]
pub struct Writer;

impl Writer {
    /// A writer at the beginning of an answer.
    pub fn new(_ctx: &ReplyContext) -> Self {
        Self
    }

    /// Writes what a delta means.
    pub fn delta(&mut self, _delta: Delta, _out: &mut Vec<u8>) {}

    /// Writes the end.
    pub fn finish(&mut self, _out: &mut Vec<u8>) {}
}

/// Watches a stream that is passed through.
#[derive(Debug)]
pub struct Observer;

impl Observer {
    /// An observer at the beginning of an answer.
    pub fn new(_quirks: &Quirks) -> Self {
        Self
    }

    /// Looks at one event.
    pub fn event(&mut self, _event: &Event<'_>, _meter: &mut Meter) -> Seen {
        Seen { content: true, ..Seen::default() }
    }
}
