//! Requests: [`read()`] takes a `generateContent` body into the hub, [`write()`] makes one from the hub.
//!
//! `contents` reads the conversation, `turns` writes it under Google's rules of order, and `config` writes
//! `generationConfig`; `bent` changes a body that is passed on. The path says which model answers and whether it streams; no body does.
//!
//! Invariant: no unknown field is an error. It is kept in [`hub::Request::extra`], under the name of its
//! place where that is not the top level (`generationConfig.seed`), and named by a writer that cannot
//! carry it.
//!
//! [`hub::Request::extra`]: crate::hub::request::Request::extra

mod bent;
mod config;
mod contents;
mod read;
#[cfg(test)]
mod tests;
mod tools;
mod turns;
mod write;

pub(crate) use bent::bent;
pub(crate) use config::MOST_STOPS;
pub(crate) use read::format;
pub use read::read;
pub use write::write;
