//! What goes upstream, and what comes back: the crate's front door.

use bytes::Bytes;

use crate::dialect::Dialect;
use crate::error::{BadRequest, ErrorView, UpstreamError};
use crate::hub::reply::Finish;
use crate::peek::Peek;
use crate::quirks::Quirks;
use crate::usage::Usage;

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The dialect spoken there.
    pub dialect: Dialect,
    /// The model's name there.
    pub model: &'a str,
    /// In what it differs from its dialect.
    pub quirks: &'a Quirks,
    /// The most tokens that an answer may have there.
    pub max_output: Option<u64>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The body.
    pub body: Vec<u8>,
    /// What the target cannot carry, by the client's names for it.
    pub dropped: Vec<String>,
    /// Whether the answer has to come back through the hub.
    pub hub: bool,
}

/// What is needed to bring an answer back.
#[derive(Clone, Debug)]
pub struct ReplyContext {
    /// The client's dialect.
    pub client: Dialect,
    /// The upstream's dialect.
    pub upstream: Dialect,
    /// Whether the answer passes through the hub ([`Outbound::hub`]).
    pub hub: bool,
    /// The model as the client asked for it.
    pub model: String,
    /// A unique string of `[0-9a-z]`, from which ids of answers are made.
    pub id: String,
    /// Now, in Unix seconds.
    pub created: u64,
    /// Whether the client wants usage in a stream.
    pub include_usage: bool,
    /// Whether the client may be shown thinking.
    pub want_thinking: bool,
    /// An estimate of the prompt's tokens, for dialects that say it at the start of a stream.
    pub prompt_estimate: u64,
    /// In what the upstream differs from its dialect.
    pub quirks: Quirks,
}

/// A whole answer, ready for the client.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The body.
    pub body: Vec<u8>,
    /// What was counted.
    pub meter: Meter,
}

/// What was seen of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meter {
    /// The tokens, where the provider said.
    pub usage: Option<Usage>,
    /// Why the answer ended, once it has.
    pub finish: Option<Finish>,
    /// Whether any content (text, thinking, refusal, tool call) was passed on.
    pub content_started: bool,
    /// Bytes of text, thinking and tool arguments passed on.
    pub output_bytes: u64,
    /// Events of the upstream that could not be read and were skipped.
    pub bad_events: u64,
    /// The model's name, as the provider gave it.
    pub upstream_model: Option<String>,
    /// What the provider says that the answer cost, in US dollars.
    pub upstream_cost_usd: Option<f64>,
}

/// What an observer saw in one event of a stream that is passed through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether it carries content (text, thinking, refusal, tool call).
    pub content: bool,
    /// The failure that it reports.
    pub error: Option<UpstreamError>,
    /// Whether it says that nothing follows (`[DONE]`, `message_stop`).
    pub end: bool,
    /// Whether it holds nothing but token counts, which a client that did not ask must not see.
    pub usage_only: bool,
    /// Whether it cannot be read; it is not passed on, and was counted in [`Meter::bad_events`].
    pub bad: bool,
}

/// The request as the target wants it.
///
/// # Errors
/// Where the client's body is wrong, or asks for what the target cannot do at all.
pub fn request(
    client: Dialect,
    body: &[u8],
    peek: &Peek,
    target: &Target<'_>,
) -> Result<Outbound, BadRequest> {
    let _ = (client, peek, target);
    Ok(Outbound { body: body.to_vec(), dropped: Vec::new(), hub: false })
}

/// A whole answer (status 2xx) as the client wants it.
///
/// # Errors
/// Where the provider reports a failure inside a success, or the body cannot be read.
pub fn reply(ctx: &ReplyContext, body: &[u8]) -> Result<Reply, UpstreamError> {
    let _ = ctx;
    Ok(Reply { body: body.to_vec(), meter: Meter::default() })
}

/// Brings a stream back, piece by piece.
#[derive(Debug)]
pub struct StreamRelay {
    meter: Meter,
    error: Option<UpstreamError>,
}

impl StreamRelay {
    /// A relay at the beginning of an answer.
    pub fn new(ctx: ReplyContext) -> Self {
        let _ = ctx;
        Self { meter: Meter::default(), error: None }
    }

    /// Takes bytes from the upstream and appends what the client gets.
    ///
    /// Nothing is appended before the first content: until [`Meter::content_started`] the gateway may
    /// still drop this relay and try elsewhere.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) {
        out.push(bytes.clone());
    }

    /// The upstream's body ended: appends the client's ending, or sets [`Self::error`] to a
    /// [`crate::ErrorClass::Cut`] when the answer was not finished.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) {
        let _ = out;
    }

    /// Ends the client's stream with an error event of its dialect.
    pub fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<Bytes>) {
        let _ = (view, out);
    }

    /// What keeps a silent stream alive in the client's dialect.
    pub fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": keep-alive\n\n")
    }

    /// What was counted so far.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The failure that the upstream reported inside the stream, or its early end.
    pub const fn error(&self) -> Option<&UpstreamError> {
        self.error.as_ref()
    }
}
