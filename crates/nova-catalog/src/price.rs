//! What an answer costs: rates, tiers by prompt length, off-peak hours.
//!
//! A tier holds for the whole request: a prompt of 200,001 tokens at "above 200,000" pays the tier's
//! rates for all of its tokens. That is how Alibaba, Google, OpenAI and xAI bill; nobody bills
//! marginally. Off-peak is decided by the instant that the caller gives.

#![deny(clippy::float_arithmetic)]

use nova_wire::Usage;
use serde::Serialize;

use crate::date::{self, Weekday};
use crate::money::{self, NanoUsd, PerMillion};

/// The full price of a request, in percent of itself.
const FULL: u32 = 100;

/// What a deployment charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Price {
    /// The rates of a short prompt at an ordinary hour.
    pub rates: Rates,
    /// Rates of longer prompts, by rising threshold.
    pub tiers: Vec<Tier>,
    /// Cheaper (or dearer) hours.
    pub off_peak: Option<OffPeak>,
    /// Charged once for every request.
    pub per_request: NanoUsd,
}

/// What each kind of token costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rates {
    /// Prompt tokens that no cache knew.
    pub input: PerMillion,
    /// Answer tokens.
    pub output: PerMillion,
    /// Prompt tokens read from the provider's cache; absent: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PerMillion>,
    /// Prompt tokens written to the provider's cache; absent: as `input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PerMillion>,
    /// Reasoning tokens of the answer; absent: as `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PerMillion>,
}

/// The rates of prompts above a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// The tier holds for prompts of more tokens than this, cached ones included.
    pub above_prompt_tokens: u64,
    /// Its rates, for all tokens of the request.
    pub rates: Rates,
}

/// Hours at another price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OffPeak {
    /// When.
    pub windows: Vec<Window>,
    /// At what price.
    pub terms: Terms,
}

/// The price within off-peak hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Terms {
    /// So many percent of the ordinary price, tiers included.
    Percent(u32),
    /// These rates instead, whatever the prompt's length.
    Rates(Rates),
}

/// A span of hours on some days of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// One bit per day, Monday the lowest.
    days: u8,
    /// First minute of the day that is inside.
    from: u16,
    /// First minute after it; at most 1440.
    to: u16,
}

impl Price {
    /// What this usage costs, asked at this instant (milliseconds since 1970).
    ///
    /// All parts are summed exactly and rounded up once, so that a price which is not zero makes no
    /// request free.
    pub fn cost(&self, usage: &Usage, at_ms: i64) -> NanoUsd {
        let ordinary = self.rates_for(usage.prompt());
        let off_peak = self.off_peak.as_ref().filter(|hours| hours.holds(at_ms));
        let (rates, percent) = match off_peak.map(|hours| hours.terms) {
            Some(Terms::Rates(rates)) => (rates, FULL),
            Some(Terms::Percent(percent)) => (*ordinary, percent),
            None => (*ordinary, FULL),
        };
        money::settle(rates.exact(usage), percent).saturating_add(self.per_request)
    }

    /// The most that a request can cost whose prompt has at most `prompt_tokens` and whose answer at
    /// most `max_output`: no cache hit, the dearest tier within reach, the dearest hour.
    ///
    /// No usage within those bounds costs more, at any time.
    pub fn upper_bound(&self, prompt_tokens: u64, max_output: u64) -> NanoUsd {
        let within_reach = self.tiers.iter().filter(|tier| tier.above_prompt_tokens < prompt_tokens);
        let ordinary = std::iter::once(&self.rates).chain(within_reach.map(|tier| &tier.rates));
        let dearest =
            ordinary.map(|rates| rates.at_most(prompt_tokens, max_output)).max().unwrap_or_default();
        let ordinary = money::settle(dearest, FULL);
        let off_peak = match self.off_peak.as_ref().map(|hours| hours.terms) {
            Some(Terms::Rates(rates)) => money::settle(rates.at_most(prompt_tokens, max_output), FULL),
            Some(Terms::Percent(percent)) => money::settle(dearest, percent),
            None => NanoUsd::ZERO,
        };
        ordinary.max(off_peak).saturating_add(self.per_request)
    }

    /// The ordinary rates of a prompt of this length.
    pub fn rates_for(&self, prompt_tokens: u64) -> &Rates {
        let tier = self.tiers.iter().rev().find(|tier| prompt_tokens > tier.above_prompt_tokens);
        tier.map_or(&self.rates, |tier| &tier.rates)
    }

    /// Whether nothing is ever charged.
    pub fn is_free(&self) -> bool {
        self.upper_bound(u64::MAX, u64::MAX) == NanoUsd::ZERO
    }
}

impl Rates {
    /// The cost of a usage, in millionths of a nano-dollar.
    fn exact(&self, usage: &Usage) -> i128 {
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            self.input.exact(usage.input),
            self.cache_read.unwrap_or(self.input).exact(usage.cache_read),
            self.cache_write.unwrap_or(self.input).exact(usage.cache_write),
            self.output.exact(usage.output - reasoning),
            self.reasoning.unwrap_or(self.output).exact(reasoning),
        ];
        parts.into_iter().fold(0, i128::saturating_add)
    }

    /// The most that so many tokens can cost.
    fn at_most(&self, prompt_tokens: u64, max_output: u64) -> i128 {
        let prompt = [self.cache_read, self.cache_write].into_iter().flatten().fold(self.input, Ord::max);
        let output = self.reasoning.map_or(self.output, |rate| rate.max(self.output));
        prompt.exact(prompt_tokens).saturating_add(output.exact(max_output))
    }
}

impl OffPeak {
    /// Whether this instant lies within one of the windows.
    pub fn holds(&self, at_ms: i64) -> bool {
        let (weekday, minute) = date::weekday_and_minute(at_ms);
        self.windows.iter().any(|window| window.holds(weekday, minute))
    }
}

impl Window {
    /// Minutes in a day.
    pub const DAY: u16 = 24 * 60;

    /// From one minute of the day up to, but without, another; none if they are no span of one day.
    pub fn new(days: &[Weekday], from: u16, to: u16) -> Option<Self> {
        let days = days.iter().fold(0, |bits, day| bits | 1 << day.index());
        (from < to && to <= Self::DAY && days != 0).then_some(Self { days, from, to })
    }

    const fn holds(&self, weekday: u8, minute: u16) -> bool {
        self.days >> weekday & 1 == 1 && self.from <= minute && minute < self.to
    }
}

#[cfg(test)]
mod tests;
