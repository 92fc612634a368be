//! Single steps of arithmetic, each rounded in exactly one way on every processor.
//!
//! Why so strict: between two matrix products activations are rounded to int8, so a difference in one last bit grows to
//! the size of that rounding within a few layers and decides near ties between tokens. A kernel therefore either computes
//! the same bits as llama.cpp's default x86-64 build (AVX2, FMA, F16C) or falls at such ties like a coin (ADR 8).

/// `x` rounded to half precision, ties to even, as `vcvtps2ph` does: past 65,504 it is infinite.
#[inline(always)]
pub(crate) fn half(x: f32) -> f32 {
    let bits = x.to_bits() & 0x7fff_ffff;
    let normal = f32::from_bits(bits.wrapping_add(0xfff + (bits >> 13 & 1)) & !0x1fff);
    // Halves below 2⁻¹⁴ are multiples of 2⁻²⁴, which is the unit of single precision around one half.
    let small = (f32::from_bits(bits) + 0.5) - 0.5;
    let rounded = if bits < 0x3880_0000 { small } else { normal };
    (if rounded > 65_504.0 { f32::INFINITY } else { rounded }).copysign(x)
}

/// The bits of `x` as a half, as large as halves get where it is larger.
#[inline(always)]
pub(crate) fn half_bits(x: f32) -> u16 {
    // Times 2⁻¹¹², a half's exponent is written with the same bits in single precision, short numbers included.
    let bits = (half(x).abs().min(65_504.0) * f32::from_bits(0x0780_0000)).to_bits();
    (bits >> 13) as u16 | (x.to_bits() >> 16 & 0x8000) as u16
}

/// The number that [`half_bits`] wrote.
#[inline(always)]
pub(super) fn from_half(bits: u16) -> f32 {
    let magnitude = f32::from_bits(u32::from(bits & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    f32::from_bits(magnitude.to_bits() | u32::from(bits & 0x8000) << 16)
}

/// `a · b + c` with one rounding. `FUSED` where the processor has an instruction for it.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { to_odd(f64::from(a) * f64::from(b), f64::from(c)) as f32 }
}

/// `product + c`, rounded to odd: the double that has the sum's last bit set wherever the sum was not exact.
///
/// The product of two floats is exact in a double; rounding the sum twice, to double and to single, is not the same as
/// rounding it once, unless the first rounding is this one (Boldo and Melquiond, 2008).
#[inline(always)]
fn to_odd(product: f64, c: f64) -> f64 {
    let sum = product + c;
    let back = sum - product;
    let error = (product - (sum - back)) + (c - back);
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 == 1 || !sum.is_finite() {
        return sum;
    }
    // An even last bit beside an error: the odd neighbour on the error's side. Toward zero that is one bit less.
    let away = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if away { bits + 1 } else { bits - 1 })
}

/// Adding 1.5 · 2²³ leaves a float's low bits holding the nearest integer (ties to even), in every instruction set.
pub(super) const ROUND: f32 = 12_582_912.0;

/// The same for doubles.
pub(super) const ROUND_F64: f64 = 6_755_399_441_055_744.0;

/// `2^(i/32)` as the bits of a double, less `i` at the place where the exponent's fraction of 32 is added back.
pub(super) const POWERS: [u64; 32] = [
    0x3ff0_0000_0000_0000,
    0x3fef_d9b0_d315_8574,
    0x3fef_b558_6cf9_890f,
    0x3fef_9301_d012_5b51,
    0x3fef_72b8_3c7d_517b,
    0x3fef_5487_3168_b9aa,
    0x3fef_387a_6e75_6238,
    0x3fef_1e9d_f51f_dee1,
    0x3fef_06fe_0a31_b715,
    0x3fee_f1a7_373a_a9cb,
    0x3fee_dea6_4c12_3422,
    0x3fee_ce08_6061_892d,
    0x3fee_bfda_d536_2a27,
    0x3fee_b42b_569d_4f82,
    0x3fee_ab07_dd48_5429,
    0x3fee_a47e_b03a_5585,
    0x3fee_a09e_667f_3bcd,
    0x3fee_9f75_e8ec_5f74,
    0x3fee_a114_73eb_0187,
    0x3fee_a589_994c_ce13,
    0x3fee_ace5_422a_a0db,
    0x3fee_b737_b0cd_c5e5,
    0x3fee_c491_82a3_f090,
    0x3fee_d503_b23e_255d,
    0x3fee_e89f_995a_d3ad,
    0x3fee_ff76_f2fb_5e47,
    0x3fef_199b_dd85_529c,
    0x3fef_3720_dcef_9069,
    0x3fef_5818_dcfb_a487,
    0x3fef_7c97_337b_9b5f,
    0x3fef_a4af_a2a4_90da,
    0x3fef_d076_5b6e_4540,
];

/// Coefficients of `2^(r/32)` for `r` in `[-0.5, 0.5]`, third power first, and `32 · log2(e)`: the `expf` of ARM's
/// optimized routines, which is the one in common C libraries. Its last bits are not those of a perfect exponential.
pub(super) const TERMS: [f64; 3] =
    [1.693_835_925_092_021_2e-6, 2.345_980_978_950_900_4e-4, 2.166_084_939_661_313_4e-2];
