//! Chat streams: `chat.completion.chunk` events, read leniently and written strictly.

mod observer;

pub use observer::Observer;
