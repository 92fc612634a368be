//! The table and the heads: what graded answers taught, asked of one request.

use crate::features::{BUCKETS, CHOICES, DENSE, Features};

use super::{Belief, Forest};

/// How many standard deviations of its cell [`Expected::low`] lies below [`Expected::quality`].
const DEVIATIONS: f64 = 1.0;
/// More models or kinds than this are no table but a mistake.
pub(super) const MOST: usize = 4_096;

/// What was learnt from graded answers: for each kind of request and model how often it is right, and what about a
/// request makes each model more or less likely to be right.
///
/// The quality of a model begins as the mean of two estimates. The *table* weighs the model's success at each kind of
/// request with the likelihood that this is one; it is as good as the data is plenty and never far off. The *head*
/// is a regularised logistic regression on the request's features, which sees what kinds do not tell. The *forest* corrects
/// their mean by what the question and its options look like: that arithmetic is asked for, say, or that options are
/// long and alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    pub(super) models: Vec<Box<str>>,
    pub(super) kinds: Vec<Box<str>>,
    pub(super) provenance: Box<str>,
    /// By kind, then by model.
    pub(super) cells: Vec<Cell>,
    /// What one step of a weight means, for each column: the kinds, then the models.
    pub(super) steps: Vec<f32>,
    /// By dense feature, then by column.
    pub(super) dense: Vec<f32>,
    /// The buckets with weights, ascending.
    pub(super) buckets: Vec<u32>,
    /// By bucket with weights, then by column, in steps.
    pub(super) weights: Vec<i8>,
    pub(super) forest: Forest,
    /// For each bucket its place in `weights`, or [`NOWHERE`].
    pub(super) places: Vec<u32>,
}

pub(super) const NOWHERE: u32 = u32::MAX;

/// What is known of a model at a kind of request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The share of right answers, 0 to 1, shrunk towards the model's share at all kinds.
    pub mean: f32,
    /// How many answers that weighs as much as, at least 0.
    pub mass: f32,
    /// Tokens of an answer, or 0 where that is not known.
    pub output_tokens: f32,
}

/// What a trainer found, in floats.
#[derive(Clone, Debug, Default)]
pub struct Learnt {
    /// The models, each once.
    pub models: Vec<String>,
    /// The kinds of request, each once; at least one.
    pub kinds: Vec<String>,
    /// What it was learnt from, for people.
    pub provenance: String,
    /// By kind, then by model.
    pub cells: Vec<Cell>,
    /// Log-odds: for each of [`BUCKETS`] hashed features, then each of [`DENSE`] dense ones, a weight for each
    /// kind and then for each model.
    pub weights: Vec<f32>,
    /// Corrections of the quality, in log-odds, one for each model, from [`Features::choices`]; without trees nothing is
    /// corrected.
    pub forest: Forest,
}

/// What to expect of each model for one request. Kept and filled again, it allocates nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// How likely the request is of each kind; together 1.
    pub kinds: Vec<f32>,
    /// In the order of [`Quality::models`].
    pub models: Vec<Expected>,
    scores: Vec<f32>,
    corrections: Vec<f32>,
}

/// What to expect of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expected {
    /// How likely a right answer is, 0 to 1: the mean of the next two, corrected by the forest.
    pub quality: f32,
    /// What the table says of it.
    pub table: f32,
    /// What the model's head says of it.
    pub head: f32,
    /// The quality less a standard deviation of the table's cells.
    pub low: f32,
    /// Tokens of its answer, where that is known.
    pub output_tokens: Option<f32>,
}

/// Why what was learnt is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QualityError {
    /// No model, no kind, or more than 4,096 of either.
    #[error("it names no model, no kind of request, or more than 4,096 of either")]
    Count,
    /// A table that is not as long as its names say.
    #[error("a table is not as long as the models and kinds need")]
    Length,
    /// A number that is none, or is out of its range.
    #[error("a number is out of its range")]
    Range,
}

