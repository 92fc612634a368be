//! Weights in the shape that the kernels read: int8 with one scale per 32 weights, in tiles of 16 output rows.
//!
//! A tile holds, block after block along a row's length, eight lines of 64 bytes: line `g` has weights `4g .. 4g + 4` of
//! each of the 16 rows. One line against four broadcast activations is one dot-product instruction for 16 outputs.
//! A weight is `scale · int8 + offset`, which holds every quantised type exactly: nothing is quantised twice. Only F32,
//! F16 and BF16 are rounded, to the largest magnitude of 32.

use super::Isa;
use crate::gguf::{BLOCK, TensorKind};

/// Output rows per tile.
pub(crate) const LANES: usize = 16;
/// Fours of weights per block, each a line of a tile.
pub(super) const QUADS: usize = BLOCK / 4;

/// 64 weights, aligned so that no load crosses a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// The scales (or offsets) of one block of a tile, one per output row.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Scales(pub(super) [f32; LANES]);

/// One block (32 weights) of a tile.
pub(super) type BlockLines = [Line; QUADS];

/// One tile: its blocks along the row, and their scales.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) blocks: &'a [BlockLines],
    pub(super) scales: &'a [Scales],
    /// Empty where all offsets are 0.
    pub(super) offsets: &'a [Scales],
}

/// A matrix of `rows` outputs by `row` inputs.
#[derive(Debug)]
pub(crate) struct Packed {
    kind: TensorKind,
    rows: usize,
    row: usize,
    flip: u8,
    blocks: Vec<BlockLines>,
    scales: Vec<Scales>,
    offsets: Vec<Scales>,
}

impl Packed {
    /// An empty matrix, to be filled by [`Packed::parts`] from weights of `kind`. `row` must be a multiple of 32.
    pub(crate) fn new(isa: Isa, kind: TensorKind, rows: usize, row: usize) -> Self {
        let blocks = rows.div_ceil(LANES) * (row / BLOCK);
        let flip = isa.flip(kind);
        Self {
            kind,
            offsets: if kind.has_offsets() { vec![Scales([0.0; LANES]); blocks] } else { Vec::new() },
            rows,
            row,
            flip,
            blocks: vec![[Line([flip; 64]); QUADS]; blocks],
            scales: vec![Scales([0.0; LANES]); blocks],
        }
    }

    /// Outputs, rounded up to whole tiles: the width of a product's row.
    pub(crate) fn width(&self) -> usize {
        self.rows.next_multiple_of(LANES)
    }

    fn blocks_per_row(&self) -> usize {
        self.row / BLOCK
    }

    pub(super) fn tile(&self, tile: usize) -> Tile<'_> {
        let per_row = self.blocks_per_row();
        let range = tile * per_row..(tile + 1) * per_row;
        let offsets = self.offsets.get(range.clone()).unwrap_or_default();
        Tile { blocks: &self.blocks[range.clone()], scales: &self.scales[range], offsets }
    }

    /// Cuts the matrix into pieces of about `rows` rows that threads can fill side by side.
    pub(crate) fn parts(&mut self, rows: usize) -> Vec<Part<'_>> {
        let tiles = rows.div_ceil(LANES).max(1);
        let (kind, per_row, flip, total) = (self.kind, self.row / BLOCK, self.flip, self.rows);
        let chunk = (tiles * per_row).max(1);
        let mut offsets = self.offsets.chunks_mut(chunk);
        let pieces = self.blocks.chunks_mut(chunk).zip(self.scales.chunks_mut(chunk));
        let part = |(i, (blocks, scales))| {
            let first = i * tiles * LANES;
            let count = (tiles * LANES).min(total - first);
            Part {
                kind,
                first,
                count,
                per_row,
                flip,
                blocks,
                scales,
                offsets: offsets.next().unwrap_or_default(),
            }
        };
        pieces.enumerate().map(part).collect()
    }

    /// Reads one row back as numbers: the embedding of a token, when input and output share their table.
    pub(crate) fn read_row(&self, row: usize, out: &mut [f32]) {
        let (tile, lane) = (self.tile(row / LANES), row % LANES);
        for (b, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let offset = tile.offsets.get(b).map_or(0.0, |offsets| offsets.0[lane]);
            for (line, out) in tile.blocks[b].iter().zip(out.chunks_exact_mut(4)) {
                for (weight, out) in line.0[lane * 4..lane * 4 + 4].iter().zip(out) {
                    *out = f32::from((weight ^ self.flip) as i8) * tile.scales[b].0[lane] + offset;
                }
            }
        }
    }
}

/// Some rows of a [`Packed`] that one thread fills.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    kind: TensorKind,
    pub(crate) first: usize,
    pub(crate) count: usize,
    per_row: usize,
    flip: u8,
    blocks: &'a mut [BlockLines],
    scales: &'a mut [Scales],
    offsets: &'a mut [Scales],
}

impl Part<'_> {
    /// Packs `count` stored rows.
    pub(crate) fn fill(&mut self, stored: &[u8]) {
        let block_bytes = self.kind.block_bytes();
        for (r, row) in stored.chunks_exact(block_bytes * self.per_row).take(self.count).enumerate() {
            for (b, bytes) in row.chunks_exact(block_bytes).enumerate() {
                let block = self.kind.quants(bytes);
                let at = (r / LANES) * self.per_row + b;
                let lane = r % LANES;
                self.scales[at].0[lane] = block.scale;
                if let Some(offsets) = self.offsets.get_mut(at) {
                    offsets.0[lane] = block.offset;
                }
                for (line, four) in self.blocks[at].iter_mut().zip(block.weights.as_chunks::<4>().0) {
                    for (stored, weight) in line.0[lane * 4..lane * 4 + 4].iter_mut().zip(four) {
                        *stored = *weight as u8 ^ self.flip;
                    }
                }
            }
        }
    }
}
