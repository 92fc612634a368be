//! What goes upstream, and what comes back: the crate's front door.
//!
//! Two ways lead through it. Where client and upstream speak one dialect, bytes are passed on and only
//! looked at (`passthrough`); where they differ, or the upstream strays so far that its quirks ask for
//! it, everything goes through the hub (`hubway`); `think` is what the model's name asks of thinking, `place` where a fault is in the client's own body. [`StreamRelay`]
//! is either of them for a stream. An answer that the gateway puts together itself is read and written by `compose`.
//!
//! Invariants of a stream, whichever way: nothing is given out before the first content, so that until
//! then another upstream can be tried; an answer that was cut is never ended as if it were whole; and
//! after a failure nothing of the upstream's is given out any more.

mod compose;
mod form;
mod hubway;
mod passthrough;
mod place;
mod relay;
mod think;

pub use compose::{Composer, Listener, compose};
pub use relay::StreamRelay;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::chat;
use crate::dialect::Dialect;
use crate::error::{BadRequest, ErrorClass, UpstreamError};
use crate::gemini;
use crate::hub::names::ToolNames;
use crate::hub::past::{self, Past, Thought};
use crate::hub::reply::Finish;
use crate::hub::request::Format;
use crate::hub::structured::{Check, Verdict};
use crate::messages;
use crate::peek::Peek;
use crate::quirks::{Images, JsonSchemaSupport, Quirks, ReplayThinking};
use crate::responses;
use crate::splice;
use crate::usage::Usage;

#[cfg(test)]
mod tests;

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
    /// The tools that the upstream knows by other names than the client.
    pub names: ToolNames,
    /// The fields of a Responses request that its answer repeats; empty for the other dialects.
    pub echo: Map<String, Value>,
    /// Stop sequences that the target does not take, and that the answer is ended at all the same.
    pub stops: Vec<String>,
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
    pub quirks: Arc<Quirks>,
    /// The provider that answers, by the gateway's name for it; with an empty one no signature is tagged and
    /// no thought kept.
    pub provider: Arc<str>,
    /// Judges the text of an answer whose form the client asked for. A stream is judged only where the upstream
    /// does not promise the form itself.
    pub check: Option<Check>,
    /// [`Outbound::names`].
    pub names: ToolNames,
    /// [`Outbound::echo`].
    pub echo: Map<String, Value>,
    /// [`Outbound::stops`].
    pub stops: Vec<String>,
}

/// A whole answer, ready for the client.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The body.
    pub body: Vec<u8>,
    /// What was counted.
    pub meter: Meter,
    /// Why the answer does not have the form that the client asked for ([`ReplyContext::check`]).
    pub mismatch: Option<String>,
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
    /// The thinking before calls of tools, to be kept for the next turn. There once the content is complete.
    pub thought: Option<Box<Thought>>,
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
    request_after(client, body, peek, target, &Past::default())
}

/// The request as the target wants it, with what is known of the conversation's earlier turns.
///
/// # Errors
/// As [`request`].
pub fn request_after(
    client: Dialect,
    body: &[u8],
    peek: &Peek,
    target: &Target<'_>,
    past: &Past<'_>,
) -> Result<Outbound, BadRequest> {
    if through_hub(client, target.dialect, target.quirks) {
        return hubway::request(client, body, peek, (target, past));
    }
    let formless =
        peek.has_schema && target.quirks.json_schema.is_some_and(|it| it != JsonSchemaSupport::Native);
    let unseen = peek.has_result_images && target.quirks.images == Some(Images::None);
    let rewrites = formless || unseen;
    if client == Dialect::Responses && !rewrites && !past.provider.is_empty() && past::is_tagged(body) {
        let body = responses::request::own(body, past.provider, replays(target.quirks))?;
        let again = Peek::read(client, &body)?.thinking_as(peek.thinking);
        return request_after(client, &body, &again, target, &Past::default());
    }
    if rewrites || needs_past(client, body, peek, (target, past)) {
        // Only the request is rewritten; the answer is in the client's own dialect.
        let rewritten = hubway::request(client, body, peek, (target, past))?;
        return Ok(Outbound { hub: rewritten.names.wraps_answer, ..rewritten });
    }
    if peek.thinking.is_some() {
        return think::request(client, body, peek, (target, past));
    }
    passthrough::request(client, body, peek, target)
}

