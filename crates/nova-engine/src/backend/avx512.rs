//! Kernels for AVX-512 with VNNI (Intel since Ice Lake, AMD since Zen 4).

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_reduce_max_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::activation::{ActBlock, exp};
use super::attention::Query;
use super::pack::{LANES, Tile};

/// Products of one tile with `M` rows: eight dot-product instructions per block and row.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    if tile.offsets.is_empty() { products::<M, false>(tile, rows) } else { products::<M, true>(tile, rows) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn products<const M: usize, const OFFSETS: bool>(
    tile: Tile<'_>,
    rows: [&[ActBlock]; M],
) -> [[f32; LANES]; M] {
    let blocks = tile.blocks.len();
    // One check here instead of one per block and row below.
    let rows = rows.map(|row| &row[..blocks]);
    let mut totals = [_mm512_setzero_ps(); M];
    for (b, lines) in tile.blocks.iter().enumerate() {
        let mut sums = [_mm512_set1_epi32(0); M];
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm512_set1_epi32(row[b].bias);
        }
        for (g, line) in lines.iter().enumerate() {
            // SAFETY: a `Line` is 64 bytes long and aligned to 64 bytes.
            let weights = unsafe { _mm512_load_si512(line.0.as_ptr().cast()) };
            for m in 0..M {
                sums[m] = _mm512_dpbusd_epi32(sums[m], weights, _mm512_set1_epi32(rows[m][b].words[g]));
            }
        }
        let scales = load(&tile.scales[b].0);
        for m in 0..M {
            let scale = _mm512_mul_ps(scales, _mm512_set1_ps(rows[m][b].scale));
            totals[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[m]), scale, totals[m]);
        }
        if OFFSETS {
            let offsets = load(&tile.offsets[b].0);
            for m in 0..M {
                totals[m] = _mm512_fmadd_ps(offsets, _mm512_set1_ps(rows[m][b].sum), totals[m]);
            }
        }
    }
    // Loops here and above, not closures handed to the standard library: those are compiled without the instructions.
    let mut out = [[0.0; LANES]; M];
    for (out, total) in out.iter_mut().zip(totals) {
        store(out, total);
    }
    out
}

/// Attention of `G` heads for one row; see `scalar::attend` for what it computes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn attend<const G: usize>(query: Query<'_, G>, scores: &mut [f32], out: &mut [f32]) {
    let stride = query.len.next_multiple_of(LANES);
    let most = all_scores(&query, stride, scores);
    let mut scale = [0.0; G];
    for g in 0..G {
        let mut sum = _mm512_setzero_ps();
        for chunk in scores[g * stride..(g + 1) * stride].as_chunks_mut::<LANES>().0 {
            for score in chunk.iter_mut() {
                *score = exp(*score - most[g]);
            }
            sum = _mm512_add_ps(sum, load(chunk));
        }
        // Positions past the end entered as the lowest score, so at most 15 · 10⁻³⁸ of them is in the sum.
        scale[g] = 1.0 / _mm512_reduce_add_ps(sum);
    }
    let size = query.head_size;
    let mut from = 0;
    while from < size {
        from += match size - from {
            64.. => weigh::<G, 4>(&query, (scores, stride), scale, from, out),
            _ => weigh::<G, 1>(&query, (scores, stride), scale, from, out),
        };
    }
}

/// Scores of all positions and heads; returns each head's largest.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn all_scores<const G: usize>(query: &Query<'_, G>, stride: usize, scores: &mut [f32]) -> [f32; G] {
    let lowest = _mm512_set1_ps(f32::MIN);
    let mut most = [lowest; G];
    let heads = query.heads.map(|head| &head[..query.head_size]);
    for block in 0..stride / LANES {
        let keys = &query.span.keys(block).as_chunks::<LANES>().0[..query.head_size];
        let valid = (query.len - block * LANES).min(LANES);
        let mask = ((1_u32 << valid) - 1) as u16;
        let mut sums = [_mm512_setzero_ps(); G];
        for (d, keys) in keys.iter().enumerate() {
            let keys = load(keys);
            for g in 0..G {
                sums[g] = _mm512_fmadd_ps(_mm512_set1_ps(heads[g][d]), keys, sums[g]);
            }
        }
        for g in 0..G {
            let score = _mm512_mul_ps(sums[g], _mm512_set1_ps(query.scale));
            let score = _mm512_mask_blend_ps(mask, lowest, score);
            most[g] = _mm512_max_ps(most[g], score);
            let at = g * stride + block * LANES;
            if let Some(chunk) = scores[at..].first_chunk_mut::<LANES>() {
                store(chunk, score);
            }
        }
    }
    most.map(|most| _mm512_reduce_max_ps(most))
}

/// The weighted sum of values for `16 J` dimensions from `from`; returns their number.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn weigh<const G: usize, const J: usize>(
    query: &Query<'_, G>,
    (scores, stride): (&[f32], usize),
    scale: [f32; G],
    from: usize,
    out: &mut [f32],
) -> usize {
    let size = query.head_size;
    let heads: [&[f32]; G] = std::array::from_fn(|g| &scores[g * stride..g * stride + query.len]);
    let mut sums = [[_mm512_setzero_ps(); J]; G];
    for block in 0..stride / LANES {
        let values = query.span.values(block).chunks_exact(size);
        let first = block * LANES;
        for (position, value) in (first..query.len).zip(values) {
            let mut lanes = [_mm512_setzero_ps(); J];
            for (j, lanes) in lanes.iter_mut().enumerate() {
                *lanes = load_at(value, from + j * LANES);
            }
            for g in 0..G {
                let weight = _mm512_set1_ps(heads[g][position]);
                for j in 0..J {
                    sums[g][j] = _mm512_fmadd_ps(weight, lanes[j], sums[g][j]);
                }
            }
        }
    }
    for g in 0..G {
        for (j, sum) in sums[g].into_iter().enumerate() {
            let at = g * size + from + j * LANES;
            if let Some(chunk) = out[at..].first_chunk_mut::<LANES>() {
                store(chunk, _mm512_mul_ps(sum, _mm512_set1_ps(scale[g])));
            }
        }
    }
    J * LANES
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference covers the 16 floats that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(from.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_at(from: &[f32], at: usize) -> __m512 {
    match from[at..].first_chunk::<LANES>() {
        Some(chunk) => load(chunk),
        None => _mm512_setzero_ps(),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [f32; LANES], value: __m512) {
    // SAFETY: the reference covers the 16 floats that are written; the store needs no alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
}
