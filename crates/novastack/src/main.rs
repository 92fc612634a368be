//! The `novastack` command: the assembly of everything, and the only crate that speaks to a terminal.
//!
//! `cli` declares the commands, `commands` holds one file for each.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

/// Requests allocate a few dozen small things and free them on the same thread, which this allocator is made
/// for; the figures stand in `Cargo.toml` and in the commit that brought it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit statuses: 0 done, 1 failed, 2 wrong usage (clap's own), 78 wrong configuration (sysexits.h).
fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => commands::report(&error),
    }
}
