//! Kernels for AVX-512 with VNNI (Intel since Ice Lake, AMD since Zen 4).

use std::arch::x86_64::{
    __m512, __m512d, _CMP_LT_OQ, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm512_add_epi64,
    _mm512_add_pd, _mm512_add_ps, _mm512_castpd_si512, _mm512_castps_si512, _mm512_castsi512_pd,
    _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtpd_ps, _mm512_cvtph_ps,
    _mm512_cvtps_pd, _mm512_cvtps_ph, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512,
    _mm512_loadu_pd, _mm512_loadu_ps, _mm512_mask_blend_pd, _mm512_mask_or_epi32, _mm512_max_ps,
    _mm512_mul_pd, _mm512_mul_ps, _mm512_permutex2var_pd, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_set1_pd, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi64, _mm512_storeu_ps, _mm512_sub_pd,
    _mm512_sub_ps, _mm512_test_epi64_mask,
};

use super::activation::{self, ActBlock};
use super::attention::{Query, Share};
use super::float::{LOWEST, POWERS, ROUND_F64, SCALE, TERMS};
use super::pack::{LANES, QUADS, Tile};
use super::scalar::{self, shrink_and_weight};

/// Products of one tile with `M` rows.
///
/// Two rows at a time: their sixteen sums (see `scalar::tile`) fill half of the registers, and what a tile's weights cost
/// to load again, from the nearest cache, hides behind the sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    let mut out = [[0.0; LANES]; M];
    let ((pairs, last), (pairs_out, last_out)) = (rows.as_chunks::<2>(), out.as_chunks_mut::<2>());
    for (pair, out) in pairs.iter().zip(pairs_out) {
        products(tile, *pair, out);
    }
    for (row, out) in last.iter().zip(last_out) {
        products(tile, [*row], std::array::from_mut(out));
    }
    out
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn products<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M], out: &mut [[f32; LANES]; M]) {
    // Weights with offsets are unsigned as they are, the others are stored with 128 added: the instruction multiplies
    // unsigned by signed bytes.
    if tile.offsets.is_empty() {
        sums::<M, true>(tile, rows, out);
    } else {
        sums::<M, false>(tile, rows, out);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn sums<const M: usize, const FLIPPED: bool>(
    tile: Tile<'_>,
    mut rows: [&[ActBlock]; M],
    out: &mut [[f32; LANES]; M],
) {
    let blocks = tile.blocks.len();
    // One check here instead of one per block and row below. Loops here and below, not closures handed to the standard
    // library: those are compiled without the instructions.
    for row in &mut rows {
        *row = &row[..blocks];
    }
    let mut sums = [[_mm512_setzero_ps(); QUADS]; M];
    let mut offset = [_mm512_setzero_ps(); M];
    for (b, lines) in tile.blocks.iter().enumerate() {
        let scales = load(&tile.scales[b].0);
        let mut scale = [scales; M];
        for m in 0..M {
            scale[m] = _mm512_mul_ps(scales, _mm512_set1_ps(rows[m][b].scale));
        }
        for g in 0..QUADS {
            // SAFETY: a `Line` is 64 bytes long and aligned to 64 bytes.
            let weights = unsafe { _mm512_load_si512(lines[g].0.as_ptr().cast()) };
            for m in 0..M {
                let row = &rows[m][b];
                let none = _mm512_set1_epi32(if FLIPPED { row.biases[g] } else { 0 });
                let product = _mm512_dpbusd_epi32(none, weights, _mm512_set1_epi32(row.words[g]));
                sums[m][g] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scale[m], sums[m][g]);
            }
        }
        if !FLIPPED {
            let offsets = load(&tile.offsets[b].0);
            for m in 0..M {
                offset[m] = _mm512_fmadd_ps(offsets, _mm512_set1_ps(rows[m][b].sum), offset[m]);
            }
        }
    }
    for m in 0..M {
        let [a, b, c, d, e, f, g, h] = sums[m];
        let even = _mm512_add_ps(_mm512_add_ps(a, e), _mm512_add_ps(c, g));
        let odd = _mm512_add_ps(_mm512_add_ps(b, f), _mm512_add_ps(d, h));
        let sum = _mm512_add_ps(even, odd);
        store(&mut out[m], if FLIPPED { sum } else { _mm512_add_ps(sum, offset[m]) });
    }
}

/// SwiGLU: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
pub(super) fn swiglu(gate: &mut [f32], up: &[f32]) {
    activation::swiglu::<true>(gate, up);
}

/// Rotary positions: the reference's code, compiled for these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
pub(super) fn rotate(heads: &mut [f32], turns: &[(f32, f32)]) {
    activation::rotate::<true>(heads, turns);
}

/// Attention of `G` heads for one row; see `scalar::attend` for what it computes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
pub(super) fn attend<const G: usize>(query: Query<'_, G>, scores: &mut [f32], out: &mut [f32]) -> [Share; G] {
    let size = query.head_size;
    if !size.is_multiple_of(32) {
        return scalar::attend::<G, true>(query, scores, out);
    }
    let stride = query.len.next_multiple_of(LANES);
    all_scores(&query, stride, scores);
    let mut shares = scalar::distances::<G>(scores, stride, query.len);
    for chunk in scores[..G * stride].as_chunks_mut::<LANES>().0 {
        let weights = weights(load(chunk));
        store(chunk, weights);
    }
    let mut from = 0;
    while from < size {
        let totals;
        (from, totals) = match size - from {
            64.. => (from + 64, weigh::<G, 4>(&query, (scores, stride), from, out)),
            _ => (from + 32, weigh::<G, 2>(&query, (scores, stride), from, out)),
        };
        for g in 0..G {
            shares[g].total = totals[g];
        }
    }
    shares
}

/// Scores of all positions and heads, sixteen positions at a time: every sum of `scalar::all_scores` is one register.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn all_scores<const G: usize>(query: &Query<'_, G>, stride: usize, scores: &mut [f32]) {
    let scale = _mm512_set1_ps(query.scale);
    let heads = query.heads.map(|head| head.as_chunks::<32>().0);
    let parts = query.head_size / 32;
    let heads = heads.map(|head| &head[..parts]);
    for block in 0..stride / LANES {
        let keys = query.span.keys(block).as_chunks::<LANES>().0.as_chunks::<32>().0;
        let mut eights = [[_mm512_setzero_ps(); 4]; G];
        for lane in 0..QUADS {
            let mut registers = [[_mm512_setzero_ps(); G]; 4];
            for (part, keys) in keys[..parts].iter().enumerate() {
                for (register, sums) in registers.iter_mut().enumerate() {
                    let d = 8 * register + lane;
                    let key = halves(&keys[d]);
                    for g in 0..G {
                        sums[g] = _mm512_fmadd_ps(key, _mm512_set1_ps(heads[g][part][d]), sums[g]);
                    }
                }
            }
            for g in 0..G {
                let [a, b, c, d] = [registers[0][g], registers[1][g], registers[2][g], registers[3][g]];
                let four = _mm512_add_ps(_mm512_add_ps(a, c), _mm512_add_ps(b, d));
                let eight = &mut eights[g][lane % 4];
                *eight = if lane < 4 { four } else { _mm512_add_ps(*eight, four) };
            }
        }
        for g in 0..G {
            let [a, b, c, d] = eights[g];
            let sum = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
            if let Some(chunk) = scores[g * stride + block * LANES..].first_chunk_mut::<LANES>() {
                store(chunk, _mm512_mul_ps(sum, scale));
            }
        }
    }
}

