//! Requests: [`read()`] takes a Responses body into the hub, [`write()`] makes one from the hub, and
//! [`echo()`] picks the fields that an answer repeats.
//!
//! For an upstream of the same dialect, `own` takes out what it cannot read, and `read_own` leaves
//! as they are the tools that only this dialect knows.
//!
//! `read` holds the fields of the body, `items` the conversation, `content` what an item says, `tools`
//! what may be called; `write` puts the conversation together again, and `params` everything else.
//!
//! Invariant: no unknown field is an error. It is kept in [`Request::extra`], under the name of its place
//! where that is not the top level (`text.verbosity`), and named by a writer that cannot carry it.
//!
//! [`Request::extra`]: crate::hub::request::Request::extra

mod content;
mod echo;
mod items;
mod own;
mod params;
mod read;
#[cfg(test)]
mod tests;
mod tools;
mod write;

pub use echo::echo;
pub(crate) use own::own;
pub(crate) use read::format;
pub use read::read;
pub(crate) use read::read_own;
pub use write::write;
