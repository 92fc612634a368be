//! Brings a stream back, piece by piece.

use bytes::Bytes;

use super::{Meter, ReplyContext, hubway, keep_alive, passthrough};
use crate::chat;
use crate::converse::frames::Unframer;
use crate::dialect::Dialect;
use crate::error::{self, ErrorView, UpstreamError};
use crate::hub::past::Thought;
use crate::responses;

/// Brings a stream back, piece by piece.
#[derive(Debug)]
pub struct StreamRelay {
    client: Dialect,
    /// Takes AWS's frames apart, where the upstream sends such.
    frames: Option<Unframer>,
    way: Way,
    meter: Meter,
    error: Option<UpstreamError>,
    /// Whether the client's stream has its end.
    closed: bool,
}

#[derive(Debug)]
enum Way {
    Pass(passthrough::Relay),
    Hub(Box<hubway::Relay>),
}

impl Way {
    fn push(&mut self, bytes: &Bytes, meter: &mut Meter, out: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        match self {
            Self::Pass(relay) => relay.push(bytes, meter, out),
            Self::Hub(relay) => relay.push(bytes, meter, out),
        }
    }
}

impl StreamRelay {
    /// A relay at the beginning of an answer.
    pub fn new(ctx: ReplyContext) -> Self {
        let client = ctx.client;
        let framed = ctx.quirks.event_stream.unwrap_or(ctx.upstream == Dialect::Converse);
        let way = if ctx.hub {
            Way::Hub(Box::new(hubway::Relay::new(&ctx)))
        } else {
            Way::Pass(passthrough::Relay::new(&ctx))
        };
        let frames = framed.then(Unframer::new);
        Self { client, frames, way, meter: Meter::default(), error: None, closed: false }
    }

    /// Takes bytes from the upstream and appends what the client gets.
    ///
    /// Nothing is appended before the first content: until [`Meter::content_started`] the gateway may
    /// still drop this relay and try elsewhere.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) {
        if self.closed || self.error.is_some() {
            return;
        }
        let Some(frames) = &mut self.frames else {
            self.error = self.way.push(bytes, &mut self.meter, out).err();
            return;
        };
        let mut events = Vec::with_capacity(bytes.len());
        let whole = frames.push(bytes, &mut events);
        let done = self.way.push(&Bytes::from(events), &mut self.meter, out);
        // What the events say comes before what is wrong with the frame behind them.
        self.error = done.and(whole.map_err(|bad| chat::garbage(&bad.to_string()))).err();
    }

    /// The upstream's body ended: appends the client's ending, or sets [`Self::error`] to a
    /// [`crate::ErrorClass::Cut`] when the answer was not finished.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        if self.closed || self.error.is_some() {
            return;
        }
        let done = match &mut self.way {
            Way::Pass(relay) => relay.finish(&mut self.meter, out),
            Way::Hub(relay) => relay.finish(&mut self.meter, out),
        };
        self.closed = done.is_ok();
        self.error = done.err();
    }

    /// Ends the client's stream with an error event of its dialect. Nothing follows it.
    pub fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<Bytes>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        match &mut self.way {
            // What stands before the error is numbered; without content nothing does.
            Way::Hub(relay) if self.client == Dialect::Responses => relay.fail(view, out),
            Way::Pass(relay) if self.client == Dialect::Responses && self.meter.content_started => {
                out.push(Bytes::from(responses::failed(view, relay.next_number())));
            }
            _ => out.push(error::event(self.client, view)),
        }
    }

    /// What keeps a silent stream alive in the client's dialect.
    pub fn keep_alive(&self) -> Bytes {
        keep_alive(self.client)
    }

    /// What was counted so far.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether all that the client will be given is out, though the upstream's body may not have ended yet.
    pub const fn is_complete(&self) -> bool {
        match &self.way {
            Way::Pass(relay) => self.closed || relay.has_ended(),
            Way::Hub(_) => self.closed,
        }
    }

    /// The thinking to keep for the conversation's next turn, once: it is there when the content is complete,
    /// before the stream's end is given out.
    pub fn take_thought(&mut self) -> Option<Box<Thought>> {
        self.meter.thought.take()
    }

    /// The failure that the upstream reported inside the stream, or its early end.
    pub const fn error(&self) -> Option<&UpstreamError> {
        self.error.as_ref()
    }
}
