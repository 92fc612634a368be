//! The features of many texts, side by side.

use nova_route::features::{DENSE, Features, extract};

/// What dense features are multiplied with in training, so that the penalty falls on them harder than on words:
/// there are many of them at once and each is about 1. What is learnt is scaled back.
pub const DENSE_SCALE: f32 = 0.1;

/// Features by row: hashed ones as a sparse matrix in compressed rows, dense ones beside them.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    starts: Vec<usize>,
    hashed: Vec<(u32, f32)>,
    dense: Vec<[f32; DENSE]>,
    /// The square of each row's length.
    squares: Vec<f32>,
}

/// A row's features: hashed ones, and dense ones multiplied with [`DENSE_SCALE`].
#[derive(Clone, Copy, Debug)]
pub struct Look<'m> {
    pub(super) hashed: &'m [(u32, f32)],
    pub(super) dense: &'m [f32; DENSE],
    pub(super) square: f32,
}

impl Matrix {
    /// The features of texts, in their order.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut features = Features::default();
        let mut matrix = Self { starts: vec![0], ..Self::default() };
        for text in texts {
            extract(text, &mut features);
            let dense = features.dense.map(|value| value * DENSE_SCALE);
            let values = features.hashed.iter().map(|(_, value)| value).chain(&dense);
            matrix.squares.push(values.map(|value| value * value).sum());
            matrix.hashed.extend_from_slice(&features.hashed);
            matrix.starts.push(matrix.hashed.len());
            matrix.dense.push(dense);
        }
        matrix
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.dense.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.dense.is_empty()
    }

    /// A row's features.
    pub fn row(&self, at: usize) -> Look<'_> {
        let hashed = &self.hashed[self.starts[at]..self.starts[at + 1]];
        Look { hashed, dense: &self.dense[at], square: self.squares[at] }
    }

    /// A row's features as requests have them.
    pub fn features(&self, at: usize, into: &mut Features) {
        let row = self.row(at);
        into.hashed.clear();
        into.hashed.extend_from_slice(row.hashed);
        into.dense = row.dense.map(|value| value / DENSE_SCALE);
    }
}
