//! `novastack eval`: measures what the router decides, offline.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use nova_eval::prices::{EMBEDDED, Prices};
use nova_eval::report::Report;
use nova_eval::suite::{self, Data, FILES, SECTIONS, Settings};

use super::train::read_prices;
use crate::cli::Global;
use crate::commands::{note, say, table};

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Eval {
    /// Judge the router by graded answers: quality, cost, calibration, robustness, speed.
    ///
    /// No prompt is judged by what was learnt from it: by folds, or with `--test` by a set that was kept apart. The same files and seed give
    /// the same figures, except for timings.
    Route(EvalRoute),
}

/// Options of `novastack eval route`.
#[derive(Args, Clone, Debug)]
pub(crate) struct EvalRoute {
    /// A folder with `outcomes/*.jsonl.gz` and `tasks/*.jsonl.gz`; what is not there is left out.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// A folder of the same form that was kept apart: everything in `--data` is learnt from, and only this is judged.
    /// Without it prompts are judged in folds.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) test: Option<PathBuf>,
    /// Prices of the models; list prices of the time where nothing is said.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Write the report as JSON here.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the report as Markdown here.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Only these parts; may be given several times.
    #[arg(long, value_name = "PART", value_parser = SECTIONS)]
    pub(crate) section: Vec<String>,
    /// Where every draw begins.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many parts prompts are split into.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100))]
    pub(crate) folds: u32,
    /// How many draws an interval is made of.
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub(crate) bootstraps: u32,
}

/// Stands above the figures in the committed report.
const HEADER: &str = include_str!("eval/header.md");

/// Does what the command line says.
pub(crate) fn run(global: &Global, eval: Eval) -> Result<()> {
    let Eval::Route(eval) = eval;
    let mut data = Data::default();
    if read(&eval.data, &mut |name, bytes| Ok(data.add(name, bytes)?))? == 0 {
        return Err(nothing(&eval.data));
    }
    if let Some(test) = &eval.test
        && read(test, &mut |name, bytes| Ok(data.add_apart(name, bytes)?))? == 0
    {
        return Err(nothing(test));
    }
    let prices = match &eval.prices {
        Some(file) => read_prices(file)?,
        None => Prices::read("prices.yaml", EMBEDDED)?,
    };
    let started = Instant::now();
    let settings = Settings {
        seed: eval.seed,
        folds: eval.folds as usize,
        bootstraps: eval.bootstraps as usize,
        sections: &eval.section,
        prices: &prices,
        progress: &|next| note(&format!("{:>4} s  {next}", started.elapsed().as_secs())),
        clock: &|| u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
    };
    write(global, &eval, &suite::run(&data, &settings)?)
}

/// Hands each file of a folder over, and says how many there were.
fn read(folder: &Path, take: &mut dyn FnMut(&str, &[u8]) -> Result<()>) -> Result<usize> {
    let mut found = 0;
    for (part, name) in FILES {
        let path = folder.join(part).join(name);
        match std::fs::read(&path) {
            Ok(bytes) => take(name, &bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                note(&format!("`{}` is absent: its parts are left out", path.display()));
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
        found += 1;
    }
    Ok(found)
}

fn nothing(folder: &Path) -> anyhow::Error {
    anyhow!(
        "`{}` holds none of the files to judge by\nhint: it should hold `{}/{}` or others of that form",
        folder.display(),
        FILES[0].0,
        FILES[0].1
    )
}

fn write(global: &Global, eval: &EvalRoute, report: &Report) -> Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    if let Some(file) = &eval.out {
        std::fs::write(file, format!("{json}\n"))
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    if let Some(file) = &eval.markdown {
        std::fs::write(file, format!("{HEADER}\n{}", report.markdown()))
            .with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    if global.json {
        return say(&json);
    }
    let goals = report.sections.iter().flat_map(|section| &section.goals);
    let rows = goals.map(|goal| {
        let reached = if goal.reached { "yes" } else { "NO" };
        [goal.what.clone(), goal.wanted.clone(), goal.got.clone(), reached.to_owned()]
    });
    table(["figure", "goal", "measured", "reached"], &rows.collect::<Vec<_>>())
}
