//! How good an answer each model is likely to give.
//!
//! Invariant: pure and total: any text, any outcome and any bytes give an answer or an error, never a panic,
//! and the same arguments always give the same one.
//!
//! Reading order: [`Belief`] is what one cell knows and how it learns, [`Alarm`] hears when it stops being true.
//! [`Quality`] is what was learnt from graded answers: a table of such cells by kind of request, heads that
//! look at the request itself, and a [`Forest`] that corrects both; `artefact` is its form in bytes.

mod artefact;
mod belief;
mod forest;
mod judge;

pub use artefact::ArtefactError;
pub use belief::{Alarm, Belief};
pub use forest::{DEPTH, Forest, LEAVES};
pub use judge::{Cell, Expected, Judgement, Learnt, Quality, QualityError, first_estimate, likelihoods};
