//! `novastack train quality`: from graded answers to an artefact.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_eval::outcomes::Outcomes;
use nova_eval::prices::Prices;
use nova_eval::suite::{self, Settings};
use nova_eval::train::{matrix::Matrix, quality};

use crate::cli::Global;
use crate::commands::{note, say};

/// Options of `novastack train quality`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrainQuality {
    /// The graded answers.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Prices of the models; then cross-validation says what routing among them would save.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Where to write the artefact.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Decides the order of rows and everything else that is left to chance.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

pub(super) fn run(global: &Global, train: &TrainQuality) -> Result<()> {
    let file = train.data.display();
    let bytes = std::fs::read(&train.data).with_context(|| format!("cannot read `{file}`"))?;
    let outcomes = Outcomes::read(&bytes).with_context(|| format!("`{file}` cannot be used"))?;
    if outcomes.eval_only {
        bail!(
            "`{file}` holds rows that are marked `eval_only`: nothing may be trained on them\n\
             hint: leave these rows out, or judge by them with `novastack eval route`"
        );
    }
    note(&format!(
        "{} rows, {} models, {} kinds",
        outcomes.rows.len(),
        outcomes.models.len(),
        outcomes.tasks.len()
    ));
    let matrix = Matrix::of(outcomes.rows.iter().map(|row| row.prompt.as_str()));
    let every: Vec<usize> = (0..outcomes.rows.len()).collect();
    let learnt = quality::train(&outcomes, &matrix, &every, train.seed)
        .with_context(|| format!("nothing can be learnt from `{file}`"))?;
    let artefact = learnt.to_bytes();
    std::fs::write(&train.out, &artefact)
        .with_context(|| format!("cannot write `{}`", train.out.display()))?;
    if let Some(prices) = &train.prices {
        let prices = read_prices(prices)?;
        let settings = Settings {
            seed: train.seed,
            folds: 5,
            bootstraps: 200,
            sections: &[],
            prices: &prices,
            progress: &|done| note(done),
            clock: &|| 0,
        };
        let report = suite::own(&outcomes, &settings)?;
        say(&if global.json { serde_json::to_string_pretty(&report)? } else { report.markdown() })?;
    }
    note(&format!("wrote `{}`, {} bytes", train.out.display(), artefact.len()));
    Ok(())
}

/// Reads a file of prices.
pub(crate) fn read_prices(file: &std::path::Path) -> Result<Prices> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read `{shown}`"))?;
    Ok(Prices::read(&shown, &text)?)
}
