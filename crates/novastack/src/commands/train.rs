//! `novastack train`: makes the files of what the router knows. Nobody needs it to run a gateway.

mod quality;
mod tasks;

use anyhow::Result;
use clap::Subcommand;
pub(crate) use quality::read_prices;

use crate::cli::Global;

/// What to train.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Train {
    /// Learn from graded answers which model is good at what, and judge it by cross-validation.
    ///
    /// Outcomes are JSON lines, packed by gzip or not: `{"prompt": "...", "task": "...", "outcomes": {"model": 0 to 1}}`,
    /// with `"out_chars": {"model": N}` where the lengths of answers are known. The same file and seed give the same
    /// artefact, byte for byte.
    Quality(quality::TrainQuality),
    /// Train the classifier of tasks from prompts whose task is known, and judge it by cross-validation.
    ///
    /// Rows are JSON lines, compressed by gzip, with the fields `prompt`, `label` (a task), `source` and `style`
    /// (`user` or `bench`). The same rows and seed give the same file, byte for byte.
    Tasks(tasks::TrainTasks),
}

/// Does what the command line says.
pub(crate) fn run(global: &Global, train: Train) -> Result<()> {
    match train {
        Train::Quality(train) => quality::run(global, &train),
        Train::Tasks(train) => tasks::run(global, &train),
    }
}
