//! How well the classifier does, by style, source and task.

use std::collections::BTreeMap;

use nova_route::task::{TASKS, Task};
use serde::Serialize;

use super::{Judged, Row, Style};

/// How many bins confidence is cut into to hold it against accuracy.
const BINS: usize = 15;
/// From this confidence a verdict counts as sure.
const SURE: f32 = 0.8;

/// How well rows were judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// All rows.
    pub all: Counts,
    /// Prompts of people.
    pub user: Counts,
    /// Prompts of benchmarks.
    pub bench: Counts,
    /// The mean over the tasks of F1, prompts of people.
    pub user_macro_f1: f64,
    /// The mean over the tasks of F1, all rows.
    pub macro_f1: f64,
    /// By fold.
    pub folds: Vec<Counts>,
    /// By source.
    pub sources: BTreeMap<String, Counts>,
    /// By task, in the order of [`Task::ALL`]: all rows, and prompts of people.
    pub tasks: BTreeMap<&'static str, (Counts, Counts)>,
    /// Prompts of people: what they are (rows) and what was said (columns).
    pub user_confusion: [[u32; TASKS]; TASKS],
    /// Confidence against accuracy, prompts of people.
    pub user_calibration: Calibration,
    /// Confidence against accuracy, prompts of benchmarks.
    pub bench_calibration: Calibration,
}

/// How many were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of so many.
    pub all: u32,
    /// So many.
    pub right: u32,
}

/// How confidence and accuracy agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Calibration {
    /// The expected calibration error over 15 bins of equal width (Naeini et al., 2015).
    pub ece: f64,
    /// The share of verdicts that are sure: 0.8 and more.
    pub sure: f64,
    /// The share of those that is right.
    pub sure_right: f64,
}

impl Counts {
    /// The share that was right; 1 of none.
    pub fn share(self) -> f64 {
        if self.all == 0 { 1.0 } else { f64::from(self.right) / f64::from(self.all) }
    }

    fn add(&mut self, right: bool) {
        self.all += 1;
        self.right += u32::from(right);
    }
}

impl Report {
    /// Holds what was said of rows against what they are.
    pub fn new(rows: &[Row], judged: &[Judged]) -> Self {
        let mut report = Self {
            all: Counts::default(),
            user: Counts::default(),
            bench: Counts::default(),
            user_macro_f1: 0.0,
            macro_f1: 0.0,
            folds: Vec::new(),
            sources: BTreeMap::new(),
            tasks: Task::ALL.map(|task| (task.name(), <(Counts, Counts)>::default())).into(),
            user_confusion: [[0; TASKS]; TASKS],
            user_calibration: Calibration::default(),
            bench_calibration: Calibration::default(),
        };
        let mut confusion = [[0; TASKS]; TASKS];
        for judged in judged {
            let row = &rows[judged.row];
            let said = judged.best().0;
            let right = said == row.task;
            report.all.add(right);
            report.sources.entry(row.source.clone()).or_default().add(right);
            if report.folds.len() <= judged.fold {
                report.folds.resize(judged.fold + 1, Counts::default());
            }
            report.folds[judged.fold].add(right);
            confusion[row.task as usize][said as usize] += 1;
            let of_task = report.tasks.entry(row.task.name()).or_default();
            of_task.0.add(right);
            if row.style == Style::User {
                report.user.add(right);
                of_task.1.add(right);
                report.user_confusion[row.task as usize][said as usize] += 1;
            } else {
                report.bench.add(right);
            }
        }
        report.macro_f1 = macro_f1(&confusion);
        report.user_macro_f1 = macro_f1(&report.user_confusion);
        report.user_calibration = calibration(rows, judged, Style::User);
        report.bench_calibration = calibration(rows, judged, Style::Bench);
        report
    }

    /// The report for people, a line for each thing; ends with a line break.
    pub fn text(&self) -> String {
        let percent = |counts: Counts| format!("{:.2} % of {}", counts.share() * 100.0, counts.all);
        let folds: Vec<String> =
            self.folds.iter().map(|fold| format!("{:.2}", fold.share() * 100.0)).collect();
        let calibration = self.user_calibration;
        let mut lines = vec![
            format!("right, all prompts: {}, by fold {}", percent(self.all), folds.join(" ")),
            format!("right, people's prompts: {}", percent(self.user)),
            format!("right, benchmarks' prompts: {}", percent(self.bench)),
            format!("macro F1: {:.3}, people's prompts {:.3}", self.macro_f1, self.user_macro_f1),
            format!(
                "calibration error: people {:.3}, benchmarks {:.3}",
                calibration.ece, self.bench_calibration.ece
            ),
            format!(
                "people's prompts with a confidence of 0.8 and more: {:.1} %, of these right {:.1} %",
                calibration.sure * 100.0,
                calibration.sure_right * 100.0
            ),
        ];
        for (task, (all, user)) in &self.tasks {
            lines.push(format!("{task}: {}, people's prompts {}", percent(*all), percent(*user)));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn calibration(rows: &[Row], judged: &[Judged], style: Style) -> Calibration {
    let mut bins = [(0.0_f64, 0_u32); BINS];
    let (mut all, mut sure) = (0_u32, Counts::default());
    for judged in judged.iter().filter(|judged| rows[judged.row].style == style) {
        let (said, confidence) = judged.best();
        let right = said == rows[judged.row].task;
        // At most the last bin, as a probability is at most 1.
        let bin = ((confidence * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += f64::from(confidence);
        bins[bin].1 += u32::from(right);
        all += 1;
        if confidence >= SURE {
            sure.add(right);
        }
    }
    let total = f64::from(all.max(1));
    let ece =
        bins.iter().map(|(confidence, right)| (confidence - f64::from(*right)).abs()).sum::<f64>() / total;
    Calibration { ece, sure: f64::from(sure.all) / total, sure_right: sure.share() }
}

/// The mean of F1 over the tasks that there are.
fn macro_f1(confusion: &[[u32; TASKS]; TASKS]) -> f64 {
    let mut scores = Vec::new();
    for task in 0..TASKS {
        let right = f64::from(confusion[task][task]);
        let is: u32 = confusion[task].iter().sum();
        let said: u32 = confusion.iter().map(|row| row[task]).sum();
        if is > 0 {
            scores.push(2.0 * right / f64::from(is + said));
        }
    }
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}
