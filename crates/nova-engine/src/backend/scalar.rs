//! The kernels in plain Rust. They are the reference that every other kernel is tested against.

use super::activation::{ActBlock, exp};
use super::attention::Query;
use super::pack::{LANES, Tile};

/// Products of one tile with `M` rows.
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    rows.map(|row| {
        let mut out = [0.0; LANES];
        for (b, ((lines, scales), x)) in tile.blocks.iter().zip(tile.scales).zip(row).enumerate() {
            let mut sums = [0_i32; LANES];
            for (line, word) in lines.iter().zip(x.words) {
                let x = word.to_le_bytes().map(|byte| i32::from(byte as i8));
                for (sum, w) in sums.iter_mut().zip(line.0.as_chunks::<4>().0) {
                    for (w, x) in w.iter().zip(x) {
                        *sum += i32::from(*w as i8) * x;
                    }
                }
            }
            for ((out, sum), scale) in out.iter_mut().zip(sums).zip(scales.0) {
                *out += sum as f32 * (scale * x.scale);
            }
            if let Some(offsets) = tile.offsets.get(b) {
                for (out, offset) in out.iter_mut().zip(offsets.0) {
                    *out += offset * x.sum;
                }
            }
        }
        out
    })
}

/// Attention of `G` heads over exactly `query.len` positions; `FUSED` where the processor multiplies and adds in one.
#[inline(always)]
pub(super) fn attend<const G: usize, const FUSED: bool>(
    query: Query<'_, G>,
    scores: &mut [f32],
    out: &mut [f32],
) {
    let size = query.head_size;
    let stride = query.len.next_multiple_of(LANES);
    let most = all_scores::<G, FUSED>(&query, stride, scores);
    for (g, most) in most.into_iter().enumerate() {
        let scores = &mut scores[g * stride..(g + 1) * stride];
        let mut sums = [0.0_f32; LANES];
        for chunk in scores.as_chunks_mut::<LANES>().0 {
            for (sum, score) in sums.iter_mut().zip(chunk) {
                // Positions past the end have the lowest score, so at most 15 · 10⁻³⁸ of them is in the sum.
                *score = exp(*score - most);
                *sum += *score;
            }
        }
        let scale = 1.0 / sums.iter().sum::<f32>();
        let out = &mut out[g * size..(g + 1) * size];
        out.fill(0.0);
        for (position, weight) in scores[..query.len].iter().enumerate() {
            let value = &query.span.values(position / LANES)[position % LANES * size..][..size];
            for (out, v) in out.iter_mut().zip(value) {
                *out = multiply_add::<FUSED>(*weight, *v, *out);
            }
        }
        for out in out {
            *out *= scale;
        }
    }
}

/// Scores of all positions and heads; returns each head's largest.
#[inline(always)]
fn all_scores<const G: usize, const FUSED: bool>(
    query: &Query<'_, G>,
    stride: usize,
    scores: &mut [f32],
) -> [f32; G] {
    let mut most = [f32::MIN; G];
    for block in 0..stride / LANES {
        let keys = query.span.keys(block);
        let valid = (query.len - block * LANES).min(LANES);
        for g in 0..G {
            let mut sums = [0.0_f32; LANES];
            for (q, keys) in query.heads[g].iter().zip(keys.as_chunks::<LANES>().0) {
                for (sum, k) in sums.iter_mut().zip(keys) {
                    *sum = multiply_add::<FUSED>(*q, *k, *sum);
                }
            }
            let scores = &mut scores[g * stride + block * LANES..][..LANES];
            for (lane, (score, sum)) in scores.iter_mut().zip(sums).enumerate() {
                *score = if lane < valid { sum * query.scale } else { f32::MIN };
                most[g] = most[g].max(*score);
            }
        }
    }
    most
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction, `mul_add` is a slow library call.
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}
