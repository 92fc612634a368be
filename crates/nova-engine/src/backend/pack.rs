//! Weights in the shape that the kernels read: int8 with one scale per 32 weights, in tiles of 16 output rows.
//!
//! A tile holds, block after block along a row's length, eight lines of 64 bytes: line `g` has weights `4g .. 4g + 4` of
//! each of the 16 rows. One line against four broadcast activations is one dot-product instruction for 16 outputs.
//! Q4_1 becomes int8 with 0.6 % relative error (re-quantising it to Q4_0 would cost 8.7 %); Q8_0 stays exact.

use super::Isa;
use crate::gguf::{BLOCK, TensorKind, half_to_f32};

/// Output rows per tile.
pub(crate) const LANES: usize = 16;
/// Lines per block.
const LINES: usize = BLOCK / 4;

/// 64 weights, aligned so that no load crosses a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// The scales of one block of a tile, one per output row.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Scales(pub(super) [f32; LANES]);

/// One block (32 weights) of a tile.
pub(super) type BlockLines = [Line; LINES];

/// One tile: its blocks along the row, and their scales.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) blocks: &'a [BlockLines],
    pub(super) scales: &'a [Scales],
}

/// A matrix of `rows` outputs by `row` inputs.
#[derive(Debug)]
pub(crate) struct Packed {
    rows: usize,
    row: usize,
    flip: u8,
    blocks: Vec<BlockLines>,
    scales: Vec<Scales>,
}

impl Packed {
    /// An empty matrix, to be filled by [`Packed::parts`]. `row` must be a multiple of 32.
    pub(crate) fn new(isa: Isa, rows: usize, row: usize) -> Self {
        let blocks = rows.div_ceil(LANES) * (row / BLOCK);
        Self {
            rows,
            row,
            flip: isa.flip(),
            blocks: vec![[Line([isa.flip(); 64]); LINES]; blocks],
            scales: vec![Scales([0.0; LANES]); blocks],
        }
    }

    /// Number of outputs.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Outputs, rounded up to whole tiles: the width of a product's row.
    pub(crate) fn width(&self) -> usize {
        self.rows.next_multiple_of(LANES)
    }

    /// Number of inputs.
    pub(crate) fn row(&self) -> usize {
        self.row
    }

    fn blocks_per_row(&self) -> usize {
        self.row / BLOCK
    }

    pub(super) fn tile(&self, tile: usize) -> Tile<'_> {
        let per_row = self.blocks_per_row();
        let range = tile * per_row..(tile + 1) * per_row;
        Tile { blocks: &self.blocks[range.clone()], scales: &self.scales[range] }
    }

    /// Cuts the matrix into pieces of about `rows` rows that threads can fill side by side.
    pub(crate) fn parts(&mut self, rows: usize) -> Vec<Part<'_>> {
        let tiles = rows.div_ceil(LANES).max(1);
        let (per_row, flip, total) = (self.row / BLOCK, self.flip, self.rows);
        let chunk = (tiles * per_row).max(1);
        let blocks = self.blocks.chunks_mut(chunk).zip(self.scales.chunks_mut(chunk));
        blocks
            .enumerate()
            .map(|(i, (blocks, scales))| {
                let first = i * tiles * LANES;
                Part { first, count: (tiles * LANES).min(total - first), per_row, flip, blocks, scales }
            })
            .collect()
    }

    /// Reads one row back as numbers: the embedding of a token, when input and output share their table.
    pub(crate) fn read_row(&self, row: usize, out: &mut [f32]) {
        let (tile, lane) = (self.tile(row / LANES), row % LANES);
        for ((block, scales), out) in tile.blocks.iter().zip(tile.scales).zip(out.chunks_exact_mut(BLOCK)) {
            for (line, out) in block.iter().zip(out.chunks_exact_mut(4)) {
                for (weight, out) in line.0[lane * 4..lane * 4 + 4].iter().zip(out) {
                    *out = f32::from((weight ^ self.flip) as i8) * scales.0[lane];
                }
            }
        }
    }
}

/// Some rows of a [`Packed`] that one thread fills.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) first: usize,
    pub(crate) count: usize,
    per_row: usize,
    flip: u8,
    blocks: &'a mut [BlockLines],
    scales: &'a mut [Scales],
}

impl Part<'_> {
    /// Packs `count` stored rows.
    pub(crate) fn fill(&mut self, kind: TensorKind, stored: &[u8]) {
        let block_bytes = kind.block_bytes();
        for (r, row) in stored.chunks_exact(block_bytes * self.per_row).take(self.count).enumerate() {
            for (b, bytes) in row.chunks_exact(block_bytes).enumerate() {
                let (scale, weights) = quantise_block(kind, bytes);
                let at = (r / LANES) * self.per_row + b;
                let lane = r % LANES;
                self.scales[at].0[lane] = scale;
                for (line, four) in self.blocks[at].iter_mut().zip(weights.chunks_exact(4)) {
                    for (stored, weight) in line.0[lane * 4..lane * 4 + 4].iter_mut().zip(four) {
                        *stored = *weight as u8 ^ self.flip;
                    }
                }
            }
        }
    }
}

/// 32 weights as a scale and int8: those of Q8_0 unchanged, others by their largest magnitude.
fn quantise_block(kind: TensorKind, bytes: &[u8]) -> (f32, [i8; BLOCK]) {
    let mut weights = [0_i8; BLOCK];
    if kind == TensorKind::Q8_0 {
        for (weight, byte) in weights.iter_mut().zip(&bytes[2..]) {
            *weight = *byte as i8;
        }
        return (half_to_f32(u16::from_le_bytes([bytes[0], bytes[1]])), weights);
    }
    let mut values = [0.0_f32; BLOCK];
    kind.decode(bytes, &mut values);
    let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (weight, value) in weights.iter_mut().zip(values) {
        *weight = (value * inverse).round() as i8;
    }
    (largest / 127.0, weights)
}
