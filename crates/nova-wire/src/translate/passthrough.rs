//! One dialect on both sides: bytes are passed on, and only looked at.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Meter, Outbound, Reply, ReplyContext, Seen, Target, hubway};
use crate::chat;
use crate::dialect::Dialect;
use crate::error::{BadRequest, ErrorClass, UpstreamError};
use crate::gemini;
use crate::hub::names::ToolNames;
use crate::hub::past::Keeper;
use crate::messages;
use crate::peek::Peek;
use crate::quirks::{MaxTokensField, Quirks, ReplayThinking, ToolChoiceForm};
use crate::splice::{self, Edit, Field};
use crate::sse::{Decoder, Event};

/// The client's own body, with the model's name there and what the quirks ask for.
pub(super) fn request(
    client: Dialect,
    body: &[u8],
    peek: &Peek,
    target: &Target<'_>,
) -> Result<Outbound, BadRequest> {
    let asks_usage = client == Dialect::Chat
        && peek.stream
        && !peek.include_usage
        && target.quirks.stream_options != Some(false);
    if client == Dialect::Gemini {
        // The path names the model, so what the quirks ask for is all that may have to change.
        return Ok(match gemini::request::bent(body, peek.max_tokens, target)? {
            None => unchanged(body.to_vec(), Vec::new()),
            Some((body, dropped)) => unchanged(body, dropped),
        });
    }
    let model = splice::quoted(target.model);
    if is_plain(client, peek, target) && !(asks_usage && peek.stream_options_span.is_some()) {
        let front: &[u8] = if asks_usage { br#""stream_options":{"include_usage":true},"# } else { b"" };
        let body = splice::replace(body, peek.model_span.clone(), &model, front);
        return Ok(unchanged(body, Vec::new()));
    }
    let fields = splice::fields(body)?;
    let mut plan =
        Plan { body, fields: &fields, edits: vec![Edit::Set("model", model)], dropped: Vec::new() };
    plan.bound_tokens(client, target);
    plan.bend(target.quirks);
    if client == Dialect::Chat {
        plan.bend_tool_choice(target.quirks, peek);
    }
    if asks_usage {
        plan.ask_usage();
    } else if client == Dialect::Chat && target.quirks.stream_options == Some(false) {
        plan.drop("stream_options");
    }
    for (name, value) in target.quirks.set.iter().flatten() {
        plan.edits.push(Edit::Set(name, value.to_string().into_bytes()));
    }
    plan.edits.extend(target.quirks.omit.iter().flatten().map(|name| Edit::Remove(name)));
    let body = splice::apply(body, &fields, &plan.edits);
    Ok(unchanged(body, plan.dropped))
}

fn unchanged(body: Vec<u8>, dropped: Vec<String>) -> Outbound {
    Outbound { body, dropped, hub: false, names: ToolNames::default(), echo: Map::new(), stops: Vec::new() }
}

/// Whether nothing but the model's name has to change.
fn is_plain(client: Dialect, peek: &Peek, target: &Target<'_>) -> bool {
    let quirks = target.quirks;
    let too_many = peek.max_tokens.zip(target.max_output).is_some_and(|(asked, most)| asked > most);
    let chat_only = client == Dialect::Chat
        && (quirks.max_tokens_field.is_some()
            || quirks.tool_choice.is_some()
            || quirks.tool_choice_required.is_some()
            || (quirks.no_forced_tool_when_thinking == Some(true) && peek.has_tools)
            || quirks.parallel_tool_calls == Some(false)
            || quirks.stream_options == Some(false));
    !too_many
        && !chat_only
        && quirks.drop.is_none()
        && quirks.rename.is_none()
        && quirks.set.is_none()
        && quirks.omit.is_none()
        && quirks.min_temperature.is_none()
        && quirks.max_temperature.is_none()
}

/// The edits of one request, as they are found.
struct Plan<'a> {
    body: &'a [u8],
    fields: &'a [Field],
    edits: Vec<Edit<'a>>,
    dropped: Vec<String>,
}

impl<'a> Plan<'a> {
    fn value(&self, name: &str) -> Option<Value> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        serde_json::from_slice(&self.body[field.value.clone()]).ok()
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Takes a field away and says so, if the client gave it.
    fn drop(&mut self, name: &'a str) {
        if self.has(name) {
            self.edits.push(Edit::Remove(name));
            self.dropped.push(name.to_owned());
        }
    }

