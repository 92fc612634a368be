//! Cross-fitting: each prompt is judged by what was learnt from the other folds.

use nova_route::features::Features;
use nova_route::quality::{Expected, Judgement, Quality, QualityError};

use crate::draw::{Draw, fold_of};
use crate::outcomes::Outcomes;
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
    /// What was learnt from all but each fold.
    pub learnt: Vec<Quality>,
}

impl Fit {
    /// Learns and expects.
    ///
    /// # Errors
    /// There is nothing to learn from.
    pub fn new(outcomes: &Outcomes, matrix: &Matrix, split: Split) -> Result<Self, QualityError> {
        let count = outcomes.rows.len();
        let folds: Vec<usize> =
            outcomes.rows.iter().map(|row| fold_of(&row.prompt, split.folds, split.seed)).collect();
        let mut fit = Self {
            expected: vec![Vec::new(); count],
            kinds: vec![Vec::new(); count],
            true_table: vec![Vec::new(); count],
            kinds_right: 0.0,
            best: Vec::new(),
            learnt: Vec::new(),
            folds,
        };
        let (mut features, mut judgement) = (Features::default(), Judgement::default());
        let mut right = 0;
        for fold in 0..split.folds {
            let others = fit.others(fold, split);
            let quality = train(outcomes, matrix, &others, split.seed)?;
            let cells = table(outcomes, &others);
            let models = outcomes.models.len();
            for row in (0..count).filter(|row| fit.folds[*row] == fold) {
                matrix.features(row, &mut features);
                quality.judge(&features, &mut judgement);
                let kind = outcomes.rows[row].task;
                right += usize::from(likeliest(&judgement.kinds) == kind);
                fit.kinds[row].clone_from(&judgement.kinds);
                fit.expected[row].clone_from(&judgement.models);
                let cells = &cells[kind * models..][..models];
                fit.true_table[row] = cells.iter().map(|cell| cell.mean).collect();
            }
            fit.best.push(best(outcomes, &others));
            fit.learnt.push(quality);
        }
        fit.kinds_right = right as f64 / count.max(1) as f64;
        Ok(fit)
    }

    /// The rows to learn from for a fold.
    fn others(&self, fold: usize, split: Split) -> Vec<usize> {
        let mut others: Vec<usize> = (0..self.folds.len()).filter(|row| self.folds[*row] != fold).collect();
        if let Some(labels) = split.labels.filter(|labels| *labels < others.len()) {
            Draw::new(split.seed ^ (fold as u64 + 1)).shuffle(&mut others);
            others.truncate(labels);
            others.sort_unstable();
        }
        others
    }
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
