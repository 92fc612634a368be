//! The suite that `novastack eval route` runs: which data, which routers, which goals.
//!
//! Invariant: apart from the section `speed`, whose clock is an argument, equal files and seeds give equal reports.
//!
//! Reading order: [`Data`] is what is read; `Suite::run` lists the sections in their order; `tasks`
//! judges the classifier, `pairs` and `pools` compare routers, `live` lets time pass and words change.

mod live;
mod pairs;
mod pools;
mod tasks;

use std::collections::HashSet;

use nova_route::quality::Expected;

use crate::judge::calibration::calibration;
use crate::judge::fit::{Fit, Split};
use crate::outcomes::{Outcomes, OutcomesError};
use crate::prices::Prices;
use crate::report::{Report, Section, Source, Table, share};
use crate::tasks::{Row, RowsError};
use crate::train::matrix::Matrix;

/// The files that the suite reads, with their folder in a data directory.
pub const FILES: [(&str, &str); 8] = [
    ("tasks", "task_class.jsonl.gz"),
    ("outcomes", "routellm_mmlu.jsonl.gz"),
    ("outcomes", "routellm_gsm8k.jsonl.gz"),
    ("outcomes", "routellm_mtbench.jsonl.gz"),
    ("outcomes", "mmlu_pro.jsonl.gz"),
    ("outcomes", "zeroeval_crux.jsonl.gz"),
    ("outcomes", "zeroeval_gsm.jsonl.gz"),
    ("outcomes", "llmrouter12.jsonl.gz"),
];

/// The words for `--section`, in the order of the report.
pub const SECTIONS: [&str; 9] =
    ["tasks", "mmlu", "gsm8k", "mt-bench", "mmlu-pro", "zeroeval", "llmrouter", "live", "speed"];

/// How a suite is run.
#[expect(missing_debug_implementations, reason = "functions have no form to print")]
pub struct Settings<'s> {
    /// Where every draw begins.
    pub seed: u64,
    /// How many folds.
    pub folds: usize,
    /// How many bootstraps.
    pub bootstraps: usize,
    /// Only these sections; all where it is empty.
    pub sections: &'s [String],
    /// Prices of the models.
    pub prices: &'s Prices,
    /// Told what is done next.
    pub progress: &'s dyn Fn(&str),
    /// Nanoseconds since any moment.
    pub clock: &'s dyn Fn() -> u64,
}

/// What was read. A file that is not there leaves its sections out.
#[derive(Debug, Default)]
pub struct Data {
    files: Vec<(String, Outcomes)>,
    apart: Vec<(String, Outcomes)>,
    tasks: Vec<Row>,
    tasks_apart: Vec<Row>,
    sources: Vec<Source>,
}

/// Stands behind the names of files that were kept apart.
const APART: &str = " (kept apart)";

/// What is judged: rows, and what was expected of them before.
struct Judged {
    outcomes: Outcomes,
    fit: Fit,
    /// How the rows were split, for the report.
    how: String,
}

/// Why the suite did not run.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file cannot be used.
    #[error("`{file}` cannot be used: {error}")]
    File {
        /// Which.
        file: String,
        /// Why.
        error: OutcomesError,
    },
    /// A file of prompts with known tasks cannot be used.
    #[error("`{file}` cannot be used: {error}")]
    Prompts {
        /// Which.
        file: String,
        /// Why.
        error: RowsError,
    },
    /// The classifier of tasks could not be learnt.
    #[error("the classifier of tasks cannot be learnt: {0}")]
    Tasks(#[from] nova_route::task::ModelError),
    /// Its rows may not be trained on, which cross-validation does.
    #[error("`{0}` holds rows that are marked `eval_only`: nothing may be trained on them")]
    EvalOnly(String),
    /// A model that a pool needs is not in the file.
    #[error("`{file}` does not know the model `{model}`")]
    Model {
        /// The file.
        file: String,
        /// The model.
        model: String,
    },
    /// A model has no price.
    #[error("the prices do not name the model `{0}`")]
    Price(String),
    /// Too little data.
    #[error("`{0}` holds too few rows to learn from: {1}")]
    Train(String, nova_route::quality::QualityError),
}

