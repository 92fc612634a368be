//! The commands and their options.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    bench, doctor, engine, eval, explain, generation, keys, mock, models, quality, replay, route, train,
};

/// NovaStack: one endpoint, one key, every model.
#[derive(Debug, Parser)]
#[command(name = "novastack", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What applies to every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The configuration file; none is needed.
    #[arg(long, short, global = true, env = "NOVASTACK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the database, the models and the journal are.
    #[arg(long, global = true, env = "NOVASTACK_DATA", value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Print JSON where the command reads something.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the gateway, and the local engine where a model file is there.
    Serve(Serve),
    /// Check a configuration and say everything that is wrong with it.
    Check(Check),
    /// Show which deployments a request would be sent to, in which order, and why.
    Explain(explain::Explain),
    /// Show what one request did, cost and took, and why it went where it went.
    Generation(generation::Generation),
    /// Hold the rules against cases, without sending anything.
    #[command(subcommand)]
    Route(route::Route),
    /// Decide again about requests of the past: as it was, or with another configuration.
    Replay(replay::Replay),
    /// List what the router has learnt, version by version, and go back to an earlier one.
    #[command(subcommand)]
    Quality(quality::Quality),
    /// Make, list and revoke keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List the models that are ready, or all that are known.
    Models(models::Models),
    /// Look for what could be wrong with this installation.
    Doctor(doctor::Doctor),
    /// Send requests to a gateway and measure the answers.
    Bench(bench::Bench),
    /// Run a provider that answers at once, for benchmarks and for trying configurations.
    Mock(mock::Mock),
    /// Run the local engine alone, or put its model in place.
    #[command(subcommand)]
    Engine(engine::Engine),
    /// Make what the router knows from data.
    #[command(subcommand)]
    Train(train::Train),
    /// Measure the router on data.
    #[command(subcommand)]
    Eval(eval::Eval),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a generated file of the repository.
    #[command(hide = true)]
    Gen {
        /// Which one.
        what: Generated,
    },
}

/// Options of `novastack serve`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Serve {
    /// Where to listen; the configuration's `listen`, or 127.0.0.1:6682.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Worker threads; one for each core where nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
    /// Do not start the local engine.
    #[arg(long)]
    pub(crate) no_engine: bool,
}

/// Options of `novastack check`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Check {
    /// The file; the one of `--config` where nothing is said.
    pub(crate) file: Option<PathBuf>,
}

/// The generated files of the repository.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Generated {
    /// `schema/config.schema.json`
    ConfigSchema,
    /// `schema/errors.md`
    Errors,
    /// `schema/metrics.md`
    Metrics,
    /// `docs/reference/cli.md`
    Cli,
    /// `docs/reference/configuration.md`
    ConfigReference,
    /// `docs/reference/fidelity.md`
    Fidelity,
}
