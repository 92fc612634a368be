//! Metrics of feedback: their names, and which end of their scale is the good one.

use super::Checker;
use crate::config::checked::Metric;
use crate::config::raw::RawFeedback;

/// Metrics that every gateway knows.
const BUILTIN: [&str; 2] = ["score", "thumbs"];

impl Checker<'_> {
    pub(super) fn feedback(&mut self, raw: &RawFeedback) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for (name, scale) in &raw.metrics.0 {
            let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            if BUILTIN.contains(&name.value.as_str()) {
                self.problem(name, format!("`{}` has its own scale", name.value)).hint =
                    Some("use another name".into());
            } else if !(1..=64).contains(&name.len()) || !name.bytes().all(letter) {
                self.problem(name, format!("`{}` is no name of a metric", name.value)).hint =
                    Some("use up to 64 letters, digits, `_`, `-` and `.`".into());
            }
            let (worst, best) = (scale.worst.value, scale.best.value);
            if !(worst.is_finite() && best.is_finite()) || worst == best {
                self.problem(&scale.best, format!("from {worst} to {best} is no scale")).hint =
                    Some("write two different numbers, such as `{ worst: 1, best: 5 }`".into());
            }
            metrics.push(Metric { name: name.value.clone(), worst, best });
        }
        metrics
    }
}
