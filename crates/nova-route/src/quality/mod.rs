//! How good an answer each model is likely to give.
//!
//! Invariant: pure and total: any text, any outcome and any bytes give an answer or an error, never a panic,
//! and the same arguments always give the same one.
//!
//! Reading order: [`Belief`] is what one cell knows and how it learns, [`Alarm`] hears when it stops being true.

mod belief;

pub use belief::{Alarm, Belief};
