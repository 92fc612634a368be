//! Streams of `GenerateContentResponse` chunks.
//!
//! `reader` takes chunks into deltas (`partial` puts calls together that come in pieces, `grounding` reads what was cited), `writer` makes
//! chunks of deltas, and `observer` looks at a stream that is passed through.
//!
//! No chunk ends a stream of this dialect: the connection does. What tells a whole answer from one that
//! was cut is a `finishReason`, which need not stand on the last chunk.

mod grounding;
mod observer;
mod partial;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use observer::Observer;
pub use reader::Reader;
pub use writer::Writer;

pub(crate) use writer::KEEP_ALIVE;
