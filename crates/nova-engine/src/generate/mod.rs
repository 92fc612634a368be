//! From logits to text: choosing tokens, turning them into characters, and knowing when to stop.
//!
//! Invariant: what a sequence says depends on its prompt, its parameters and its seed alone.
//!
//! Reading order: `sample.rs` (logits to token) → `text.rs` (tokens to text, stop strings held back).

mod sample;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use sample::{Sampler, Sampling};
pub(crate) use text::TextStream;
