//! `novastack eval`: measures what the router decides, offline.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
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
    /// Everything is cross-validated: no prompt is judged by what was learnt from it. The same files and seed give
    /// the same figures, except for timings.
    Route(EvalRoute),
}

/// Options of `novastack eval route`.
#[derive(Args, Clone, Debug)]
pub(crate) struct EvalRoute {
    /// A folder with `outcomes/*.jsonl.gz`; what is not there is left out.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
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
    let mut found = 0;
    for (folder, name) in FILES {
        let path = eval.data.join(folder).join(name);
        match std::fs::read(&path) {
            Ok(bytes) => data.add(name, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                note(&format!("`{}` is absent: its parts are left out", path.display()));
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
        found += 1;
    }
    if found == 0 {
        bail!(
            "`{}` holds none of the files to judge by\nhint: it should hold `outcomes/{}` or others of that form",
            eval.data.display(),
            FILES[0].1
        );
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
