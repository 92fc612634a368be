//! What the gateway learns from its own traffic, in cells that many threads write at once.
//!
//! Invariants: no cell takes a lock or allocates; each is bounded in size and forgets, so that what was true long
//! ago gives way to what is true now; what was not seen yet is [`assumed`] and says so. Times are arguments.
//!
//! Reading order: [`Mean`] and [`Evidence`] are single cells; [`ModelCells`] is what is learnt of a model,
//! [`Speed`] of a deployment; [`Sessions`] is who answered a conversation last; [`assumed`] is what to start from.

pub mod assumed;
mod cells;
mod model;
mod sessions;
mod speed;

pub use cells::{Evidence, Mean};
pub use model::{KINDS, Kind, ModelCells};
pub use sessions::{Sessions, Turn};
pub use speed::{Busy, Speed};
