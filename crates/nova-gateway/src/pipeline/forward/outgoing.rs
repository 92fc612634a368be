//! A streamed answer, passed on byte by byte and counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use nova_wire::sse::Decoder;
use nova_wire::{Dialect, Meter, Usage};
use serde::Deserialize;

use super::Passing;
use crate::error::{GatewayError, Upstream};
use crate::pipeline::settle::Outcome;

/// What an answer says of its tokens, in OpenAI's words for text, images and audio.
#[derive(Debug, Default, Deserialize)]
struct Counts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counted {
    usage: Option<Counts>,
    choices: Vec<Choice>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    text: Option<String>,
}

impl Counts {
    fn usage(&self) -> Usage {
        let output = self.completion_tokens.or(self.output_tokens).unwrap_or(0);
        let rest = self.total_tokens.map(|total| total.saturating_sub(output));
        let input = self.prompt_tokens.or(self.input_tokens).or(rest).unwrap_or(0);
        Usage { input, output, ..Usage::default() }
    }
}

/// What is counted of a whole answer.
pub(super) fn meter(body: &[u8]) -> Meter {
    let mut meter = Meter { content_started: true, ..Meter::default() };
    learn(&mut meter, body);
    meter
}

/// Reads one JSON document; what is none says nothing.
fn learn(meter: &mut Meter, document: &[u8]) {
    let Ok(counted) = serde_json::from_slice::<Counted>(document) else { return };
    if let Some(counts) = counted.usage {
        meter.usage = Some(counts.usage());
    }
    let texts = counted.choices.iter().filter_map(|choice| choice.text.as_ref());
    meter.output_bytes += texts.map(|text| text.len() as u64).sum::<u64>();
}

/// A stream under way.
#[derive(Debug)]
pub(super) struct Streaming {
    passing: Passing,
    upstream: nova_upstream::Body,
    /// Reads events beside the passing on; `None` for bytes that are none, or unreadable.
    events: Option<Decoder>,
    meter: Meter,
    ended: bool,
}

impl Streaming {
    pub(super) fn new(passing: Passing, upstream: nova_upstream::Body, events: bool) -> Self {
        let events = events.then(Decoder::new);
        Self { passing, upstream, events, meter: Meter::default(), ended: false }
    }

    fn look(&mut self, chunk: &Bytes) {
        if !self.meter.content_started {
            self.meter.content_started = true;
            self.passing.receipt.first_content = Some(std::time::Instant::now());
        }
        let Some(decoder) = &mut self.events else { return };
        if decoder.push(chunk).is_err() {
            self.events = None;
            return;
        }
        while let Some(event) = decoder.next_event() {
            learn(&mut self.meter, event.data);
        }
    }
}

impl Body for Streaming {
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.upstream.poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(chunk))) => {
                self.look(&chunk);
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Poll::Ready(None) => {
                self.ended = true;
                let this = &mut *self;
                this.passing.receipt.settle(Outcome::Done, &this.meter);
                Poll::Ready(None)
            }
            // There is no event for it in these streams: the client sees the body break off.
            Poll::Ready(Some(Err(failure))) => {
                self.ended = true;
                let this = &mut *self;
                let who = Upstream { provider: "the provider", model: &this.passing.form.model };
                let error = GatewayError::from_failure(Dialect::Chat, who, &failure);
                this.passing.receipt.settle(Outcome::Broken(&error), &this.meter);
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Drop for Streaming {
    /// The client left in the middle: what it got is what is counted.
    fn drop(&mut self) {
        self.passing.receipt.settle(Outcome::ClientGone, &self.meter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_usage_is_read() {
        let check = |body: &str, usage: Option<(u64, u64)>| {
            let seen = meter(body.as_bytes()).usage.map(|usage| (usage.input, usage.output));
            assert_eq!(seen, usage, "{body}");
        };
        check(r#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#, Some((5, 0)));
        check(
            r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
            Some((5, 2)),
        );
        check(r#"{"data":[],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}"#, Some((5, 2)));
        check(r#"{"results":[],"usage":{"total_tokens":9}}"#, Some((9, 0)));
        check(r#"{"text":"Hi","usage":{"type":"duration","seconds":3}}"#, Some((0, 0)));
        check(r#"{"results":[]}"#, None);
        check("not json", None);
    }
}
