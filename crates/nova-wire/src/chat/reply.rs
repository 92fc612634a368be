//! Whole chat answers.

use serde_json::Value;

use crate::chat;
use crate::error::UpstreamError;
use crate::hub::reply::Finish;
use crate::quirks::Quirks;
use crate::scan::{Kind, Scan, Scanner};
use crate::translate::Meter;
use crate::usage;

/// Reads what the meter needs of an answer that is passed through, without a tree of its content.
///
/// # Errors
/// The answer reports a failure, is no JSON, or has no choice.
pub fn meter(body: &[u8], quirks: &Quirks) -> Result<Meter, UpstreamError> {
    let mut glance = Glance::default();
    if glance.read(body).is_err() {
        return Err(chat::garbage("the provider's answer is no JSON object"));
    }
    // The few answers that may be failures are read again as a whole.
    if glance.suspicious || !glance.has_choice {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(error) = chat::failure(&answer, body) {
            return Err(error);
        }
    }
    if !glance.has_choice {
        return Err(chat::garbage("the provider's answer has no choice in it"));
    }
    let mut meter = glance.meter;
    if let Some(Finish::Failed(word)) = &meter.finish {
        return Err(chat::broken(word));
    }
    if let Some(usage) = glance.usage {
        meter.usage = usage::from_chat(&usage, quirks);
        meter.upstream_cost_usd = usage::cost_usd(&usage);
    }
    meter.content_started = meter.output_bytes > 0;
    Ok(meter)
}

/// What one pass over an answer finds.
#[derive(Default)]
struct Glance {
    meter: Meter,
    usage: Option<Value>,
    has_choice: bool,
    suspicious: bool,
}

impl Glance {
    fn read(&mut self, body: &[u8]) -> Scan<()> {
        let mut scan = Scanner::new(body)?;
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("model", Kind::String) => {
                self.meter.upstream_model = scan.string()?.decode().map(std::borrow::Cow::into_owned);
                Ok(())
            }
            ("usage", Kind::Object) => {
                let span = scan.skip()?;
                self.usage = serde_json::from_slice(&body[span]).ok();
                Ok(())
            }
            ("choices", Kind::Array) => scan.array(|scan, _| self.choice(scan, body)).map(drop),
            ("error" | "base_resp" | "object", kind) => {
                let span = scan.skip()?;
                let ordinary = kind == Kind::Null || body[span].starts_with(b"\"chat.completion");
                self.suspicious |= !ordinary;
                Ok(())
            }
            _ => scan.skip().map(drop),
        })?;
        scan.end()
    }

    fn choice(&mut self, scan: &mut Scanner<'_>, body: &[u8]) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        self.has_choice = true;
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("finish_reason", Kind::String) => {
                let reason = scan.string()?.decode().unwrap_or_default();
                self.meter.finish = self.meter.finish.take().or_else(|| chat::finish(&reason, None));
                Ok(())
            }
            ("message", Kind::Object) => self.message(scan, body),
            _ => scan.skip().map(drop),
        })
        .map(drop)
    }

    fn message(&mut self, scan: &mut Scanner<'_>, body: &[u8]) -> Scan<()> {
        scan.object(|scan, key, _| {
            let kind = scan.kind()?;
            let span = scan.skip()?;
            let said = match (key, kind) {
                ("content" | "reasoning_content" | "reasoning" | "refusal", Kind::String) => span.len() - 2,
                ("content" | "tool_calls", Kind::Array) if body[span.clone()] != b"[]"[..] => span.len(),
                _ => 0,
            };
            self.meter.output_bytes += said as u64;
            Ok(())
        })
        .map(drop)
    }
}
