//! Rate limits, bounds on what is in flight, and breakers.
//!
//! Invariant: nothing here reads a clock, takes a lock or allocates on its hot path. Time is an argument,
//! `now_ns`, nanoseconds on any clock that does not run backwards; a value that does run backwards can
//! only make a limit stricter.
//!
//! Reading order: [`Bucket`] bounds a rate, [`Gate`] bounds what runs at once and gives back through
//! [`Permit`]'s `Drop`, [`Breaker`] keeps requests away from what has failed repeatedly.

mod breaker;
mod bucket;
mod gate;

pub use breaker::{Allowed, Breaker};
pub use bucket::Bucket;
pub use gate::{Gate, Permit};
