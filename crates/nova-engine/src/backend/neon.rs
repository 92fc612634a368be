//! Kernels for NEON, which every 64-bit ARM processor has.

use std::arch::aarch64::{
    vaddq_f32, vcvtq_f32_s32, vdup_n_s32, vdupq_n_f32, vfmaq_f32, vget_high_s8, vget_low_s8, vld1q_f32,
    vld1q_s8, vmull_s8, vmulq_f32, vpaddlq_s16, vpaddq_s32, vreinterpret_s8_s32, vst1q_f32,
};

use super::activation::ActBlock;
use super::pack::{LANES, QUADS, Tile};

/// Outputs per register.
const QUARTER: usize = 4;

/// Products of one tile with `M` rows: for each row and four outputs eight sums, one per four weights of a block (see
/// `scalar::tile`).
///
/// Sixteen bytes of a line are four weights of each of four outputs. Each half is multiplied to 16 bits, which neighbours
/// are added from into 32 bits, and a last pairwise sum of both halves gives one number per output.
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    let blocks = tile.blocks.len();
    let rows = rows.map(|row| &row[..blocks]);
    let mut out = [[0.0; LANES]; M];
    for (row, out) in rows.into_iter().zip(&mut out) {
        for (quarter, out) in out.as_chunks_mut::<QUARTER>().0.iter_mut().enumerate() {
            // SAFETY: NEON is part of the target; loads and stores are of whole chunks of 16 bytes or four floats.
            unsafe {
                let mut sums = [vdupq_n_f32(0.0); QUADS];
                let mut offset = vdupq_n_f32(0.0);
                for (b, ((lines, scales), x)) in tile.blocks.iter().zip(tile.scales).zip(row).enumerate() {
                    let scales = &scales.0.as_chunks::<QUARTER>().0[quarter];
                    let scale = vmulq_f32(vld1q_f32(scales.as_ptr()), vdupq_n_f32(x.scale));
                    for ((line, word), sum) in lines.iter().zip(x.words).zip(&mut sums) {
                        let x = vreinterpret_s8_s32(vdup_n_s32(word));
                        let weights = vld1q_s8(line.0.as_chunks::<16>().0[quarter].as_ptr().cast());
                        let low = vpaddlq_s16(vmull_s8(vget_low_s8(weights), x));
                        let high = vpaddlq_s16(vmull_s8(vget_high_s8(weights), x));
                        *sum = vfmaq_f32(*sum, vcvtq_f32_s32(vpaddq_s32(low, high)), scale);
                    }
                    if let Some(offsets) = tile.offsets.get(b) {
                        let offsets = &offsets.0.as_chunks::<QUARTER>().0[quarter];
                        offset = vfmaq_f32(offset, vld1q_f32(offsets.as_ptr()), vdupq_n_f32(x.sum));
                    }
                }
                let [a, b, c, d, e, f, g, h] = sums;
                let even = vaddq_f32(vaddq_f32(a, e), vaddq_f32(c, g));
                let odd = vaddq_f32(vaddq_f32(b, f), vaddq_f32(d, h));
                let sum = vaddq_f32(even, odd);
                let sum = if tile.offsets.is_empty() { sum } else { vaddq_f32(sum, offset) };
                vst1q_f32(out.as_mut_ptr(), sum);
            }
        }
    }
    out
}
