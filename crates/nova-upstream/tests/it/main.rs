//! The client against upstreams on real sockets.

mod pooling;
mod support;
