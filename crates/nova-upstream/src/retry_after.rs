//! How long a provider asks us to wait, read from the headers of its answer.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The longest wait that is believed. Some providers name the end of the day or of the month; a
/// deployment that waited so long would miss that its quota was raised.
pub const MAX: Duration = Duration::from_secs(60 * 60);

/// What `retry-after-ms` (OpenAI's clients read it) or else `retry-after` (RFC 9110 §10.2.3) says.
///
/// Seconds may have a fraction, which the RFC does not allow and some providers send. A date in the
/// past is no wait. What cannot be read is ignored.
pub fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = text("retry-after-ms").and_then(|text| number(text, 0.001));
    milliseconds.or_else(|| {
        let text = text(RETRY_AFTER.as_str())?;
        number(text, 1.0).or_else(|| date(text, now))
    })
}

fn number(text: &str, unit: f64) -> Option<Duration> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| digits)? * unit;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX).min(MAX))
}

fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(now).unwrap_or_default().min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_providers_send_is_read() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let check = |name: &'static str, value: &str, expected: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(read(&headers, now), expected.map(Duration::from_millis), "{name}: {value}");
        };
        for (value, expected) in [
            ("0", Some(0)),
            ("20", Some(20_000)),
            ("1.5", Some(1_500)),
            (" 7 ", Some(7_000)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10_000)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(3_600_000)),
            ("86400", Some(3_600_000)),
            ("99999999999999999999999999", Some(3_600_000)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e3", None),
            ("", None),
            ("soon", None),
        ] {
            check("retry-after", value, expected);
        }
        check("retry-after-ms", "250", Some(250));
        check("retry-after-ms", "soon", None);
        check("x-retry-after", "250", None);
    }

    #[test]
    fn milliseconds_go_before_seconds() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "2".parse().unwrap());
        headers.insert("retry-after-ms", "1400".parse().unwrap());
        assert_eq!(read(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_millis(1400)));
        headers.insert("retry-after-ms", "soon".parse().unwrap());
        assert_eq!(read(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(2)));
    }
}
