//! Kernels for AVX2 with FMA (x86-64 since about 2013).

use std::arch::x86_64::{
    __m256i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_load_ps,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8,
    _mm256_storeu_ps,
};

use super::activation::ActBlock;
use super::attention::Query;
use super::pack::{LANES, Line, Tile};
use super::scalar;

/// Products of one tile with `M` rows.
///
/// The instruction multiplies unsigned by signed bytes and adds pairs in 16 bits. `|w| · sign(x, w)` gives it what it
/// wants, and since neither factor exceeds 128, a pair of products stays below its limit of 32,767.
#[target_feature(enable = "avx2,fma")]
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    let blocks = tile.blocks.len();
    let rows = rows.map(|row| &row[..blocks]);
    let ones = _mm256_set1_epi16(1);
    let mut totals = [[_mm256_setzero_ps(); 2]; M];
    for (b, lines) in tile.blocks.iter().enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; M];
        for (g, line) in lines.iter().enumerate() {
            let weights = halves(line);
            let magnitudes = [_mm256_abs_epi8(weights[0]), _mm256_abs_epi8(weights[1])];
            for m in 0..M {
                let x = _mm256_set1_epi32(rows[m][b].words[g]);
                for half in 0..2 {
                    let pairs = _mm256_maddubs_epi16(magnitudes[half], _mm256_sign_epi8(x, weights[half]));
                    sums[m][half] = _mm256_add_epi32(sums[m][half], _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        let scales = &tile.scales[b].0;
        for half in 0..2 {
            // SAFETY: `Scales` are 16 floats aligned to 64 bytes; each half is 8 of them, aligned to 32 bytes.
            let scales = unsafe { _mm256_load_ps(scales.as_ptr().add(half * 8)) };
            for m in 0..M {
                let scale = _mm256_mul_ps(scales, _mm256_set1_ps(rows[m][b].scale));
                totals[m][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[m][half]), scale, totals[m][half]);
            }
            if let Some(offsets) = tile.offsets.get(b) {
                // SAFETY: as above.
                let offsets = unsafe { _mm256_load_ps(offsets.0.as_ptr().add(half * 8)) };
                for m in 0..M {
                    totals[m][half] =
                        _mm256_fmadd_ps(offsets, _mm256_set1_ps(rows[m][b].sum), totals[m][half]);
                }
            }
        }
    }
    let mut out = [[0.0; LANES]; M];
    for (out, total) in out.iter_mut().zip(totals) {
        for (half, total) in out.as_chunks_mut::<8>().0.iter_mut().zip(total) {
            // SAFETY: the reference covers the 8 floats that are written; the store needs no alignment.
            unsafe { _mm256_storeu_ps(half.as_mut_ptr(), total) };
        }
    }
    out
}

/// Attention of `G` heads for one row: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx2,fma")]
pub(super) fn attend<const G: usize>(query: Query<'_, G>, scores: &mut [f32], out: &mut [f32]) {
    scalar::attend::<G, true>(query, scores, out);
}

#[inline]
#[target_feature(enable = "avx2")]
fn halves(line: &Line) -> [__m256i; 2] {
    let start: *const __m256i = line.0.as_ptr().cast();
    // SAFETY: a `Line` is 64 bytes long and aligned to 64 bytes, so both halves are 32 aligned bytes inside it.
    unsafe { [_mm256_load_si256(start), _mm256_load_si256(start.add(1))] }
}
