//! Rows of activations: quantised for the matrix products, normalised and gated between them.

use crate::gguf::BLOCK;

/// 32 activations of one row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ActBlock {
    /// Four int8 each, the first in the lowest byte: what one dot-product instruction takes.
    pub(super) words: [i32; BLOCK / 4],
    pub(super) scale: f32,
    /// `-128` times the sum of the 32 int8: takes back the `+ 128` that VNNI's unsigned weights carry.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only VNNI needs it"))]
    pub(super) bias: i32,
    /// The sum of the 32 values, as quantised: what a weight's offset is multiplied by.
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

/// Adding 1.5 · 2²³ leaves a float's low bits holding the nearest integer (ties to even), in every instruction set.
const ROUND: f32 = 12_582_912.0;

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
    let sum: i32 = bytes.iter().map(|byte| i32::from(*byte as i8)).sum();
    let mut words = [0; BLOCK / 4];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = i32::from_le_bytes(*four);
    }
    let scale = largest / 127.0;
    ActBlock { words, scale, bias: -128 * sum, sum: sum as f32 * scale }
}

/// Root-mean-square normalisation of each row (Zhang and Sennrich, 2019), scaled by `weight`.
pub(crate) fn rms_norm(values: &[f32], weight: &[f32], epsilon: f32, out: &mut Vec<f32>) {
    out.resize(values.len(), 0.0);
    for (row, out) in values.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
        let mut sums = [0.0_f32; 16];
        for chunk in row.as_chunks::<16>().0 {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x * x;
            }
        }
        let mean = sums.iter().sum::<f32>() / row.len() as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// `gate · sigmoid(gate) · up`, in place of `gate` (Shazeer, 2020).
pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp(-*gate)) * up;
    }
}

/// Taylor's terms of `2^x` from the fifth power down to the first.
const TERMS: [f32; 5] = [0.001_333_6, 0.009_618_1, 0.055_504_1, 0.240_226_5, std::f32::consts::LN_2];

/// `e^x` to a relative error of 10⁻⁵, clamped to where both it and its inverse are normal numbers.
///
/// Splits `x · log2(e)` into an integer, which becomes the exponent, and a rest in `[-0.5, 0.5]`, whose power of two is a
/// polynomial. No branches and no table: it compiles to vector instructions.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let t = x.clamp(-87.0, 87.0) * std::f32::consts::LOG2_E;
    let rounded = t + ROUND;
    let rest = t - (rounded - ROUND);
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let power = TERMS.iter().fold(0.0, |sum, term| (sum + term) * rest) + 1.0;
    f32::from_bits(exponent) * power
}
