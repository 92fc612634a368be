//! The answer of one model of a comparison.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use nova_wire::hub::delta::Delta;
use nova_wire::translate::Listener;
use nova_wire::{Dialect, Finish};

use crate::error::{Code, GatewayError};
use crate::pipeline::Call;
use crate::pipeline::attempt::{self, Answer, Answered};
use crate::pipeline::relay::{Attempting, NEVER, Streaming};
use crate::pipeline::settle::{Bill, Outcome};
use crate::state::{RequestId, Worker};

/// The longest answer that is held, in bytes: some hundred times what models write.
const MOST_TEXT: usize = 4 << 20;

/// The answer of one model.
pub(super) struct Lane {
    /// The model, as the client calls it.
    pub(super) name: String,
    /// The id of its request.
    pub(super) id: RequestId,
    /// What it has written.
    pub(super) text: String,
    /// The tools that it calls.
    pub(super) calls: Vec<Called>,
    /// What its target could not carry, by the client's names.
    pub(super) dropped: Vec<String>,
    /// How it went, once it is over.
    pub(super) ended: Option<Ended>,
    started: Instant,
    /// How much of the text was taken.
    taken: usize,
    state: State,
    listener: Listener,
    heard: Vec<Delta>,
}

/// A tool that is called.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) name: String,
    /// JSON, as the model wrote it.
    pub(super) arguments: String,
    index: u32,
}

/// How an answer went.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The model that answered, by its own name.
    pub(super) model: Option<Arc<str>>,
    pub(super) provider: Option<Arc<str>>,
    pub(super) finish: Option<Finish>,
    pub(super) bill: Option<Bill>,
    /// Milliseconds to the first content.
    pub(super) first_ms: Option<f64>,
    /// Milliseconds to the end.
    pub(super) total_ms: f64,
    pub(super) error: Option<GatewayError>,
}

enum State {
    Attempting(Attempting),
    Answering(Box<Streaming>),
    Over,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("name", &self.name).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Lane {
    /// A model that is asked, once this is polled.
    pub(super) fn asking(name: String, worker: &Arc<Worker>, call: Box<Call>) -> Self {
        let (id, dialect, started) = (call.id.clone(), call.dialect, call.started);
        let worker = Arc::clone(worker);
        let attempting = Box::pin(async move { attempt::attempt(&worker, call).await });
        Self::new((name, id), dialect, started, State::Attempting(attempting))
    }

    /// A model that cannot be asked.
    pub(super) fn refused(named: (String, RequestId), started: Instant, error: GatewayError) -> Self {
        let mut lane = Self::new(named, Dialect::Chat, started, State::Over);
        lane.fail(error);
        lane
    }

    fn new((name, id): (String, RequestId), dialect: Dialect, started: Instant, state: State) -> Self {
        Self {
            name,
            id,
            text: String::new(),
            calls: Vec::new(),
            dropped: Vec::new(),
            ended: None,
            started,
            taken: 0,
            state,
            listener: Listener::new(dialect),
            heard: Vec::new(),
        }
    }

    /// Goes on as far as that is possible now; ready once it is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Attempting(attempting) => match ready!(attempting.as_mut().poll(cx)) {
                    Ok(Answered { call, dropped, answer: Answer::Live(live) }) => {
                        call.receipt.shared.metrics.dropped(&dropped);
                        self.dropped = dropped;
                        self.state = State::Answering(Box::new(Streaming::new(call, live, NEVER)));
                    }
                    // A call for a stream is answered with one; anything else is a fault of ours.
                    Ok(Answered { mut call, answer: Answer::Whole { meter, .. }, .. }) => {
                        let error =
                            GatewayError::new(Code::Internal, "a stream was answered with a whole body");
                        call.receipt.settle(Outcome::Failed(&error), &meter);
                        self.fail(error);
                    }
                    Err(error) => self.fail(error),
                },
                State::Answering(streaming) => match ready!(streaming.poll_next(cx)) {
                    Some(bytes) => self.hear(&bytes),
                    None => self.end(),
                },
                State::Over => return Poll::Ready(()),
            }
        }
    }

    /// What it has written since it was last asked.
    pub(super) fn take_fresh(&mut self) -> Option<&str> {
        let from = std::mem::replace(&mut self.taken, self.text.len());
        self.text.get(from..).filter(|fresh| !fresh.is_empty())
    }

    /// Whether it is there to the end.
    pub(super) fn is_good(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.error.is_none())
    }

    /// Whether there is something of it to show.
    pub(super) const fn has_begun(&self) -> bool {
        !self.text.is_empty() || self.ended.is_some()
    }

    pub(super) fn error(&self) -> Option<&GatewayError> {
        self.ended.as_ref()?.error.as_ref()
    }

    fn hear(&mut self, bytes: &Bytes) {
        if self.listener.push(bytes, &mut self.heard).is_err() {
            return self.fail(GatewayError::new(Code::UpstreamGarbage, "an event of the answer is too long"));
        }
        for delta in self.heard.drain(..) {
            match delta {
                Delta::Text(text) | Delta::Refusal(text) => self.text.push_str(&text),
                Delta::ToolStart { index, name, .. } => {
                    self.calls.push(Called { name, arguments: String::new(), index });
                }
                Delta::ToolArguments { index, json } => {
                    if let Some(call) = self.calls.iter_mut().rfind(|call| call.index == index) {
                        call.arguments.push_str(&json);
                    }
                }
                _ => {}
            }
        }
        let called: usize = self.calls.iter().map(|call| call.arguments.len()).sum();
        if self.text.len() + called > MOST_TEXT {
            let message = format!("the answer is longer than the {MOST_TEXT} bytes that a comparison holds");
            self.fail(GatewayError::new(Code::UpstreamFailed, message));
        }
    }

    /// The stream has ended, in order or not.
    fn end(&mut self) {
        let State::Answering(streaming) = std::mem::replace(&mut self.state, State::Over) else { return };
        let receipt = &streaming.call().receipt;
        let deployment = receipt.answered_by.and_then(|id| streaming.call().snapshot.deployment(id));
        self.ended = Some(Ended {
            model: deployment.map(|deployment| Arc::clone(&deployment.model)),
            provider: deployment.map(|deployment| Arc::clone(&deployment.provider)),
            finish: streaming.meter().finish.clone(),
            bill: receipt.bill,
            first_ms: receipt
                .first_content
                .map(|at| milliseconds(at.saturating_duration_since(self.started))),
            total_ms: milliseconds(self.started.elapsed()),
            error: streaming.broken().cloned(),
        });
    }

    fn fail(&mut self, error: GatewayError) {
        self.state = State::Over;
        let total_ms = milliseconds(self.started.elapsed());
        self.ended = Some(Ended { error: Some(error), total_ms, ..Ended::default() });
    }
}

/// Milliseconds, to the microsecond.
fn milliseconds(duration: std::time::Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
