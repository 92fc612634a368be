//! Answers: one JSON document, or server-sent events.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::failure::Failure;
use crate::engine::Place;
use crate::runner::{Event, Finish};

/// What all documents of one answer repeat.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) fingerprint: String,
    pub(super) prompt_tokens: usize,
    pub(super) include_usage: bool,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[derive(Serialize)]
struct Document<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    system_fingerprint: &'a str,
    choices: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

/// Token counts as OpenAI reports them; `completion_tokens` counts every sampled token, the end token too.
#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl Answer {
    fn document<C>(&self, object: &'static str, choices: C, usage: Option<Usage>) -> Document<'_, C> {
        let Self { id, created, model, fingerprint, .. } = self;
        Document { id, object, created: *created, model, system_fingerprint: fingerprint, choices, usage }
    }

    fn usage(&self, generated: usize) -> Usage {
        Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: generated,
            total_tokens: self.prompt_tokens + generated,
        }
    }

    fn chunk(&self, delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
        let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason };
        event(&self.document("chat.completion.chunk", [choice], None))
    }

    /// The chunks that end a stream.
    fn ending(&self, finish: Finish, generated: usize) -> String {
        let mut text = self.chunk(Delta::default(), Some(reason(finish)));
        if self.include_usage {
            let none: [ChunkChoice<'_>; 0] = [];
            text += &event(&self.document("chat.completion.chunk", none, Some(self.usage(generated))));
        }
        text + "data: [DONE]\n\n"
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn event(document: &impl Serialize) -> String {
    // These types hold nothing that JSON cannot; an empty event would be skipped by every reader.
    let json = serde_json::to_string(document).unwrap_or_default();
    format!("data: {json}\n\n")
}

fn broke() -> Failure {
    Failure::broke("the engine stopped before the answer was complete")
}

/// Waits for the whole answer.
pub(super) async fn whole(
    answer: Answer,
    mut events: UnboundedReceiver<Event>,
    _place: Place,
) -> Result<Response, Failure> {
    let mut content = String::new();
    loop {
        match events.recv().await {
            Some(Event::Text(text)) => content += &text,
            Some(Event::Done { finish, generated }) => {
                let message = Message { role: "assistant", content: &content, refusal: None };
                let choice = Choice { index: 0, message, logprobs: None, finish_reason: reason(finish) };
                let usage = Some(answer.usage(generated));
                return Ok(Json(answer.document("chat.completion", [choice], usage)).into_response());
            }
            None => return Err(broke()),
        }
    }
}

/// Sends the answer while it grows.
pub(super) fn stream(answer: Answer, events: UnboundedReceiver<Event>, place: Place) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    let body = EventBody { answer, events, phase: Phase::Role, _place: place };
    (headers, Body::new(body)).into_response()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Role,
    Text,
    Over,
}

/// A response body that is fed by the engine. Dropping it cancels the answer.
struct EventBody {
    answer: Answer,
    events: UnboundedReceiver<Event>,
    phase: Phase,
    _place: Place,
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let text = match this.phase {
            Phase::Over => return Poll::Ready(None),
            Phase::Role => {
                this.phase = Phase::Text;
                this.answer.chunk(Delta { role: Some("assistant"), content: Some("") }, None)
            }
            Phase::Text => match std::task::ready!(this.events.poll_recv(context)) {
                Some(Event::Text(text)) => {
                    this.answer.chunk(Delta { role: None, content: Some(&text) }, None)
                }
                Some(Event::Done { finish, generated }) => {
                    this.phase = Phase::Over;
                    this.answer.ending(finish, generated)
                }
                None => {
                    this.phase = Phase::Over;
                    event(&broke().body())
                }
            },
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
    }

    fn is_end_stream(&self) -> bool {
        self.phase == Phase::Over
    }
}
