//! Stage 7: the answer on its way to the client.
//!
//! A stream is a body that the server polls: there is no task and no channel between the provider's
//! socket and the client's. Dropping the body, which the server does when the client leaves, drops the
//! upstream's body with it and so cancels the request there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use nova_upstream::Failure;
use nova_wire::{Dialect, Meter};
use tokio::time::{Instant, Sleep};

use crate::error::GatewayError;
use crate::pipeline::Call;
use crate::pipeline::attempt::{self, Answer, Answered, Live};
use crate::pipeline::settle::Outcome;
use crate::snapshot::Snapshot;
use crate::state::Worker;
use crate::warnings;

// The names of headers that every answer has: parsed once, not for each.
static MODEL: HeaderName = HeaderName::from_static("x-novastack-model");
static PROVIDER: HeaderName = HeaderName::from_static("x-novastack-provider");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-novastack-attempts");
static ROUTE: HeaderName = HeaderName::from_static("x-novastack-route");
static TIMING: HeaderName = HeaderName::from_static("server-timing");
static BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Once a piece of a stream has so many bytes, it goes out before more is read.
const PIECE: usize = 16 << 10;

/// Longer than any stream lasts.
pub(crate) const NEVER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Attempts under way.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = Result<Answered, GatewayError>> + Send>>;

/// A body of ours.
#[derive(Debug)]
pub enum Outgoing {
    /// All of it.
    Whole(Option<Bytes>),
    /// A stream with content.
    Live(Box<Streaming>),
    /// A stream that has only been kept alive so far.
    Waiting(Box<Waiting>),
    /// What the admin API's router made.
    Router(axum::body::Body),
}

impl Outgoing {
    /// A body that is all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// A whole body as the one item of a JSON array; anything else stays what it is.
    pub(super) fn in_array(self) -> Self {
        match self {
            Self::Whole(Some(body)) => Self::whole([b"[", &*body, b"]"].concat()),
            other => other,
        }
    }
}

/// Attempts under way while the client is kept waiting with a status that it already has.
pub struct Waiting {
    attempting: Attempting,
    beat: Heartbeat,
    dialect: Dialect,
    request_id: String,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A stream under way.
#[derive(Debug)]
pub struct Streaming {
    call: Box<Call>,
    live: Box<Live>,
    beat: Heartbeat,
    /// Why it broke off.
    broken: Option<Box<GatewayError>>,
}

/// Says when a silent stream wants a sign of life. The timer is moved only when it fires.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    every: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Heartbeat {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, last: Instant::now(), timer: Box::pin(tokio::time::sleep(every)) }
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self) {
        self.last = Instant::now();
    }

    /// Ready once nothing was sent for the whole period.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let (now, due) = (Instant::now(), self.last + self.every);
            if now >= due {
                self.last = now;
                self.timer.as_mut().reset(now + self.every);
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// Answers a request for a whole answer.
///
/// # Errors
/// Where no attempt answered.
pub async fn whole(worker: &Arc<Worker>, call: Box<Call>) -> Result<Response<Outgoing>, GatewayError> {
    // In a box, as for a stream: the larger of the two would set the size of both.
    let answered = Box::pin(attempt::attempt(worker, call)).await?;
    Ok(respond(answered, Duration::MAX))
}

/// Answers a request for a stream: with its first content, or, while the attempts take their time,
/// with signs of life in an answer that has begun.
///
/// # Errors
/// Where no attempt answered before the client had to be told anything.
pub async fn stream(worker: &Arc<Worker>, call: Box<Call>) -> Result<Response<Outgoing>, GatewayError> {
    let every = silence(call.dialect, &call.snapshot);
    let (dialect, request_id) = (call.dialect, call.id.as_str().to_owned());
    let worker = Arc::clone(worker);
    let mut attempting: Attempting = Box::pin(async move { attempt::attempt(&worker, call).await });
    if let Ok(answered) = tokio::time::timeout(every, &mut attempting).await {
        return Ok(respond(answered?, every));
    }
    let waiting = Waiting { attempting, beat: Heartbeat::new(every), dialect, request_id };
    let mut response = Response::new(Outgoing::Waiting(Box::new(waiting)));
    stream_headers(response.headers_mut());
    Ok(response)
}

/// How long a stream may be silent. Without `streaming_beta` OpenAI's streams carry no comments.
pub(crate) fn silence(dialect: Dialect, snapshot: &Snapshot) -> Duration {
    let comments = !matches!(dialect, Dialect::Messages | Dialect::Gemini);
    let never = comments && !snapshot.keep_alive;
    if never { NEVER } else { snapshot.timeouts.keep_alive }
}

/// The response of a call that was answered.
fn respond(answered: Answered, beat: Duration) -> Response<Outgoing> {
    let Answered { mut call, dropped, answer } = answered;
    let mut headers = HeaderMap::with_capacity(12);
    let meter = match &answer {
        Answer::Whole { meter, .. } => meter,
        Answer::Live(live) => live.relay.meter(),
    };
    describe(&call, (&dropped, meter), &mut headers);
    let body = match answer {
        Answer::Whole { body, meter, .. } => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(mirror) = &mut call.receipt.mirror {
                mirror.overhear_whole(&body);
            }
            call.receipt.settle(Outcome::Done, &meter);
            Outgoing::whole(body)
        }
        Answer::Live(live) => {
            stream_headers(&mut headers);
            Outgoing::Live(Box::new(Streaming::new(call, live, beat)))
        }
    };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

pub(crate) fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies in front of us would otherwise collect the stream before they pass it on.
    headers.insert(&BUFFERING, HeaderValue::from_static("no"));
}

