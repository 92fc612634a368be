//! One pass of the model over rows of many sequences.

use super::Config;
use super::cache::{Cache, CacheShape};
use super::weights::{Layer, Weights};
use crate::backend::{Activations, Attention, Isa, Pool, attend, half, matmul, rms_norm};

/// The next tokens of one sequence.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) tokens: &'a [u32],
    /// Filled up to where `tokens` start. The pass makes room and fills it further.
    pub(crate) cache: &'a mut Cache,
    /// Whether the logits after the last of `tokens` are wanted.
    pub(crate) logits: bool,
}

/// A model ready to run, with the buffers that its passes share.
#[derive(Debug)]
pub(crate) struct Forward {
    config: Config,
    weights: Weights,
    shape: CacheShape,
    isa: Isa,
    pool: Pool,
    rope: Rope,
    buffers: Buffers,
}

/// Buffers of one pass, kept so that a pass allocates next to nothing. Rows lie one after the other.
#[derive(Debug, Default)]
struct Buffers {
    /// The residual stream.
    stream: Vec<f32>,
    normed: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    out: Vec<f32>,
    inputs: Activations,
}

impl Forward {
    pub(crate) fn new(config: Config, weights: Weights, isa: Isa, pool: Pool) -> Self {
        let shape = CacheShape::new(&config);
        let rope = Rope::new(config.head_size, config.rope_base, config.context);
        Self { config, weights, shape, isa, pool, rope, buffers: Buffers::default() }
    }