    /// The bound on the answer's tokens: its name, and what the target can do at most.
    fn bound_tokens(&mut self, client: Dialect, target: &Target<'_>) {
        let names = ["max_completion_tokens", "max_tokens"];
        let most = target.max_output.unwrap_or(u64::MAX);
        for name in names.into_iter().chain(["max_output_tokens"]) {
            if self.value(name).and_then(|value| value.as_u64()).is_some_and(|asked| asked > most) {
                self.edits.push(Edit::Set(name, most.to_string().into_bytes()));
            }
        }
        let (right, wrong) = match target.quirks.max_tokens_field {
            _ if client != Dialect::Chat => return,
            None => return,
            Some(MaxTokensField::MaxTokens) => (names[1], names[0]),
            Some(MaxTokensField::MaxCompletionTokens) => (names[0], names[1]),
        };
        if self.has(right) {
            // Both mean the same; the one that the target knows stays.
            self.edits.push(Edit::Remove(wrong));
        } else {
            self.edits.push(Edit::Rename(wrong, right));
        }
    }

    /// What the quirks forbid, rename and bound.
    fn bend(&mut self, quirks: &'a Quirks) {
        for name in quirks.drop.iter().flatten() {
            self.drop(name);
        }
        for (from, to) in quirks.rename.iter().flatten() {
            self.edits.push(Edit::Rename(from, to));
        }
        if let Some(asked) = self.value("temperature").and_then(|value| value.as_f64())
            && !quirks.drops("temperature")
        {
            let low = quirks.min_temperature.unwrap_or(f64::NEG_INFINITY);
            let high = quirks.max_temperature.unwrap_or(f64::INFINITY);
            let taken = asked.max(low).min(high);
            if taken != asked {
                self.edits.push(Edit::Set("temperature", taken.to_string().into_bytes()));
                self.dropped.push("temperature".to_owned());
            }
        }
        if quirks.parallel_tool_calls == Some(false) {
            self.drop("parallel_tool_calls");
        }
    }

    /// A choice that the upstream refuses is left out: it then decides by itself.
    fn bend_tool_choice(&mut self, quirks: &Quirks, peek: &Peek) {
        let Some(choice) = self.value("tool_choice") else { return };
        let form = match choice.as_str() {
            Some("auto") => ToolChoiceForm::Auto,
            Some("none") => ToolChoiceForm::None,
            Some("required") => ToolChoiceForm::Required,
            Some(_) => return,
            None if choice.get("function").is_some() => ToolChoiceForm::Named,
            None => return,
        };
        let forced = matches!(form, ToolChoiceForm::Required | ToolChoiceForm::Named);
        let refused =
            forced && quirks.no_forced_tool_when_thinking == Some(true) && self.thinks(quirks, peek);
        if refused || !quirks.allows_tool_choice(form) {
            self.drop("tool_choice");
        } else if form == ToolChoiceForm::Required
            && let Some(word) = &quirks.tool_choice_required
        {
            self.edits.push(Edit::Set("tool_choice", splice::quoted(word)));
        }
    }

    /// Whether the model will think before it answers.
    fn thinks(&self, quirks: &Quirks, peek: &Peek) -> bool {
        let off = self.value("thinking").is_some_and(|value| value["type"] == "disabled")
            || self.value("enable_thinking").is_some_and(|value| value == false)
            || self.value("reasoning_effort").is_some_and(|value| value == "none");
        peek.wants_thinking || (quirks.thinking_default_on == Some(true) && !off)
    }

    /// Asks the upstream for usage, which the client did not.
    fn ask_usage(&mut self) {
        let mut options = match self.value("stream_options") {
            Some(Value::Object(options)) => options,
            _ => serde_json::Map::new(),
        };
        options.insert("include_usage".to_owned(), Value::Bool(true));
        self.edits.push(Edit::Set("stream_options", Value::Object(options).to_string().into_bytes()));
    }
}

/// The upstream's own body, read for the meter.
pub(super) fn reply(ctx: &ReplyContext, body: &[u8]) -> Result<Reply, UpstreamError> {
    let mut meter = match ctx.upstream {
        Dialect::Chat => chat::reply::meter(body, &ctx.quirks)?,
        Dialect::Messages => hubway::meter(messages::reply::read(body, &ctx.quirks)?),
        Dialect::Responses => crate::responses::reply::meter(body)?,
        Dialect::Gemini => hubway::meter(crate::gemini::reply::read(body, &ctx.quirks)?),
        Dialect::Converse => Meter::default(),
    };
    if let Some(mut keeper) = keeper(ctx) {
        keep(&mut keeper, body);
        meter.thought = keeper.take().map(Box::new);
    }
    Ok(Reply { body: body.to_vec(), meter, mismatch: None })
}

