//! Multinomial logistic regression by stochastic gradients (AdaGrad), over hashed and dense features at once.
//!
//! What keeps it honest on prompts that look like none that it has seen: features are dropped at random, so that
//! no single one is relied on; each row is seen in a second form; passages are asked for everything in turn
//! (`phrases`); and the weights are the mean over the later passes.

use nova_route::features::{BUCKETS, DENSE, Features, extract};
use nova_route::task::{TASKS, Task, Weights, softmax};

use super::augment::another;
use super::phrases::Phrases;
use super::random::Random;
use super::{Row, Style};

/// How to train. The default is what the shipped model was trained with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Decides the order of rows and what is dropped.
    pub seed: u64,
    /// How often every row is seen.
    pub epochs: usize,
    /// The length of the first steps for hashed features.
    pub rate: f32,
    /// The same for dense ones.
    pub dense_rate: f32,
    /// How strongly weights are drawn to 0.
    pub l2: f32,
    /// The share of features that is dropped, on average.
    pub dropout: f32,
    /// How much a row of a person counts against one of a benchmark.
    pub user_weight: f32,
    /// How much a prompt out of our own phrases counts.
    pub phrase_weight: f32,
    /// How often each of our own phrases is filled in.
    pub phrase_times: usize,
    /// How much the second form of a row counts against the first.
    pub second_weight: f32,
    /// How many buckets keep their weights.
    pub buckets: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 8,
            rate: 0.25,
            dense_rate: 0.3,
            l2: 1e-5,
            dropout: 0.5,
            user_weight: 8.0,
            phrase_weight: 3.0,
            phrase_times: 4,
            second_weight: 0.5,
            buckets: 80_000,
        }
    }
}

/// A prompt to learn from.
#[derive(Debug)]
struct Example {
    hashed: Vec<(u32, f32)>,
    dense: [f32; DENSE],
    task: Task,
    weight: f32,
}

/// Learns weights from rows; their temperature is 1 and their threshold 0 until they are calibrated.
pub fn train(rows: &[&Row], options: &Options) -> Weights {
    let mut random = Random::new(options.seed);
    let examples = examples(rows, options, &mut random);
    let mut learner = Learner::new(options);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut mean = learner.weights.clone();
    let later = options.epochs / 2;
    for epoch in 0..options.epochs {
        random.shuffle(&mut order);
        learner.decay = 1.0 / (1.0 + 0.3 * epoch as f32);
        for &at in &order {
            learner.learn(&examples[at], &mut random);
        }
        if epoch >= later {
            let count = (epoch - later + 1) as f32;
            mix(&mut mean.hashed, &learner.weights.hashed, count);
            mix(&mut mean.dense, &learner.weights.dense, count);
        }
    }
    let met: Vec<f32> = learner.hashed.iter().map(|squares| squares.sqrt()).collect();
    mean.prune(options.buckets, &met);
    mean
}

/// Takes one more into a mean of `count` with it.
fn mix(mean: &mut [[f32; TASKS]], one: &[[f32; TASKS]], count: f32) {
    for (mean, one) in mean.iter_mut().flatten().zip(one.iter().flatten()) {
        *mean += (one - *mean) / count;
    }
}

fn examples(rows: &[&Row], options: &Options, random: &mut Random) -> Vec<Example> {
    let mut features = Features::default();
    let mut example = |text: &str, task: Task, weight: f32| {
        extract(text, &mut features);
        Example { hashed: features.hashed.clone(), dense: features.dense, task, weight }
    };
    let mut examples = Vec::new();
    for row in rows {
        let weight = if row.style == Style::User { options.user_weight } else { 1.0 };
        examples.push(example(&row.prompt, row.task, weight));
        if options.second_weight > 0.0 {
            let second = another(&row.prompt, random);
            examples.push(example(&second, row.task, weight * options.second_weight));
        }
    }
    for (task, prompt) in Phrases::new(rows).prompts(options.phrase_times, random) {
        examples.push(example(&prompt, task, options.phrase_weight));
    }
    examples
}

/// Weights in the making.
#[derive(Debug)]
struct Learner<'o> {
    options: &'o Options,
    weights: Weights,
    /// The squares of all gradients so far, for each feature.
    hashed: Vec<f32>,
    dense: [f32; DENSE],
    /// How much shorter the steps of this pass are than the first.
    decay: f32,
    kept: Vec<(u32, f32)>,
}

impl<'o> Learner<'o> {
    fn new(options: &'o Options) -> Self {
        let weights = Weights {
            hashed: vec![[0.0; TASKS]; BUCKETS],
            dense: vec![[0.0; TASKS]; DENSE],
            temperature: 1.0,
            threshold: 0.0,
        };
        Self {
            options,
            weights,
            hashed: vec![0.0; BUCKETS],
            dense: [0.0; DENSE],
            decay: 1.0,
            kept: Vec::new(),
        }
    }

    /// One step on an example of which some features are dropped.
    fn learn(&mut self, example: &Example, random: &mut Random) {
        let options = self.options;
        // How much is dropped is chance too, so that whole prompts and scraps of them are both seen.
        let drop = 2.0 * options.dropout * random.unit();
        let louder = 1.0 / (1.0 - drop).max(0.1).sqrt();
        self.kept.clear();
        for &(bucket, value) in &example.hashed {
            if random.unit() >= drop {
                self.kept.push((bucket, value * louder));
            }
        }
        let mut dense = example.dense;
        for value in &mut dense {
            if random.unit() < options.dropout * 0.5 {
                *value = 0.0;
            }
        }
        let mut gradient = softmax(&scores(&self.weights, &self.kept, &dense), 1.0);
        gradient[example.task as usize] -= 1.0;
        for each in &mut gradient {
            *each *= example.weight;
        }
        let square: f32 = gradient.iter().map(|each| each * each).sum();
        for &(bucket, value) in &self.kept {
            let at = bucket as usize;
            self.hashed[at] += square * value * value;
            let step = options.rate * self.decay / (self.hashed[at] + 1e-3).sqrt();
            go(&mut self.weights.hashed[at], &gradient, (step, value, options.l2 * example.weight));
        }
        for (at, value) in dense.into_iter().enumerate().filter(|(_, value)| *value != 0.0) {
            self.dense[at] += square * value * value;
            let step = options.dense_rate * self.decay / (self.dense[at] + 1e-3).sqrt();
            go(&mut self.weights.dense[at], &gradient, (step, value, 10.0 * options.l2 * example.weight));
        }
    }
}

fn go(weights: &mut [f32; TASKS], gradient: &[f32; TASKS], (step, value, pull): (f32, f32, f32)) {
    for (weight, gradient) in weights.iter_mut().zip(gradient) {
        *weight -= step * (gradient * value + pull * *weight);
    }
}

fn scores(weights: &Weights, hashed: &[(u32, f32)], dense: &[f32; DENSE]) -> [f32; TASKS] {
    let mut scores = [0.0; TASKS];
    for &(bucket, value) in hashed {
        for (score, weight) in scores.iter_mut().zip(&weights.hashed[bucket as usize]) {
            *score += weight * value;
        }
    }
    for (row, value) in weights.dense.iter().zip(dense) {
        for (score, weight) in scores.iter_mut().zip(row) {
            *score += weight * value;
        }
    }
    scores
}
