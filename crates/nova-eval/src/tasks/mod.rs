//! Trains and judges the classifier of tasks.
//!
//! Reading order: `rows` reads the data; `train` learns weights, helped by `phrases` (more prompts) and
//! `augment` (other forms of the same prompt); `cross` learns and judges five times, so that nothing is judged
//! by what it learnt from, and calibrates; `report` is what that says.

mod augment;
mod cross;
mod phrases;
mod random;
mod report;
mod rows;
mod train;

#[cfg(test)]
mod tests;

pub use cross::{Judged, Split, calibrated, cross_validate, judge};
pub use report::{Calibration, Counts, Report};
pub use rows::{Row, RowsError, Style, read};
pub use train::{Options, train};