/// Whether a request that could be passed on carries a tagged signature, or lacks thinking that its
/// target asks for.
fn needs_past(client: Dialect, body: &[u8], peek: &Peek, (target, past): (&Target<'_>, &Past<'_>)) -> bool {
    if past.provider.is_empty() {
        return false;
    }
    let bare_call = peek.bare_call.as_deref().filter(|_| client == Dialect::Chat);
    let lacks_thought = bare_call.is_some_and(|id| match target.quirks.replay_thinking {
        Some(ReplayThinking::Required) => true,
        Some(ReplayThinking::Accepted) => past.thought(std::iter::once(id)).is_some(),
        Some(ReplayThinking::Forbidden) | None => false,
    });
    lacks_thought || past::is_tagged(body)
}

/// Whether the target takes thoughts back that nobody signed.
const fn replays(quirks: &Quirks) -> bool {
    matches!(quirks.replay_thinking, Some(ReplayThinking::Required | ReplayThinking::Accepted))
}

/// The form that a client asks its answer to have; [`Format::Text`] where the body cannot be read. Only the
/// fields that say it are parsed: a conversation may be long.
pub fn wanted_format(client: Dialect, body: &[u8]) -> Format {
    let names: &[&str] = match client {
        Dialect::Chat => &["response_format"],
        Dialect::Messages => &["output_config", "output_format"],
        Dialect::Responses => &["text"],
        Dialect::Gemini => &["generationConfig", "generation_config"],
        Dialect::Converse => &[],
    };
    let fields = splice::fields(body).unwrap_or_default().into_iter();
    let mut said: Map<String, Value> = fields
        .filter(|field| names.contains(&field.name.as_str()))
        .filter_map(|field| Some((field.name, serde_json::from_slice(body.get(field.value)?).ok()?)))
        .collect();
    let format = match client {
        Dialect::Chat => chat::request::format(&mut said),
        Dialect::Messages => messages::request::format(said),
        Dialect::Responses => responses::request::format(said),
        Dialect::Gemini => gemini::request::format(said),
        Dialect::Converse => Ok(Format::Text),
    };
    format.unwrap_or_default()
}

/// A whole answer (status 2xx) as the client wants it.
///
/// # Errors
/// Where the provider reports a failure inside a success, or the body cannot be read.
pub fn reply(ctx: &ReplyContext, body: &[u8]) -> Result<Reply, UpstreamError> {
    if ctx.hub {
        return hubway::reply(ctx, body).map(|(reply, _)| reply);
    }
    let reply = passthrough::reply(ctx, body)?;
    if ctx.check.is_none() {
        return Ok(reply);
    }
    let (judged, verdict) = hubway::reply(ctx, body)?;
    Ok(match verdict {
        Verdict::Good => reply,
        // The mended text stands only in the rewritten answer.
        Verdict::Mended(_) => Reply { body: judged.body, ..reply },
        Verdict::Bad(why) => Reply { mismatch: Some(why), ..reply },
    })
}

/// What keeps a silent stream alive in the client's dialect: a comment for the OpenAI dialects, whose
/// SDKs skip it, an event for Messages, whose SDKs expect one, and a blank line for Gemini, whose SDKs
/// break on either.
pub fn keep_alive(client: Dialect) -> Bytes {
    match client {
        Dialect::Chat | Dialect::Responses | Dialect::Converse => Bytes::from_static(b": keep-alive\n\n"),
        Dialect::Gemini => Bytes::from_static(crate::gemini::stream::KEEP_ALIVE),
        Dialect::Messages => Bytes::from_static(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
    }
}

/// The failure of an answer without the form that was asked for.
pub fn mismatch(why: &str) -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Mismatch,
        status: 200,
        message: format!("the answer does not have the form that was asked for: {why}"),
        code: None,
        retry_after_ms: None,
    }
}

fn through_hub(client: Dialect, upstream: Dialect, quirks: &Quirks) -> bool {
    client != upstream || quirks.normalise == Some(true)
}