/// `scalar::weight` of sixteen distances.
#[inline]
#[target_feature(enable = "avx512f")]
fn weights(distances: __m512) -> __m512 {
    let zero = _mm512_setzero_ps();
    let above = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(distances, zero);
    // −|d| is the lesser of d and −d.
    let x = _mm512_max_ps(distances, _mm512_sub_ps(zero, distances));
    let x = _mm512_max_ps(_mm512_sub_ps(zero, x), _mm512_set1_ps(LOWEST));
    let mut eights = [0.0; LANES];
    store(&mut eights, x);
    for eight in eights.as_chunks_mut::<8>().0 {
        // SAFETY: the chunk has the eight floats that are read and written; neither needs alignment.
        unsafe {
            let values = exp(_mm512_cvtps_pd(_mm256_loadu_ps(eight.as_ptr())));
            _mm256_storeu_ps(eight.as_mut_ptr(), _mm512_cvtpd_ps(values));
        }
    }
    // The sign bit is set, not the number negated from zero: a weight of 0 has a sign, too.
    let weights = _mm512_castps_si512(load(&eights));
    let sign = _mm512_set1_epi32(i32::MIN);
    _mm512_castsi512_ps(_mm512_mask_or_epi32(weights, above, weights, sign))
}

/// `float::exp` of eight numbers, before they are rounded to single precision.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp(x: __m512d) -> __m512d {
    let scaled = _mm512_mul_pd(x, _mm512_set1_pd(SCALE));
    let shift = _mm512_set1_pd(ROUND_F64);
    let rounded = _mm512_add_pd(scaled, shift);
    let rest = _mm512_sub_pd(scaled, _mm512_sub_pd(rounded, shift));
    let steps = _mm512_castpd_si512(rounded);
    // The table is four registers; two instructions look up in two of them each, and bit 4 chooses.
    // SAFETY: the table has 32 numbers of eight bytes, and `i` is at most 24; loads need no alignment.
    let table = |i: usize| unsafe { _mm512_loadu_pd(POWERS.as_ptr().add(i).cast()) };
    let low = _mm512_permutex2var_pd(table(0), steps, table(8));
    let high = _mm512_permutex2var_pd(table(16), steps, table(24));
    let upper = _mm512_test_epi64_mask(steps, _mm512_set1_epi64(16));
    let power = _mm512_castpd_si512(_mm512_mask_blend_pd(upper, low, high));
    let power = _mm512_castsi512_pd(_mm512_add_epi64(power, _mm512_slli_epi64::<47>(steps)));
    let [cubic, square, linear] = TERMS;
    let high = _mm512_add_pd(_mm512_mul_pd(_mm512_set1_pd(cubic), rest), _mm512_set1_pd(square));
    let low = _mm512_add_pd(_mm512_mul_pd(_mm512_set1_pd(linear), rest), _mm512_set1_pd(1.0));
    let value = _mm512_add_pd(_mm512_mul_pd(high, _mm512_mul_pd(rest, rest)), low);
    _mm512_mul_pd(value, power)
}

