//! What travels on the wire and how it is translated: bytes in, bytes out.
//!
//! The crate is pure. It does no IO, reads no clock and draws no randomness; ids and times that an
//! answer needs are arguments ([`ReplyContext`]). Everything that it reads is hostile: no input may
//! make it panic, recurse without bound, or allocate more than a small multiple of the input.
//!
//! Reading order:
//!
//! 1. [`dialect`] names the wire schemas; [`peek`] reads the few fields that the gateway acts on
//!    without building a tree, and [`splice`] changes those fields and leaves every other byte alone;
//!    both stand on `scan`, one pass over raw JSON. [`controls`] takes out what is for the gateway alone,
//!    [`preset`] puts in what the operator adds.
//! 2. [`hub`] is the one neutral form that a translation passes through, in both directions:
//!    request, reply, and the deltas of a stream; and the passes over it that all pairs need.
//! 3. [`chat`], [`messages`], [`responses`], [`gemini`] and [`converse`] read and write the hub, one module
//!    per dialect. Several share `fields` (taking a body apart), `draft` (putting one together) and `ids`
//!    (the spelling of tools' ids and names).
//! 4. [`translate`] puts them together: what goes upstream, and what comes back to the client.
//! 5. [`sse`] frames streams; [`usage`] and [`error`] read counts and failures from any provider.
//! 6. [`quirks`] says, as data, in what a provider differs from its dialect.

pub mod chat;
pub mod controls;
pub mod converse;
pub mod dialect;
mod draft;
pub mod error;
mod fields;
pub mod gemini;
pub mod hub;
mod ids;
pub mod messages;
pub mod peek;
pub mod preset;
pub mod quirks;
pub mod responses;
mod scan;
pub mod splice;
pub mod sse;
#[cfg(test)]
mod support;
pub mod translate;
pub mod usage;

pub use dialect::Dialect;
pub use error::{BadRequest, ErrorClass, ErrorView, UpstreamError};
pub use hub::reply::Finish;
pub use peek::Peek;
pub use quirks::Quirks;
pub use translate::{Meter, Outbound, Reply, ReplyContext, StreamRelay, Target};
pub use usage::Usage;