/// Who answered, after how many tries, and where the time went.
fn describe(call: &Call, (dropped, meter): (&[String], &Meter), headers: &mut HeaderMap) {
    if let Some(id) = call.receipt.answered_by
        && let Some(deployment) = call.snapshot.deployment(id)
    {
        let model = call.receipt.answered_as.as_ref().unwrap_or(&deployment.model);
        let named = if *model == deployment.model { None } else { HeaderValue::from_str(model).ok() };
        headers.insert(&MODEL, named.unwrap_or_else(|| deployment.model_header.clone()));
        headers.insert(&PROVIDER, deployment.provider_header.clone());
        let mut line = super::route::line((&call.plan, call.task.as_deref()), (id, model), deployment);
        if let Some(preset) = &call.preset {
            line.insert_str(0, &format!("preset={} ", preset.name));
        }
        if let Ok(value) = HeaderValue::from_str(&line) {
            headers.insert(&ROUTE, value);
        }
        if let Some(answered) = meter.upstream_model.as_deref() {
            let names = (&*deployment.upstream_for(model), answered);
            warnings::drift(headers, deployment, names, &call.receipt.shared.metrics);
        }
        warnings::retirement(headers, deployment);
    }
    headers.insert(&ATTEMPTS, HeaderValue::from(call.receipt.attempts.len() + 1));
    if !dropped.is_empty() {
        headers.insert("x-novastack-dropped", listed(dropped));
        call.receipt.shared.metrics.dropped(dropped);
    }
    let total = u64::try_from(call.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let upstream = call.receipt.upstream_us.min(total);
    let own = total - upstream;
    // Server-Timing (W3C) counts in milliseconds.
    let timing = format!(
        "gateway;dur={}.{:03}, upstream;dur={}.{:03}",
        own / 1000,
        own % 1000,
        upstream / 1000,
        upstream % 1000
    );
    if let Ok(value) = HeaderValue::from_str(&timing) {
        headers.insert(&TIMING, value);
    }
}

/// Names in a header. Some are the client's own words (a tool's name), so what a header cannot carry is
/// shown as `?`, and a long list is cut.
pub(crate) fn listed(names: &[String]) -> HeaderValue {
    const LONGEST: usize = 1024;
    let visible = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let text: String = names.join(", ").chars().map(visible).take(LONGEST).collect();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("?"))
}

/// The pieces as one.
fn joined(pieces: &mut Vec<Bytes>) -> Bytes {
    let joined = match pieces.as_mut_slice() {
        [one] => std::mem::take(one),
        several => several.concat().into(),
    };
    pieces.clear();
    joined
}

impl Streaming {
    pub(crate) fn new(mut call: Box<Call>, live: Box<Live>, beat: Duration) -> Self {
        call.receipt.first_content = Some(std::time::Instant::now());
        // Nothing is tried again after content, and the stream may last for half an hour.
        call.body = Bytes::new();
        call.plan.attempts = Vec::new();
        call.plan.removed = Vec::new();
        let mut streaming = Self { call, live, beat: Heartbeat::new(beat), broken: None };
        streaming.overhear(0);
        streaming
    }

    /// Lets who judges a shadow's answer hear what the client gets, from this piece on.
    fn overhear(&mut self, from: usize) {
        if let Some(mirror) = &mut self.call.receipt.mirror {
            self.live.ready.iter().skip(from).for_each(|piece| mirror.overhear(piece));
        }
    }

