use std::sync::Mutex;

use super::{Activations, Attention, Isa, LANES, Packed, Pool, Span, activation, attend, matmul};
use crate::gguf::TensorKind;
use crate::testing::Numbers;

/// A matrix of random int8 weights whose scales are powers of two, so that sums come out exactly in any order.
fn exact_matrix(isa: Isa, kind: TensorKind, rows: usize, row: usize) -> Packed {
    let mut numbers = Numbers(99);
    let stored: Vec<u8> = (0..rows * row / 32)
        .flat_map(|_| {
            let mut block: Vec<u8> = (0..kind.block_bytes()).map(|_| numbers.next() as u8).collect();
            let half = [0x3c00_u16, 0x3800, 0x4000][numbers.next() as usize % 3];
            block[..2].copy_from_slice(&half.to_le_bytes());
            if kind.has_offsets() {
                block[2..4].copy_from_slice(&0xc000_u16.to_le_bytes());
            }
            block
        })
        .collect();
    let mut matrix = Packed::new(isa, kind, rows, row);
    let row_bytes = stored.len() / rows;
    for mut part in matrix.parts(48) {
        part.fill(&stored[part.first * row_bytes..(part.first + part.count) * row_bytes]);
    }
    matrix
}

/// Rows of whole numbers up to 127, which quantise to themselves.
fn exact_rows(count: usize, row: usize) -> Vec<f32> {
    let mut numbers = Numbers(3);
    let mut values: Vec<f32> =
        (0..count * row).map(|_| f32::from(numbers.next() as i8).max(-127.0)).collect();
    values.chunks_exact_mut(32).for_each(|block| block[5] = 127.0);
    values
}

fn product(isa: Isa, pool: &Pool, matrix: &Packed, values: &[f32], row: usize) -> Vec<f32> {
    let mut inputs = Activations::default();
    inputs.set(values, row);
    let mut out = Vec::new();
    matmul(isa, pool, &inputs, &mut [(matrix, &mut out)]);
    out
}

#[test]
fn every_kernel_multiplies_like_the_reference() {
    let (rows, row) = (80, 96);
    for kind in [TensorKind::Q8_0, TensorKind::Q4_1, TensorKind::Q5_0] {
        let expected_matrix = exact_matrix(Isa::Scalar, kind, rows, row);
        for isa in Isa::available() {
            let matrix = exact_matrix(isa, kind, rows, row);
            for threads in [1, 3] {
                let pool = Pool::new(threads).unwrap();
                for count in [1, 2, 3, 4, 5, 7, 8, 9, 23] {
                    let values = exact_rows(count, row);
                    let expected = product(Isa::Scalar, &pool, &expected_matrix, &values, row);
                    let got = product(isa, &pool, &matrix, &values, row);
                    assert_eq!(got, expected, "{} {kind:?} {count} rows {threads} threads", isa.name());
                }
            }
        }
    }
}

#[test]
fn the_reference_multiplies_like_arithmetic() {
    let (rows, row) = (16, 64);
    let matrix = exact_matrix(Isa::Scalar, TensorKind::Q4_1, rows, row);
    let values = exact_rows(2, row);
    let out = product(Isa::Scalar, &Pool::new(1).unwrap(), &matrix, &values, row);
    let mut weights = vec![0.0; row];
    for (r, values) in values.chunks_exact(row).enumerate() {
        for n in 0..rows {
            matrix.read_row(n, &mut weights);
            let expected: f32 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
            assert_eq!(out[r * rows + n], expected);
        }
    }
}

#[test]
fn a_row_comes_out_the_same_alone_and_in_a_crowd() {
    let (rows, row) = (64, 128);
    let values = Numbers(5).floats(13 * row);
    for isa in Isa::available() {
        let matrix = exact_matrix(isa, TensorKind::Q4_1, rows, row);
        let together = product(isa, &Pool::new(2).unwrap(), &matrix, &values, row);
        for (i, values) in values.chunks_exact(row).enumerate() {
            let alone = product(isa, &Pool::new(1).unwrap(), &matrix, values, row);
            assert_eq!(alone, together[i * rows..(i + 1) * rows], "{} row {i}", isa.name());
        }
    }
}

