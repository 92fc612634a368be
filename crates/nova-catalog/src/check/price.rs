//! Prices: no negative rates, rising tiers, hours that are hours.

use super::Scope;
use crate::date::Weekday;
use crate::money::NanoUsd;
use crate::price::{OffPeak, Price, Rates, Terms, Tier, Window};
use crate::raw::{Amount, RawOffPeak, RawPrice, RawRates, RawTier, RawWindow};
use crate::yaml::Located;

const WEEK: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
/// A surcharge beyond this is a slip.
const MOST_PERCENT: u32 = 1000;

/// Problems are reported at the offer's provider, the nearest place that is known.
pub(super) fn check(field: &str, raw: &RawPrice, at: &Located<String>, scope: &mut Scope<'_>) -> Price {
    let mut report = |path: &str, message: String| {
        scope.report_at(&format!("{field}{path}"), at, message, None);
    };
    let mut above = 0;
    for (index, tier) in raw.tiers.iter().enumerate() {
        if tier.above <= above {
            let message = format!("`{}` is not above `{above}`: thresholds rise", tier.above);
            report(&format!(".tiers[{index}].above"), message);
        }
        above = tier.above;
    }
    let mut check = |path: &str, rates: RawRates| {
        for (name, amount) in named(&rates) {
            if amount.0 < NanoUsd::ZERO {
                report(&format!("{path}.{name}"), format!("`{}` is negative", amount.0));
            }
        }
        checked(rates)
    };
    let rates = check("", base(raw));
    let tiers = raw.tiers.iter().enumerate().map(|(index, tier)| Tier {
        above_prompt_tokens: tier.above,
        rates: check(&format!(".tiers[{index}]"), of_tier(tier)),
    });
    let tiers = tiers.collect();
    let off_peak_rates = raw.off_peak.as_ref().and_then(|hours| hours.rates);
    let off_peak_rates = off_peak_rates.map(|rates| check(".off_peak.rates", rates));
    let per_request = raw.per_request.unwrap_or_default().0;
    if per_request < NanoUsd::ZERO {
        report(".per_request", format!("`{per_request}` is negative"));
    }
    let off_peak = raw.off_peak.as_ref().and_then(|hours| {
        off_peak(hours, off_peak_rates, &mut |path, message, place| {
            scope.report_at(&format!("{field}.off_peak{path}"), place.unwrap_or(at), message, None);
        })
    });
    Price { rates, tiers, off_peak, per_request }
}

type Report<'r> = dyn FnMut(&str, String, Option<&Located<String>>) + 'r;

fn off_peak(raw: &RawOffPeak, rates: Option<Rates>, report: &mut Report<'_>) -> Option<OffPeak> {
    let terms = match (raw.percent, rates) {
        (Some(percent), None) if percent > MOST_PERCENT => {
            report(".percent", format!("`{percent}` is more than {MOST_PERCENT}"), None);
            return None;
        }
        (Some(percent), None) => Terms::Percent(percent),
        (None, Some(rates)) => Terms::Rates(rates),
        (Some(_), Some(_)) | (None, None) => {
            report("", "needs either `percent` or `rates`".to_owned(), None);
            return None;
        }
    };
    if raw.windows.is_empty() {
        report(".windows", "is empty: there is no such hour".to_owned(), None);
    }
    let windows = raw.windows.iter().flat_map(|window| windows(window, report)).collect();
    Some(OffPeak { windows, terms })
}

fn windows(raw: &RawWindow, report: &mut Report<'_>) -> Vec<Window> {
    let days = raw.days.as_deref().unwrap_or(&WEEK);
    if days.is_empty() {
        report(".windows", "`days` is empty: leave it out for every day".to_owned(), None);
        return Vec::new();
    }
    let Some(spans) = &raw.hours else {
        return Window::new(days, 0, Window::DAY).into_iter().collect();
    };
    let mut windows = Vec::new();
    for span in spans {
        match hours(span).and_then(|(from, to)| Window::new(days, from, to)) {
            Some(window) => windows.push(window),
            None => {
                let message = format!(
                    "`{}` is no span of one day: write `10:00-24:00`, and two spans across midnight",
                    span.value
                );
                report(".windows", message, Some(span));
            }
        }
    }
    windows
}

/// The minutes of `10:00-24:00`.
fn hours(span: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str, most: u16| {
            let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| plain && *number <= most)
        };
        Some(number(hour, 24)? * 60 + number(minute, 59)?)
    };
    let (from, to) = span.split_once('-')?;
    Some((minute(from)?, minute(to)?))
}

fn checked(raw: RawRates) -> Rates {
    let rate = |amount: Option<Amount>| amount.map(Amount::per_million);
    Rates {
        input: raw.input.per_million(),
        output: raw.output.per_million(),
        cache_read: rate(raw.cache_read),
        cache_write: rate(raw.cache_write),
        reasoning: rate(raw.reasoning),
    }
}

fn named(rates: &RawRates) -> impl Iterator<Item = (&'static str, Amount)> {
    let all = [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cache_read", rates.cache_read),
        ("cache_write", rates.cache_write),
        ("reasoning", rates.reasoning),
    ];
    all.into_iter().filter_map(|(name, amount)| amount.map(|amount| (name, amount)))
}

const fn base(raw: &RawPrice) -> RawRates {
    RawRates {
        input: raw.input,
        output: raw.output,
        cache_read: raw.cache_read,
        cache_write: raw.cache_write,
        reasoning: raw.reasoning,
    }
}

const fn of_tier(raw: &RawTier) -> RawRates {
    RawRates {
        input: raw.input,
        output: raw.output,
        cache_read: raw.cache_read,
        cache_write: raw.cache_write,
        reasoning: raw.reasoning,
    }
}
