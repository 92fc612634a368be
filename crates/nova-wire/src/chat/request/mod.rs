//! Chat requests, to and from the hub.
//!
//! [`read`] takes what any client sends, legacy `functions` included. [`write()`] bends the hub's request
//! to one upstream by its quirks, and names what that upstream cannot carry; `write/turns.rs` holds the
//! rules of the conversation, `write/params.rs` those of everything else.

mod read;
mod write;

pub(crate) use read::format;
pub use read::read;
pub use write::write;

#[cfg(test)]
mod tests;
