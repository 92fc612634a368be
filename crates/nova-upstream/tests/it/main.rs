//! The client against upstreams on real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test's helper fails the test")]

mod bodies;
mod cancelling;
mod connecting;
mod deadlines;
mod garbage;
mod http2;
mod pooling;
mod sharing;
mod signing;
mod support;
