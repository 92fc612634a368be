//! The model `compare:a+b+c`: one ordinary answer in the client's dialect that holds the answers of all models, one
//! after the other under headings.
//!
//! A stream writes them in the order of the models: each as it grows, once all before it are complete. What comes
//! before its turn waits in memory, within the bound of a lane.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body::{Body, Frame};
use nova_wire::hub::delta::Delta;
use nova_wire::hub::reply::{Reply, ReplyPart};
use nova_wire::splice::{self, Edit};
use nova_wire::translate::{self, Composer};
use nova_wire::{Dialect, Finish, Peek, ReplyContext, Usage};

use super::lane::Lane;
use super::panel::{Panel, Question};
use super::{Sender, asked};
use crate::conversation;
use crate::error::GatewayError;
use crate::pipeline::relay::{self, Heartbeat, Outgoing};
use crate::pipeline::{Known, Received, settle};
use crate::snapshot::Snapshot;
use crate::state::{RequestId, Worker};

const PREFIX: &str = "compare:";

/// Whether this is no model but several.
pub(crate) fn is_asked(snapshot: &Snapshot, model: &str) -> bool {
    let prefixed = model.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    // A model that is really called so stays one.
    prefixed && snapshot.table.find(model).is_none()
}

/// The models of such a name.
///
/// # Errors
/// 400 where they are not two to eight different names.
pub(crate) fn models_of(name: &str) -> Result<Vec<String>, GatewayError> {
    asked::listed(name.get(PREFIX.len()..).unwrap_or_default())
}

/// Answers a request for several models with one answer.
///
/// # Errors
/// 400 and 404 where the models cannot be compared; the first one's failure where none answers.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    dialect: Dialect,
    mut received: Received,
    (snapshot, id, started): (&Arc<Snapshot>, &RequestId, Instant),
) -> Result<Response<Outgoing>, GatewayError> {
    let keep = received.keep.take();
    let (key, asked) = (Arc::clone(&received.key), received.peek.clone());
    let panel = match ask(worker, dialect, received, (snapshot, id, started)) {
        Ok(panel) => panel,
        Err(error) => {
            let known =
                Known { key: Some(key), model: asked.model, stream: asked.stream, ..Known::default() };
            settle::refused(&worker.shared, (id, dialect, started), &known, &error);
            return Err(error);
        }
    };
    let ids: Vec<&str> = panel.lanes.iter().map(|lane| lane.id.as_str()).collect();
    let ids = HeaderValue::from_str(&ids.join(","));
    let stream = asked.stream;
    let writing = Writing::new(panel, context(dialect, asked, (id, worker.shared.now_ms() / 1000)));
    let beat = Heartbeat::new(relay::silence(dialect, snapshot));
    let mut response = if stream { writing.stream(beat).await } else { writing.whole().await }?;
    if let Ok(ids) = ids {
        response.headers_mut().insert("x-novastack-compared", ids);
    }
    match keep {
        None => Ok(response),
        Some(keep) => Ok(conversation::keep(worker, keep, response).await),
    }
}

fn ask(
    worker: &Arc<Worker>,
    dialect: Dialect,
    received: Received,
    (snapshot, id, started): (&Arc<Snapshot>, &RequestId, Instant),
) -> Result<Panel, GatewayError> {
    let Received { key, permit, headers, body, peek, .. } = received;
    let models = models_of(&peek.model)?;
    let (body, peek) = streamed(dialect, body, peek)?;
    let question = Question { dialect, body, peek, models, place: |_| "model".to_owned() };
    let sender = Sender { key, headers };
    Ok(Panel::open((worker, snapshot), question, &sender, (id, started))?.holding(permit))
}

/// The same request for a streamed answer.
fn streamed(dialect: Dialect, body: Bytes, peek: Peek) -> Result<(Bytes, Peek), GatewayError> {
    if peek.stream || dialect == Dialect::Gemini {
        return Ok((body, Peek { stream: true, ..peek }));
    }
    let fields = splice::fields(&body)?;
    let body = splice::apply(&body, &fields, &[Edit::Set("stream", b"true".to_vec())]);
    let peek = Peek::read(dialect, &body)?;
    Ok((Bytes::from(body), peek))
}

fn context(dialect: Dialect, asked: Peek, (id, created): (&RequestId, i64)) -> ReplyContext {
    ReplyContext {
        client: dialect,
        upstream: dialect,
        hub: true,
        model: asked.model,
        id: id.as_str().to_owned(),
        created: u64::try_from(created).unwrap_or_default(),
        include_usage: asked.include_usage,
        want_thinking: false,
        prompt_estimate: asked.prompt_estimate,
        quirks: Arc::default(),
        provider: Arc::default(),
        check: None,
        names: Default::default(),
        echo: Default::default(),
        stops: Vec::new(),
    }
}

/// The answers as one text.
struct Writing {
    panel: Panel,
    context: ReplyContext,
    /// The answer whose turn it is.
    at: usize,
    /// Whether its heading is written.
    headed: bool,
}

impl Writing {
    const fn new(panel: Panel, context: ReplyContext) -> Self {
        Self { panel, context, at: 0, headed: false }
    }

