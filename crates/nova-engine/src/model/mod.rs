//! The Llama architecture: from token ids and a cache to logits.
//!
//! Invariant: a forward pass takes rows of any number of sequences at once; the linear layers see one flat matrix of
//! rows, attention sees each row with its own sequence's context. Nothing is padded.
//!
//! Reading order: `config.rs` (shapes, checked once) → `weights.rs` (load and pack) → `cache.rs` (keys and values) →
//! `forward.rs` (one pass).

mod cache;
mod config;
mod forward;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use cache::{BLOCK_TOKENS, Cache, CacheShape};
pub(crate) use config::Config;
pub(crate) use forward::{Forward, Piece};
pub(crate) use weights::Weights;