    /// Runs all `pieces` together. Returns one row of logits for each piece that wants them, in order.
    pub(crate) fn run(&mut self, pieces: &mut [Piece<'_>]) -> Vec<Vec<f32>> {
        self.embed(pieces);
        for layer in 0..self.weights.layers.len() {
            self.attention(layer, pieces);
            self.feed_forward(layer);
        }
        for piece in &mut *pieces {
            piece.cache.advance(piece.tokens.len());
        }
        self.logits(pieces)
    }

    fn embed(&mut self, pieces: &mut [Piece<'_>]) {
        let width = self.config.width;
        let rows: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
        self.buffers.stream.resize(rows * width, 0.0);
        let tokens = pieces.iter().flat_map(|piece| piece.tokens);
        for (token, row) in tokens.zip(self.buffers.stream.chunks_exact_mut(width)) {
            self.weights.embedding.read_row(*token as usize, row);
        }
        for piece in pieces {
            piece.cache.reserve(&self.shape, piece.cache.len() + piece.tokens.len());
        }
    }

    fn attention(&mut self, index: usize, pieces: &mut [Piece<'_>]) {
        let (c, b, layer) = (&self.config, &mut self.buffers, &self.weights.layers[index]);
        rms_norm(&b.stream, &layer.attention_norm, c.epsilon, &mut b.normed);
        b.inputs.set(&b.normed, c.width);
        let mut products =
            [(&layer.query, &mut b.query), (&layer.key, &mut b.key), (&layer.value, &mut b.value)];
        matmul(self.isa, &self.pool, &b.inputs, &mut products);
        let place = Place { config: c, rope: &self.rope, shape: &self.shape, isa: self.isa, layer: index };
        place.run(b, pieces);

        let units = units(c, &self.shape, index, &b.query, pieces);
        b.attended.resize(b.query.len(), 0.0);
        attend(self.isa, &self.pool, c.head_size, &units, &mut b.attended);
        b.inputs.set(&b.attended, c.query_width());
        matmul(self.isa, &self.pool, &b.inputs, &mut [(&layer.output, &mut b.out)]);
        add(&mut b.stream, &b.out);
    }

    fn feed_forward(&mut self, index: usize) {
        let (c, b) = (&self.config, &mut self.buffers);
        let Layer { feed_norm, gate, up, down, .. } = &self.weights.layers[index];
        rms_norm(&b.stream, feed_norm, c.epsilon, &mut b.normed);
        b.inputs.set(&b.normed, c.width);
        matmul(self.isa, &self.pool, &b.inputs, &mut [(gate, &mut b.gate), (up, &mut b.up)]);
        self.isa.swiglu(&mut b.gate, &b.up);
        b.inputs.set(&b.gate, c.hidden);
        matmul(self.isa, &self.pool, &b.inputs, &mut [(down, &mut b.out)]);
        add(&mut b.stream, &b.out);
    }

    /// Logits of the last row of each piece that wants them: the largest matrix meets only rows that are sampled.
    fn logits(&mut self, pieces: &[Piece<'_>]) -> Vec<Vec<f32>> {
        let (c, b) = (&self.config, &mut self.buffers);
        let mut last = Vec::new();
        let mut row = 0;
        for piece in pieces {
            row += piece.tokens.len();
            if piece.logits && !piece.tokens.is_empty() {
                last.extend_from_slice(&b.stream[(row - 1) * c.width..row * c.width]);
            }
        }
        if last.is_empty() {
            return Vec::new();
        }
        rms_norm(&last, &self.weights.output_norm, c.epsilon, &mut b.normed);
        b.inputs.set(&b.normed, c.width);
        let head = self.weights.head.as_ref().unwrap_or(&self.weights.embedding);
        matmul(self.isa, &self.pool, &b.inputs, &mut [(head, &mut b.out)]);
        b.out.chunks_exact(head.width()).map(|row| row[..c.vocabulary].to_vec()).collect()
    }
}

/// Turns queries and keys by their positions, rounds queries to halves and stores keys and values in the caches.
struct Place<'a> {
    config: &'a Config,
    rope: &'a Rope,
    shape: &'a CacheShape,
    isa: Isa,
    layer: usize,
}

impl Place<'_> {
    fn run(&self, b: &mut Buffers, pieces: &mut [Piece<'_>]) {
        let c = self.config;
        let queries = b.query.chunks_exact_mut(c.query_width());
        let keys = b.key.chunks_exact_mut(c.kv_width());
        let mut rows = queries.zip(keys.zip(b.value.chunks_exact(c.kv_width())));
        for piece in pieces {
            let first = piece.cache.len();
            let positions = first..first + piece.tokens.len();
            for (position, (query, (key, value))) in positions.zip(rows.by_ref()) {
                let turns = self.rope.turns(position);
                self.isa.rotate(query, turns);
                self.isa.rotate(key, turns);
                query.iter_mut().for_each(|q| *q = half(*q));
                piece.cache.store(self.shape, self.layer, position, (key, value));
            }
        }
    }
}

/// What each row and key/value head attends to.
fn units<'a>(
    c: &Config,
    shape: &CacheShape,
    layer: usize,
    queries: &'a [f32],
    pieces: &'a [Piece<'_>],
) -> Vec<Attention<'a>> {
    let group = c.query_width() / c.kv_heads;
    let mut queries = queries.chunks_exact(group);
    let mut units = Vec::with_capacity(queries.len());
    for piece in pieces {
        for row in 0..piece.tokens.len() {
            for (head, query) in (0..c.kv_heads).zip(queries.by_ref()) {
                let span = piece.cache.span(shape, layer, head);
                units.push(Attention { query, span, len: piece.cache.len() + row + 1 });
            }
        }
    }
    units
}

fn add(stream: &mut [f32], out: &[f32]) {
    for (x, y) in stream.iter_mut().zip(out) {
        *x += y;
    }
}

/// Rotary positions (Su et al., 2021) on neighbouring pairs, as Llama's GGUF files order them.
#[derive(Debug)]
struct Rope {
    /// Pairs of dimensions per head.
    pairs: usize,
    /// Cosine and sine for each position and pair.
    table: Vec<(f32, f32)>,
}

impl Rope {
    fn new(head_size: usize, base: f32, context: usize) -> Self {
        let pairs = head_size / 2;
        // Each pair's angle is the one before times this, in single precision: less exact than it could be, and the same
        // as llama.cpp's. In a context of 8,192 the error stays below a ten-thousandth of a turn.
        let step = base.powf(-2.0 / head_size as f32);
        let mut table = Vec::with_capacity(context * pairs);
        for position in 0..context {
            let mut angle = position as f32;
            for _ in 0..pairs {
                table.push((angle.cos(), angle.sin()));
                angle *= step;
            }
        }
        Self { pairs, table }
    }

    /// The cosines and sines of one position.
    fn turns(&self, position: usize) -> &[(f32, f32)] {
        &self.table[position * self.pairs..(position + 1) * self.pairs]
    }
}
