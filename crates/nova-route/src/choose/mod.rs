//! Choosing among models where neither the client nor a rule names one.
//!
//! Invariant: what a hard filter removes is never ranked, and a ranking depends on nothing but its arguments;
//! equals keep the order in which they were given.
//!
//! Reading order: [`Mode`] says by what; [`rank`] orders options; `filter` says what cannot serve a request;
//! `cost` what it should cost; `balance` orders the deployments of one model.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plan::DeploymentId;

pub(crate) mod balance;
pub(crate) mod cost;
pub(crate) mod filter;

pub use cost::Cost;

/// The share of the best model's quality that is enough, unless said otherwise.
pub const ENOUGH: f32 = 0.9;

/// No more of the requests than this are used to learn.
pub const MOST_EXPLORED: f32 = 0.02;

/// By what a model is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The cheapest of those that are surely good enough.
    #[default]
    Capable,
    /// The cheapest of all.
    Cheap,
    /// The one whose first token comes soonest.
    Fast,
    /// The one that writes the most tokens per second.
    Throughput,
    /// The best, whatever it costs.
    Best,
    /// The most quality for the money that a pacer gives out.
    Budget,
}

impl Mode {
    /// Every mode, and the word for it behind `auto:`.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Capable, "capable"),
        (Self::Cheap, "cheap"),
        (Self::Fast, "fast"),
        (Self::Throughput, "throughput"),
        (Self::Best, "best"),
        (Self::Budget, "budget"),
    ];

    /// The mode of a word, in any case.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(mode, _)| *mode)
    }

    /// The mode of a model's name that leaves the choice to us: `auto:` and the mode's word.
    pub fn of_name(name: &str) -> Option<Self> {
        let (auto, word) = name.split_once(':')?;
        if auto.eq_ignore_ascii_case("auto") { Self::named(word) } else { None }
    }

    /// Whether it asks how good answers are.
    pub const fn weighs_quality(self) -> bool {
        matches!(self, Self::Capable | Self::Best | Self::Budget)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("capable", |(_, word)| word)
    }
}

/// What one option offers, in the units of the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// US dollars that the request should cost; infinite where no price is known.
    pub cost: f64,
    /// The share of such requests that it answers well, 0 to 1.
    pub quality: f64,
    /// What that share surely is at least.
    pub low: f64,
    /// Milliseconds to the first token, where known.
    pub ttft_ms: Option<f64>,
    /// Tokens per second, where known.
    pub tokens_per_s: Option<f64>,
}

/// What a mode needs to know besides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// By what.
    pub mode: Mode,
    /// For [`Mode::Capable`]: the share of the best option's lower bound that is enough, 0 to 1.
    pub enough: f32,
    /// For [`Mode::Capable`]: the share of requests that go to another model first, so that something is learnt of
    /// it; at most [`MOST_EXPLORED`].
    pub explore: f32,
    /// For [`Mode::Budget`]: how much quality (0 to 1) one US dollar must buy.
    pub quality_per_usd: f64,
}

impl Aim {
    /// A mode with its usual settings.
    pub const fn of(mode: Mode) -> Self {
        Self { mode, enough: ENOUGH, explore: 0.0, quality_per_usd: 0.0 }
    }
}

/// The options from the best to the worst, by their places; and the lower bound that was enough, where the
/// mode has one.
pub fn rank(aim: &Aim, offers: &[Offer]) -> (Vec<u32>, Option<f64>) {
    let mut order: Vec<u32> = (0..).take(offers.len()).collect();
    let at = |place: u32| &offers[place as usize];
    let reach = (aim.mode == Mode::Capable).then(|| reach(aim, offers));
    order.sort_by(|&one, &other| {
        let (one, other) = (at(one), at(other));
        match aim.mode {
            Mode::Capable => {
                let reach = reach.unwrap_or_default();
                let (suits, other_suits) = (one.low >= reach, other.low >= reach);
                other_suits.cmp(&suits).then_with(|| match suits {
                    true => cheaper(one, other),
                    // What is not surely good enough is only there to fall back to: the surest first.
                    false => other.low.total_cmp(&one.low).then_with(|| cheaper(one, other)),
                })
            }
            Mode::Cheap => cheaper(one, other),
            Mode::Fast => soonest(one.ttft_ms, other.ttft_ms).then_with(|| cheaper(one, other)),
            Mode::Throughput => {
                soonest(one.tokens_per_s.map(|rate| -rate), other.tokens_per_s.map(|rate| -rate))
                    .then_with(|| cheaper(one, other))
            }
            Mode::Best => other.quality.total_cmp(&one.quality).then_with(|| cheaper(one, other)),
            Mode::Budget => {
                let worth = |offer: &Offer| match offer.cost {
                    cost if cost.is_finite() => offer.quality - aim.quality_per_usd * cost,
                    _ => f64::NEG_INFINITY,
                };
                worth(other).total_cmp(&worth(one)).then_with(|| cheaper(one, other))
            }
        }
    });
    (order, reach)
}

/// The lower bound that is enough.
fn reach(aim: &Aim, offers: &[Offer]) -> f64 {
    let best = offers.iter().map(|offer| offer.low).fold(0.0, f64::max);
    best * f64::from(aim.enough)
}

fn cheaper(one: &Offer, other: &Offer) -> Ordering {
    one.cost.total_cmp(&other.cost).then_with(|| other.quality.total_cmp(&one.quality))
}

/// What is known goes before what is not.
fn soonest(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// How a model was chosen: the arithmetic, for people and for the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// By what.
    pub aim: Aim,
    /// For which task, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<str>>,
    /// The lower bound of quality that was enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
    /// What was ranked, the best first.
    pub ranked: Vec<Scored>,
    /// Whether the first of them is there to be learnt about, and not because it is the best.
    pub explored: bool,
}

/// The place of the option that is to go first to be learnt about, where this request is one of those that are
/// used so: any but the first that costs at most ten times as much.
pub(crate) fn explored(aim: &Aim, offers: &[Offer], draws: &mut balance::Draws) -> Option<usize> {
    /// Shares are drawn out of this.
    const WHOLE: u64 = 1 << 24;
    let share = aim.explore.clamp(0.0, MOST_EXPLORED);
    if aim.mode != Mode::Capable || share == 0.0 || draws.below(WHOLE) as f32 >= share * WHOLE as f32 {
        return None;
    }
    let (first, others) = offers.split_first()?;
    // A free model is never beyond ten times nothing, or nobody would ever be explored beside one.
    let bound = if first.cost > 0.0 { 10.0 * first.cost } else { f64::MAX };
    let affordable = || (1..).zip(others).filter(|(_, offer)| offer.cost <= bound).map(|(place, _)| place);
    let count = affordable().count() as u64;
    if count == 0 { None } else { affordable().nth(draws.below(count) as usize) }
}

/// One model in a ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The model, by its own name.
    #[serde(serialize_with = "crate::plan::as_text")]
    pub model: Arc<str>,
    /// Its deployment that would be asked first.
    pub deployment: DeploymentId,
    /// What the request should cost there; `None` where no price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The share of such requests that it answers well.
    pub quality: f32,
    /// What that share surely is at least.
    pub low: f32,
    /// Whether somebody declared or measured it.
    pub measured: bool,
    /// Milliseconds to the first token, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f32>,
    /// Tokens per second, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_s: Option<f32>,
}

#[cfg(test)]
mod tests;
