//! Kernels for NEON, which every 64-bit ARM processor has.

use std::arch::aarch64::{
    int32x4_t, vaddq_f32, vaddq_s32, vcvtq_f32_s32, vdup_n_s32, vdupq_n_f32, vdupq_n_s32, vget_high_s8,
    vget_low_s8, vld1q_f32, vld1q_s8, vmull_s8, vmulq_f32, vpaddlq_s16, vpaddq_s32, vreinterpret_s8_s32,
    vst1q_f32,
};

use super::activation::ActBlock;
use super::pack::{LANES, Tile};

/// Vectors of four outputs in a tile.
const QUARTERS: usize = LANES / 4;

/// Products of one tile with `M` rows.
///
/// Sixteen bytes of a line are four weights of each of four outputs. Each half is multiplied to 16 bits, which neighbours
/// are added from into 32 bits, and a last pairwise sum of both halves gives one number per output.
pub(super) fn tile<const M: usize>(tile: Tile<'_>, rows: [&[ActBlock]; M]) -> [[f32; LANES]; M] {
    let blocks = tile.blocks.len();
    let rows = rows.map(|row| &row[..blocks]);
    let mut out = [[0.0; LANES]; M];
    for (m, row) in rows.into_iter().enumerate() {
        // SAFETY: NEON is part of the target; the stores write four floats into chunks of four.
        unsafe {
            let mut totals = [vdupq_n_f32(0.0); QUARTERS];
            for (b, ((lines, scales), x)) in tile.blocks.iter().zip(tile.scales).zip(row).enumerate() {
                let mut sums: [int32x4_t; QUARTERS] = [vdupq_n_s32(0); QUARTERS];
                for (line, word) in lines.iter().zip(x.words) {
                    let x = vreinterpret_s8_s32(vdup_n_s32(word));
                    for (sum, weights) in sums.iter_mut().zip(line.0.as_chunks::<16>().0) {
                        let weights = vld1q_s8(weights.as_ptr().cast());
                        let low = vpaddlq_s16(vmull_s8(vget_low_s8(weights), x));
                        let high = vpaddlq_s16(vmull_s8(vget_high_s8(weights), x));
                        *sum = vaddq_s32(*sum, vpaddq_s32(low, high));
                    }
                }
                for ((total, sum), scales) in totals.iter_mut().zip(sums).zip(scales.0.as_chunks::<4>().0) {
                    let scale = vmulq_f32(vld1q_f32(scales.as_ptr()), vdupq_n_f32(x.scale));
                    *total = vaddq_f32(*total, vmulq_f32(vcvtq_f32_s32(sum), scale));
                }
                let offsets =
                    tile.offsets.get(b).map_or([].as_slice(), |offsets| offsets.0.as_chunks::<4>().0);
                for (total, offsets) in totals.iter_mut().zip(offsets) {
                    *total = vaddq_f32(*total, vmulq_f32(vld1q_f32(offsets.as_ptr()), vdupq_n_f32(x.sum)));
                }
            }
            for (out, total) in out[m].as_chunks_mut::<4>().0.iter_mut().zip(totals) {
                vst1q_f32(out.as_mut_ptr(), total);
            }
        }
    }
    out
}
