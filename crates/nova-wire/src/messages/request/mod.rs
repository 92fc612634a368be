//! Requests: [`read()`] takes a Messages body into the hub, [`write()`] makes one from the hub.
//!
//! `blocks` reads content; `turns` writes the conversation under Anthropic's rules of order, `content`
//! its blocks, `tools` what may be called (`by_name`: what only Anthropic's models know without a schema), and `thinking` settles how much the model may think.
//!
//! Invariant: no unknown field is an error. It is kept in [`hub::Request::extra`], under the name of
//! its place where that is not the top level (`thinking.display`), and named by a writer that cannot
//! carry it.
//!
//! [`hub::Request::extra`]: crate::hub::request::Request::extra

mod blocks;
mod by_name;
mod content;
mod read;
mod strict;
#[cfg(test)]
mod tests;
mod thinking;
mod tools;
mod turns;
mod write;

pub(crate) use by_name::as_functions;
pub(super) use content::arguments;
pub(crate) use read::format;
pub use read::read;
pub use write::write;
pub(crate) use write::{body, drop_named};
