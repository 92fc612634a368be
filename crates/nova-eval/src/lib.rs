//! Trains what the router knows, and measures how well it chooses.
//!
//! Invariant: everything here is deterministic: the same files and the same seed give the same artefact, byte
//! for byte, and the same report but for its timings. Nothing here runs in the gateway: what requests use
//! stands in `nova-route`, and this crate only makes its tables and judges its answers.
