//! One file for each command, and what they share: how they speak, and how they fail.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod engine;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod fidelity;
pub(crate) mod generate;
pub(crate) mod generation;
pub(crate) mod home;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod mock;
pub(crate) mod models;
pub(crate) mod quality;
pub(crate) mod replay;
pub(crate) mod route;
pub(crate) mod serve;
pub(crate) mod train;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command};

/// A configuration that cannot be used: sysexits.h, EX_CONFIG.
const EXIT_CONFIG: u8 = 78;

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let global = &cli.global;
    match cli.command.unwrap_or(Command::Serve(crate::cli::Serve::default())) {
        Command::Serve(serve) => serve::run(global, &serve),
        Command::Check(check) => check::run(global, check),
        Command::Explain(explain) => explain::run(global, &explain),
        Command::Generation(generation) => generation::run(global, &generation),
        Command::Route(route) => route::run(global, &route),
        Command::Replay(replay) => replay::run(global, &replay),
        Command::Quality(quality) => quality::run(global, &quality),
        Command::Keys(keys) => keys::run(global, keys),
        Command::Models(models) => models::run(global, &models),
        Command::Doctor(doctor) => doctor::run(global, &doctor),
        Command::Bench(bench) => bench::run(global, &bench),
        Command::Mock(mock) => mock::run(mock),
        Command::Engine(engine) => engine::run(global, engine),
        Command::Train(train) => train::run(global, train),
        Command::Eval(eval) => eval::run(global, eval),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "novastack", &mut io::stdout());
            Ok(())
        }
        Command::Gen { what } => generate::run(what),
    }
}

/// Says what went wrong, with the whole chain of causes, and gives the exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read our output has read enough.
        return ExitCode::SUCCESS;
    }
    note(&format!("error: {}", chain(error)));
    let config = error.chain().any(|cause| cause.is::<home::BadConfig>());
    if config { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
}

/// The error and its causes, without those that only repeat the one before.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// A line of output.
pub(crate) fn say(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// A line for a person, beside the output.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when even this fails.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Columns, as wide as their widest cell.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<()> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    say(&line(head))?;
    rows.iter().try_for_each(|row| say(&line(std::array::from_fn(|column| row[column].as_str()))))
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
