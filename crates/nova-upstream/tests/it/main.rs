//! The client against upstreams on real sockets.

mod bodies;
mod cancelling;
mod connecting;
mod deadlines;
mod garbage;
mod http2;
mod pooling;
mod sharing;
mod support;
