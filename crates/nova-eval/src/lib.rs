//! Trains what the router knows, and measures how well it chooses.
//!
//! Invariant: everything here is deterministic: the same files and the same seed give the same artefact, byte
//! for byte, and the same report but for its timings. Nothing here runs in the gateway: what requests use
//! stands in `nova-route`, and this crate only makes its tables and judges its answers.
//!
//! Reading order: [`outcomes`] are graded answers and [`prices`] what they cost; [`train`] learns from them;
//! [`tasks`] trains and judges the classifier of tasks; [`judge`] measures; [`suite`] says what is measured on which data;
//! a [`report`] is what comes out.

mod draw;
mod hash;
pub mod judge;
pub mod outcomes;
pub mod prices;
pub mod report;
pub mod suite;
pub mod tasks;
pub mod train;
