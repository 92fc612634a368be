//! Development only: what tests of the other crates talk to.
//!
//! The crate depends on no other crate of the workspace, so that each of them can use it. What it
//! writes is what a test says, byte for byte, and when a test says it: there is no timer and no
//! sleep in here, only gates that a test opens and conditions that a test waits for.
//!
//! Reading order:
//!
//! 1. [`script`] says what an upstream does with one request: write, wait for a gate, stall, reset.
//! 2. [`upstream`] is the listener that plays scripts over real sockets and records what it was sent.
//! 3. [`http2`] is its sibling for HTTP/2 over TLS; [`tls`] holds the certificate of both.
//! 4. [`waiting`] waits for a condition, bounded in real time and without sleeping.
//! 5. [`postgres`] starts a private database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: whatever goes wrong in here has to fail the test that uses it"
)]

pub mod http2;
pub mod postgres;
pub mod script;
pub mod tls;
pub mod upstream;
pub mod waiting;

mod record;

pub use http2::{Http2Reply, Http2Upstream};
pub use record::RecordedRequest;
pub use script::{Gate, Script, Step};
pub use upstream::ScriptedUpstream;
pub use waiting::{bounded, until};