/// The weighted sums of values for `16 J` dimensions from `from`, as `scalar::attend` has them; returns the totals.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,fma")]
fn weigh<const G: usize, const J: usize>(
    query: &Query<'_, G>,
    (scores, stride): (&[f32], usize),
    from: usize,
    out: &mut [f32],
) -> [f32; G] {
    let size = query.head_size;
    let mut sums = [[_mm512_setzero_ps(); J]; G];
    let mut totals = [0.0_f32; G];
    for block in 0..stride / LANES {
        let values = query.span.values(block).chunks_exact(size);
        let first = block * LANES;
        for (position, value) in (first..query.len).zip(values) {
            let mut lanes = [_mm512_setzero_ps(); J];
            for (j, lanes) in lanes.iter_mut().enumerate() {
                *lanes = halves_at(value, from + j * LANES);
            }
            for g in 0..G {
                let (shrink, weight) = shrink_and_weight(scores[g * stride + position]);
                if shrink < 1.0 {
                    for sum in &mut sums[g] {
                        *sum = half(_mm512_mul_ps(*sum, _mm512_set1_ps(shrink)));
                    }
                }
                for j in 0..J {
                    sums[g][j] = half(_mm512_fmadd_ps(lanes[j], _mm512_set1_ps(weight), sums[g][j]));
                }
                totals[g] = totals[g].mul_add(shrink, weight);
            }
        }
    }
    for g in 0..G {
        for (j, sum) in sums[g].into_iter().enumerate() {
            if let Some(chunk) = out[g * size + from + j * LANES..].first_chunk_mut::<LANES>() {
                store(chunk, sum);
            }
        }
    }
    totals
}

/// Each number rounded to half precision.
#[inline]
#[target_feature(enable = "avx512f")]
fn half(x: __m512) -> __m512 {
    _mm512_cvtph_ps(_mm512_cvtps_ph::<0>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[f32; LANES]) -> __m512 {
    // SAFETY: the reference covers the 16 floats that are read; the load needs no alignment.
    unsafe { _mm512_loadu_ps(from.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(from: &[u16; LANES]) -> __m512 {
    // SAFETY: the reference covers the 32 bytes that are read; the load needs no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves_at(from: &[u16], at: usize) -> __m512 {
    match from[at..].first_chunk::<LANES>() {
        Some(chunk) => halves(chunk),
        None => _mm512_setzero_ps(),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(to: &mut [f32; LANES], value: __m512) {
    // SAFETY: the reference covers the 16 floats that are written; the store needs no alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
}
