//! The engine as its clients see it: over real sockets, with the random model.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod client;
mod server;
