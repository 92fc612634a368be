//! Grows a [`Forest`]: gradient boosting by Newton steps (Friedman, 2001; Chen and Guestrin, 2016) for many outputs at
//! once, over inputs cut into a few dozen bins.

use nova_route::quality::{DEPTH, Forest, LEAVES};

use crate::draw::Draw;

/// How to grow.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many trees.
    pub trees: usize,
    /// The share of each step that is taken.
    pub rate: f32,
    /// Strength of the penalty on leaves, in units of a row's curvature.
    pub penalty: f32,
    /// The share of inputs that a tree may ask about, and of rows that it learns from.
    pub share: f32,
    /// Of what is drawn.
    pub seed: u64,
}

/// Into how many bins the values of an input are cut at most.
const BINS: usize = 32;

/// What is learnt from: by row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'r> {
    /// How many numbers an input has.
    pub inputs: usize,
    /// `inputs` for each row.
    pub of: &'r [f32],
    /// Log-odds that are corrected, one for each output.
    pub start: &'r [f32],
    /// What is right, one for each output, within 0 and 1; what is no number is not known.
    pub targets: &'r [f32],
    /// How many outputs.
    pub outputs: usize,
}

/// Slopes and curvatures, one of each for each output.
type Sums = Vec<[f32; 2]>;

/// An input, and which of its cuts the value must be above; the cut behind the last asks nothing.
type Ask = (usize, usize);

struct Tree {
    asks: [Ask; DEPTH],
    leaves: Vec<f32>,
}

struct Grower<'r> {
    rows: Rows<'r>,
    options: Options,
    /// For each input its cuts, ascending.
    cuts: Vec<Vec<f32>>,
    /// By input, then by row: how many cuts the value is above.
    bins: Vec<Vec<u8>>,
    /// By row, then by output.
    slopes: Sums,
}

/// How many parts the rows are cut into to see whether trees help.
const PARTS: usize = 4;
/// How many standard errors the gain must be above nothing.
const SURE: f64 = 5.0;

/// Learns to correct `rows.start`, if that helps: where trees grown on some rows do not clearly lessen the loss of the
/// others, there are none.
pub fn train_if_it_helps(rows: Rows<'_>, options: Options) -> Forest {
    let gains: Vec<f64> = (0..PARTS).flat_map(|part| gains(rows, options, part)).collect();
    let count = gains.len().max(1) as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / count;
    if mean > SURE * (variance / count).sqrt() { train(rows, options) } else { Forest::default() }
}

/// By how much trees that were grown on the other parts lessen the loss of each row of a part.
fn gains(rows: Rows<'_>, options: Options, part: usize) -> Vec<f64> {
    let outputs = rows.outputs.max(1);
    let count = rows.start.len() / outputs;
    // Rows may be sorted by kind, so that neighbours go to different parts.
    let (own, others): (Vec<usize>, Vec<usize>) = (0..count).partition(|row| row % PARTS == part);
    let of = |values: &[f32], width: usize| -> Vec<f32> {
        others.iter().flat_map(|row| &values[row * width..][..width]).copied().collect()
    };
    let (inputs, start, targets) =
        (of(rows.of, rows.inputs), of(rows.start, outputs), of(rows.targets, outputs));
    let forest = train(Rows { of: &inputs, start: &start, targets: &targets, ..rows }, options);
    let gain = |row: usize| {
        let before = &rows.start[row * outputs..][..outputs];
        let mut after = before.to_vec();
        forest.add(&rows.of[row * rows.inputs..][..rows.inputs], &mut after);
        let targets = &rows.targets[row * outputs..][..outputs];
        let known = targets.iter().zip(before.iter().zip(&after)).filter(|(target, _)| !target.is_nan());
        known.map(|(target, (before, after))| loss(*before, *target) - loss(*after, *target)).sum()
    };
    own.into_iter().map(gain).collect()
}

/// The logistic loss of a score.
fn loss(score: f32, target: f32) -> f64 {
    let (score, target) = (f64::from(score), f64::from(target));
    score.max(0.0) - score * target + (-score.abs()).exp().ln_1p()
}

