//! Products of quantised rows with packed matrices, spread over the threads by output columns.

use super::activation::Activations;
use super::{Isa, LANES, Packed, Pool};

/// Rows that one kernel call takes together: each weight that is loaded is used that often.
const ROWS: usize = 8;

/// Some tiles of one product, and where their outputs go: one slice per row.
struct Job<'a> {
    matrix: &'a Packed,
    first_tile: usize,
    out: Vec<&'a mut [f32]>,
}

/// Computes `rows · matrixᵀ` for each of `products`. Outputs are rows of [`Packed::width`] numbers.
///
/// Products of the same rows go into one call, because each call is one meeting of all threads.
pub(crate) fn matmul(isa: Isa, pool: &Pool, rows: &Activations, products: &mut [(&Packed, &mut Vec<f32>)]) {
    let count = rows.rows();
    let mut jobs = Vec::new();
    let all_tiles: usize = products.iter().map(|(matrix, _)| matrix.width() / LANES).sum();
    let share = all_tiles.div_ceil(pool.jobs()).max(1);
    for (matrix, out) in products {
        let matrix: &Packed = matrix;
        out.resize(count * matrix.width(), 0.0);
        let tiles = matrix.width() / LANES;
        let first = jobs.len();
        for first_tile in (0..tiles).step_by(share) {
            jobs.push(Job { matrix, first_tile, out: Vec::with_capacity(count) });
        }
        for row in out.chunks_exact_mut(matrix.width().max(1)) {
            for (job, piece) in jobs[first..].iter_mut().zip(row.chunks_mut(share * LANES)) {
                job.out.push(piece);
            }
        }
    }
    pool.each(jobs, |job| job.run(isa, rows));
}

impl Job<'_> {
    fn run(mut self, isa: Isa, rows: &Activations) {
        let tiles = self.out.first().map_or(0, |out| out.len() / LANES);
        for tile in 0..tiles {
            let mut first = 0;
            while first < self.out.len() {
                first += match self.out.len() - first {
                    ROWS.. => self.tile::<ROWS>(isa, rows, tile, first),
                    6.. => self.tile::<6>(isa, rows, tile, first),
                    4.. => self.tile::<4>(isa, rows, tile, first),
                    3 => self.tile::<3>(isa, rows, tile, first),
                    2 => self.tile::<2>(isa, rows, tile, first),
                    _ => self.tile::<1>(isa, rows, tile, first),
                };
            }
        }
    }

    fn tile<const M: usize>(&mut self, isa: Isa, rows: &Activations, tile: usize, first: usize) -> usize {
        let inputs: [_; M] = std::array::from_fn(|m| rows.row(first + m));
        let results = isa.tile(self.matrix.tile(self.first_tile + tile), inputs);
        for (out, result) in self.out[first..].iter_mut().zip(results) {
            out[tile * LANES..(tile + 1) * LANES].copy_from_slice(&result);
        }
        M
    }
}
