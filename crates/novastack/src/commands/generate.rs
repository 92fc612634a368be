//! `novastack gen`: the generated files of the repository, from the tables in the code.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{Command, CommandFactory as _};

use crate::cli::{Cli, Generated};

/// Prints one of them.
pub(crate) fn run(what: Generated) -> Result<()> {
    let text = match what {
        Generated::ConfigSchema => serde_json::to_string_pretty(&nova_gateway::config::schema())?,
        Generated::Errors => nova_gateway::error::reference(),
        Generated::Metrics => nova_gateway::telemetry::reference(),
        Generated::Cli => cli(),
        Generated::ConfigReference => nova_gateway::config::reference(),
        Generated::Fidelity => super::fidelity::page()?,
    };
    super::say(text.trim_end())
}

fn cli() -> String {
    let mut out = String::from(
        "# Command line\n\nGenerated from the command line's own definition by `cargo xtask gen`; do not edit.\n\n\
         Exit statuses: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.\n",
    );
    let mut command = Cli::command().term_width(100);
    command.build();
    describe(&mut out, &command, "novastack");
    out
}

fn describe(out: &mut String, command: &Command, path: &str) {
    let help = command.clone().render_long_help();
    let _ = write!(out, "\n## `{path}`\n\n```\n{}\n```\n", help.to_string().trim_end());
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        describe(out, sub, &format!("{path} {}", sub.get_name()));
    }
}
