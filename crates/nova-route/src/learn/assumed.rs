//! What is assumed of a model until something was seen of it. Nothing here was measured: these are starting
//! points that a few dozen answers outweigh, and every estimate that rests on them says so.

use nova_catalog::Price;

use super::model::Kind;
use crate::quality::{Belief, Expected};

/// An assumption weighs as much as so many outcomes.
const ASSUMED_MASS: f64 = 8.0;
/// A declared quality weighs as much as so many outcomes.
const DECLARED_MASS: f64 = 40.0;
/// What an artefact learnt weighs at most as much as so many outcomes: what is seen here must be able to move it.
const MEASURED_MASS: f64 = 100.0;
/// The quality that is assumed of a model at one dollar per million tokens (three of prompt to one of answer).
const AT_A_DOLLAR: f64 = 0.78;
/// The quality that is assumed of a model without a price: it may be anything.
const UNPRICED: f64 = 0.60;

/// Tokens of an answer, reasoning included.
pub const fn output_tokens(kind: Kind, thinks: bool) -> f32 {
    let answer = match kind {
        Kind::Code => 900.0,
        Kind::Math | Kind::Creative => 700.0,
        Kind::Reasoning => 600.0,
        Kind::Rewrite => 500.0,
        Kind::Other | Kind::Summarize | Kind::Chat => 400.0,
        Kind::DocQa => 300.0,
        Kind::Extract => 150.0,
    };
    let thought = match kind {
        Kind::Math | Kind::Reasoning => 3_000.0,
        Kind::Code => 2_000.0,
        _ => 600.0,
    };
    if thinks { answer + thought } else { answer }
}

/// The quality that somebody declared, as a share.
pub fn declared(share: f64) -> Belief {
    Belief::prior(share, DECLARED_MASS)
}

/// The quality that graded answers let one expect for one request: as firm as the distance to its lower bound, which
/// is one standard deviation, and never firmer than a hundred outcomes.
pub fn measured(expected: &Expected) -> Belief {
    let (mean, low) = (f64::from(expected.quality), f64::from(expected.low));
    let deviation = mean - low;
    // The mass of the Beta distribution of this mean and deviation.
    let mass = mean * (1.0 - mean) / (deviation * deviation) - 1.0;
    Belief::prior(mean, if mass.is_nan() { MEASURED_MASS } else { mass.clamp(ASSUMED_MASS, MEASURED_MASS) })
}

/// The quality that a price lets one assume: dearer models are better on average, much so at hard tasks and
/// hardly at easy ones. Each doubling of the price adds the slope of the task.
pub fn from_price(price: Option<&Price>, kind: Kind) -> Belief {
    let blended = price.map(|price| {
        let rates = price.rates_for(0);
        let dollars = |rate: nova_catalog::PerMillion| rate.price().nanos() as f64 / 1e9;
        (3.0 * dollars(rates.input) + dollars(rates.output)) / 4.0
    });
    let mean = match blended {
        Some(dollars) if dollars > 0.0 => AT_A_DOLLAR + slope(kind) * dollars.log2().clamp(-6.0, 6.0),
        _ => UNPRICED,
    };
    Belief::prior(mean, ASSUMED_MASS)
}

/// What a doubling of the price is taken to add to the quality.
const fn slope(kind: Kind) -> f64 {
    match kind {
        Kind::Math | Kind::Reasoning => 0.035,
        Kind::Code | Kind::DocQa => 0.030,
        Kind::Other | Kind::Creative => 0.020,
        Kind::Summarize | Kind::Rewrite | Kind::Extract | Kind::Chat => 0.010,
    }
}

#[cfg(test)]
mod tests {
    use nova_catalog::{NanoUsd, PerMillion};

    use super::*;

    fn price(nanos: i64) -> Price {
        let mut price = Price::default();
        price.rates.input = PerMillion::new(NanoUsd::from_nanos(nanos));
        price.rates.output = price.rates.input;
        price
    }

    #[test]
    fn dearer_models_are_assumed_to_be_better_most_at_hard_tasks() {
        let (cheap, dear) = (price(200_000_000), price(10_000_000_000));
        let gap = |kind| from_price(Some(&dear), kind).mean() - from_price(Some(&cheap), kind).mean();
        assert!(
            gap(Kind::Math) > gap(Kind::Code) && gap(Kind::Code) > gap(Kind::Chat) && gap(Kind::Chat) > 0.0
        );
        for unpriced in [None, Some(&price(0))] {
            assert!(from_price(unpriced, Kind::Chat).mean() < from_price(Some(&cheap), Kind::Chat).mean());
        }
    }

    #[test]
    fn what_was_measured_is_as_firm_as_its_lower_bound_says_within_bounds() {
        let check = |quality: f32, low: f32, mass: f64| {
            let belief = measured(&Expected { quality, low, ..Expected::default() });
            assert!((belief.mean() - f64::from(quality)).abs() < 2e-3, "{belief:?}");
            assert!((belief.mass() - mass).abs() < 0.01 * mass, "{quality} {low}: {belief:?}");
        };
        // .8 * .2 / .08^2 - 1.
        check(0.8, 0.72, 24.0);
        check(0.8, 0.79, 100.0);
        check(0.8, 0.8, 100.0);
        check(0.5, 0.0, 8.0);
        check(0.0, 0.0, 100.0);
        let belief = measured(&Expected { quality: 0.8, low: 0.72, ..Expected::default() });
        assert!((belief.lower(1.0) - 0.72).abs() < 1e-6);
    }

    #[test]
    fn what_is_declared_weighs_more_than_what_is_assumed() {
        assert!(declared(0.9).mass() > from_price(None, Kind::Chat).mass());
        assert!((declared(0.9).mean() - 0.9).abs() < 1e-9);
    }
}
