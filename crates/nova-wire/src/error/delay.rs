//! How long a provider asks us to wait.
//!
//! Sources: RFC 9110 section 10.2.3 (`Retry-After` in seconds or as a date), the OpenAI and Anthropic
//! SDKs (`retry-after-ms`), the rate-limit headers of OpenAI and Groq (Go durations, `2m59.56s`), of
//! Anthropic (RFC 3339), and Google's `RetryInfo`.

use super::ErrorClass;

/// No wait is longer than this, whatever a provider says, in milliseconds: one week.
const LONGEST_MS: u64 = 7 * 24 * 3_600_000;

/// A duration as Go prints it (`6m0s`, `12ms`, `2m59.56s`, `1h`) or a bare number of seconds
/// (`34`, `0.5`), in milliseconds, rounded up.
pub fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0.0_f64, text);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let after = unit.find(|letter: char| letter.is_ascii_digit()).unwrap_or(unit.len());
        let factor = match &unit[..after] {
            "d" => 86_400_000.0,
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            "" if end == text.len() => 1_000.0,
            "ms" => 1.0,
            "us" | "µs" => 0.001,
            "ns" => 0.000_001,
            _ => return None,
        };
        total += number * factor;
        rest = &unit[after..];
    }
    whole_ms(total)
}

/// A wait in the words of a message: "Please retry in 48.939935699s", "try again in 7m12s".
pub(super) fn in_text(message: &str) -> Option<u64> {
    let at = ["retry in ", "try again in ", "retry after "]
        .iter()
        .find_map(|words| Some(message.to_ascii_lowercase().find(words)? + words.len()))?;
    let rest = message.get(at..)?;
    let word = rest.split_whitespace().next()?.trim_end_matches(['.', ',', ')', ';']);
    let unit = rest.split_whitespace().nth(1).unwrap_or_default();
    match duration_ms(word)? {
        minutes if unit.starts_with("minute") => Some(minutes.saturating_mul(60).min(LONGEST_MS)),
        hours if unit.starts_with("hour") => Some(hours.saturating_mul(3600).min(LONGEST_MS)),
        milliseconds if unit.starts_with("ms") || unit.starts_with("millisecond") => {
            Some(milliseconds / 1000)
        }
        wait => Some(wait),
    }
}

/// What the headers of a failure say. A date is measured against the answer's own `date`, because
/// this crate reads no clock.
pub(super) fn from_headers<'h>(class: ErrorClass, header: &impl Fn(&str) -> Option<&'h str>) -> Option<u64> {
    if let Some(wait) = header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return whole_ms(wait);
    }
    let now = || header("date").and_then(unix_seconds);
    if let Some(text) = header("retry-after") {
        let wait = duration_ms(text).or_else(|| until(unix_seconds(text)?, now()?));
        if wait.is_some() {
            return wait;
        }
    }
    if class != ErrorClass::Rate {
        return None;
    }
    let exhausted = |prefix: &str, what: &str, suffix: &str| {
        let remaining = header(&format!("{prefix}{what}remaining{suffix}"))?;
        let reset = header(&format!("{prefix}{what}reset{suffix}"))?;
        if remaining.trim() != "0" {
            return None;
        }
        duration_ms(reset).or_else(|| until(unix_seconds(reset)?, now()?))
    };
    let openai = ["-requests", "-tokens"].map(|what| exhausted("x-ratelimit-", "", what));
    let anthropic = ["requests-", "tokens-", "input-tokens-", "output-tokens-"]
        .map(|what| exhausted("anthropic-ratelimit-", what, ""));
    openai.into_iter().chain(anthropic).flatten().max()
}

fn until(then: u64, now: u64) -> Option<u64> {
    Some(then.saturating_sub(now).saturating_mul(1000).min(LONGEST_MS))
}

fn whole_ms(wait: f64) -> Option<u64> {
    (wait.is_finite() && wait >= 0.0).then(|| wait.ceil().min(LONGEST_MS as f64) as u64)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` or `1994-11-06T08:49:37Z`, in Unix seconds. Other zones than UTC
/// and the obsolete forms of RFC 9110 are not read.
fn unix_seconds(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = text.trim();
    let (year, month, day, clock) = if let Some((_, date)) = text.split_once(", ") {
        let mut words = date.strip_suffix(" GMT")?.split(' ');
        let day = words.next()?.parse().ok()?;
        let name = words.next()?;
        let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
        (words.next()?.parse().ok()?, month, day, words.next()?)
    } else {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let mut parts = date.split('-').map(str::parse::<u64>);
        let year = parts.next()?.ok()?;
        (year, parts.next()?.ok()?, parts.next()?.ok()?, clock.split('.').next()?)
    };
    let mut parts = clock.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let valid = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (valid && hour < 24 && minute < 60 && second <= 60)
        .then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days of the proleptic Gregorian calendar; a year begins in March, so that leap days come last.
const fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}
