//! Local inference: an OpenAI-compatible server over a small pure-Rust engine.
