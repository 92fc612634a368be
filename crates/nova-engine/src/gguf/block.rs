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
        const ALL: [TensorKind; 8] = [
            TensorKind::F32,
            TensorKind::F16,
            TensorKind::Q4_0,
            TensorKind::Q4_1,
            TensorKind::Q5_0,
            TensorKind::Q5_1,
            TensorKind::Q8_0,
            TensorKind::BF16,
        ];
        ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The code that files name the type by.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::BF16 => 30,
        }
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
        if weights.is_multiple_of(unit) { (weights / unit).checked_mul(bytes as u64) } else { None }
    }

    /// Bytes of 32 weights.
    pub(crate) const fn block_bytes(self) -> usize {
        let (unit, bytes) = self.unit();
        BLOCK / unit * bytes
    }

    /// Whether a weight is `scale · integer + offset` rather than `scale · integer`.
    pub(crate) const fn has_offsets(self) -> bool {
        matches!(self, Self::Q4_1 | Self::Q5_1)
    }

    /// Decodes whole blocks of 32 weights; stops at the shorter of the two.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        for (bytes, out) in bytes.chunks(self.block_bytes()).zip(out.chunks_mut(BLOCK)) {
            match self {
                Self::F32 | Self::F16 | Self::BF16 => self.floats(bytes, out),
                _ => {
                    let Quants { scale, offset, weights } = self.quants(bytes);
                    for (out, weight) in out.iter_mut().zip(weights) {
                        *out = f32::from(weight) * scale + offset;
                    }
                }
            }
        }
    }

    /// One block as integers: exact for quantised types, rounded to the largest magnitude for the others.
    pub(crate) fn quants(self, b: &[u8]) -> Quants {
        let scale = half_at(b, 0);
        let (offset, weights) = match self {
            Self::F32 | Self::F16 | Self::BF16 => {
                let mut values = [0.0; BLOCK];
                self.floats(b, &mut values);
                return round(&values);
            }
            Self::Q4_0 => (0.0, nibbles(&b[2..], [0; 4], 8)),
            Self::Q4_1 => (half_at(b, 2), nibbles(&b[4..], [0; 4], 0)),
            Self::Q5_0 => (0.0, nibbles(&b[6..], [b[2], b[3], b[4], b[5]], 16)),
            Self::Q5_1 => (half_at(b, 2), nibbles(&b[8..], [b[4], b[5], b[6], b[7]], 0)),
            Self::Q8_0 => (0.0, std::array::from_fn(|i| b[2 + i] as i8)),
        };
        Quants { scale, offset, weights }
    }

    fn floats(self, bytes: &[u8], out: &mut [f32]) {
        let (_, size) = self.unit();
        for (bytes, out) in bytes.chunks_exact(size).zip(out) {
            *out = match self {
                Self::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                Self::BF16 => f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16),
                _ => half_at(bytes, 0),
            };
        }
    }
}

/// 32 weights, each `scale · weight + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quants {
    pub(crate) scale: f32,
    pub(crate) offset: f32,
    pub(crate) weights: [i8; BLOCK],
}

fn round(values: &[f32; BLOCK]) -> Quants {
    let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    Quants {
        scale: largest / 127.0,
        offset: 0.0,
        weights: values.map(|value| (value * inverse).round() as i8),
    }
}

/// Low nibbles are the first 16 weights, high nibbles the last 16; `fifth` holds one more bit for each of the 32.
fn nibbles(quants: &[u8], fifth: [u8; 4], zero: i8) -> [i8; BLOCK] {
    let fifth = u32::from_le_bytes(fifth);
    std::array::from_fn(|i| {
        let nibble = if i < 16 { quants[i] & 15 } else { quants[i - 16] >> 4 };
        let fifth = ((fifth >> i) & 1) as u8;
        (nibble | (fifth << 4)) as i8 - zero
    })
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    half_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// IEEE 754 half to single precision, exactly.
fn half_to_f32(half: u16) -> f32 {
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
