//! Learning from some rows and judging by the others.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use nova_route::features::{Features, extract};
use nova_route::task::{Model, ModelError, TASKS, Task, Weights, softmax};

use super::{Options, Report, Row, Style, train};

/// How many parts the rows are cut into.
const FOLDS: u64 = 5;
/// Temperatures that are tried.
const TEMPERATURES: std::ops::RangeInclusive<u32> = 20..=300;
/// The confidence below which a verdict is no better than none: such verdicts are right less often than wrong.
const THRESHOLD: f32 = 0.35;

/// Which rows are kept for judging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// One part of five, by a hash of the prompt.
    Fold,
    /// All rows of one source, so that nothing like them was ever seen.
    Source,
}

/// What was said of a row by weights that did not see it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The place of the row.
    pub row: usize,
    /// The fold that kept it.
    pub fold: usize,
    /// The scores of its tasks, before any temperature.
    pub scores: [f32; TASKS],
    /// The probabilities, at a temperature that was chosen without the rows of its fold.
    pub posterior: [f32; TASKS],
}

impl Judged {
    /// The likeliest task and its probability.
    pub fn best(&self) -> (Task, f32) {
        let ranked = Task::ALL.into_iter().zip(self.posterior);
        ranked.fold((Task::Code, 0.0), |best, one| if one.1 > best.1 { one } else { best })
    }
}

/// Judges every row by weights that were learnt from the others, and says how well that went.
///
/// # Errors
/// None that is known: what [`train`] writes can be read.
pub fn cross_validate(rows: &[Row], options: &Options) -> Result<Report, ModelError> {
    Ok(Report::new(rows, &judge(rows, options, Split::Fold)?))
}

/// What is said of every row by weights that were learnt without its fold. Uses as many threads as the machine
/// has, which changes nothing but the time.
///
/// # Errors
/// None that is known: what [`train`] writes can be read.
pub fn judge(rows: &[Row], options: &Options, split: Split) -> Result<Vec<Judged>, ModelError> {
    let sources: Vec<&str> =
        rows.iter().map(|row| row.source.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let fold_of = |row: &Row| match split {
        Split::Fold => (hash(&row.prompt) % FOLDS) as usize,
        Split::Source => sources.binary_search(&row.source.as_str()).unwrap_or(0),
    };
    let folds: Vec<usize> = rows.iter().map(fold_of).collect();
    let distinct: Vec<usize> = folds.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut judged = Vec::new();
        while let Some(fold) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
            judged.extend(judge_fold(rows, &folds, *fold, options)?);
        }
        Ok(judged)
    };
    let of_threads: Vec<Result<Vec<Judged>, ModelError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("training does not panic")).collect()
    });
    let mut judged = Vec::new();
    for of_thread in of_threads {
        judged.extend(of_thread?);
    }
    judged.sort_by_key(|judged: &Judged| judged.row);
    for fold in distinct {
        let temperature = temperature(rows, judged.iter().filter(|judged| judged.fold != fold));
        for judged in judged.iter_mut().filter(|judged| judged.fold == fold) {
            judged.posterior = softmax(&judged.scores, temperature);
        }
    }
    Ok(judged)
}

fn judge_fold(
    rows: &[Row],
    folds: &[usize],
    fold: usize,
    options: &Options,
) -> Result<Vec<Judged>, ModelError> {
    let others: Vec<&Row> =
        rows.iter().zip(folds).filter(|(_, of)| **of != fold).map(|(row, _)| row).collect();
    // Judged as requests would be: by what is left of the weights in a file.
    let model = Model::from_bytes(&train(&others, options).to_bytes())?;
    let mut features = Features::default();
    let kept = rows.iter().enumerate().filter(|(at, _)| folds[*at] == fold);
    let judged = kept.map(|(row, kept)| {
        extract(&kept.prompt, &mut features);
        let scores = model.scores(&features);
        Judged { row, fold, scores, posterior: softmax(&scores, 1.0) }
    });
    Ok(judged.collect())
}

/// Weights learnt from all rows, with the temperature and the threshold that cross validation found.
pub fn calibrated(rows: &[Row], judged: &[Judged], options: &Options) -> Weights {
    let mut weights = train(&rows.iter().collect::<Vec<_>>(), options);
    weights.temperature = temperature(rows, judged.iter());
    weights.threshold = THRESHOLD;
    weights
}

/// The temperature at which the prompts of people are the least surprising; those of benchmarks where there are
/// no others.
fn temperature<'j>(rows: &[Row], judged: impl Iterator<Item = &'j Judged>) -> f32 {
    let judged: Vec<&Judged> = judged.collect();
    let of_people: Vec<&Judged> =
        judged.iter().copied().filter(|judged| rows[judged.row].style == Style::User).collect();
    let judged = if of_people.is_empty() { judged } else { of_people };
    let surprise = |temperature: f32| -> f64 {
        let of = |judged: &&Judged| {
            let p = softmax(&judged.scores, temperature)[rows[judged.row].task as usize];
            -f64::from(p.max(1e-9)).ln()
        };
        judged.iter().map(of).sum()
    };
    let tried = TEMPERATURES.map(|percent| percent as f32 / 100.0);
    let best = tried
        .map(|t| (surprise(t), t))
        .fold((f64::INFINITY, 1.0), |best, one| if one.0 < best.0 { one } else { best });
    best.1
}

/// FNV-1a, so that a row is in the same fold on every machine.
fn hash(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    let sum: u64 =
        text.bytes().fold(start, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    sum ^ (sum >> 29)
}
