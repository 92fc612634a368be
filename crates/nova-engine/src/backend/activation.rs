//! Rows of activations: quantised for the matrix products, normalised and gated between them.

use super::float::{ROUND, exp_gate, half, multiply_add};
use super::pack::QUADS;
use crate::gguf::BLOCK;

/// 32 activations of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ActBlock {
    /// Four int8 each, the first in the lowest byte: what one dot-product instruction takes.
    pub(super) words: [i32; QUADS],
    /// `-128` times the sum of each four: takes back the `+ 128` of weights that were made unsigned.
    pub(super) biases: [i32; QUADS],
    /// A half.
    pub(super) scale: f32,
    /// The sum of the 32 values as quantised, as a half: what a weight's offset is multiplied by.
    pub(super) sum: f32,
}

/// Quantised rows. Kept between steps, so that a step allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    blocks: Vec<ActBlock>,
    per_row: usize,
}

impl Activations {
    /// Quantises `values`, rows of `row` numbers each (a multiple of 32).
    pub(crate) fn set(&mut self, values: &[f32], row: usize) {
        self.per_row = row / BLOCK;
        self.blocks.clear();
        self.blocks.extend(values.as_chunks::<BLOCK>().0.iter().map(quantise));
    }

    pub(super) fn rows(&self) -> usize {
        self.blocks.len().checked_div(self.per_row).unwrap_or(0)
    }

    pub(super) fn row(&self, row: usize) -> &[ActBlock] {
        &self.blocks[row * self.per_row..(row + 1) * self.per_row]
    }
}

fn quantise(values: &[f32; BLOCK]) -> ActBlock {
    // Eight running maxima instead of one, so that the compiler may use vector registers.
    let mut most = [0.0_f32; 8];
    for chunk in values.as_chunks::<8>().0 {
        for (most, x) in most.iter_mut().zip(chunk) {
            let x = x.abs();
            *most = if x > *most { x } else { *most };
        }
    }
    let largest = most.iter().fold(0.0_f32, |a, b| a.max(*b));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let mut bytes = [0_u8; BLOCK];
    for (byte, x) in bytes.iter_mut().zip(values) {
        *byte = (x * inverse + ROUND).to_bits() as u8;
    }
    let mut block = ActBlock::default();
    let mut sum = 0;
    for (quad, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
        let part: i32 = four.iter().map(|byte| i32::from(*byte as i8)).sum();
        block.words[quad] = i32::from_le_bytes(*four);
        block.biases[quad] = -128 * part;
        sum += part;
    }
    // The sum takes the scale as it was before it became a half.
    let scale = largest / 127.0;
    (block.scale, block.sum) = (half(scale), half(sum as f32 * scale));
    block
}

/// Root-mean-square normalisation of each row (Zhang and Sennrich, 2019), scaled by `weight`.
pub(crate) fn rms_norm(values: &[f32], weight: &[f32], epsilon: f32, out: &mut Vec<f32>) {
    out.resize(values.len(), 0.0);
    for (row, out) in values.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        let sum: f64 = row.iter().map(|x| f64::from(x * x)).sum();
        let mean = (sum / row.len() as f64) as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// `gate · sigmoid(gate) · up`, in place of `gate` (Shazeer, 2020).
#[inline(always)]
pub(super) fn swiglu<const FUSED: bool>(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp_gate::<FUSED>(-*gate)) * up;
    }
}

/// Turns neighbouring pairs of each head by the angles whose cosines and sines are `turns`.
///
/// Which of the two products keeps its full length in the sum is the choice that llama.cpp's compiler made.
#[inline(always)]
pub(super) fn rotate<const FUSED: bool>(heads: &mut [f32], turns: &[(f32, f32)]) {
    for head in heads.chunks_exact_mut(2 * turns.len()) {
        for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(turns) {
            let [x, y] = *pair;
            *pair = [multiply_add::<FUSED>(x, *cos, -(y * sin)), multiply_add::<FUSED>(x, *sin, y * cos)];
        }
    }
}
