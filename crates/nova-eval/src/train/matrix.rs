//! The features of many texts, side by side.

use nova_route::features::{BUCKETS, CHOICES, DENSE, Features, extract};

/// What dense features are multiplied with in training, so that the penalty falls on them harder than on words:
/// there are many of them at once and each is about 1. What is learnt is scaled back.
pub const DENSE_SCALE: f32 = 0.1;

/// Features by row: hashed ones as a sparse matrix in compressed rows, dense ones beside them.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    starts: Vec<usize>,
    hashed: Vec<(u32, f32)>,
    dense: Vec<[f32; DENSE]>,
    choices: Vec<[f32; CHOICES]>,
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
            let mut choices = [0.0; CHOICES];
            features.choices(&mut choices);
            matrix.choices.push(choices);
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

    /// What a row's question and options look like.
    pub fn choices(&self, at: usize) -> &[f32; CHOICES] {
        &self.choices[at]
    }

    /// How much each hashed feature counts, by how seldom the rows `which` have it: the root of the logarithm of rows
    /// per row that has it (after Spärck Jones, 1972), which made the best of the powers 0, ½ and 1, and scaled so that
    /// rows keep their length on average.
    pub fn rarity(&self, which: &[usize]) -> Vec<f32> {
        let mut having = vec![0_u32; BUCKETS];
        let features = || which.iter().flat_map(|row| self.row(*row).hashed);
        features().for_each(|(bucket, _)| having[*bucket as usize] += 1);
        let rows = which.len().max(1) as f32;
        let mut rarity: Vec<f32> =
            having.iter().map(|rows_with| (rows / (*rows_with).max(1) as f32).ln().max(0.1).sqrt()).collect();
        let squares = features().fold([0.0_f64; 2], |[plain, weighed], (bucket, value)| {
            let (value, weight) = (f64::from(*value), f64::from(rarity[*bucket as usize]));
            [plain + value * value, weighed + (value * weight).powi(2)]
        });
        if squares[1] > 0.0 {
            let level = (squares[0] / squares[1]).sqrt() as f32;
            rarity.iter_mut().for_each(|weight| *weight *= level);
        }
        rarity
    }

    /// The same rows with each hashed feature multiplied with its weight.
    #[must_use]
    pub fn weighed(&self, weights: &[f32]) -> Self {
        let mut matrix = self.clone();
        matrix.hashed.iter_mut().for_each(|(bucket, value)| *value *= weights[*bucket as usize]);
        for at in 0..matrix.len() {
            let row = matrix.row(at);
            let values = row.hashed.iter().map(|(_, value)| value).chain(row.dense);
            matrix.squares[at] = values.map(|value| value * value).sum();
        }
        matrix
    }

    /// A row's features as requests have them.
    pub fn features(&self, at: usize, into: &mut Features) {
        let row = self.row(at);
        into.hashed.clear();
        into.hashed.extend_from_slice(row.hashed);
        into.dense = row.dense.map(|value| value / DENSE_SCALE);
    }
}
