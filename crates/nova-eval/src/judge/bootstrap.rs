//! How sure a figure is.

use crate::draw::Draw;

/// A figure with the interval that holds it in 95 of 100 draws of the prompts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// Draws `count` prompts with replacement, `times` times, and gives the interval of `figure` over the draws
/// (the percentile bootstrap; Efron, 1979). Draws in which the figure is no number are left out.
pub fn interval(count: usize, times: usize, seed: u64, mut figure: impl FnMut(&[u32]) -> f64) -> Interval {
    let mut draw = Draw::new(seed);
    let mut places = vec![0; count];
    let figures = (0..times).map(|_| {
        places.iter_mut().for_each(|place| *place = draw.below(count.max(1)) as u32);
        figure(&places)
    });
    percentiles(figures.collect())
}

/// The interval of figures that were drawn elsewhere.
pub fn percentiles(mut figures: Vec<f64>) -> Interval {
    figures.retain(|figure| !figure.is_nan());
    figures.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = figures.len().saturating_sub(1);
        figures.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    };
    Interval { low: at(0.025), high: at(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_two_errors_wide() {
        // 400 coins: the standard error of the mean is .5 / 20.
        let mean =
            |places: &[u32]| places.iter().map(|at| f64::from(at % 2)).sum::<f64>() / places.len() as f64;
        let says = interval(400, 1_000, 1, mean);
        assert!((says.low - 0.451).abs() < 0.01 && (says.high - 0.549).abs() < 0.01, "{says:?}");
        assert_eq!(interval(400, 50, 7, mean), interval(400, 50, 7, mean));
        assert!(interval(0, 5, 1, |_| f64::NAN).low.is_nan());
    }
}
