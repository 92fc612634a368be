//! How stored weights become numbers. Every quantised type here groups 32 weights under one scale.
//!
//! Layouts: ggml's `block_q4_0`, `block_q4_1`, `block_q5_0`, `block_q5_1`, `block_q8_0` in `ggml-common.h`.

/// Weights per block of every quantised type, and per scale of our own int8 tiles.
pub(crate) const BLOCK: usize = 32;

/// The tensor types that are read. K-quants are not among them yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TensorKind {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
}

impl TensorKind {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// Weights in the smallest unit that can be read, and that unit's bytes.
    const fn unit(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (BLOCK, 18),
            Self::Q4_1 => (BLOCK, 20),
            Self::Q5_0 => (BLOCK, 22),
            Self::Q5_1 => (BLOCK, 24),
            Self::Q8_0 => (BLOCK, 34),
        }
    }

    /// Bytes of a row of `weights`; `None` when it is no whole number of blocks, or absurdly long.
    pub(crate) fn row_bytes(self, weights: u64) -> Option<u64> {
        let (unit, bytes) = self.unit();
        let unit = unit as u64;
        if weights % unit == 0 { (weights / unit).checked_mul(bytes as u64) } else { None }
    }

    /// Bytes of 32 weights.
    pub(crate) const fn block_bytes(self) -> usize {
        let (unit, bytes) = self.unit();
        BLOCK / unit * bytes
    }

    /// Decodes whole units; stops at the shorter of the two.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        let (unit, unit_bytes) = self.unit();
        for (bytes, out) in bytes.chunks_exact(unit_bytes).zip(out.chunks_exact_mut(unit)) {
            match self {
                Self::F32 => out[0] = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                Self::F16 => out[0] = half_at(bytes, 0),
                Self::BF16 => out[0] = f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16),
                Self::Q4_0 => nibbles(&bytes[2..], [0; 4], half_at(bytes, 0), -8.0 * half_at(bytes, 0), out),
                Self::Q4_1 => nibbles(&bytes[4..], [0; 4], half_at(bytes, 0), half_at(bytes, 2), out),
                Self::Q5_0 => {
                    let (scale, high) = (half_at(bytes, 0), [bytes[2], bytes[3], bytes[4], bytes[5]]);
                    nibbles(&bytes[6..], high, scale, -16.0 * scale, out);
                }
                Self::Q5_1 => {
                    let high = [bytes[4], bytes[5], bytes[6], bytes[7]];
                    nibbles(&bytes[8..], high, half_at(bytes, 0), half_at(bytes, 2), out);
                }
                Self::Q8_0 => {
                    let scale = half_at(bytes, 0);
                    for (out, q) in out.iter_mut().zip(&bytes[2..]) {
                        *out = f32::from(*q as i8) * scale;
                    }
                }
            }
        }
    }
}

/// Low nibbles are the first 16 weights, high nibbles the last 16; `fifth` holds one more bit for each of the 32.
fn nibbles(quants: &[u8], fifth: [u8; 4], scale: f32, offset: f32, out: &mut [f32]) {
    let fifth = u32::from_le_bytes(fifth);
    for (i, q) in quants[..BLOCK / 2].iter().enumerate() {
        let low = u32::from(q & 15) | (fifth >> i & 1) << 4;
        let high = u32::from(q >> 4) | (fifth >> (i + 16) & 1) << 4;
        out[i] = low as f32 * scale + offset;
        out[i + 16] = high as f32 * scale + offset;
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    half_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// IEEE 754 half to single precision, exactly.
pub(crate) fn half_to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10 & 31);
    let fraction = u32::from(half & 1023);
    let magnitude = match exponent {
        0 => fraction as f32 * 2f32.powi(-24),
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits((exponent + 112) << 23 | fraction << 13),
    };
    f32::from_bits(magnitude.to_bits() | sign)
}
