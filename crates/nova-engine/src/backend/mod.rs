//! The arithmetic: int8 matrix products, exact-length attention and the small steps between them.
//!
//! Invariant: a row's result depends on that row's numbers alone, never on which other rows were computed with it, on how
//! many threads took part, or on which kernel was chosen: all give the same bits. This is what makes a sequence's tokens
//! the same alone, in a crowd and on another processor.
//!
//! This is the only place with `unsafe`: instructions that the processor may lack (`avx2.rs`, `avx512.rs`, `neon.rs`)
//! and borrowed work on threads that outlive the borrow (`pool.rs`). `scalar.rs` is the reference for all of them.
//!
//! Reading order: `mod.rs` (which instructions there are) → `float.rs` (how numbers are rounded) → `pack.rs` (weights in
//! tiles) → `activation.rs` (rows in blocks) → `scalar.rs` → `matmul.rs` → `attention.rs` → `pool.rs`, then the faster kernels.

mod activation;
mod attention;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]
mod avx512;
mod float;
mod matmul;
#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "vector instructions; each block says why it is sound")]
mod neon;
mod pack;
#[expect(unsafe_code, reason = "lends a borrowed closure to threads; the block says why it is sound")]
mod pool;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use activation::{Activations, rms_norm};
pub(crate) use attention::{Attention, Span, attend};
pub(crate) use float::{half, half_bits};
pub(crate) use matmul::matmul;
pub(crate) use pack::{LANES, Packed, Part};
pub(crate) use pool::Pool;

use crate::gguf::TensorKind;
use activation::ActBlock;
use attention::{Query, Share};
use pack::Tile;

/// The instruction sets that there are kernels for, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain Rust: the reference, and the last resort.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with its int8 dot products (VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// All kernels that this processor can run, slowest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = vec![Self::Scalar];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                found.push(Self::Avx512);
            }
        }
        // Part of every 64-bit ARM processor.
        #[cfg(target_arch = "aarch64")]
        found.push(Self::Neon);
        found
    }

    /// The fastest kernel of this processor.
    pub(crate) fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// The name for logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512-vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
        }
    }

    /// What weights are XOR-ed with when packed: VNNI multiplies unsigned by signed bytes, so it wants `w + 128` unless
    /// the weights are unsigned anyway, which those with offsets are.
    fn flip(self, kind: TensorKind) -> u8 {
        if kind.has_offsets() {
            return 0;
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 0x80,
            _ => 0,
        }
    }

    /// Products of one tile (16 outputs) with `M` rows.
    #[allow(unsafe_code, reason = "on ARM no kernel needs it here")]
    fn tile<const M: usize>(self, tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
        match self {
            Self::Scalar => scalar::tile::<M, false>(tile, rows),
            // SAFETY: a value `Avx2` comes from `available` alone, which saw the features that the kernel is built for.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::tile(tile, rows) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::tile(tile, rows) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::tile(tile, rows),
        }
    }

    /// `gate · sigmoid(gate) · up`, in place of `gate`.
    #[allow(unsafe_code, reason = "on ARM no kernel needs it here")]
    pub(crate) fn swiglu(self, gate: &mut [f32], up: &[f32]) {
        match self {
            Self::Scalar => activation::swiglu::<false>(gate, up),
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::swiglu(gate, up) },
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::swiglu(gate, up) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => activation::swiglu::<true>(gate, up),
        }
    }

    /// Turns the neighbouring pairs of each head by the angles whose cosines and sines are `turns`.
    #[allow(unsafe_code, reason = "on ARM no kernel needs it here")]
    pub(crate) fn rotate(self, heads: &mut [f32], turns: &[(f32, f32)]) {
        match self {
            Self::Scalar => activation::rotate::<false>(heads, turns),
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::rotate(heads, turns) },
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::rotate(heads, turns) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => activation::rotate::<true>(heads, turns),
        }
    }

    /// Attention of `G` query heads that share one key/value head, for one row, over one stretch of its context.
    #[allow(unsafe_code, reason = "on ARM no kernel needs it here")]
    fn attend<const G: usize>(self, query: Query<'_, G>, scores: &mut [f32], out: &mut [f32]) -> [Share; G] {
        match self {
            Self::Scalar => scalar::attend::<G, false>(query, scores, out),
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::attend(query, scores, out) },
            // SAFETY: as in `tile`.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::attend(query, scores, out) },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => scalar::attend::<G, true>(query, scores, out),
        }
    }
}
