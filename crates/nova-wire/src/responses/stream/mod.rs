//! Responses streams: typed events around items, read leniently and written strictly.

mod observer;
mod reader;
mod writer;

pub use observer::Observer;
pub use reader::Reader;
pub use writer::Writer;

#[cfg(test)]
pub(crate) mod tests;
