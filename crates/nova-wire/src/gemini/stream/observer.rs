//! A cheap reading of a stream that is passed through byte for byte.
//!
//! Of a chunk only the counts, the finish, and the lengths of its parts are of interest, so those are read
//! where they stand, without a tree. A chunk that has not the usual shape is read by the reader.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Reader;
use crate::error::UpstreamError;
use crate::gemini::counts::Counts;
use crate::gemini::{broken, finish};
use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::quirks::Quirks;
use crate::sse;
use crate::translate::{Meter, Seen};

/// Reads what the meter needs from the chunks of one stream.
#[derive(Debug)]
pub struct Observer {
    calls: bool,
    finished: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Candidate<'a>>,
    #[serde(default)]
    usage_metadata: Counts,
    #[serde(borrow, default)]
    model_version: Option<&'a RawValue>,
    #[serde(default)]
    prompt_feedback: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(default)]
    finish_reason: String,
    #[serde(default)]
    finish_message: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(default)]
    inline_data: Option<IgnoredAny>,
}

impl Observer {
    /// An observer at the beginning of a stream.
    pub const fn new(_quirks: &Quirks) -> Self {
        Self { calls: false, finished: false }
    }

    /// Looks at one event.
    pub fn event(&mut self, event: &sse::Event<'_>, meter: &mut Meter) -> Seen {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Seen::default();
        }
        if event.is_done() {
            return Seen { end: self.finished, ..Seen::default() };
        }
        match serde_json::from_slice::<Chunk<'_>>(data) {
            Ok(chunk) if chunk.error.is_none() && chunk.prompt_feedback.is_none() => {
                self.chunk(&chunk, meter)
            }
            _ => self.odd(data, meter),
        }
    }

    fn chunk(&mut self, chunk: &Chunk<'_>, meter: &mut Meter) -> Seen {
        if meter.upstream_model.is_none() {
            meter.upstream_model = chunk.model_version.and_then(|name| serde_json::from_str(name.get()).ok());
        }
        meter.usage = chunk.usage_metadata.usage().or(meter.usage);
        let Some(candidate) = chunk.candidates.iter().find(|candidate| candidate.index == 0) else {
            return Seen::default();
        };
        let finish = finish(&candidate.finish_reason);
        if let Some(Finish::Failed(reason)) = &finish {
            return failed(broken(reason, candidate.finish_message.as_deref()));
        }
        let mut content = false;
        for part in &candidate.content.parts {
            // The bytes as they stand in the JSON, escapes included, without the quotes.
            let said = part.text.map_or(0, |text| text.get().len().saturating_sub(2));
            let called = part.function_call.map_or(0, |call| call.get().len());
            self.calls |= called > 0;
            content |= said + called > 0 || part.inline_data.is_some();
            meter.output_bytes += (said + called) as u64;
        }
        if let Some(finish) = finish {
            self.finish(finish, meter);
        }
        Seen { content, ..Seen::default() }
    }

    /// The first reason counts.
    fn finish(&mut self, finish: Finish, meter: &mut Meter) {
        if !std::mem::replace(&mut self.finished, true) {
            let waits = finish == Finish::Stop && self.calls;
            meter.finish = Some(if waits { Finish::ToolCalls } else { finish });
        }
    }

    /// Errors, blocked prompts, whole lists of chunks, and shapes that nobody has seen yet.
    fn odd(&mut self, data: &[u8], meter: &mut Meter) -> Seen {
        let (mut reader, mut deltas) = (Reader::new(&Quirks::default()), Vec::new());
        let read = serde_json::from_slice::<Value>(data).ok().map(|value| reader.values(&value, &mut deltas));
        if !matches!(read, Some(Ok(()))) {
            meter.bad_events += 1;
            return Seen { bad: true, ..Seen::default() };
        }
        let mut seen = Seen::default();
        for delta in deltas {
            match delta {
                Delta::Error(error) => return failed(error),
                Delta::Usage(usage) => meter.usage = Some(usage),
                Delta::Finish(finish) => self.finish(finish, meter),
                Delta::Start { model, .. } => meter.upstream_model = meter.upstream_model.take().or(model),
                Delta::Text(text) | Delta::Thinking(text) | Delta::Refusal(text) => {
                    seen.content = true;
                    meter.output_bytes += text.len() as u64;
                }
                Delta::ToolArguments { json, .. } => {
                    seen.content = true;
                    self.calls = true;
                    meter.output_bytes += json.len() as u64;
                }
                _ => {}
            }
        }
        seen
    }
}

fn failed(error: UpstreamError) -> Seen {
    Seen { error: Some(error), ..Seen::default() }
}