    async fn whole(mut self) -> Result<Response<Outgoing>, GatewayError> {
        std::future::poll_fn(|cx| self.panel.poll(cx)).await;
        if let Some(error) = self.panel.failure() {
            return Err(error.clone());
        }
        let parts = vec![ReplyPart::Text(self.next_text())];
        let dropped = self.dropped();
        let reply = Reply { parts, finish: self.finish(), usage: Some(self.usage()), model: None };
        let mut response = crate::api::json(translate::compose(&self.context, &reply));
        response.headers_mut().extend(dropped);
        Ok(response)
    }

    /// Begins once there is something to say, or silence has lasted too long.
    async fn stream(mut self, mut beat: Heartbeat) -> Result<Response<Outgoing>, GatewayError> {
        std::future::poll_fn(|cx| {
            let all = self.panel.poll(cx).is_ready();
            if all || self.has_answer() { Poll::Ready(()) } else { beat.poll(cx) }
        })
        .await;
        if let Some(error) = self.panel.failure() {
            return Err(error.clone());
        }
        let composer = Composer::new(&self.context);
        let dropped = self.dropped();
        let body = Stream { writing: self, composer, beat, begun: false, over: false };
        let mut response = Response::new(Outgoing::Router(axum::body::Body::new(body)));
        relay::stream_headers(response.headers_mut());
        response.headers_mut().extend(dropped);
        Ok(response)
    }

    /// What can be written by now and was not yet.
    fn next_text(&mut self) -> String {
        let mut out = String::new();
        while let Some(lane) = self.panel.lanes.get_mut(self.at) {
            if !lane.has_begun() {
                break;
            }
            if !std::mem::replace(&mut self.headed, true) {
                out.push_str(if self.at == 0 { "## " } else { "\n\n## " });
                out.push_str(&lane.name);
                out.push_str("\n\n");
            }
            out.push_str(lane.take_fresh().unwrap_or_default());
            if lane.ended.is_none() {
                break;
            }
            conclude(lane, &mut out);
            self.at += 1;
            self.headed = false;
        }
        out
    }

    /// What some target could not carry, as far as that is known by now, as a header.
    fn dropped(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut names: Vec<String> = self.panel.lanes.iter().flat_map(|lane| lane.dropped.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let name = HeaderName::from_static("x-novastack-dropped");
        (!names.is_empty()).then(|| (name, relay::listed(&names)))
    }

    /// Whether at least one model has something to say.
    fn has_answer(&self) -> bool {
        self.panel.lanes.iter().any(|lane| !lane.text.is_empty() || lane.is_good())
    }

    fn is_complete(&self) -> bool {
        self.at == self.panel.lanes.len()
    }

    /// The tokens of all answers together.
    fn usage(&self) -> Usage {
        let bills = self.panel.lanes.iter().filter_map(|lane| lane.ended.as_ref()?.bill);
        bills.map(|bill| bill.usage).fold(Usage::default(), |sum, one| Usage {
            input: sum.input + one.input,
            cache_read: sum.cache_read + one.cache_read,
            cache_write: sum.cache_write + one.cache_write,
            output: sum.output + one.output,
            reasoning: sum.reasoning + one.reasoning,
        })
    }

    /// Cut short as soon as one of them is.
    fn finish(&self) -> Finish {
        let short = |lane: &Lane| lane.ended.as_ref().is_some_and(|it| it.finish == Some(Finish::Length));
        if self.panel.lanes.iter().any(short) { Finish::Length } else { Finish::Stop }
    }
}

/// What an answer ends with beside its text: the tools that it calls, which no client could answer, and why it is
/// not complete.
fn conclude(lane: &Lane, out: &mut String) {
    let calls = lane.calls.iter().map(|call| format!("`{}({})`", call.name, call.arguments));
    let has_content = !(lane.text.is_empty() && lane.calls.is_empty());
    let what = if has_content { "broken off" } else { "no answer" };
    let error = lane.error().map(|error| format!("{what}: {}", error.message));
    for (place, note) in calls.chain(error).enumerate() {
        if place > 0 || !lane.text.is_empty() {
            out.push_str("\n\n");
        }
        out.push_str(&note);
    }
}

/// The answers as one stream.
struct Stream {
    writing: Writing,
    composer: Composer,
    beat: Heartbeat,
    begun: bool,
    over: bool,
}

impl Stream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let mut out = Vec::new();
        // Whether all are over is seen in the text.
        let _ = self.writing.panel.poll(cx);
        if !self.begun
            && let Some(error) = self.writing.panel.failure()
        {
            self.over = true;
            let view = error.view(&self.writing.context.id);
            return Poll::Ready(Some(nova_wire::error::event(self.writing.context.client, &view)));
        }
        // As long as all may still fail, the stream may still end with an error.
        let text = if self.writing.has_answer() { self.writing.next_text() } else { String::new() };
        if !text.is_empty() {
            if !std::mem::replace(&mut self.begun, true) {
                self.composer.delta(Delta::Start { model: None, usage: None }, &mut out);
            }
            self.composer.delta(Delta::Text(text), &mut out);
        }
        if self.writing.is_complete() {
            self.over = true;
            let (usage, finish) = (self.writing.usage(), self.writing.finish());
            for delta in [Delta::Usage(usage), Delta::Finish(finish), Delta::End] {
                self.composer.delta(delta, &mut out);
            }
            self.composer.finish(&mut out);
        }
        if !out.is_empty() {
            self.beat.sent();
            return Poll::Ready(Some(out.into()));
        }
        ready!(self.beat.poll(cx));
        Poll::Ready(Some(translate::keep_alive(self.writing.context.client)))
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
