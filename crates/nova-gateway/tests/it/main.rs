//! The gateway over real sockets: a scripted provider behind it, a plain HTTP client before it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test, a surprise is a failure")]

mod admin;
mod answers;
mod budgets;
mod choosing;
mod clouds;
mod compare;
mod controls;
mod conversations;
mod counts;
mod failures;
mod form;
mod generation;
mod harness;
mod inbound;
mod keys;
mod models;
mod protocols;
mod reload;
mod requests;
mod rules;
mod services;
mod shadows;
mod streams;
