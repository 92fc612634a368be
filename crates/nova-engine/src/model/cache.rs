//! Keys and values of a sequence's context, in blocks of 16 positions that are taken when needed and given back.

use crate::backend::{LANES, Span, half_bits};
use crate::model::Config;

/// Positions per block: one vector of the attention kernels.
pub(crate) const BLOCK_TOKENS: usize = LANES;

/// How a block is laid out: `[layer][key, value][head][16 · head size]`, keys transposed, all halves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheShape {
    kv_heads: usize,
    head_size: usize,
    block_numbers: usize,
}

impl CacheShape {
    pub(crate) fn new(config: &Config) -> Self {
        let Config { layers, kv_heads, head_size, .. } = *config;
        Self { kv_heads, head_size, block_numbers: layers * 2 * kv_heads * head_size * BLOCK_TOKENS }
    }

    /// Memory of one position.
    pub(crate) fn token_bytes(&self) -> usize {
        self.block_numbers / BLOCK_TOKENS * size_of::<u16>()
    }

    fn head_numbers(&self) -> usize {
        self.head_size * BLOCK_TOKENS
    }

    fn key_offset(&self, layer: usize, head: usize) -> usize {
        (layer * 2 * self.kv_heads + head) * self.head_numbers()
    }

    fn value_offset(&self, layer: usize, head: usize) -> usize {
        self.key_offset(layer, head) + self.kv_heads * self.head_numbers()
    }
}

/// The context of one sequence.
///
/// How many blocks all sequences together may hold is the scheduler's business; a cache only takes what it is told to.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    blocks: Vec<Box<[u16]>>,
    len: usize,
}

impl Cache {
    /// Positions that are filled.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes room for `tokens` positions in all.
    pub(crate) fn reserve(&mut self, shape: &CacheShape, tokens: usize) {
        while self.blocks.len() * BLOCK_TOKENS < tokens {
            self.blocks.push(vec![0; shape.block_numbers].into_boxed_slice());
        }
    }

    /// Declares `count` more positions filled, once all layers have stored them.
    pub(super) fn advance(&mut self, count: usize) {
        self.len += count;
    }

    /// Stores the key and value rows (all heads side by side) of one position.
    pub(super) fn store(
        &mut self,
        shape: &CacheShape,
        layer: usize,
        position: usize,
        (key, value): (&[f32], &[f32]),
    ) {
        let (size, lane) = (shape.head_size, position % BLOCK_TOKENS);
        let block = &mut self.blocks[position / BLOCK_TOKENS];
        for head in 0..shape.kv_heads {
            let range = head * size..(head + 1) * size;
            let keys = &mut block[shape.key_offset(layer, head)..][..shape.head_numbers()];
            for (line, k) in keys.chunks_exact_mut(BLOCK_TOKENS).zip(&key[range.clone()]) {
                line[lane] = half_bits(*k);
            }
            let values = &mut block[shape.value_offset(layer, head) + lane * size..][..size];
            for (stored, v) in values.iter_mut().zip(&value[range]) {
                *stored = half_bits(*v);
            }
        }
    }

    /// What attention of one layer and head reads.
    pub(super) fn span(&self, shape: &CacheShape, layer: usize, head: usize) -> Span<'_> {
        Span {
            blocks: &self.blocks,
            key_offset: shape.key_offset(layer, head),
            value_offset: shape.value_offset(layer, head),
            len: shape.head_numbers(),
        }
    }
}
