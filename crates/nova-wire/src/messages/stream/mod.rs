//! Streams of Messages events.
//!
//! `reader` takes events into deltas, `writer` is the state machine that makes events of deltas, and
//! `observer` looks at a stream that is passed through.

mod observer;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use observer::Observer;
pub use reader::Reader;
pub use writer::Writer;
