//! Two dialects, or one that an upstream strays far from: everything passes through the hub.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::form::Form;
use super::passthrough::cut;
use super::place;
use super::think;
use super::{Meter, Outbound, Reply, ReplyContext, Target};
use crate::chat;
use crate::converse;
use crate::dialect::Dialect;
use crate::error::{BadRequest, ErrorView, UpstreamError};
use crate::fields::unsupported;
use crate::gemini;
use crate::hub::names::{Takes, ToolNames};
use crate::hub::past::{self, Keeper, Past};
use crate::hub::reply::{Finish, ReplyPart};
use crate::hub::request::{Part, Role};
use crate::hub::shared;
use crate::hub::stops::{self, Stops};
use crate::hub::structured::{self, Verdict};
use crate::hub::{self, delta::Delta};
use crate::ids;
use crate::messages;
use crate::peek::Peek;
use crate::quirks::{Images, Quirks};
use crate::responses;
use crate::sse::{BadEvent, Decoder, Event};

/// The request, read from the client's dialect and written in the target's.
pub(super) fn request(
    client: Dialect,
    body: &[u8],
    peek: &Peek,
    (target, past): (&Target<'_>, &Past<'_>),
) -> Result<Outbound, BadRequest> {
    let own = client == target.dialect;
    let mut request = match client {
        Dialect::Responses if own => responses::request::read_own(body)?,
        client => read(client, body)?,
    };
    // Gemini says it by its path.
    request.stream = peek.stream;
    request.thinking = think::wish(peek.thinking, request.thinking);
    let mut dropped = Vec::new();
    if !own {
        // What only the client's dialect knows has no meaning in another.
        let shared = shared::take(client, target.dialect, &mut request.extra);
        let lost = std::mem::replace(&mut request.extra, shared);
        dropped.extend(lost.into_iter().filter_map(named));
        unfit(&mut request, target, &mut dropped);
        if client == Dialect::Messages {
            messages::request::as_functions(&mut request.tools);
            refuse_uploads(&request).map_err(|error| place::in_words_of(client, body, error))?;
        }
    }
    let echo = if client == Dialect::Responses { responses::request::echo(body) } else { Map::new() };
    if target.quirks.images == Some(Images::None) {
        blind(&mut request, &mut dropped);
    }
    past::restore(&mut request, past, own);
    // A turn of which nothing is left was only another provider's sealed thought.
    request.turns.retain(|turn| turn.role != Role::Assistant || !turn.parts.is_empty());
    let longest = match target.dialect {
        dialect if dialect == client => usize::MAX,
        Dialect::Messages => ids::LONGEST_NAME,
        _ => 64,
    };
    let takes = Takes { custom: own, namespaces: own, longest };
    let wraps_answer = structured::force(&mut request, target.quirks);
    let mut names = ToolNames::bridge(&mut request, takes);
    names.wraps_answer = wraps_answer;
    names.legacy_functions = request.legacy_functions;
    let stops = beyond(&mut request, target);
    let written = match target.dialect {
        Dialect::Chat => chat::request::write(&request, target, &mut dropped),
        Dialect::Messages => messages::request::write(&request, target, &mut dropped),
        Dialect::Responses => responses::request::write(&request, target, &mut dropped),
        Dialect::Gemini => gemini::request::write(&request, target, &mut dropped),
        Dialect::Converse => converse::request::write(&request, target, &mut dropped),
    };
    let body = written.map_err(|error| place::in_words_of(client, body, error))?;
    Ok(Outbound { body, dropped, hub: true, names, echo, stops })
}

/// A client's request in the hub.
fn read(client: Dialect, body: &[u8]) -> Result<hub::request::Request, BadRequest> {
    match client {
        Dialect::Chat => chat::request::read(body),
        Dialect::Messages => messages::request::read(body),
        Dialect::Responses => responses::request::read(body),
        Dialect::Gemini => gemini::request::read(body),
        Dialect::Converse => Err(untranslated(client, client)),
    }
}

