//! How far estimates of a deployment's prompts are off, learnt from what it reports.

use std::sync::atomic::{AtomicU32, Ordering};

/// How much one report counts: the last ones of about eight decide.
const WEIGHT: f32 = 1.0 / 8.0;
/// Estimates of less are mostly the cost of the request's frame, which says nothing about text.
const LEAST: u64 = 32;
/// A report beyond this factor is about something that the estimate does not see, such as a file.
const BOUND: f32 = 4.0;

/// An exponentially weighted mean of reported over estimated tokens, without a lock. Of two reports at the
/// same instant one may be lost, which a mean does not mind.
#[derive(Debug, Default)]
pub(crate) struct Calibration {
    /// The ratio's bits; zero where there is no report yet.
    ratio: AtomicU32,
}

impl Calibration {
    /// Learns from one prompt's estimate and what the provider counted.
    pub(crate) fn observe(&self, estimated: u64, reported: u64) {
        if estimated < LEAST || reported == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts, good to a percent")]
        let seen = (reported as f32 / estimated as f32).clamp(1.0 / BOUND, BOUND);
        let next = match self.ratio() {
            None => seen,
            Some(before) => before + (seen - before) * WEIGHT,
        };
        self.ratio.store(next.to_bits(), Ordering::Relaxed);
    }

    /// An estimate, corrected by what was learnt; never zero.
    pub(crate) fn correct(&self, estimated: u64) -> u64 {
        let Some(ratio) = self.ratio() else { return estimated.max(1) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a positive product of an estimate and a small ratio"
        )]
        let corrected = (estimated as f64 * f64::from(ratio)).ceil() as u64;
        corrected.max(1)
    }

    fn ratio(&self) -> Option<f32> {
        let ratio = f32::from_bits(self.ratio.load(Ordering::Relaxed));
        (ratio > 0.0).then_some(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_corrected_by_what_was_reported() {
        let calibration = Calibration::default();
        assert_eq!((calibration.correct(100), calibration.correct(0)), (100, 1));
        calibration.observe(1000, 1500);
        assert_eq!(calibration.correct(100), 150, "the first report is believed");
        calibration.observe(1000, 700);
        assert_eq!(calibration.correct(100), 140, "the next one counts an eighth");
        for _ in 0..100 {
            calibration.observe(1000, 700);
        }
        assert_eq!(calibration.correct(1000).div_ceil(10), 71);
        assert_eq!(calibration.correct(0), 1);
    }

    #[test]
    fn what_says_nothing_about_text_is_not_learnt() {
        let calibration = Calibration::default();
        calibration.observe(10, 1000);
        calibration.observe(1000, 0);
        assert_eq!(calibration.correct(100), 100);
        calibration.observe(100, 1_000_000);
        assert_eq!(calibration.correct(100), 400, "bounded");
    }
}