impl Data {
    /// Takes a file in, by its name, to learn from; and to judge by, in folds, where nothing is kept apart.
    ///
    /// # Errors
    /// It is no outcomes, or may not be trained on.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), SuiteError> {
        if is_tasks(name) {
            self.tasks = self.read_tasks(name, bytes, "")?;
            return Ok(());
        }
        let outcomes = self.read(name, bytes, "")?;
        if outcomes.eval_only {
            return Err(SuiteError::EvalOnly(name.to_owned()));
        }
        self.files.push((name.to_owned(), outcomes));
        Ok(())
    }

    /// Takes a file in that was kept apart, by its name: it is judged by, and never learnt from.
    ///
    /// # Errors
    /// It is no outcomes.
    pub fn add_apart(&mut self, name: &str, bytes: &[u8]) -> Result<(), SuiteError> {
        if is_tasks(name) {
            self.tasks_apart = self.read_tasks(name, bytes, APART)?;
            return Ok(());
        }
        let outcomes = self.read(name, bytes, APART)?;
        self.apart.push((name.to_owned(), outcomes));
        Ok(())
    }

    fn read(&mut self, name: &str, bytes: &[u8], note: &str) -> Result<Outcomes, SuiteError> {
        let outcomes =
            Outcomes::read(bytes).map_err(|error| SuiteError::File { file: name.to_owned(), error })?;
        self.source(name, note, bytes, outcomes.rows.len());
        Ok(outcomes)
    }

    fn read_tasks(&mut self, name: &str, bytes: &[u8], note: &str) -> Result<Vec<Row>, SuiteError> {
        let rows = crate::tasks::read(bytes)
            .map_err(|error| SuiteError::Prompts { file: name.to_owned(), error })?;
        self.source(name, note, bytes, rows.len());
        Ok(rows)
    }

    fn source(&mut self, name: &str, note: &str, bytes: &[u8], rows: usize) {
        let (name, sha256) = (format!("{name}{note}"), crate::hash::sha256(bytes));
        self.sources.push(Source { name, sha256, rows });
    }

    /// Whether anything was kept apart: then nothing is judged by folds.
    fn has_apart(&self) -> bool {
        !self.apart.is_empty() || !self.tasks_apart.is_empty()
    }

    fn get(&self, stem: &str) -> Option<&Outcomes> {
        find(&self.files, stem)
    }

    /// The rows of a file to learn from, and those that were kept apart; nothing where a section cannot be judged,
    /// as rows are kept apart but none of this file.
    fn both(&self, stem: &str) -> Option<(&Outcomes, Option<&Outcomes>)> {
        let apart = find(&self.apart, stem);
        let judged = !self.has_apart() || apart.is_some();
        self.get(stem).filter(|_| judged).map(|learns| (learns, apart))
    }
}

fn is_tasks(name: &str) -> bool {
    name.starts_with("task_class.")
}

fn find<'o>(files: &'o [(String, Outcomes)], stem: &str) -> Option<&'o Outcomes> {
    let file = files.iter().find(|(name, _)| name.split('.').next() == Some(stem));
    file.map(|(_, outcomes)| outcomes)
}