    /// What is there by now, in one piece: a frame costs as much as the translation of an event, and
    /// providers often send several events at once.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.live.ended && self.live.ready.iter().map(Bytes::len).sum::<usize>() < PIECE {
            let Poll::Ready(frame) = self.live.upstream.poll_frame(cx) else { break };
            self.take(frame);
        }
        if self.live.ended || self.live.relay.is_complete() {
            // Before the last piece goes out: whoever has it may ask for the record at once.
            self.call.receipt.settle(Outcome::Done, self.live.relay.meter());
        }
        if !self.live.ready.is_empty() {
            self.beat.sent();
            return Poll::Ready(Some(joined(&mut self.live.ready)));
        }
        if self.live.ended {
            return Poll::Ready(None);
        }
        self.beat.poll(cx).map(|()| Some(self.live.relay.keep_alive()))
    }

    /// Translates what the upstream has sent, or the end of it.
    fn take(&mut self, frame: Option<Result<Bytes, Failure>>) {
        let heard = self.live.ready.len();
        match frame {
            Some(Ok(bytes)) => self.live.relay.push(&bytes, &mut self.live.ready),
            None => {
                self.live.ended = true;
                self.live.relay.finish(&mut self.live.ready);
            }
            Some(Err(failure)) => {
                let error = GatewayError::from_failure(self.call.dialect, self.call.answerer(), &failure);
                return self.break_off(&error);
            }
        }
        self.overhear(heard);
        self.call.keep(self.live.relay.take_thought());
        self.end_on_error();
    }

    fn end_on_error(&mut self) {
        if let Some(error) = self.live.relay.error() {
            let error = GatewayError::from_upstream(self.call.dialect, self.call.answerer(), error);
            self.break_off(&error);
        }
    }

    /// Ends the client's stream with the error event of its dialect, never with a clean end.
    fn break_off(&mut self, error: &GatewayError) {
        self.live.ended = true;
        self.live.relay.fail(&error.view(self.call.id.as_str()), &mut self.live.ready);
        self.call.receipt.settle(Outcome::Broken(error), self.live.relay.meter());
        self.broken = Some(Box::new(error.clone()));
    }

    /// The call that it answers.
    pub(crate) const fn call(&self) -> &Call {
        &self.call
    }

    /// What was counted so far.
    pub(crate) const fn meter(&self) -> &Meter {
        self.live.relay.meter()
    }

    /// Why it broke off, where it did.
    pub(crate) fn broken(&self) -> Option<&GatewayError> {
        self.broken.as_deref()
    }
}

impl Drop for Streaming {
    /// The client left in the middle: what it got is what is counted.
    fn drop(&mut self) {
        self.call.receipt.settle(Outcome::ClientGone, self.live.relay.meter());
    }
}

impl Waiting {
    /// The attempts' answer, or a sign of life; then the body that goes on with it.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outgoing, Bytes>> {
        match self.attempting.as_mut().poll(cx) {
            Poll::Ready(Ok(Answered { call, answer: Answer::Live(live), .. })) => {
                let streaming = Streaming::new(call, live, self.beat.every);
                Poll::Ready(Ok(Outgoing::Live(Box::new(streaming))))
            }
            // A call for a stream is answered with one; anything else is a fault of ours.
            Poll::Ready(Ok(Answered { mut call, .. })) => {
                let error = GatewayError::new(
                    crate::error::Code::Internal,
                    "a stream was answered with a whole body",
                );
                call.receipt.settle(Outcome::Failed(&error), &Meter::default());
                Poll::Ready(Ok(self.error_event(&error)))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Ok(self.error_event(&error))),
            Poll::Pending => match self.beat.poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(nova_wire::translate::keep_alive(self.dialect))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn error_event(&self, error: &GatewayError) -> Outgoing {
        Outgoing::whole(nova_wire::error::event(self.dialect, &error.view(&self.request_id)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            let frame = match &mut *self {
                Self::Whole(bytes) => Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty())),
                Self::Live(streaming) => streaming.poll_next(cx),
                Self::Router(body) => return Pin::new(body).poll_frame(cx),
                Self::Waiting(waiting) => match waiting.poll_next(cx) {
                    Poll::Ready(Ok(next)) => {
                        *self = next;
                        continue;
                    }
                    Poll::Ready(Err(alive)) => Poll::Ready(Some(alive)),
                    Poll::Pending => Poll::Pending,
                },
            };
            return frame.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))));
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Router(body) => body.is_end_stream(),
            Self::Live(_) | Self::Waiting(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Router(body) => body.size_hint(),
            Self::Live(_) | Self::Waiting(_) => SizeHint::default(),
        }
    }
}
