//! An event as one line of JSON: `timestamp`, `level`, and its fields under their names, `message` among them.
//!
//! One line is logged for each request, so this is on its way: the JSON formatter of `tracing-subscriber` took
//! 22,000 instructions of it, which was a seventh of the whole request.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use nova_gateway::api;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format. It has no use for spans, and this program opens none.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // A clock before 1970 shows as 1970.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        to.write_str("{\"timestamp\":\"")?;
        to.write_str(&api::instant(now_ms))?;
        to.write_str("\",\"level\":\"")?;
        to.write_str(event.metadata().level().as_str())?;
        to.write_char('"')?;
        let mut fields = Fields { to, failed: Ok(()) };
        event.record(&mut fields);
        fields.failed?;
        fields.to.write_str("}\n")
    }
}

/// Writes fields behind those that are there.
struct Fields<'a> {
    to: Writer<'a>,
    failed: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let put = || {
            self.to.write_str(",\"")?;
            self.to.write_str(field.name())?;
            self.to.write_str("\":")?;
            value(&mut self.to)
        };
        if self.failed.is_ok() {
            self.failed = put();
        }
    }

    fn number(&mut self, field: &Field, number: impl fmt::Display) {
        self.put(field, |to| write!(to, "{number}"));
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |to| quoted(to, |text| write!(text, "{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |to| quoted(to, |text| text.write_str(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for the others.
        if value.is_finite() { self.number(field, value) } else { self.record_str(field, &value.to_string()) }
    }
}

fn quoted(to: &mut Writer<'_>, value: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) -> fmt::Result {
    to.write_char('"')?;
    value(&mut Escaped(to))?;
    to.write_char('"')
}

/// What is written here becomes the inside of a JSON string (RFC 8259 §7).
struct Escaped<'t, 'w>(&'t mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // All that need escaping are single bytes, so each of them ends a piece of text.
        while let Some(at) = rest.bytes().position(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                byte @ (b'"' | b'\\') => write!(self.0, "\\{}", char::from(byte))?,
                b'\n' => self.0.write_str("\\n")?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn every_event_is_one_object_on_one_line() {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt().event_format(Json).with_writer(kept.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(text = "a \"b\"\n\\\u{1}é", shown = %"x\ty", listed = ?["q"], "told {}", 1);
            tracing::warn!(count = 7_u64, less = -7_i64, share = 0.5, yes = true, none = f64::NAN);
        });
        let bytes = kept.0.lock().unwrap().clone();
        let lines: Vec<Value> = bytes
            .trim_ascii_end()
            .split(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let [mut told, mut counted] = <[Value; 2]>::try_from(lines).unwrap();
        for line in [&mut told, &mut counted] {
            let at = line.as_object_mut().unwrap().shift_remove("timestamp").unwrap();
            let at = at.as_str().unwrap();
            assert!(at.len() == 24 && at.starts_with("20") && at.ends_with('Z'), "{at}");
        }
        let text = "a \"b\"\n\\\u{1}é";
        assert_eq!(
            told,
            json!({ "level": "INFO", "message": "told 1", "text": text, "shown": "x\ty", "listed": "[\"q\"]" })
        );
        let numbers =
            json!({ "level": "WARN", "count": 7, "less": -7, "share": 0.5, "yes": true, "none": "NaN" });
        assert_eq!(counted, numbers);
    }
}
