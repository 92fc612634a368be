//! Trainers: graded answers in, what requests use out.
//!
//! Invariant: the same rows in the same order with the same seed give the same bytes.
//!
//! Reading order: [`matrix`] is what trainers see of texts, [`logistic`] learns weights, [`forest`] grows
//! trees, [`quality`] puts a table, weights and trees together.

pub mod forest;
pub mod logistic;
pub mod matrix;
pub mod quality;
