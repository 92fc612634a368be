use std::sync::Mutex;

use super::{Activations, Attention, Isa, LANES, Packed, Pool, Span, attend, half, half_bits, matmul};
use crate::gguf::TensorKind;
use crate::testing::Numbers;

/// A matrix of random integer weights; all scales are ordinary halves.
fn matrix(isa: Isa, kind: TensorKind, rows: usize, row: usize) -> Packed {
    let mut numbers = Numbers(99);
    let stored: Vec<u8> = (0..rows * row / 32)
        .flat_map(|_| {
            let mut block: Vec<u8> = (0..kind.block_bytes()).map(|_| numbers.next() as u8).collect();
            // Halves between 2⁻⁷ and 2⁻⁵ with any digits; offsets are negative.
            let mut half = |high: u8| [numbers.next() as u8, high + (numbers.next() % 8) as u8];
            block[..2].copy_from_slice(&half(0x20));
            if kind.has_offsets() {
                block[2..4].copy_from_slice(&half(0xa0));
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

fn product(isa: Isa, pool: &Pool, matrix: &Packed, values: &[f32], row: usize) -> Vec<f32> {
    let mut inputs = Activations::default();
    inputs.set(values, row);
    let mut out = Vec::new();
    matmul(isa, pool, &inputs, &mut [(matrix, &mut out)]);
    out
}

#[test]
fn every_kernel_multiplies_to_the_same_bits() {
    let (rows, row) = (80, 96);
    for kind in [TensorKind::Q8_0, TensorKind::Q4_1, TensorKind::Q5_0] {
        let expected_matrix = matrix(Isa::Scalar, kind, rows, row);
        for isa in Isa::available() {
            let matrix = matrix(isa, kind, rows, row);
            for threads in [1, 3] {
                let pool = Pool::new(threads).unwrap();
                for count in [1, 2, 3, 4, 5, 7, 8, 9, 23] {
                    let values = Numbers(count as u64).floats(count * row);
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
    for kind in [TensorKind::Q4_1, TensorKind::Q8_0] {
        let matrix = matrix(Isa::Scalar, kind, rows, row);
        let values = Numbers(3).floats(2 * row);
        let out = product(Isa::Scalar, &Pool::new(1).unwrap(), &matrix, &values, row);
        let mut weights = vec![0.0; row];
        for (r, values) in values.chunks_exact(row).enumerate() {
            let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for n in 0..rows {
                matrix.read_row(n, &mut weights);
                let expected: f32 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
                // Each activation is off by half a step of 127, and its scale by a part in 2,048.
                let most: f32 =
                    weights.iter().map(|w| w.abs() * largest * (0.5 / 127.0 + 1.0 / 2_048.0)).sum();
                let off = (out[r * rows + n] - expected).abs();
                assert!(off < most, "{kind:?} row {r} output {n}: off by {off} of {most}");
            }
        }
    }
}

#[test]
fn a_row_comes_out_the_same_alone_and_in_a_crowd() {
    let (rows, row) = (64, 128);
    let values = Numbers(5).floats(13 * row);
    for isa in Isa::available() {
        let matrix = matrix(isa, TensorKind::Q4_1, rows, row);
        let together = product(isa, &Pool::new(2).unwrap(), &matrix, &values, row);
        for (i, values) in values.chunks_exact(row).enumerate() {
            let alone = product(isa, &Pool::new(1).unwrap(), &matrix, values, row);
            assert_eq!(alone, together[i * rows..(i + 1) * rows], "{} row {i}", isa.name());
        }
    }
}

/// Keys and values of one head in the cache's layout, and in plain rows.
struct Context {
    blocks: Vec<Box<[u16]>>,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
    size: usize,
}

impl Context {
    fn new(len: usize, size: usize) -> Self {
        let mut numbers = Numbers(11);
        // What lies behind the last position is garbage from another sequence, and must not matter.
        let mut blocks = vec![vec![0x7bff_u16; 2 * size * LANES].into_boxed_slice(); len.div_ceil(LANES)];
        let mut halves = || numbers.floats(size).into_iter().map(half).collect::<Vec<f32>>();
        let keys: Vec<_> = (0..len).map(|_| halves()).collect();
        let values: Vec<_> = (0..len).map(|_| halves()).collect();
        for position in 0..len {
            let block = &mut blocks[position / LANES];
            for d in 0..size {
                block[d * LANES + position % LANES] = half_bits(keys[position][d] * 4.0);
                block[(LANES + position % LANES) * size + d] = half_bits(values[position][d]);
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
fn every_kernel_attends_to_exactly_the_context_with_the_same_bits() {
    for (size, heads) in [(16, 1), (32, 2), (64, 3), (80, 4), (128, 5)] {
        let context = Context::new(1_100, size);
        let query: Vec<f32> = Numbers(heads as u64 + 1).floats(heads * size).into_iter().map(half).collect();
        // Contexts of one stretch, of one and a bit, and of three.
        let lens = [1, 2, 15, 16, 17, 33, 67, 512, 513, 1_100];
        let units = lens.map(|len| Attention { query: &query, span: context.span(), len });
        let mut reference = None;
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; lens.len() * heads * size];
            attend(isa, &Pool::new(2).unwrap(), size, &units, &mut out);
            let reference = reference.get_or_insert_with(|| out.clone());
            assert_eq!(*reference, out, "{} size {size} heads {heads}", isa.name());
        }
        for (len, out) in lens.into_iter().zip(reference.unwrap().chunks_exact(heads * size)) {
            for (query, out) in query.chunks_exact(size).zip(out.chunks_exact(size)) {
                for (expected, got) in context.expected(query, len).iter().zip(out) {
                    let off = (expected - f64::from(*got)).abs();
                    // Halves have 11 digits, and a stretch rounds its sums 512 times.
                    assert!(off < 4e-3, "size {size} heads {heads} len {len}: off by {off}");
                }
            }
        }
    }
}

#[test]
fn every_kernel_gates_and_turns_to_the_same_bits() {
    let (gate, up) = (Numbers(7).floats(1_536), Numbers(8).floats(1_536));
    let gate: Vec<f32> = gate.into_iter().enumerate().map(|(i, x)| x * (i % 128) as f32).collect();
    let turns: Vec<(f32, f32)> = (0..32).map(|i| ((i as f32).cos(), (i as f32).sin())).collect();
    let run = |isa: Isa| {
        let (mut gated, mut turned) = (gate.clone(), up.clone());
        isa.swiglu(&mut gated, &up);
        isa.rotate(&mut turned, &turns);
        (gated, turned)
    };
    let (gated, turned) = run(Isa::Scalar);
    for isa in Isa::available() {
        assert!(run(isa) == (gated.clone(), turned.clone()), "{}", isa.name());
    }
    for ((gate, up), gated) in gate.iter().zip(&up).zip(gated) {
        let (gate, up) = (f64::from(*gate), f64::from(*up));
        let expected = gate / (1.0 + (-gate).exp()) * up;
        assert!((f64::from(gated) - expected).abs() <= 1e-6 * expected.abs() + 1e-30);
    }
    for (i, (pair, turned)) in up.as_chunks::<2>().0.iter().zip(turned.as_chunks::<2>().0).enumerate() {
        let (sin, cos) = ((i % 32) as f64).sin_cos();
        let [x, y] = pair.map(f64::from);
        assert!((x * cos - y * sin - f64::from(turned[0])).abs() < 1e-6);
        assert!((x * sin + y * cos - f64::from(turned[1])).abs() < 1e-6);
    }
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