/// Learns, and judges by folds or by what was kept apart.
fn judged(
    name: &str,
    (learns, apart): (&Outcomes, Option<&Outcomes>),
    split: Split,
) -> Result<Judged, SuiteError> {
    let failed = |error| SuiteError::Train(name.to_owned(), error);
    let matrix = |of: &Outcomes| Matrix::of(of.rows.iter().map(|row| row.prompt.as_str()));
    let Some(apart) = apart else {
        let how = format!(
            "{} prompts, each judged by what was learnt from the other {} folds",
            learns.rows.len(),
            split.folds - 1
        );
        let fit = Fit::new(learns, &matrix(learns), split).map_err(failed)?;
        return Ok(Judged { outcomes: learns.clone(), fit, how });
    };
    // A prompt that is judged is never learnt from, whatever the folders hold.
    let judged: HashSet<&str> = apart.rows.iter().map(|row| row.prompt.as_str()).collect();
    let rows = learns.rows.iter().filter(|row| !judged.contains(row.prompt.as_str())).cloned().collect();
    let learns = &Outcomes { rows, ..learns.clone() };
    let first = learns.rows.len();
    let mut outcomes = learns.and(apart);
    let fit = Fit::apart(&outcomes, &matrix(&outcomes), first, split).map_err(failed)?;
    outcomes.rows.drain(..first);
    let how = format!(
        "{} prompts that were kept apart, judged by what was learnt from {first} others",
        outcomes.rows.len()
    );
    Ok(Judged { outcomes, fit, how })
}

/// Runs the suite.
///
/// # Errors
/// Data or prices that do not fit.
pub fn run(data: &Data, settings: &Settings<'_>) -> Result<Report, SuiteError> {
    let mut report = Report { seed: settings.seed, data: data.sources.clone(), sections: Vec::new() };
    let wanted =
        |name: &str| settings.sections.is_empty() || settings.sections.iter().any(|section| section == name);
    let one =
        |section: Result<Option<Section>, SuiteError>| section.map(|section| section.into_iter().collect());
    let mut add = |name: &str, section: &dyn Fn() -> Result<Vec<Section>, SuiteError>| {
        if wanted(name) {
            (settings.progress)(name);
            report.sections.extend(section()?);
        }
        Ok::<_, SuiteError>(())
    };
    add("tasks", &|| one(tasks::tasks(data, settings)))?;
    add("mmlu", &|| one(pairs::mmlu(data, settings)))?;
    add("gsm8k", &|| one(pairs::gsm8k(data, settings)))?;
    add("mt-bench", &|| one(pairs::mt_bench(data, settings)))?;
    add("mmlu-pro", &|| one(pools::mmlu_pro(data, settings)))?;
    add("zeroeval", &|| one(pools::zeroeval(data, settings)))?;
    add("llmrouter", &|| one(pools::llmrouter(data, settings)))?;
    add("live", &|| live::live(data, settings))?;
    add("speed", &|| one(live::speed(data, settings)))?;
    Ok(report)
}

/// Judges an operator's own outcomes as a pool.
///
/// # Errors
/// Prices that do not name each model, or too little data.
pub fn own(outcomes: &Outcomes, settings: &Settings<'_>) -> Result<Report, SuiteError> {
    let section = pools::own(outcomes, settings)?;
    Ok(Report { seed: settings.seed, data: Vec::new(), sections: vec![section] })
}

/// How well what was expected of each row and model came true.
fn calibrated(fit: &Fit, grade: impl Fn(usize, usize) -> Option<f32>) -> Table {
    let mut table = Table::new("Calibration of what was expected", &["estimate", "ECE", "Brier"]);
    let mut add = |name: &str, of: fn(&Expected) -> f32| {
        let pairs = fit.expected.iter().enumerate().flat_map(|(row, expected)| {
            let graded = expected.iter().enumerate();
            let grade = &grade;
            graded.filter_map(move |(model, expected)| {
                grade(row, model).map(|grade| (f64::from(of(expected)), f64::from(grade)))
            })
        });
        let says = calibration(pairs);
        table.rows.push(vec![name.to_owned(), share(says.ece), share(says.brier)]);
    };
    add("table of the predicted kind", |expected| expected.table);
    add("heads", |expected| expected.head);
    add("heads and table", |expected| expected.quality);
    table
}

#[cfg(test)]
mod tests;
