//! The kernels in plain Rust. They are the reference: every other kernel gives the same bits.
//!
//! `FUSED` says whether the processor multiplies and adds in one instruction; the result is the same either way.

use super::activation::ActBlock;
use super::attention::{Query, Share};
use super::float::{exp, from_half, half, multiply_add};
use super::pack::{LANES, QUADS, Tile};

/// Products of one tile with `M` rows.
///
/// Each of the eight fours of a block has a running sum of its own over the blocks of a row, because eight lanes of one
/// register is how llama.cpp's AVX2 kernel adds them; the offsets have a ninth.
#[inline(always)]
pub(super) fn tile<const M: usize, const FUSED: bool>(
    tile: Tile<'_>,
    rows: [&[ActBlock]; M],
) -> [[f32; LANES]; M] {
    rows.map(|row| {
        let mut sums = [[0.0; LANES]; QUADS];
        let mut offset = [0.0; LANES];
        for (b, ((lines, scales), x)) in tile.blocks.iter().zip(tile.scales).zip(row).enumerate() {
            for ((line, word), sums) in lines.iter().zip(x.words).zip(&mut sums) {
                let x_four = word.to_le_bytes().map(|byte| i32::from(byte as i8));
                for ((sum, w), scale) in sums.iter_mut().zip(line.0.as_chunks::<4>().0).zip(scales.0) {
                    let product: i32 = w.iter().zip(x_four).map(|(w, x)| i32::from(*w as i8) * x).sum();
                    *sum = multiply_add::<FUSED>(product as f32, scale * x.scale, *sum);
                }
            }
            if let Some(offsets) = tile.offsets.get(b) {
                for (sum, weight) in offset.iter_mut().zip(offsets.0) {
                    *sum = multiply_add::<FUSED>(weight, x.sum, *sum);
                }
            }
        }
        std::array::from_fn(|lane| {
            let pair = |a: usize| sums[a][lane] + sums[a + 4][lane];
            let sum = (pair(0) + pair(2)) + (pair(1) + pair(3));
            if tile.offsets.is_empty() { sum } else { sum + offset[lane] }
        })
    })
}

/// Attention of `G` heads over exactly `query.len` positions. Leaves in `out` the values' sums as weighted so far.
///
/// Softmax is computed as the context is read (Milakov and Gimelshein, 2018): weights are relative to the largest score
/// up to their position, and a new largest shrinks what was summed before. The sums are halves after each position.
#[inline(always)]
pub(super) fn attend<const G: usize, const FUSED: bool>(
    query: Query<'_, G>,
    scores: &mut [f32],
    out: &mut [f32],
) -> [Share; G] {
    let size = query.head_size;
    let stride = query.len.next_multiple_of(LANES);
    all_scores::<G, FUSED>(&query, stride, scores);
    let shares = distances::<G>(scores, stride, query.len);
    std::array::from_fn(|g| {
        let scores = &mut scores[g * stride..][..query.len];
        for score in &mut *scores {
            *score = weight(*score);
        }
        let out = &mut out[g * size..][..size];
        out.fill(0.0);
        let mut total = 0.0;
        for (position, weight) in scores.iter().enumerate() {
            let (shrink, weight) = shrink_and_weight(*weight);
            if shrink < 1.0 {
                out.iter_mut().for_each(|out| *out = half(*out * shrink));
            }
            let value = &query.span.values(position / LANES)[position % LANES * size..][..size];
            for (out, v) in out.iter_mut().zip(value) {
                *out = half(multiply_add::<FUSED>(from_half(*v), weight, *out));
            }
            total = multiply_add::<FUSED>(total, shrink, weight);
        }
        Share { total, ..shares[g] }
    })
}

/// Turns each score into its distance from the largest before it, above that one if negative; finds the largest.
///
/// The heads take turns: each waits for its own last comparison, and not for the others'.
#[inline(always)]
pub(super) fn distances<const G: usize>(scores: &mut [f32], stride: usize, len: usize) -> [Share; G] {
    let mut shares = [Share { most: f32::NEG_INFINITY, total: 0.0 }; G];
    for position in 0..len {
        for (g, share) in shares.iter_mut().enumerate() {
            let score = &mut scores[g * stride + position];
            let before = share.most;
            share.most = if *score > before { *score } else { before };
            *score = before - *score;
        }
    }
    shares
}

/// The exponential of a distance, with the distance's sign.
#[inline(always)]
fn weight(distance: f32) -> f32 {
    let weight = exp(-distance.abs());
    if distance < 0.0 { -weight } else { weight }
}

/// What a position's weight does to the sums before it, and to its own value: a new largest score, which is told by the
/// sign, weighs 1 and shrinks what was before.
#[inline(always)]
pub(super) fn shrink_and_weight(weight: f32) -> (f32, f32) {
    if weight.is_sign_negative() { (-weight, 1.0) } else { (1.0, weight) }
}

/// Scores of all positions and heads. Dimension `d` adds to sum `d mod 32`, and those are added as llama.cpp adds the
/// lanes of its four registers.
#[inline(always)]
fn all_scores<const G: usize, const FUSED: bool>(query: &Query<'_, G>, stride: usize, scores: &mut [f32]) {
    for block in 0..stride / LANES {
        let keys = query.span.keys(block).as_chunks::<LANES>().0;
        for g in 0..G {
            let mut sums = [[0.0_f32; LANES]; 32];
            for (d, (q, keys)) in query.heads[g].iter().zip(keys).enumerate() {
                for (sum, k) in sums[d % 32].iter_mut().zip(keys) {
                    *sum = multiply_add::<FUSED>(from_half(*k), *q, *sum);
                }
            }
            let scores = &mut scores[g * stride + block * LANES..][..LANES];
            for (lane, score) in scores.iter_mut().enumerate() {
                let sum = |i: usize| sums[i][lane];
                let four = |i: usize| (sum(i) + sum(i + 16)) + (sum(i + 8) + sum(i + 24));
                let eight = |i: usize| four(i) + four(i + 4);
                *score = ((eight(0) + eight(1)) + (eight(2) + eight(3))) * query.scale;
            }
        }
    }
}
