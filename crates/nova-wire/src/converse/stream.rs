//! Streams, whose frames [`super::frames`] has turned into events.

use serde_json::Value;

use super::{finish, text, usage};
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::delta::Delta;
use crate::hub::request::Mark;
use crate::ids;
use crate::quirks::Quirks;
use crate::sse::{BadEvent, Event};

/// Reads the events of a stream.
///
/// A block begins with its first delta: Bedrock announces calls of tools alone. Usage comes after the
/// stop, in the last event.
#[derive(Debug, Default)]
pub struct Reader {
    /// The blocks that are calls of the client's tools, and whether they are open.
    calls: Vec<u32>,
    /// The blocks of what the provider's own tools do.
    foreign: Vec<u32>,
    begun: bool,
    finished: bool,
    over: bool,
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub fn new(_quirks: &Quirks) -> Self {
        Self::default()
    }

    /// Reads one event.
    ///
    /// # Errors
    /// Where it is no event of Converse. It can be skipped.
    pub fn event(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) -> Result<(), BadEvent> {
        if self.over || event.is_blank() {
            return Ok(());
        }
        let data: Value = serde_json::from_slice(event.data).map_err(|_| BadEvent)?;
        let name = event.name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        if !self.begun && name != "error" {
            self.begun = true;
            out.push(Delta::Start { model: None, usage: None });
        }
        match name {
            "messageStart" => {}
            "contentBlockStart" => self.block_start(&data, out),
            "contentBlockDelta" => self.block_delta(&data, out),
            "contentBlockStop" => {
                let index = index(&data);
                if let Some(at) = self.calls.iter().position(|call| *call == index) {
                    self.calls.swap_remove(at);
                    out.push(Delta::ToolEnd { index });
                }
            }
            "messageStop" => {
                if let Some(finish) = finish(text(&data, "stopReason")) {
                    self.finished = true;
                    out.push(Delta::Finish(finish));
                }
            }
            "metadata" => {
                out.extend(data.get("usage").and_then(usage).map(Delta::Usage));
                if self.finished {
                    self.over = true;
                    out.push(Delta::End);
                }
            }
            _ => match error::in_success(Dialect::Converse, &data) {
                Some(error) => self.fail(error, out),
                None => return Err(BadEvent),
            },
        }
        Ok(())
    }

    /// The body ended. Whether the answer did is for the caller to see.
    pub fn end(&mut self, _out: &mut Vec<Delta>) {
        self.over = true;
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Delta>) {
        self.over = true;
        out.push(Delta::Error(error));
    }

    fn block_start(&mut self, data: &Value, out: &mut Vec<Delta>) {
        let index = index(data);
        let start = data.get("start").unwrap_or(&Value::Null);
        match start.get("toolUse") {
            Some(call) if text(call, "type") != "server_tool_use" => {
                self.calls.push(index);
                out.push(Delta::ToolStart {
                    index,
                    id: text(call, "toolUseId").to_owned(),
                    name: ids::from_word(text(call, "name")).into_owned(),
                    mark: Mark::default(),
                });
            }
            Some(_) => self.foreign.push(index),
            None if start.get("toolResult").is_some() => self.foreign.push(index),
            None => {}
        }
    }

    fn block_delta(&mut self, data: &Value, out: &mut Vec<Delta>) {
        let index = index(data);
        if self.foreign.contains(&index) {
            return;
        }
        let delta = data.get("delta").unwrap_or(&Value::Null);
        push(text(delta, "text"), Delta::Text, out);
        if let Some(call) = delta.get("toolUse").filter(|_| self.calls.contains(&index)) {
            push(text(call, "input"), |json| Delta::ToolArguments { index, json }, out);
        }
        if let Some(reasoning) = delta.get("reasoningContent") {
            push(text(reasoning, "text"), Delta::Thinking, out);
            push(text(reasoning, "signature"), Delta::Signature, out);
            push(text(reasoning, "redactedContent"), Delta::RedactedThinking, out);
        }
    }
}

fn index(data: &Value) -> u32 {
    let index = data.get("contentBlockIndex").and_then(Value::as_u64);
    index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
}

fn push(text: &str, delta: impl FnOnce(String) -> Delta, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(delta(text.to_owned()));
    }
}