/// A file that was uploaded to its provider's container is out of another one's reach, and the question is about it.
fn refuse_uploads(request: &hub::request::Request) -> Result<(), BadRequest> {
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    match parts.any(|part| matches!(part, Part::Foreign { kind, .. } if kind == "container_upload")) {
        true => {
            let what = "a file that was uploaded to another provider's container cannot be read here";
            Err(unsupported("messages".to_owned(), what))
        }
        false => Ok(()),
    }
}

/// Takes away the stop sequences that the target does not take: the gateway ends the answer there.
fn beyond(request: &mut hub::request::Request, target: &Target<'_>) -> Vec<String> {
    let most = match target.dialect {
        Dialect::Responses => 0,
        Dialect::Gemini => target.quirks.max_stop.unwrap_or(gemini::request::MOST_STOPS),
        _ => target.quirks.max_stop.unwrap_or(usize::MAX),
    };
    // Anthropic refuses sequences of spaces and line ends alone.
    let refuses = matches!(target.dialect, Dialect::Messages | Dialect::Converse);
    let takes = |stop: &str| !refuses || !stop.trim().is_empty();
    stops::beyond(&mut request.stop, takes, most)
}

/// What stands in the place of a picture that a tool gave and the model cannot see.
const UNSEEN: &str = "[an image, which this model cannot read]";

/// Takes images out of the results of tools, for a model that reads text only. Agents look at pictures by
/// their tools and send the result with every later turn: refusing it would end their session.
fn blind(request: &mut hub::request::Request, dropped: &mut Vec<String>) {
    let mut any = false;
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let Part::ToolResult { parts, .. } = part else { continue };
        for inner in parts {
            if matches!(inner, Part::Image { .. }) {
                any = true;
                *inner = Part::Text { text: UNSEEN.to_owned(), cache: None };
            }
        }
    }
    if any {
        dropped.push("image".to_owned());
    }
}