/// Learns to correct `rows.start` towards `rows.targets`.
pub fn train(rows: Rows<'_>, options: Options) -> Forest {
    let count = rows.start.len() / rows.outputs.max(1);
    let cuts: Vec<Vec<f32>> = (0..rows.inputs).map(|input| cuts(&rows, input, count)).collect();
    let bin = |input: usize, row: usize| {
        let value = rows.of[row * rows.inputs + input];
        cuts[input].partition_point(|cut| value > *cut) as u8
    };
    let bins = (0..rows.inputs).map(|input| (0..count).map(|row| bin(input, row)).collect()).collect();
    let mut scores = rows.start.to_vec();
    let slopes = vec![[0.0; 2]; scores.len()];
    let mut grower = Grower { rows, options, cuts, bins, slopes };
    let mut forest = Forest { inputs: rows.inputs, outputs: rows.outputs, ..Forest::default() };
    let mut draw = Draw::new(options.seed);
    for _ in 0..options.trees {
        grower.turn(&scores);
        let drawn = |draw: &mut Draw, of: usize| {
            (0..of).filter(|_| draw.unit() < f64::from(options.share)).collect::<Vec<usize>>()
        };
        let (inputs, some) = (drawn(&mut draw, rows.inputs), drawn(&mut draw, count));
        let Some(Tree { asks, leaves }) = grower.tree(&inputs, &some) else { continue };
        let above = |(input, cut): Ask| grower.cuts[input].get(cut).copied().unwrap_or(f32::INFINITY);
        forest.asks.extend(asks.map(|ask| (ask.0 as u32, above(ask))));
        forest.leaves.extend(&leaves);
        for (row, scores) in scores.chunks_exact_mut(rows.outputs).enumerate() {
            let leaf = asks.iter().fold(0, |leaf, ask| 2 * leaf + grower.above(*ask, row));
            let says = &leaves[leaf * rows.outputs..][..rows.outputs];
            scores.iter_mut().zip(says).for_each(|(score, says)| *score += says);
        }
    }
    forest
}

/// Values that cut an input into bins with about as many rows each; no cut where all values are the same.
fn cuts(rows: &Rows<'_>, input: usize, count: usize) -> Vec<f32> {
    let mut values: Vec<f32> = (0..count).map(|row| rows.of[row * rows.inputs + input]).collect();
    values.sort_by(f32::total_cmp);
    let largest = values.last().copied().unwrap_or_default();
    let mut cuts: Vec<f32> =
        (1..BINS).map(|bin| values[count * bin / BINS]).filter(|cut| *cut < largest).collect();
    cuts.dedup();
    cuts
}

impl Grower<'_> {
    /// The slopes and curvatures of the loss at these scores.
    fn turn(&mut self, scores: &[f32]) {
        for ((slope, score), target) in self.slopes.iter_mut().zip(scores).zip(self.rows.targets) {
            let says = 1.0 / (1.0 + (-score).exp());
            *slope = if target.is_nan() { [0.0; 2] } else { [target - says, says * (1.0 - says)] };
        }
    }

    fn above(&self, (input, cut): Ask, row: usize) -> usize {
        usize::from(usize::from(self.bins[input][row]) > cut)
    }

    /// The questions of a tree and its leaves; nothing where no question tells anything.
    fn tree(&self, inputs: &[usize], rows: &[usize]) -> Option<Tree> {
        let nothing = (0, self.cuts.first()?.len());
        let mut asks = [nothing; DEPTH];
        let mut leaf_of = vec![0_usize; rows.len()];
        for (level, ask) in asks.iter_mut().enumerate() {
            let gains = inputs.iter().filter_map(|input| self.best_cut(*input, rows, &leaf_of, 1 << level));
            let (gain, best) = gains.fold((0.0, nothing), |best, of| if of.0 > best.0 { of } else { best });
            if level == 0 && gain <= 0.0 {
                return None;
            }
            *ask = best;
            for (leaf, row) in leaf_of.iter_mut().zip(rows) {
                *leaf = 2 * *leaf + self.above(best, *row);
            }
        }
        let outputs = self.rows.outputs;
        let mut sums = vec![[0.0; 2]; LEAVES * outputs];
        for (leaf, row) in leaf_of.iter().zip(rows) {
            add(&mut sums[leaf * outputs..][..outputs], &self.slopes[row * outputs..][..outputs]);
        }
        let leaf = |[slope, curve]: &[f32; 2]| self.options.rate * slope / (curve + self.options.penalty);
        Some(Tree { asks, leaves: sums.iter().map(leaf).collect() })
    }

    /// The cut of an input that tells the most, with what it gains over all leaves so far.
    fn best_cut(&self, input: usize, rows: &[usize], leaf_of: &[usize], leaves: usize) -> Option<(f32, Ask)> {
        let (outputs, cuts) = (self.rows.outputs, self.cuts[input].len());
        let bins = &self.bins[input];
        let mut sums = vec![[0.0; 2]; leaves * BINS * outputs];
        for (leaf, &row) in leaf_of.iter().zip(rows) {
            let place = (leaf * BINS + usize::from(bins[row])) * outputs;
            add(&mut sums[place..][..outputs], &self.slopes[row * outputs..][..outputs]);
        }
        let mut gains = vec![0.0; cuts];
        for of_leaf in sums.chunks_exact(BINS * outputs) {
            for output in 0..outputs {
                let all = of_leaf
                    .iter()
                    .skip(output)
                    .step_by(outputs)
                    .fold([0.0; 2], |sum, of| [sum[0] + of[0], sum[1] + of[1]]);
                let mut below = [0.0; 2];
                for (cut, gain) in gains.iter_mut().enumerate() {
                    let bin = of_leaf[cut * outputs + output];
                    below = [below[0] + bin[0], below[1] + bin[1]];
                    *gain += self.worth(below) + self.worth([all[0] - below[0], all[1] - below[1]])
                        - self.worth(all);
                }
            }
        }
        gains
            .iter()
            .enumerate()
            .map(|(cut, gain)| (*gain, (input, cut)))
            .max_by(|one, other| one.0.total_cmp(&other.0))
    }

    /// What a leaf with these sums takes off the loss, twice.
    fn worth(&self, [slope, curve]: [f32; 2]) -> f32 {
        slope * slope / (curve.max(0.0) + self.options.penalty)
    }
}