/// What a chat answer that is passed through shows of thinking and calls.
#[derive(Deserialize)]
struct Shown<'a> {
    #[serde(borrow, default)]
    choices: Vec<ShownChoice<'a>>,
}

#[derive(Deserialize)]
struct ShownChoice<'a> {
    #[serde(borrow, default, alias = "message")]
    delta: ShownMessage<'a>,
    #[serde(default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct ShownMessage<'a> {
    #[serde(default)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(default)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(default)]
    tool_calls: Option<Vec<ShownCall>>,
}

#[derive(Deserialize)]
struct ShownCall {
    #[serde(default)]
    id: Option<String>,
}

/// Keeps the thought of a chat answer whose provider wants it back.
fn keep(keeper: &mut Keeper, json: &[u8]) {
    let Ok(Shown { choices }) = serde_json::from_slice(json) else { return };
    let Some(ShownChoice { delta, finish_reason }) = choices.into_iter().next() else { return };
    let thinking = delta.reasoning_content.or(delta.reasoning).unwrap_or_default();
    let calls = delta.tool_calls.unwrap_or_default().into_iter();
    let ids = calls.filter_map(|call| call.id).filter(|id| !id.is_empty());
    keeper.chat(&thinking, ids, finish_reason.is_some_and(|reason| !reason.is_empty()));
}

/// A keeper where client and upstream speak chat and the upstream wants thinking back.
fn keeper(ctx: &ReplyContext) -> Option<Box<Keeper>> {
    let replays =
        matches!(ctx.quirks.replay_thinking, Some(ReplayThinking::Required | ReplayThinking::Accepted));
    (ctx.upstream == Dialect::Chat && replays && !ctx.provider.is_empty())
        .then(|| Box::new(Keeper::new(&ctx.provider, false)))
}

/// The observer of the upstream's dialect.
#[derive(Debug)]
enum Observer {
    Chat(chat::stream::Observer),
    Messages(messages::stream::Observer),
    Responses(crate::responses::stream::Observer),
    Gemini(crate::gemini::stream::Observer),
    /// A dialect that is only passed on.
    None,
}

impl Observer {
    fn event(&mut self, event: &Event<'_>, meter: &mut Meter) -> Seen {
        match self {
            Self::Chat(observer) => observer.event(event, meter),
            Self::Messages(observer) => observer.event(event, meter),
            Self::Responses(observer) => observer.event(event, meter),
            Self::Gemini(observer) => observer.event(event, meter),
            Self::None => Seen { content: true, ..Seen::default() },
        }
    }
}

/// How much may be held back before the first content. More than that is given out, and from then on
/// no other upstream can be tried.
const MAX_HELD: usize = 256 << 10;

/// A stream that is passed on.
#[derive(Debug)]
pub(super) struct Relay {
    dialect: Dialect,
    decoder: Decoder,
    observer: Observer,
    keeper: Option<Box<Keeper>>,
    held: Vec<Bytes>,
    held_bytes: usize,
    withhold_usage: bool,
    /// Whether the last event was passed on.
    kept: bool,
    no_finish: bool,
    ended: bool,
}

