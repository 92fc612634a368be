//! The one neutral form that every translation passes through.
//!
//! Invariant: a dialect that is read into the hub and written back in the same dialect means the
//! same, and what the target cannot carry is returned by name (`dropped`), never lost in silence.
//! The hub holds what two or more dialects share, in their common meaning; it is no union of all.
//!
//! [`request`] is what a client asks, [`reply`] a whole answer, [`delta`] a piece of a streamed one;
//! `stops` ends answers where the target does not;
//! [`names`] brings tools into names and forms that the target takes, and back; [`past`] does so for
//! the thinking of earlier turns, and [`structured`] for the form of an answer.

pub mod delta;
pub mod names;
pub mod past;
pub mod reply;
pub mod request;
pub(crate) mod shared;
pub(crate) mod stops;
pub mod structured;