fn add(into: &mut [[f32; 2]], of: &[[f32; 2]]) {
    for (sum, of) in into.iter_mut().zip(of) {
        sum[0] += of[0];
        sum[1] += of[1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Options = Options { trees: 60, rate: 0.1, penalty: 5.0, share: 0.7, seed: 1 };

    /// Rows of three numbers within 0 and 1, of which the first two tell by `right` what is right.
    fn rows(right: fn(f32, f32) -> bool) -> (Vec<f32>, Vec<f32>) {
        let mut draw = Draw::new(9);
        let of: Vec<f32> = (0..3 * 800).map(|_| draw.unit() as f32).collect();
        let targets = of.chunks_exact(3).map(|row| f32::from(u8::from(right(row[0], row[1])))).collect();
        (of, targets)
    }

    #[test]
    fn what_thresholds_tell_together_is_learnt() {
        let (of, targets) = rows(|one, other| (one > 0.5) != (other > 0.3));
        let rows =
            Rows { inputs: 3, of: &of, start: &vec![0.0; targets.len()], targets: &targets, outputs: 1 };
        let forest = train_if_it_helps(rows, OPTIONS);
        assert!(forest.holds() && forest.trees() > 0);
        let says = |input: [f32; 3]| {
            let mut sum = [0.0];
            forest.add(&input, &mut sum);
            sum[0]
        };
        for third in [0.1, 0.9] {
            assert!(says([0.8, 0.1, third]) > 1.0 && says([0.2, 0.8, third]) > 1.0);
            assert!(says([0.8, 0.8, third]) < -1.0 && says([0.2, 0.1, third]) < -1.0);
        }
        assert_eq!(train_if_it_helps(rows, OPTIONS), forest, "equal rows and seeds grow equal trees");
    }

    #[test]
    fn where_there_is_nothing_to_learn_nothing_grows() {
        let (of, _) = rows(|_, _| true);
        let mut draw = Draw::new(4);
        let coins: Vec<f32> = (0..800).map(|_| f32::from(u8::from(draw.unit() < 0.5))).collect();
        let rows = Rows { inputs: 3, of: &of, start: &vec![0.0; 800], targets: &coins, outputs: 1 };
        assert_eq!(train_if_it_helps(rows, OPTIONS).trees(), 0);
        let unknown = vec![f32::NAN; 800];
        assert_eq!(train_if_it_helps(Rows { targets: &unknown, ..rows }, OPTIONS).trees(), 0);
    }

    #[test]
    fn an_unknown_grade_teaches_no_other_output() {
        let (of, targets) = rows(|one, _| one > 0.5);
        let both: Vec<f32> = targets.iter().flat_map(|target| [*target, f32::NAN]).collect();
        let rows = Rows { inputs: 3, of: &of, start: &vec![0.0; both.len()], targets: &both, outputs: 2 };
        let mut sums = [0.0; 2];
        train(rows, OPTIONS).add(&[0.9, 0.5, 0.5], &mut sums);
        assert!(sums[0] > 1.0 && sums[1] == 0.0, "{sums:?}");
    }
}