impl Relay {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        Self {
            dialect: ctx.client,
            decoder: Decoder::new(),
            observer: match ctx.upstream {
                Dialect::Chat => Observer::Chat(chat::stream::Observer::new(&ctx.quirks)),
                Dialect::Messages => Observer::Messages(messages::stream::Observer::new(&ctx.quirks)),
                Dialect::Responses => {
                    Observer::Responses(crate::responses::stream::Observer::new(&ctx.quirks))
                }
                Dialect::Gemini => Observer::Gemini(crate::gemini::stream::Observer::new(&ctx.quirks)),
                Dialect::Converse => Observer::None,
            },
            keeper: keeper(ctx),
            held: Vec::new(),
            held_bytes: 0,
            withhold_usage: ctx.client == Dialect::Chat && !ctx.include_usage,
            kept: false,
            no_finish: ctx.quirks.no_finish_reason == Some(true),
            ended: false,
        }
    }

    /// Passes on whole events of the chunk.
    pub(super) fn push(
        &mut self,
        chunk: &Bytes,
        meter: &mut Meter,
        out: &mut Vec<Bytes>,
    ) -> Result<(), UpstreamError> {
        self.decoder.push(chunk).map_err(|error| chat::garbage(&error.to_string()))?;
        self.drain(meter, out)
    }

    /// Takes the decoder's events; neighbouring ones leave in one piece.
    fn drain(&mut self, meter: &mut Meter, out: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        let mut run = 0..0;
        let mut failure = None;
        while let Some(event) = self.decoder.next_event() {
            let span = event.span.clone();
            if failure.is_some() || self.ended {
                continue;
            }
            let blank = event.is_blank();
            let seen = if blank { Seen::default() } else { self.observer.event(&event, meter) };
            if let Some(keeper) = self.keeper.as_mut().filter(|_| !blank) {
                keep(keeper, event.data);
                if let Some(thought) = keeper.take() {
                    meter.thought = Some(Box::new(thought));
                }
            }
            failure = seen.error;
            let begun = meter.content_started || seen.content;
            // A comment or a blank line before the content is of no use to anybody. A line feed alone may be the
            // end of a CRLF that came in two pieces, so it goes where that went which stands before it.
            let skip = match event.raw {
                b"\n" => !self.kept,
                _ => seen.bad || (seen.usage_only && self.withhold_usage) || (blank && !begun),
            };
            self.kept = !skip;
            if !skip && failure.is_none() {
                if run.end != span.start {
                    let piece = self.decoder.block().slice(run);
                    self.give(piece, meter, out);
                    run = span.start..span.start;
                }
                run.end = span.end;
            }
            if seen.content && failure.is_none() {
                meter.content_started = true;
            }
            self.ended |= seen.end;
        }
        let piece = self.decoder.block().slice(run);
        self.give(piece, meter, out);
        failure.map_or(Ok(()), Err)
    }

    /// Gives bytes out, or holds them back while there was no content.
    fn give(&mut self, piece: Bytes, meter: &mut Meter, out: &mut Vec<Bytes>) {
        if !meter.content_started {
            self.held_bytes += piece.len();
            if !piece.is_empty() {
                self.held.push(piece);
            }
            if self.held_bytes > MAX_HELD {
                meter.content_started = true;
            } else {
                return;
            }
            out.append(&mut self.held);
            return;
        }
        out.append(&mut self.held);
        if !piece.is_empty() {
            out.push(piece);
        }
    }

    /// Whether the upstream has said that nothing follows.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The number of the client's next event, where the dialect numbers them.
    pub(super) const fn next_number(&self) -> u64 {
        match &self.observer {
            Observer::Responses(observer) => observer.passed(),
            _ => 0,
        }
    }

    /// The body ended: gives out what was held, and the dialect's end where the upstream left it out.
    pub(super) fn finish(&mut self, meter: &mut Meter, out: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        self.decoder.finish();
        let rest = self.decoder.block().clone();
        self.drain(meter, out)?;
        if !self.ended
            && meter.finish.is_none()
            && !self.no_finish
            && !matches!(self.observer, Observer::None)
        {
            return Err(cut());
        }
        out.append(&mut self.held);
        if !rest.is_empty() && !rest.ends_with(b"\n\n") {
            // Google's SDK for JavaScript wants both line ends of one kind.
            out.push(Bytes::from_static(if rest.ends_with(b"\r\n") { b"\r\n" } else { b"\n\n" }));
        }
        if !self.ended {
            match self.dialect {
                Dialect::Chat => out.push(Bytes::from_static(crate::sse::DONE)),
                Dialect::Messages => out.push(Bytes::from_static(STOP)),
                // A Responses stream ends with its last event, a Gemini stream with the connection.
                Dialect::Responses | Dialect::Gemini | Dialect::Converse => {}
            }
        }
        self.ended = true;
        Ok(())
    }
}

/// The end of a Messages stream.
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// An answer that ended before it was finished.
pub(super) fn cut() -> UpstreamError {
    UpstreamError {
        class: ErrorClass::Cut,
        status: 200,
        message: "the provider closed the stream before the answer was finished".to_owned(),
        code: None,
        retry_after_ms: None,
    }
}
