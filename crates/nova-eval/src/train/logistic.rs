//! Regularised logistic regression with many outputs over the same features.
//!
//! Stochastic dual coordinate ascent (Shalev-Shwartz and Zhang, 2013): it needs no rate to be tuned, it
//! converges to the one minimum, and each step touches only the features that a row has.

use nova_route::features::{BUCKETS, DENSE};

use super::matrix::{DENSE_SCALE, Look, Matrix};
use crate::draw::Draw;

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Strength of the penalty on weights: `alpha / 2 * |w|²` for each row.
    pub alpha: f32,
    /// How often each row is looked at.
    pub epochs: usize,
    /// Of the order of rows.
    pub seed: u64,
}

/// Weights: for each hashed feature, then each dense one, one for each output.
#[derive(Clone, Debug)]
pub struct Weights {
    /// How many outputs.
    pub outputs: usize,
    /// `(BUCKETS + DENSE) * outputs`.
    pub of: Vec<f32>,
}

impl Weights {
    /// The weights of a feature, by its place among the hashed ones and then the dense ones.
    pub fn place(&self, at: usize) -> &[f32] {
        &self.of[at * self.outputs..][..self.outputs]
    }

    fn scores(&self, row: Look<'_>, into: &mut [f32]) {
        into.fill(0.0);
        let each = |place: usize, value: f32, into: &mut [f32]| {
            let weights = &self.of[place * self.outputs..][..self.outputs];
            for (sum, weight) in into.iter_mut().zip(weights) {
                *sum += weight * value;
            }
        };
        for &(bucket, value) in row.hashed {
            each(bucket as usize, value, into);
        }
        for (at, &value) in row.dense.iter().enumerate() {
            if value != 0.0 {
                each(BUCKETS + at, value, into);
            }
        }
    }

    fn add(&mut self, row: Look<'_>, steps: &[f32]) {
        let mut each = |place: usize, value: f32| {
            let weights = &mut self.of[place * self.outputs..][..self.outputs];
            for (weight, step) in weights.iter_mut().zip(steps) {
                *weight += step * value;
            }
        };
        for &(bucket, value) in row.hashed {
            each(bucket as usize, value);
        }
        for (at, &value) in row.dense.iter().enumerate() {
            if value != 0.0 {
                each(BUCKETS + at, value);
            }
        }
    }
}

/// What was learnt, and what it would say of its own rows.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The weights.
    pub weights: Weights,
    /// For each row and output about the score had the row been unknown: most of what the row itself added to the
    /// weights is taken off again. What is learnt on top of scores has to see them as strangers will have them.
    pub strange: Vec<f32>,
}

/// How much of a row's own share is taken off its score. All of it would be too much: other rows would have taken its
/// place in part. With this share kinds are found among the rows learnt from about as often as among others.
const OWN_SHARE: f32 = 0.85;

/// Learns to tell `targets` from the rows `which` of `matrix`. `targets` holds `outputs` values within 0 and 1
/// for each of `which`; what is no number is not known and not learnt from.
pub fn train(matrix: &Matrix, which: &[usize], targets: &[f32], outputs: usize, options: Options) -> Fitted {
    let mut weights = Weights { outputs, of: vec![0.0; (BUCKETS + DENSE) * outputs] };
    let known = |output: usize| targets.iter().skip(output).step_by(outputs).filter(|y| !y.is_nan()).count();
    let scales: Vec<f32> =
        (0..outputs).map(|output| 1.0 / (options.alpha * known(output).max(1) as f32)).collect();
    let mut duals = vec![0.0f32; targets.len()];
    let (mut scores, mut steps) = (vec![0.0; outputs], vec![0.0; outputs]);
    let mut order: Vec<usize> = (0..which.len()).collect();
    let mut draw = Draw::new(options.seed);
    if outputs == 0 {
        return Fitted { weights, strange: Vec::new() };
    }
    for _ in 0..options.epochs {
        draw.shuffle(&mut order);
        for &at in &order {
            let row = matrix.row(which[at]);
            weights.scores(row, &mut scores);
            for (output, step) in steps.iter_mut().enumerate() {
                let place = at * outputs + output;
                let target = targets[place];
                *step = 0.0;
                if target.is_nan() {
                    continue;
                }
                let wanted = target - sigmoid(scores[output]) - duals[place];
                // The logistic loss is 1/4-smooth: this share of the way never overshoots.
                let change = wanted / (1.0 + row.square * scales[output] / 4.0);
                duals[place] += change;
                *step = change * scales[output];
            }
            weights.add(row, &steps);
        }
    }
    let mut strange = duals;
    for (row, of_row) in which.iter().zip(strange.chunks_exact_mut(outputs)) {
        let row = matrix.row(*row);
        weights.scores(row, &mut scores);
        for ((dual, score), scale) in of_row.iter_mut().zip(&scores).zip(&scales) {
            *dual = score - OWN_SHARE * *dual * row.square * scale;
        }
    }
    weights.of[BUCKETS * outputs..].iter_mut().for_each(|weight| *weight *= DENSE_SCALE);
    Fitted { weights, strange }
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_to_the_minimum_of_its_loss() {
        // At the minimum the gradient is nothing: for each weight, alpha * w is the mean of (y - p) * x.
        let texts = ["red apples", "green pears", "red cherries", "green apples", "blue plums"];
        let matrix = Matrix::of(texts.into_iter());
        let which: Vec<usize> = (0..texts.len()).collect();
        let targets = [1.0, 0.0, 1.0, 0.0, f32::NAN];
        let options = Options { alpha: 0.02, epochs: 400, seed: 1 };
        let mut weights = train(&matrix, &which, &targets, 1, options).weights;
        let (first, _) = matrix.row(0).hashed[0];
        weights.of[BUCKETS..].iter_mut().for_each(|weight| *weight /= DENSE_SCALE);
        let mut gradient = 0.0;
        for (row, target) in targets.iter().take(4).enumerate() {
            let mut score = [0.0];
            weights.scores(matrix.row(row), &mut score);
            let value =
                matrix.row(row).hashed.iter().find(|(bucket, _)| *bucket == first).map_or(0.0, |of| of.1);
            gradient += (target - sigmoid(score[0])) * value / 4.0;
        }
        let weight = weights.place(first as usize)[0];
        assert!((gradient - options.alpha * weight).abs() < 1e-4, "{gradient} {weight}");
    }

    #[test]
    fn outputs_do_not_disturb_each_other() {
        let matrix = Matrix::of(["one", "two", "three"].into_iter());
        let options = Options { alpha: 0.1, epochs: 5, seed: 3 };
        let alone = train(&matrix, &[0, 1, 2], &[1.0, 0.0, 1.0], 1, options).weights;
        let beside = train(&matrix, &[0, 1, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.5], 2, options).weights;
        assert!((0..BUCKETS + DENSE).all(|at| alone.place(at)[0] == beside.place(at)[0]));
    }
}
