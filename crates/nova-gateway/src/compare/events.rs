//! What `POST /v1/compare` answers: all at the end, or as events while the answers grow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use nova_wire::{Dialect, sse};
use serde_json::{Value, json};

use super::judge::{Bench, Judging, Verdict};
use super::panel::Panel;
use super::report;
use crate::pipeline::relay::Heartbeat;
use crate::state::RequestId;

/// A comparison on its way.
pub(super) struct Events {
    panel: Panel,
    bench: Option<Bench>,
    state: State,
    beat: Heartbeat,
    id: RequestId,
    created: i64,
    /// The models whose result was told.
    told: Vec<bool>,
}

enum State {
    Answering,
    Judging(Judging),
    Over,
}

impl Events {
    /// A comparison whose models were not asked yet; `beat` is how long it may be silent.
    pub(super) fn new(
        panel: Panel,
        bench: Option<Bench>,
        (id, created): (&RequestId, i64),
        beat: Duration,
    ) -> Self {
        let told = vec![false; panel.lanes.len()];
        let beat = Heartbeat::new(beat);
        Self { panel, bench, state: State::Answering, beat, id: id.clone(), created, told }
    }

    /// The whole comparison, once it is there.
    pub(super) async fn whole(mut self) -> Value {
        std::future::poll_fn(|cx| self.panel.poll(cx)).await;
        let verdict = match self.bench.take() {
            None => None,
            Some(bench) => Some(bench.judge(&self.panel.lanes, &self.id).await),
        };
        self.report(verdict.as_ref())
    }

    fn report(&self, verdict: Option<&Verdict>) -> Value {
        report::whole((self.id.as_str(), self.created), &self.panel.lanes, verdict)
    }

    /// The next events, or a sign of life.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut out = Vec::new();
        if let State::Answering = self.state {
            let all = self.panel.poll(cx).is_ready();
            self.tell(&mut out);
            if all {
                self.state = match self.bench.take() {
                    None => self.done(None, &mut out),
                    Some(bench) => State::Judging(bench.judge(&self.panel.lanes, &self.id)),
                };
            }
        }
        if let State::Judging(judging) = &mut self.state
            && let Poll::Ready(verdict) = judging.as_mut().poll(cx)
        {
            self.state = self.done(Some(&verdict), &mut out);
        }
        if !out.is_empty() {
            self.beat.sent();
            return Poll::Ready(Some(out.into()));
        }
        if let State::Over = self.state {
            return Poll::Ready(None);
        }
        ready!(self.beat.poll(cx));
        Poll::Ready(Some(nova_wire::translate::keep_alive(Dialect::Chat)))
    }

    /// What is new of every answer.
    fn tell(&mut self, out: &mut Vec<u8>) {
        for (index, lane) in self.panel.lanes.iter_mut().enumerate() {
            let model = lane.name.clone();
            if let Some(fresh) = lane.take_fresh() {
                sse::write(out, Some("delta"), &json!({ "index": index, "model": model, "delta": fresh }));
            }
            if lane.ended.is_some() && !std::mem::replace(&mut self.told[index], true) {
                let mut result = report::result(lane);
                result["index"] = index.into();
                sse::write(out, Some("result"), &result);
            }
        }
    }

    fn done(&self, verdict: Option<&Verdict>, out: &mut Vec<u8>) -> State {
        sse::write(out, Some("done"), &self.report(verdict));
        State::Over
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.poll_next(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
