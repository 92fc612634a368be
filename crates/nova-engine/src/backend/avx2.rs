//! Kernels for AVX2 with FMA (x86-64 since about 2013).

use std::arch::x86_64::{
    __m256, __m256i, _mm256_abs_epi8, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_load_ps,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sign_epi8, _mm256_storeu_ps,
};

use super::activation::{self, ActBlock};
use super::attention::{Query, Share};
use super::pack::{LANES, Line, QUADS, Scales, Tile};
use super::scalar;

/// Outputs per register.
const HALF: usize = LANES / 2;

/// Products of one tile with `M` rows: for each row and half of the tile eight sums, one per four weights of a block (see
/// `scalar::tile`), which is half of the registers.
#[target_feature(enable = "avx2,fma")]
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    let mut out = [[0.0; LANES]; M];
    for half in 0..2 {
        for (row, out) in rows.iter().zip(&mut out) {
            let sum = if tile.offsets.is_empty() {
                sums::<true>(tile, half, row)
            } else {
                sums::<false>(tile, half, row)
            };
            // SAFETY: eight floats of sixteen are written from place 0 or 8; the store needs no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(half * HALF), sum) };
        }
    }
    out
}

/// One half of a tile's outputs for one row.
///
/// The instruction multiplies unsigned by signed bytes and adds pairs in 16 bits. `|w| · sign(x, w)` gives signed weights
/// what it wants, and since neither factor exceeds 128, a pair of products stays below its limit of 32,767.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn sums<const SIGNED: bool>(tile: Tile<'_>, half: usize, row: &[ActBlock]) -> __m256 {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_ps(); QUADS];
    let mut offset = _mm256_setzero_ps();
    for (b, (lines, x)) in tile.blocks.iter().zip(row).enumerate() {
        let scale = _mm256_mul_ps(eight(&tile.scales[b], half), _mm256_set1_ps(x.scale));
        for g in 0..QUADS {
            let weights = bytes(&lines[g], half);
            let x = _mm256_set1_epi32(x.words[g]);
            let pairs = if SIGNED {
                _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights))
            } else {
                _mm256_maddubs_epi16(weights, x)
            };
            let product = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, ones));
            sums[g] = _mm256_fmadd_ps(product, scale, sums[g]);
        }
        if !SIGNED {
            let offsets = eight(&tile.offsets[b], half);
            offset = _mm256_fmadd_ps(offsets, _mm256_set1_ps(x.sum), offset);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let even = _mm256_add_ps(_mm256_add_ps(a, e), _mm256_add_ps(c, g));
    let odd = _mm256_add_ps(_mm256_add_ps(b, f), _mm256_add_ps(d, h));
    let sum = _mm256_add_ps(even, odd);
    if SIGNED { sum } else { _mm256_add_ps(sum, offset) }
}

/// SwiGLU: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    activation::swiglu::<true>(gate, up);
}

/// Rotary positions: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn rotate(heads: &mut [f32], turns: &[(f32, f32)]) {
    activation::rotate::<true>(heads, turns);
}

/// Attention of `G` heads for one row: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn attend<const G: usize>(query: Query<'_, G>, scores: &mut [f32], out: &mut [f32]) -> [Share; G] {
    scalar::attend::<G, true>(query, scores, out)
}

/// The scales (or offsets) of one half of a tile.
#[inline]
#[target_feature(enable = "avx2")]
fn eight(scales: &Scales, half: usize) -> __m256 {
    // SAFETY: `Scales` are 16 floats aligned to 64 bytes; each half is 8 of them, aligned to 32 bytes.
    unsafe { _mm256_load_ps(scales.0.as_ptr().add(half * HALF)) }
}

/// The weights of one half of a line.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes(line: &Line, half: usize) -> __m256i {
    let start: *const __m256i = line.0.as_ptr().cast();
    // SAFETY: a `Line` is 64 bytes long and aligned to 64 bytes, so both halves are 32 aligned bytes inside it.
    unsafe { _mm256_load_si256(start.add(half)) }
}
