//! The gateway over real sockets: a scripted provider behind it, a plain HTTP client before it.

mod admin;
mod answers;
mod failures;
mod harness;
mod keys;
mod reload;
mod requests;
mod streams;
