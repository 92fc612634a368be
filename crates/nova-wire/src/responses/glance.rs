//! What the meter needs of an answer, or of an event that holds one, in one pass without a tree.

use std::borrow::Cow;

use serde_json::Value;

use super::finish;
use crate::scan::{Kind, Scan, Scanner};
use crate::translate::Meter;
use crate::usage;

/// What one pass finds.
#[derive(Debug, Default)]
pub(super) struct Glance {
    /// The event's `type`.
    pub(super) kind: Option<String>,
    /// The type of the event's item.
    pub(super) item: Option<String>,
    pub(super) usage: Option<Value>,
    /// Whether it has a list of items.
    pub(super) has_output: bool,
    /// Whether it may report a failure.
    pub(super) suspicious: bool,
    /// Bytes of text, thinking and arguments, about.
    pub(super) output_bytes: u64,
    model: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    has_calls: bool,
}

impl Glance {
    pub(super) fn read(body: &[u8]) -> Scan<Self> {
        let mut glance = Self::default();
        let mut scan = Scanner::new(body)?;
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("type", Kind::String) => {
                glance.kind = word(scan)?;
                Ok(())
            }
            ("response", Kind::Object) => scan.object(|scan, key, _| glance.field(scan, key, body)).map(drop),
            ("item", Kind::Object) => {
                let mut kind = None;
                scan.object(|scan, key, _| {
                    if key == "type" && scan.kind()? == Kind::String {
                        kind = word(scan)?;
                        return Ok(());
                    }
                    scan.skip().map(drop)
                })?;
                glance.item = kind;
                Ok(())
            }
            _ => glance.field(scan, key, body),
        })?;
        scan.end()?;
        Ok(glance)
    }

    /// A field of the answer.
    fn field(&mut self, scan: &mut Scanner<'_>, key: &str, body: &[u8]) -> Scan<()> {
        match (key, scan.kind()?) {
            ("model", Kind::String) => self.model = word(scan)?,
            ("status", Kind::String) => {
                self.status = word(scan)?;
                self.suspicious |= matches!(self.status.as_deref(), Some("failed" | "cancelled"));
            }
            ("usage", Kind::Object) => self.usage = serde_json::from_slice(&body[scan.skip()?]).ok(),
            ("incomplete_details", Kind::Object) => {
                let details: Value = serde_json::from_slice(&body[scan.skip()?]).unwrap_or_default();
                self.reason = details.get("reason").and_then(Value::as_str).map(str::to_owned);
            }
            ("output", Kind::Array) => {
                self.has_output = true;
                scan.array(|scan, _| self.output_item(scan))?;
            }
            ("error" | "detail", kind) => {
                scan.skip()?;
                self.suspicious |= kind != Kind::Null;
            }
            _ => {
                scan.skip()?;
            }
        }
        Ok(())
    }

    fn output_item(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        let (mut kind, mut said) = (None, 0);
        scan.object(|scan, key, _| {
            match (key, scan.kind()?) {
                ("type", Kind::String) => kind = word(scan)?,
                ("arguments" | "input", Kind::String) => said += scan.skip()?.len() - 2,
                ("content" | "summary", Kind::Array) => {
                    scan.array(|scan, _| {
                        said += text_length(scan)?;
                        Ok(())
                    })?;
                }
                _ => {
                    scan.skip()?;
                }
            }
            Ok(())
        })?;
        self.has_calls |= matches!(kind.as_deref(), Some("function_call" | "custom_tool_call"));
        self.output_bytes += said as u64;
        Ok(())
    }

    /// Whether the event's item is a call of one of the client's tools.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.item.as_deref(), Some("function_call" | "custom_tool_call"))
    }

    /// Puts what was found into the meter.
    pub(super) fn count(&self, meter: &mut Meter) {
        if let Some(model) = &self.model {
            meter.upstream_model = Some(model.clone());
        }
        if let Some(status) = &self.status {
            let found = finish(status, self.reason.as_deref(), self.has_calls);
            meter.finish = found.or(meter.finish.take());
        }
        if let Some(counts) = &self.usage {
            meter.usage = usage::from_responses(counts).or(meter.usage);
            meter.upstream_cost_usd = usage::cost_usd(counts).or(meter.upstream_cost_usd);
        }
    }
}

/// The length of a content part's text.
fn text_length(scan: &mut Scanner<'_>) -> Scan<usize> {
    if scan.kind()? != Kind::Object {
        scan.skip()?;
        return Ok(0);
    }
    let mut length = 0;
    scan.object(|scan, key, _| {
        let kind = scan.kind()?;
        let span = scan.skip()?;
        if kind == Kind::String && matches!(key, "text" | "refusal") {
            length += span.len() - 2;
        }
        Ok(())
    })?;
    Ok(length)
}

fn word(scan: &mut Scanner<'_>) -> Scan<Option<String>> {
    Ok(scan.string()?.decode().map(Cow::into_owned))
}