pub(super) const SCALE: f64 = 32.0 * std::f64::consts::LOG2_E;

/// Below this, `e^x` is 0 in single precision.
pub(super) const LOWEST: f32 = -104.0;

/// `e^x` for `x` not above 0, as the C library's `expf` has it: for attention's weights.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let scaled = f64::from(x.max(LOWEST)) * SCALE;
    let rounded = scaled + ROUND_F64;
    let rest = scaled - (rounded - ROUND_F64);
    let steps = rounded.to_bits();
    let power = POWERS[(steps % 32) as usize].wrapping_add(steps << 47);
    let [cubic, square, linear] = TERMS;
    let value = (cubic * rest + square) * (rest * rest) + (linear * rest + 1.0);
    (value * f64::from_bits(power)) as f32
}

/// Constants of [`exp_gate`] as bits: log2(e); ln 2 in a long and a short part; the polynomial from the fifth power down.
const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
const LN_2: [f32; 2] = [f32::from_bits(0x3f31_7200), f32::from_bits(0x35bf_be8e)];
const GATE: [f32; 5] = [
    f32::from_bits(0x3c07_2010),
    f32::from_bits(0x3d2b_9f17),
    f32::from_bits(0x3e2a_af33),
    f32::from_bits(0x3eff_fedb),
    f32::from_bits(0x3f7f_fff6),
];

/// `e^x` in single precision, clamped to where both it and its inverse are normal numbers: for the SwiGLU gate.
///
/// The vector `expf` of ARM's optimized routines, which llama.cpp uses there.
#[inline(always)]
pub(super) fn exp_gate<const FUSED: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let shifted = multiply_add::<FUSED>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let rest = multiply_add::<FUSED>(-n, LN_2[1], multiply_add::<FUSED>(-n, LN_2[0], x));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let square = rest * rest;
    let high = multiply_add::<FUSED>(GATE[0], rest, GATE[1]);
    let low = multiply_add::<FUSED>(GATE[2], rest, GATE[3]);
    let value = multiply_add::<FUSED>(multiply_add::<FUSED>(high, square, low), square, GATE[4] * rest);
    multiply_add::<FUSED>(value, power, power)
}

#[cfg(test)]
mod tests {
    use super::{exp, exp_gate, from_half, half, half_bits, multiply_add};
    use crate::testing::Numbers;

    #[test]
    fn one_rounding_is_what_the_instruction_does() {
        let mut numbers = Numbers(17);
        let mut random = || f32::from_bits(numbers.next() as u32 & 0x87ff_ffff | 0x3800_0000);
        for _ in 0..200_000 {
            let (a, b, c) = (random(), random(), random());
            for c in [c, -a * b, c * 1e-8, 0.0] {
                assert_eq!(multiply_add::<false>(a, b, c), a.mul_add(b, c), "{a} {b} {c}");
            }
        }
    }

    #[test]
    fn halves_are_the_nearest_with_ties_to_even() {
        let cases = [
            (1.0, 1.0),
            (-0.0, -0.0),
            (1.0 + 1.0 / 2_048.0, 1.0),
            (1.0 + 3.0 / 2_048.0, 1.0 + 2.0 / 1_024.0),
            (1.0 + 1.1 / 2_048.0, 1.0 + 1.0 / 1_024.0),
            (65_519.0, 65_504.0),
            (65_520.0, f32::INFINITY),
            (-1e9, f32::NEG_INFINITY),
            (6.1e-5, 1_023.0 / 16_777_216.0),
            (1.5 / 16_777_216.0, 2.0 / 16_777_216.0),
            (0.5 / 16_777_216.0, 0.0),
        ];
        for (x, expected) in cases {
            assert_eq!(half(x).to_bits(), f32::to_bits(expected), "{x}");
            let finite = expected.clamp(-65_504.0, 65_504.0);
            assert_eq!(from_half(half_bits(x)).to_bits(), finite.to_bits(), "{x}");
        }
        for bits in (0..0x7c00).chain(0x8000..0xfc00) {
            assert_eq!(half_bits(from_half(bits)), bits);
        }
    }

    #[test]
    fn the_exponentials_are_close_everywhere() {
        for i in 0..=10_300 {
            let x = -(i as f32) / 100.0;
            let off = (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
            // A little more than half of the last bit; where numbers get shorter, below 2⁻¹²⁶, that bit grows.
            assert!(off < 6.1e-8 || x < -87.0, "exp({x}) is off by {off}");
            for x in [x, -x] {
                let x = x.clamp(-87.0, 87.0);
                let off = (f64::from(exp_gate::<true>(x)) / f64::from(x).exp() - 1.0).abs();
                assert!(off < 2e-7, "exp_gate({x}) is off by {off}");
            }
        }
        assert_eq!((exp(f32::NEG_INFINITY), exp(f32::MIN), exp(0.0)), (0.0, 0.0, 1.0));
    }
}
