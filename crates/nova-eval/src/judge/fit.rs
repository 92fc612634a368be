//! What is learnt from some prompts, expected of others: of the other folds, or of a set that was kept apart.

use std::sync::Arc;

use nova_route::features::Features;
use nova_route::quality::{Cell, Expected, Judgement, Quality, QualityError};

use crate::draw::{Draw, fold_of};
use crate::outcomes::{Outcomes, Row};
use crate::train::matrix::Matrix;
use crate::train::quality::{table, train};

/// How prompts are split and drawn.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    /// How many folds.
    pub folds: usize,
    /// Of the folds and of what is trained.
    pub seed: u64,
    /// At most so many rows to learn from, drawn by the seed; all where it is `None`.
    pub labels: Option<usize>,
}

/// What the other folds let one expect of each prompt.
#[derive(Debug)]
pub struct Fit {
    /// Which fold each row is in.
    pub folds: Vec<usize>,
    /// By row, then by model.
    pub expected: Vec<Vec<Expected>>,
    /// How likely each row is of each kind.
    pub kinds: Vec<Vec<f32>>,
    /// The quality by a table of the row's own kind, which a request does not tell: by row, then by model.
    pub true_table: Vec<Vec<f32>>,
    /// The share of rows whose own kind was found the likeliest.
    pub kinds_right: f64,
    /// For each fold the best model of the others.
    pub best: Vec<usize>,
    /// What each fold is judged by.
    pub learnt: Vec<Arc<Quality>>,
}

impl Fit {
    /// Learns from all folds but one, and judges that one; for each.
    ///
    /// # Errors
    /// There is nothing to learn from.
    pub fn new(outcomes: &Outcomes, matrix: &Matrix, split: Split) -> Result<Self, QualityError> {
        let mut fit = Self::empty(&outcomes.rows, split);
        for fold in 0..split.folds {
            let others = (0..fit.folds.len()).filter(|row| fit.folds[*row] != fold).collect();
            let others = few(others, split, fold as u64 + 1);
            let quality = Arc::new(train(outcomes, matrix, &others, split.seed)?);
            let rows: Vec<usize> = (0..fit.folds.len()).filter(|row| fit.folds[*row] == fold).collect();
            fit.judge(&quality, &table(outcomes, &others), (outcomes, matrix, 0), &rows);
            fit.best.push(best(outcomes, &others));
            fit.learnt.push(quality);
        }
        Ok(fit)
    }

    /// Learns from the rows before `first`, and judges those from there on, which are the rows of the fit. They still
    /// have folds, for settings that are chosen on the others; all are judged by the same.
    ///
    /// # Errors
    /// There is nothing to learn from.
    pub fn apart(
        outcomes: &Outcomes,
        matrix: &Matrix,
        first: usize,
        split: Split,
    ) -> Result<Self, QualityError> {
        let mut fit = Self::empty(&outcomes.rows[first..], split);
        let learns = few((0..first).collect(), split, 1);
        let quality = Arc::new(train(outcomes, matrix, &learns, split.seed)?);
        let rows: Vec<usize> = (0..fit.folds.len()).collect();
        fit.judge(&quality, &table(outcomes, &learns), (outcomes, matrix, first), &rows);
        fit.best = vec![best(outcomes, &learns); split.folds];
        fit.learnt = vec![quality; split.folds];
        Ok(fit)
    }

    fn empty(rows: &[Row], split: Split) -> Self {
        Self {
            folds: rows.iter().map(|row| fold_of(&row.prompt, split.folds, split.seed)).collect(),
            expected: vec![Vec::new(); rows.len()],
            kinds: vec![Vec::new(); rows.len()],
            true_table: vec![Vec::new(); rows.len()],
            kinds_right: 0.0,
            best: Vec::new(),
            learnt: Vec::new(),
        }
    }

    /// Judges rows of the fit, which stand behind the first so many of the outcomes.
    fn judge(
        &mut self,
        quality: &Quality,
        cells: &[Cell],
        (outcomes, matrix, first): (&Outcomes, &Matrix, usize),
        rows: &[usize],
    ) {
        let (mut features, mut judgement) = (Features::default(), Judgement::default());
        let models = outcomes.models.len();
        let mut right = 0;
        for &row in rows {
            matrix.features(first + row, &mut features);
            quality.judge_both(&features, matrix.choices(first + row), &mut judgement);
            let kind = outcomes.rows[first + row].task;
            right += usize::from(likeliest(&judgement.kinds) == kind);
            self.kinds[row].clone_from(&judgement.kinds);
            self.expected[row].clone_from(&judgement.models);
            self.true_table[row] = cells[kind * models..][..models].iter().map(|cell| cell.mean).collect();
        }
        self.kinds_right += right as f64 / self.folds.len().max(1) as f64;
    }
}

/// At most as many rows as the split allows, drawn by its seed and `salt`.
fn few(mut rows: Vec<usize>, split: Split, salt: u64) -> Vec<usize> {
    if let Some(labels) = split.labels.filter(|labels| *labels < rows.len()) {
        Draw::new(split.seed ^ salt).shuffle(&mut rows);
        rows.truncate(labels);
        rows.sort_unstable();
    }
    rows
}

/// The place of the largest; the first of equals.
pub(crate) fn likeliest(shares: &[f32]) -> usize {
    shares.iter().enumerate().fold(0, |best, (at, share)| if *share > shares[best] { at } else { best })
}

/// The model with the best mean grade.
fn best(outcomes: &Outcomes, rows: &[usize]) -> usize {
    let mean = |model: usize| {
        let grades = rows.iter().filter_map(|row| outcomes.rows[*row].grades[model]);
        let (sum, count) =
            grades.fold((0.0, 0.0), |(sum, count), grade| (sum + f64::from(grade), count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    };
    (0..outcomes.models.len()).fold(0, |best, model| if mean(model) > mean(best) { model } else { best })
}