impl Quality {
    /// Packs what was learnt: weights become one byte each.
    ///
    /// # Errors
    /// Tables that do not fit together, or numbers out of range.
    pub fn of(learnt: &Learnt) -> Result<Self, QualityError> {
        let columns = learnt.kinds.len() + learnt.models.len();
        if learnt.weights.len() != (BUCKETS + DENSE) * columns {
            return Err(QualityError::Length);
        }
        let (hashed, dense) = learnt.weights.split_at(BUCKETS * columns);
        let mut largest = vec![0.0_f32; columns];
        for row in hashed.chunks_exact(columns.max(1)) {
            for (largest, weight) in largest.iter_mut().zip(row) {
                *largest = largest.max(weight.abs());
            }
        }
        let steps: Vec<f32> =
            largest.iter().map(|largest| (largest / 127.0).max(f32::MIN_POSITIVE)).collect();
        let (mut buckets, mut weights) = (Vec::new(), Vec::new());
        for (bucket, row) in (0_u32..).zip(hashed.chunks_exact(columns.max(1))) {
            let packed = row.iter().zip(&steps).map(|(weight, step)| (weight / step).round() as i8);
            let from = weights.len();
            weights.extend(packed);
            if weights[from..].iter().all(|weight| *weight == 0) {
                weights.truncate(from);
            } else {
                buckets.push(bucket);
            }
        }
        let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            models: boxed(&learnt.models),
            kinds: boxed(&learnt.kinds),
            provenance: learnt.provenance.as_str().into(),
            cells: learnt.cells.clone(),
            steps,
            dense: dense.to_vec(),
            buckets,
            weights,
            forest: learnt.forest.clone(),
            places: Vec::new(),
        }
        .checked()
    }

    /// Holds the parts against each other, and finds the places of buckets.
    pub(super) fn checked(mut self) -> Result<Self, QualityError> {
        let (models, kinds) = (self.models.len(), self.kinds.len());
        if !(1..=MOST).contains(&models) || !(1..=MOST).contains(&kinds) {
            return Err(QualityError::Count);
        }
        let columns = models + kinds;
        let lengths = self.cells.len() == models * kinds
            && self.steps.len() == columns
            && self.dense.len() == DENSE * columns
            && self.weights.len() == self.buckets.len() * columns
            && (self.forest.trees() == 0 || (self.forest.inputs == CHOICES && self.forest.outputs == models));
        if !lengths {
            return Err(QualityError::Length);
        }
        let cell = |cell: &Cell| {
            (0.0..=1.0).contains(&cell.mean)
                && (0.0..1e9).contains(&cell.mass)
                && (0.0..1e9).contains(&cell.output_tokens)
        };
        // Weights beyond this are no log-odds; sums of them stay finite.
        let weight = |weight: &f32| weight.abs() < 1e6;
        let ascending = self.buckets.windows(2).all(|pair| pair[0] < pair[1])
            && self.buckets.last().is_none_or(|last| (*last as usize) < BUCKETS);
        if !(self.cells.iter().all(cell)
            && self.steps.iter().all(weight)
            && self.dense.iter().all(weight)
            && self.forest.holds()
            && ascending)
        {
            return Err(QualityError::Range);
        }
        self.places = vec![NOWHERE; BUCKETS];
        for (place, bucket) in (0..).zip(&self.buckets) {
            self.places[*bucket as usize] = place;
        }
        Ok(self)
    }

    /// The models that it knows.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &str> {
        self.models.iter().map(AsRef::as_ref)
    }

    /// The kinds of request that it tells apart.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &str> {
        self.kinds.iter().map(AsRef::as_ref)
    }

    /// What it was learnt from, for people.
    pub fn provenance(&self) -> &str {
        &self.provenance
    }

    /// What is known of a model at a kind of request, by their places.
    pub fn cell(&self, kind: usize, model: usize) -> Option<&Cell> {
        if model < self.models.len() { self.cells.get(kind * self.models.len() + model) } else { None }
    }

    /// What to expect of each model for the request that `features` were worked out of last.
    pub fn judge(&self, features: &Features, into: &mut Judgement) {
        let mut choices = [0.0; CHOICES];
        if self.forest.trees() > 0 {
            features.choices(&mut choices);
        }
        self.judge_both(features, &choices, into);
    }

    /// The same for features that were kept, with the numbers that [`Features::choices`] had.
    pub fn judge_both(&self, features: &Features, choices: &[f32; CHOICES], into: &mut Judgement) {
        let Judgement { kinds, models, scores, corrections } = into;
        self.score(features, scores);
        let (of_kinds, of_models) = scores.split_at(self.kinds.len());
        likelihoods(of_kinds, kinds);
        corrections.clear();
        corrections.resize(self.models.len(), 0.0);
        self.forest.add(choices, corrections);
        models.clear();
        let scores = of_models.iter().zip(corrections.iter());
        models.extend(scores.enumerate().map(|(model, scores)| self.expect(model, scores, kinds)));
    }

    fn expect(&self, model: usize, (score, correction): (&f32, &f32), kinds: &[f32]) -> Expected {
        let (mut table, mut deviation, mut tokens, mut known) = (0.0, 0.0, 0.0, 0.0);
        for (cell, share) in self.cells[model..].iter().step_by(self.models.len()).zip(kinds) {
            table += share * cell.mean;
            deviation += share * Belief::prior(cell.mean.into(), cell.mass.into()).deviation() as f32;
            if cell.output_tokens > 0.0 {
                tokens += share * cell.output_tokens;
                known += share;
            }
        }
        let quality = match self.forest.trees() {
            0 => f32::midpoint(table, sigmoid(*score)).clamp(0.0, 1.0),
            _ => sigmoid(first_estimate(table, *score) + correction),
        };
        Expected {
            quality,
            table,
            head: sigmoid(*score),
            low: (quality - DEVIATIONS as f32 * deviation).max(0.0),
            output_tokens: (known > 0.0).then(|| tokens / known),
        }
    }

    /// The log-odds of each column.
    fn score(&self, features: &Features, into: &mut Vec<f32>) {
        let columns = self.steps.len();
        into.clear();
        into.resize(columns, 0.0);
        for &(bucket, value) in &features.hashed {
            let place = self.places[bucket as usize];
            if place != NOWHERE {
                let weights = &self.weights[place as usize * columns..][..columns];
                into.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * f32::from(*weight));
            }
        }
        into.iter_mut().zip(&self.steps).for_each(|(sum, step)| *sum *= step);
        for (weights, value) in self.dense.chunks_exact(columns).zip(features.dense) {
            if value != 0.0 {
                into.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
        }
    }
}

/// How likely each kind is by its log-odds; together 1.
pub fn likelihoods(scores: &[f32], into: &mut Vec<f32>) {
    into.clear();
    into.extend(scores.iter().copied().map(sigmoid));
    let sum: f32 = into.iter().sum();
    // Each is above 0 as log-odds are finite; a sum that is not would be no likelihood.
    into.iter_mut().for_each(|share| *share /= sum.max(f32::MIN_POSITIVE));
}

/// The log-odds of the mean of what the table says and of what a head says in log-odds; the forest corrects it.
pub fn first_estimate(table: f32, score: f32) -> f32 {
    let mean = f32::midpoint(table, sigmoid(score)).clamp(0.001, 0.999);
    (mean / (1.0 - mean)).ln()
}

fn sigmoid(score: f32) -> f32 {
    1.0 / (1.0 + (-score).exp())
}
