//! Money as whole numbers of nano-dollars, and prices per million tokens.
//!
//! No float touches money: a price in YAML is read as the digits that were written, and every sum is
//! an integer. One nano-dollar is fine enough for one token of the cheapest model (3 nano-dollars at
//! $0.003 per million) and `i64` holds nine billion dollars of it.

#![deny(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Nano-dollars in one dollar.
const NANOS: i64 = 1_000_000_000;
/// Digits after the point that a nano-dollar has.
const DIGITS: usize = 9;
/// Tokens that a [`PerMillion`] pays for.
const MILLION: i128 = 1_000_000;

/// An amount of US dollars, in billionths.
///
/// Sums saturate: an amount that cannot be represented is far past any budget, and stays there.
/// Serialised as a decimal string of dollars (`"0.000123"`), because JSON readers lose digits of
/// integers above 2⁵³, which are only nine million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(i64);

/// A price for one million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMillion(NanoUsd);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits with at most one point.
    #[error("is no decimal number: write digits with at most one point, as in `0.435`")]
    NotDecimal,
    /// More than nine digits after the point.
    #[error("is finer than a billionth of a dollar")]
    TooFine,
    /// More than an `i64` of nano-dollars.
    #[error("is more than nine billion dollars")]
    TooLarge,
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// From billionths of a dollar: how the ledger stores money.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole dollars. Saturates.
    pub const fn from_dollars(dollars: i64) -> Self {
        Self(dollars.saturating_mul(NANOS))
    }

    /// Billionths of a dollar.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum, at most [`NanoUsd::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, which may be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, or nothing where it cannot be represented.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing where it cannot be represented.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Reads a decimal number of dollars and rounds digits past the ninth up: the least amount that
    /// is not below the text. For costs that a provider reports (`usage.cost`), which come with as
    /// many digits as a float prints.
    ///
    /// # Errors
    /// The text is no decimal number, or too large.
    pub fn parse_rounding_up(text: &str) -> Result<Self, AmountError> {
        let (amount, excess) = read(text)?;
        if excess && amount >= 0 { narrow(amount + 1) } else { narrow(amount) }
    }
}

impl FromStr for NanoUsd {
    type Err = AmountError;

    /// Reads a decimal number of dollars exactly: `0.435`, `-2`, `12.50`.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        match read(text)? {
            (_, true) => Err(AmountError::TooFine),
            (amount, false) => narrow(amount),
        }
    }
}

impl fmt::Display for NanoUsd {
    /// All digits, at least two after the point: `$1.50`, `$0.000123`, `-$3.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        f.write_str("$")?;
        f.write_str(&decimal(self.0.unsigned_abs(), 2))
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        serializer.collect_str(&format_args!("{sign}{}", decimal(self.0.unsigned_abs(), 0)))
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    /// From a decimal string; in YAML the quotes may be left out, because YAML hands over the text
    /// of a scalar. A JSON number is refused: by then its digits may already be lost.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(AmountVisitor)
    }
}

impl PerMillion {
    /// Free.
    pub const ZERO: Self = Self(NanoUsd::ZERO);

    /// This price for one million tokens.
    pub const fn new(price: NanoUsd) -> Self {
        Self(price)
    }

    /// The price of one million tokens.
    pub const fn price(self) -> NanoUsd {
        self.0
    }

    /// What so many tokens cost, rounded up to a nano-dollar.
    ///
    /// Up, because a price that is not zero must not make any request free. A whole that is billed
    /// in `n` parts thus costs at most `n − 1` nano-dollars more.
    pub fn cost(self, tokens: u64) -> NanoUsd {
        round_up(self.exact(tokens), MILLION)
    }

    /// Tokens × price, in millionths of a nano-dollar.
    ///
    /// `u64::MAX × i64::MAX` is below 2¹²⁷, so the product is exact; sums of products saturate.
    pub(crate) fn exact(self, tokens: u64) -> i128 {
        i128::from(tokens) * i128::from(self.0.0)
    }
}

impl Serialize for PerMillion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NanoUsd::deserialize(deserializer).map(Self)
    }
}

/// `exact / divisor`, rounded up. What is no `i64` saturates.
pub(crate) fn round_up(exact: i128, divisor: i128) -> NanoUsd {
    let floor = exact.div_euclid(divisor);
    let up = floor.saturating_add(i128::from(exact.rem_euclid(divisor) > 0));
    NanoUsd(i64::try_from(up).unwrap_or(if up < 0 { i64::MIN } else { i64::MAX }))
}

/// The exact product of [`PerMillion::exact`]s in nano-dollars, taking `percent` of it.
pub(crate) fn settle(exact: i128, percent: u32) -> NanoUsd {
    round_up(exact.saturating_mul(i128::from(percent)), MILLION * 100)
}

/// Nano-dollars of a decimal text, and whether digits that count stood past the ninth.
fn read(text: &str) -> Result<(i128, bool), AmountError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(AmountError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    let kept = &fraction[..fraction.len().min(DIGITS)];
    let whole: i128 = whole.parse().map_err(|_| AmountError::TooLarge)?;
    // Nine digits at most, so the fraction always parses; an empty one is zero.
    let nanos: i128 = format!("{kept:0<DIGITS$}").parse().unwrap_or_default();
    let amount = whole
        .checked_mul(i128::from(NANOS))
        .and_then(|amount| amount.checked_add(nanos))
        .ok_or(AmountError::TooLarge)?;
    Ok((if negative { -amount } else { amount }, fraction.len() > DIGITS))
}

fn narrow(amount: i128) -> Result<NanoUsd, AmountError> {
    i64::try_from(amount).map(NanoUsd).map_err(|_| AmountError::TooLarge)
}

/// Nano-dollars as dollars, with all digits that are not zero and at least `least` after the point.
fn decimal(nanos: u64, least: usize) -> String {
    let scale = NANOS.unsigned_abs();
    let fraction = format!("{:09}", nanos % scale);
    let needed = fraction.trim_end_matches('0').len().max(least);
    if needed == 0 {
        (nanos / scale).to_string()
    } else {
        format!("{}.{}", nanos / scale, &fraction[..needed])
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = NanoUsd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number of US dollars")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<NanoUsd, E> {
        text.trim().parse().map_err(|error| E::custom(format_args!("`{text}` {error}")))
    }
}

#[cfg(test)]
mod tests;