/// Keys and values of one head in the cache's layout, and in plain rows.
struct Context {
    blocks: Vec<Box<[f32]>>,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    size: usize,
}

impl Context {
    fn new(len: usize, size: usize) -> Self {
        let mut numbers = Numbers(11);
        // What lies behind the last position is garbage from another sequence, and must not matter.
        let mut blocks = vec![vec![1e30_f32; 2 * size * LANES].into_boxed_slice(); len.div_ceil(LANES)];
        let keys: Vec<_> = (0..len).map(|_| numbers.floats(size)).collect();
        let values: Vec<_> = (0..len).map(|_| numbers.floats(size)).collect();
        for position in 0..len {
            let block = &mut blocks[position / LANES];
            for d in 0..size {
                block[d * LANES + position % LANES] = keys[position][d] * 4.0;
                block[(LANES + position % LANES) * size + d] = values[position][d];
            }
        }
        Self { blocks, keys, values, size }
    }

    fn span(&self) -> Span<'_> {
        let len = self.size * LANES;
        Span { blocks: &self.blocks, key_offset: 0, value_offset: len, len }
    }

    /// Attention of one head, in double precision.
    fn expected(&self, query: &[f32], len: usize) -> Vec<f64> {
        let dot = |key: &Vec<f32>| {
            key.iter().zip(query).map(|(k, q)| f64::from(k * 4.0) * f64::from(*q)).sum::<f64>()
        };
        let weights: Vec<f64> =
            self.keys[..len].iter().map(|key| (dot(key) / (self.size as f64).sqrt()).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut out = vec![0.0; self.size];
        for (weight, value) in weights.iter().zip(&self.values) {
            out.iter_mut().zip(value).for_each(|(out, v)| *out += weight / total * f64::from(*v));
        }
        out
    }
}

#[test]
fn every_kernel_attends_to_exactly_the_context() {
    for isa in Isa::available() {
        for (size, heads) in [(16, 1), (32, 2), (64, 3), (80, 4), (128, 5)] {
            let context = Context::new(67, size);
            let query = Numbers(heads as u64 + 1).floats(heads * size);
            let lens = [1, 2, 15, 16, 17, 33, 67];
            let units = lens.map(|len| Attention { query: &query, span: context.span(), len });
            let mut out = vec![f32::NAN; lens.len() * heads * size];
            attend(isa, &Pool::new(2).unwrap(), size, &units, &mut out);
            for (len, out) in lens.into_iter().zip(out.chunks_exact(heads * size)) {
                for (query, out) in query.chunks_exact(size).zip(out.chunks_exact(size)) {
                    for (expected, got) in context.expected(query, len).iter().zip(out) {
                        let off = (expected - f64::from(*got)).abs();
                        assert!(
                            off < 1e-5,
                            "{} size {size} heads {heads} len {len}: off by {off}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_exponential_is_close_everywhere() {
    for i in -8_700..=8_700 {
        let x = i as f32 / 100.0;
        let (got, expected) = (f64::from(activation::exp(x)), f64::from(x).exp());
        assert!((got / expected - 1.0).abs() < 1e-5, "exp({x}) came out as {got}");
    }
    assert!(activation::exp(f32::MIN) < 1e-37);
    assert!(activation::exp(f32::MAX).is_finite());
}

#[test]
fn a_pool_hands_each_item_to_exactly_one_call() {
    for threads in [1, 2, 5] {
        let pool = Pool::new(threads).unwrap();
        for count in [0, 1, 2, 100] {
            let seen = Mutex::new(Vec::new());
            pool.each((0..count).collect(), |item: usize| seen.lock().unwrap().push(item));
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_pool_outlives_a_panic_in_its_work() {
    let pool = Pool::new(3).unwrap();
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.each((0..50).collect(), |item: usize| assert_ne!(item, 20, "on purpose"));
    }));
    assert!(broken.is_err());
    let sum = Mutex::new(0);
    pool.each((0..50).collect(), |item: usize| *sum.lock().unwrap() += item);
    assert_eq!(sum.into_inner().unwrap(), 1_225);
}
