//! Whether what is expected comes true as often as it is expected.

/// How well expectations of right answers were calibrated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// The mean distance between what was expected and what came, over ten equally wide bins of the expectation
    /// (expected calibration error; Guo et al., 2017).
    pub ece: f64,
    /// The mean square of what was expected less what came (Brier, 1950).
    pub brier: f64,
}

const BINS: usize = 10;

/// Measures pairs of what was expected and what came, both 0 to 1.
pub fn calibration(pairs: impl Iterator<Item = (f64, f64)>) -> Calibration {
    let mut bins = [(0.0, 0.0); BINS];
    let (mut count, mut brier) = (0.0, 0.0);
    for (expected, came) in pairs {
        let bin = ((expected * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += expected;
        bins[bin].1 += came;
        brier += (expected - came).powi(2);
        count += 1.0;
    }
    if count == 0.0 {
        return Calibration::default();
    }
    let apart: f64 = bins.iter().map(|(expected, came)| (expected - came).abs()).sum();
    Calibration { ece: apart / count, brier: brier / count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_worked_as_by_hand() {
        // Two at .25, of which one came; one at .8 that did not.
        let says = calibration([(0.25, 1.0), (0.25, 0.0), (0.8, 0.0)].into_iter());
        // |.5 - 1| and |.8 - 0| over three; .5625 + .0625 + .64 over three.
        assert!((says.ece - 1.3 / 3.0).abs() < 1e-12 && (says.brier - 1.265 / 3.0).abs() < 1e-12, "{says:?}");
        assert_eq!(calibration([(1.0, 1.0), (0.0, 0.0)].into_iter()), Calibration { ece: 0.0, brier: 0.0 });
        assert_eq!(calibration(std::iter::empty()), Calibration::default());
    }
}