/// Names what no writer but that of the client's own dialect has a place for, and takes it away.
fn unfit(request: &mut hub::request::Request, target: &Target<'_>, dropped: &mut Vec<String>) {
    let keeps_detail = matches!(target.dialect, Dialect::Chat | Dialect::Responses);
    let keeps_marks = target.quirks.cache_control.unwrap_or(target.dialect == Dialect::Messages);
    let mut lost = Vec::new();
    let mut marked = request.tools.iter().any(|tool| tool.cache.is_some());
    for turn in &mut request.turns {
        let extra = std::mem::take(&mut turn.extra).into_iter().filter_map(named);
        lost.extend(extra.map(|name| format!("messages[].{name}")));
        for part in &turn.parts {
            match part {
                Part::Text { cache, .. } | Part::Document { cache, .. } | Part::ToolResult { cache, .. } => {
                    marked |= cache.is_some();
                }
                Part::Image { detail, cache, .. } => {
                    marked |= cache.is_some();
                    if !keeps_detail && detail.as_ref().is_some_and(|detail| detail != "auto") {
                        lost.push("image_url.detail".to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    let promises = matches!(target.dialect, Dialect::Chat | Dialect::Messages | Dialect::Responses);
    if !promises && request.tools.iter().any(|tool| tool.strict == Some(true)) {
        lost.push("tools[].strict".to_owned());
    }
    if marked && !keeps_marks {
        lost.push("cache_control".to_owned());
    }
    lost.sort_unstable();
    lost.dedup();
    dropped.extend(lost);
}

/// The name of a field that is lost; a field that asks for nothing is not missed.
fn named((name, value): (String, Value)) -> Option<String> {
    let idle = match (name.as_str(), &value) {
        (_, Value::Null) => true,
        ("n", n) => n.as_u64() == Some(1),
        ("logprobs" | "store", flag) => flag.as_bool() == Some(false),
        ("presence_penalty" | "frequency_penalty", penalty) => penalty.as_f64() == Some(0.0),
        (_, Value::Object(fields)) => fields.is_empty(),
        (_, Value::Array(items)) => items.is_empty(),
        _ => false,
    };
    (!idle).then_some(name)
}

fn untranslated(client: Dialect, target: Dialect) -> BadRequest {
    BadRequest {
        path: String::new(),
        message: format!(
            "a request in the dialect `{client}` cannot be put to an upstream of the dialect `{target}`"
        ),
        code: "unsupported",
    }
}

/// A whole answer, read from the upstream's dialect and written in the client's, and whether it has the
/// form that was asked for.
pub(super) fn reply(ctx: &ReplyContext, body: &[u8]) -> Result<(Reply, Verdict), UpstreamError> {
    let (mut reply, cost) = match ctx.upstream {
        Dialect::Chat => (chat::reply::read(body, &ctx.quirks)?, chat::reply::cost_usd(body)),
        Dialect::Messages => (messages::reply::read(body, &ctx.quirks)?, None),
        Dialect::Responses => (responses::reply::read(body, &ctx.quirks)?, responses::reply::cost_usd(body)),
        Dialect::Gemini => (gemini::reply::read(body, &ctx.quirks)?, None),
        Dialect::Converse => (converse::reply::read(body, &ctx.quirks)?, None),
    };
    let mut keeper = Keeper::new(&ctx.provider, replays_signatures(ctx.client));
    keeper.parts(&mut reply.parts);
    for part in &mut reply.parts {
        if let ReplyPart::ToolCall(call) = part {
            ctx.names.call(call);
        }
    }
    Stops::new(&ctx.stops).parts(&mut reply.parts, &mut reply.finish);
    if ctx.names.wraps_answer {
        structured::unwrap_parts(&mut reply.parts, &mut reply.finish);
    }
    let verdict = match &ctx.check {
        Some(check) => structured::judge_parts(&mut reply.parts, &reply.finish, check),
        None => Verdict::Good,
    };
    let Some(body) = write(ctx, &reply) else {
        return Err(chat::garbage("answers cannot be translated into this dialect"));
    };
    let thought = keeper.take().map(Box::new);
    let mismatch = if let Verdict::Bad(why) = &verdict { Some(why.clone()) } else { None };
    let meter = Meter { upstream_cost_usd: cost, thought, ..meter(reply) };
    Ok((Reply { body, meter, mismatch }, verdict))
}

/// A whole answer in the client's dialect; `None` for one that no client speaks.
pub(super) fn write(ctx: &ReplyContext, reply: &hub::reply::Reply) -> Option<Vec<u8>> {
    Some(match ctx.client {
        Dialect::Chat => chat::reply::write(reply, ctx),
        Dialect::Messages => messages::reply::write(reply, ctx),
        Dialect::Responses => responses::reply::write(reply, ctx),
        Dialect::Gemini => gemini::reply::write(reply, ctx),
        Dialect::Converse => return None,
    })
}

/// Whether clients of this dialect send a thought back with whatever signature it had.
const fn replays_signatures(client: Dialect) -> bool {
    matches!(client, Dialect::Messages | Dialect::Responses)
}

/// What is counted of a whole answer.
pub(super) fn meter(reply: hub::reply::Reply) -> Meter {
    let output_bytes = reply.parts.iter().map(size).sum();
    Meter {
        usage: reply.usage,
        finish: (reply.finish != Finish::Unsaid).then_some(reply.finish),
        content_started: output_bytes > 0,
        output_bytes,
        upstream_model: reply.model,
        ..Meter::default()
    }
}

fn size(part: &ReplyPart) -> u64 {
    let length = match part {
        ReplyPart::Thinking { text, .. } | ReplyPart::Text(text) | ReplyPart::Refusal(text) => text.len(),
        ReplyPart::RedactedThinking { data } => data.len(),
        ReplyPart::ToolCall(hub::request::ToolCall { name, arguments, .. }) => name.len() + arguments.len(),
        ReplyPart::Image(image) => image.data.len(),
        ReplyPart::Citation(_) => 0,
    };
    length as u64
}

/// The reader of the upstream's dialect.
#[derive(Debug)]
pub(super) enum Reader {
    Chat(chat::stream::Reader),
    Messages(messages::stream::Reader),
    Responses(responses::stream::Reader),
    Gemini(gemini::stream::Reader),
    Converse(converse::stream::Reader),
}

impl Reader {
    pub(super) fn new(upstream: Dialect, quirks: &Quirks) -> Self {
        match upstream {
            Dialect::Chat => Self::Chat(chat::stream::Reader::new(quirks)),
            Dialect::Messages => Self::Messages(messages::stream::Reader::new(quirks)),
            Dialect::Responses => Self::Responses(responses::stream::Reader::new(quirks)),
            Dialect::Gemini => Self::Gemini(gemini::stream::Reader::new(quirks)),
            Dialect::Converse => Self::Converse(converse::stream::Reader::new(quirks)),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        match self {
            Self::Chat(reader) => reader.event(event, out),
            Self::Messages(reader) => reader.event(event, out),
            Self::Responses(reader) => reader.event(event, out),
            Self::Gemini(reader) => reader.event(event, out),
            Self::Converse(reader) => reader.event(event, out),
        }
    }

    const fn cost_usd(&self) -> Option<f64> {
        match self {
            Self::Chat(reader) => reader.cost_usd(),
            Self::Responses(reader) => reader.cost_usd(),
            Self::Messages(_) | Self::Gemini(_) | Self::Converse(_) => None,
        }
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        match self {
            Self::Chat(reader) => reader.end(out),
            Self::Messages(reader) => reader.end(out),
            Self::Responses(reader) => reader.end(out),
            Self::Gemini(reader) => reader.end(out),
            Self::Converse(reader) => reader.end(out),
        }
    }
}

/// The writer of the client's dialect.
#[derive(Debug)]
pub(super) enum Writer {
    Chat(chat::stream::Writer),
    Messages(messages::stream::Writer),
    Responses(responses::stream::Writer),
    Gemini(gemini::stream::Writer),
    None,
}

impl Writer {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        match ctx.client {
            Dialect::Chat => Self::Chat(chat::stream::Writer::new(ctx)),
            Dialect::Messages => Self::Messages(messages::stream::Writer::new(ctx)),
            Dialect::Responses => Self::Responses(responses::stream::Writer::new(ctx)),
            Dialect::Gemini => Self::Gemini(gemini::stream::Writer::new(ctx)),
            Dialect::Converse => Self::None,
        }
    }

    pub(super) fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.delta(delta, out),
            Self::Messages(writer) => writer.delta(delta, out),
            Self::Responses(writer) => writer.delta(delta, out),
            Self::Gemini(writer) => writer.delta(delta, out),
            Self::None => {}
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.finish(out),
            Self::Messages(writer) => writer.finish(out),
            Self::Responses(writer) => writer.finish(out),
            Self::Gemini(writer) => writer.finish(out),
            Self::None => {}
        }
    }
}

/// A stream that is translated.
#[derive(Debug)]
pub(super) struct Relay {
    decoder: Decoder,
    reader: Reader,
    writer: Writer,
    deltas: Vec<Delta>,
    /// What was written and not yet given out.
    ready: Vec<u8>,
    names: ToolNames,
    keeper: Keeper,
    form: Form,
    stops: Stops,
    no_finish: bool,
    over: bool,
}

impl Relay {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        Self {
            decoder: Decoder::new(),
            reader: Reader::new(ctx.upstream, &ctx.quirks),
            writer: Writer::new(ctx),
            deltas: Vec::new(),
            ready: Vec::new(),
            names: ctx.names.clone(),
            keeper: Keeper::new(&ctx.provider, replays_signatures(ctx.client)),
            form: Form::new(ctx),
            stops: Stops::new(&ctx.stops),
            no_finish: ctx.quirks.no_finish_reason == Some(true),
            over: false,
        }
    }

    /// Translates whole events of the chunk.
    pub(super) fn push(
        &mut self,
        chunk: &Bytes,
        meter: &mut Meter,
        out: &mut Vec<Bytes>,
    ) -> Result<(), UpstreamError> {
        self.decoder.push(chunk).map_err(|error| chat::garbage(&error.to_string()))?;
        self.drain(meter, out)
    }

    /// The body ended: the client's ending, or a failure where the answer was not finished.
    pub(super) fn finish(&mut self, meter: &mut Meter, out: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        self.decoder.finish();
        self.drain(meter, out)?;
        self.reader.end(&mut self.deltas);
        self.apply(meter)?;
        if !self.over && meter.finish.is_none() && !self.no_finish {
            self.give(meter, out);
            return Err(cut());
        }
        self.note(meter);
        self.writer.finish(&mut self.ready);
        out.push(Bytes::from(std::mem::take(&mut self.ready)));
        Ok(())
    }

    /// Ends a Responses client's stream, whose events are numbered and whose end holds what came so far.
    pub(super) fn fail(&mut self, view: &ErrorView<'_>, out: &mut Vec<Bytes>) {
        if let Writer::Responses(writer) = &mut self.writer {
            writer.fail(view, &mut self.ready);
            out.push(Bytes::from(std::mem::take(&mut self.ready)));
        }
    }

    fn drain(&mut self, meter: &mut Meter, out: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        let mut done = Ok(());
        while let Some(event) = self.decoder.next_event() {
            if done.is_err() || self.over {
                continue;
            }
            if self.reader.event(&event, &mut self.deltas).is_err() {
                meter.bad_events += 1;
            }
            meter.upstream_cost_usd = self.reader.cost_usd();
            self.prepare();
            done = apply(&mut self.deltas, &mut self.writer, &mut self.ready, meter)
                .map(|over| self.over |= over);
        }
        self.note(meter);
        self.give(meter, out);
        done
    }

    fn apply(&mut self, meter: &mut Meter) -> Result<(), UpstreamError> {
        self.prepare();
        self.over |= apply(&mut self.deltas, &mut self.writer, &mut self.ready, meter)?;
        Ok(())
    }

    /// Brings what the reader gave into the client's terms.
    fn prepare(&mut self) {
        self.keeper.deltas(&mut self.deltas);
        restore(&self.names, &mut self.deltas);
        self.form.deltas(&mut self.deltas);
        self.stops.deltas(&mut self.deltas);
    }

    /// Shows the thought, once it is complete.
    fn note(&mut self, meter: &mut Meter) {
        if let Some(thought) = self.keeper.take() {
            meter.thought = Some(Box::new(thought));
        }
    }

    /// Gives out what was written, once there was content. Before it there is little to hold: the
    /// beginning of an answer and pings.
    fn give(&mut self, meter: &Meter, out: &mut Vec<Bytes>) {
        if meter.content_started && !self.ready.is_empty() {
            out.push(Bytes::from(std::mem::take(&mut self.ready)));
        }
    }
}

/// Gives calls back the names that the client knows.
fn restore(names: &ToolNames, deltas: &mut [Delta]) {
    if names.is_empty() {
        return;
    }
    for delta in deltas {
        if let Delta::ToolStart { name, mark, .. } = delta {
            names.mark(name, mark);
        }
    }
}

/// Counts deltas and hands them to the writer. Tells whether the upstream said that nothing follows.
fn apply(
    deltas: &mut Vec<Delta>,
    writer: &mut Writer,
    ready: &mut Vec<u8>,
    meter: &mut Meter,
) -> Result<bool, UpstreamError> {
    let mut over = false;
    for delta in deltas.drain(..) {
        let content = match &delta {
            Delta::Error(error) => return Err(error.clone()),
            Delta::Finish(Finish::Failed(word)) => return Err(chat::broken(word)),
            Delta::Start { model, usage } => {
                meter.upstream_model = model.clone().or(meter.upstream_model.take());
                meter.usage = usage.or(meter.usage);
                None
            }
            Delta::Usage(usage) => {
                meter.usage = Some(*usage);
                None
            }
            Delta::Finish(finish) => {
                meter.finish = Some(finish.clone());
                None
            }
            Delta::End => {
                over = true;
                None
            }
            Delta::Ping if !meter.content_started => continue,
            Delta::Ping | Delta::ToolEnd { .. } | Delta::Citation(_) => None,
            Delta::Image(image) => Some(image.data.len()),
            Delta::Thinking(text) | Delta::Text(text) | Delta::Refusal(text) => Some(text.len()),
            Delta::ToolArguments { json, .. } => Some(json.len()),
            Delta::ToolStart { name, .. } => Some(name.len()),
            Delta::Signature(_) | Delta::RedactedThinking(_) => Some(0),
        };
        if let Some(bytes) = content {
            meter.content_started = true;
            meter.output_bytes += bytes as u64;
        }
        writer.delta(delta, ready);
    }
    Ok(over)
}
