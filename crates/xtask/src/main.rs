//! Development tasks: `cargo xtask ci|tidy|gen|fuzz|bench`. Nothing here is shipped.
//!
//! Invariant: a check is a function from what was read (files, the package graph, a program's output) to findings, so
//! that each has a test in which it must fail; reading and running happen at the edge.
//!
//! Reading order: [`ci`] lists the steps, [`tidy`] holds the rules that no compiler knows, [`generate`] the files that are
//! written by the product itself, [`fuzz`] the fuzz targets' brief run, [`mod@bench`] the measurements; [`metadata`] and
//! [`shell`] are how they see the workspace and start programs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks to the terminal")]

mod bench;
mod ci;
mod fuzz;
mod generate;
mod metadata;
mod shell;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of NovaStack", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Every check, cheapest first; goes on after a failure and fails at the end
    Ci {
        /// Only these steps, for example `fmt tidy`
        steps: Vec<String>,
        /// List the steps and what they do
        #[arg(long)]
        list: bool,
    },
    /// The rules of the tree that no compiler knows: edges, purity, sizes, links, paths, generated files
    Tidy,
    /// Write the generated files under schema/ and docs/reference/
    Gen {
        /// Change nothing; fail when a file is stale
        #[arg(long)]
        check: bool,
    },
    /// Build the fuzz targets and run each for a number of inputs
    Fuzz(fuzz::Options),
    /// Measure the gateway beside nginx and LiteLLM
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all is well, where the task has said itself what is not.
fn run(task: Task) -> Result<bool> {
    match task {
        Task::Ci { list: true, .. } => ci::list(),
        Task::Ci { steps, list: false } => return ci::run(&steps),
        Task::Tidy => tidy::run_all()?,
        Task::Gen { check } => generate::run(check)?,
        Task::Fuzz(options) => fuzz::run(&options)?,
        Task::Bench(options) => bench::run(&options)?,
    }
    Ok(true)
}
