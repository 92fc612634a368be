//! Attention of each row over its own sequence's context and nothing else: no padding, whatever else is in the batch.
//!
//! Keys and values lie in blocks of 16 positions. Within a block the keys are transposed (`head_size` × 16), so that one
//! vector holds the same dimension of 16 positions and their scores need no horizontal sums; values lie in rows. Both are
//! halves.
//!
//! Contexts are read in stretches of 512 positions. Within one the weighted sums are halves, as in llama.cpp; the
//! stretches' sums are put together in single precision, so that a long context does not drown late positions.

use super::float::exp;
use super::{Isa, LANES, Pool};

/// Positions of a stretch, a multiple of [`LANES`].
const STRETCH: usize = 512;

/// The keys and values of one sequence for one layer and one key/value head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'a> {
    /// The sequence's blocks, each with the halves of all layers and heads.
    pub(crate) blocks: &'a [Box<[u16]>],
    /// Where this layer's and head's keys start in a block.
    pub(crate) key_offset: usize,
    /// Where its values start.
    pub(crate) value_offset: usize,
    /// Numbers of either in one block: 16 · head size.
    pub(crate) len: usize,
}

impl<'a> Span<'a> {
    pub(super) fn keys(&self, block: usize) -> &'a [u16] {
        &self.blocks[block][self.key_offset..self.key_offset + self.len]
    }

    pub(super) fn values(&self, block: usize) -> &'a [u16] {
        &self.blocks[block][self.value_offset..self.value_offset + self.len]
    }
}

/// What `G` query heads of one row ask of the key/value head that they share.
#[derive(Clone, Copy)]
pub(super) struct Query<'a, const G: usize> {
    pub(super) heads: [&'a [f32]; G],
    pub(super) span: Span<'a>,
    /// Positions attended: the row's own and all before it.
    pub(super) len: usize,
    pub(super) head_size: usize,
    /// `1 / sqrt(head_size)`.
    pub(super) scale: f32,
}

/// What a stretch of the context adds up to, beside the weighted sums of its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// The largest score, which weights are relative to.
    pub(super) most: f32,
    /// The sum of the weights.
    pub(super) total: f32,
}

/// One unit of work: a row and a key/value head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// The row's query heads of this group, side by side.
    pub(crate) query: &'a [f32],
    pub(crate) span: Span<'a>,
    pub(crate) len: usize,
}

/// Computes all `units`; unit `i` writes `out[i * width ..]` where `width` is the length of a unit's query.
///
/// `units` are dealt to the threads in runs of about equal context.
pub(crate) fn attend(isa: Isa, pool: &Pool, head_size: usize, units: &[Attention<'_>], out: &mut [f32]) {
    let Some(width) = units.first().map(|unit| unit.query.len()) else { return };
    let total: usize = units.iter().map(|unit| unit.len).sum();
    let share = total.div_ceil(pool.jobs()).max(1);
    let mut parts = Vec::with_capacity(pool.jobs());
    let (mut rest_units, mut rest_out) = (units, out);
    while !rest_units.is_empty() {
        let costs = rest_units.iter().scan(0, |cost, unit| Some(std::mem::replace(cost, *cost + unit.len)));
        let count = costs.take_while(|cost_before| *cost_before < share).count();
        let (units, later_units) = rest_units.split_at(count);
        let (out, later_out) = rest_out.split_at_mut(count * width);
        parts.push((units, out));
        (rest_units, rest_out) = (later_units, later_out);
    }
    pool.each(parts, |(units, out)| {
        let longest = units.iter().map(|unit| unit.len).max().unwrap_or(0);
        let mut scratch = Scratch {
            scores: vec![0.0; GROUP * longest.min(STRETCH).next_multiple_of(LANES)],
            part: vec![0.0; GROUP * head_size],
        };
        for (unit, out) in units.iter().zip(out.chunks_exact_mut(width)) {
            one(isa, head_size, unit, &mut scratch, out);
        }
    });
}

/// Buffers of one thread.
struct Scratch {
    /// One per position of a stretch and head.
    scores: Vec<f32>,
    /// The weighted sums of a stretch that is not the first.
    part: Vec<f32>,
}

/// Query heads computed together at most: they share each load of a key, as far as the registers reach.
const GROUP: usize = 4;

fn one(isa: Isa, head_size: usize, unit: &Attention<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    let step = GROUP * head_size;
    for (query, out) in unit.query.chunks(step).zip(out.chunks_mut(step)) {
        match query.len() / head_size {
            1 => group::<1>(isa, unit, query, scratch, out),
            2 => group::<2>(isa, unit, query, scratch, out),
            3 => group::<3>(isa, unit, query, scratch, out),
            _ => group::<4>(isa, unit, query, scratch, out),
        }
    }
}

/// `G` heads over all stretches of the context.
fn group<const G: usize>(
    isa: Isa,
    unit: &Attention<'_>,
    query: &[f32],
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let head_size = query.len() / G;
    let heads = std::array::from_fn(|g| &query[g * head_size..(g + 1) * head_size]);
    let scale = 1.0 / (head_size as f32).sqrt();
    let stretch = |from: usize| {
        let span = Span { blocks: &unit.span.blocks[from / LANES..], ..unit.span };
        Query { heads, span, len: (unit.len - from).min(STRETCH), head_size, scale }
    };
    let mut shares = isa.attend::<G>(stretch(0), &mut scratch.scores, out);
    for from in (STRETCH..unit.len).step_by(STRETCH) {
        let part = &mut scratch.part[..G * head_size];
        let added = isa.attend::<G>(stretch(from), &mut scratch.scores, part);
        for g in 0..G {
            let heads = g * head_size..(g + 1) * head_size;
            shares[g] = merge((shares[g], &mut out[heads.clone()]), (added[g], &part[heads]));
        }
    }
    for (out, share) in out.chunks_exact_mut(head_size).zip(shares) {
        let inverse = 1.0 / share.total;
        out.iter_mut().for_each(|out| *out *= inverse);
    }
}

/// Adds the weighted sums of one stretch to those of the stretches before it.
fn merge((before, out): (Share, &mut [f32]), (added, part): (Share, &[f32])) -> Share {
    let most = before.most.max(added.most);
    let (old, new) = (exp(before.most - most), exp(added.most - most));
    for (out, part) in out.iter_mut().zip(part) {
        *out = *out * old + part * new;
    }
    Share { most, total: before.total * old + added.total * new }
}
