//! `novastack train tasks`: the classifier of tasks.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use nova_eval::tasks::{self, Options, Report, Row, Split};

use crate::cli::Global;
use crate::commands::{note, say};

/// Options of `novastack train tasks`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrainTasks {
    /// A file of rows; may be given several times.
    #[arg(long, required = true, value_name = "FILE")]
    pub(crate) data: Vec<PathBuf>,
    /// Where to write the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Decides the order of rows and everything else that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Does what the command line says.
pub(crate) fn run(global: &Global, train: &TrainTasks) -> Result<()> {
    let mut rows = Vec::new();
    for file in &train.data {
        rows.extend(read(file)?);
    }
    note(&format!("{} rows; learning six times, five of them to judge what was learnt", rows.len()));
    let options = Options { seed: train.seed, ..Options::default() };
    let judged = tasks::judge(&rows, &options, Split::Fold)?;
    let bytes = tasks::calibrated(&rows, &judged, &options).to_bytes();
    std::fs::write(&train.out, &bytes).with_context(|| format!("cannot write `{}`", train.out.display()))?;
    let report = Report::new(&rows, &judged);
    if global.json {
        return say(&serde_json::to_string_pretty(&report)?);
    }
    say(&format!("{}wrote `{}`, {} bytes", report.text(), train.out.display(), bytes.len()))
}

fn read(file: &Path) -> Result<Vec<Row>> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    tasks::read(&bytes).with_context(|| format!("`{}` cannot be used", file.display()))
}
