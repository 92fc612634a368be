//! Logs of `novastack serve`, on standard error.
//!
//! Invariant: a request never waits for whoever reads the log. `json` makes a line of an event, `lines` takes it
//! to standard error on a thread of its own.

mod json;
mod lines;

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use nova_gateway::config::{LogFormat, Telemetry};
use tracing_subscriber::EnvFilter;

use self::json::Json;
pub(crate) use self::lines::Lines;

/// Starts logging as configured; `NOVASTACK_LOG` wins over the configuration's level. What was logged last is
/// written when the returned value is dropped.
pub(crate) fn start(telemetry: &Telemetry) -> Result<Lines> {
    let wanted = std::env::var("NOVASTACK_LOG").unwrap_or_else(|_| telemetry.log_level.clone());
    let filter = EnvFilter::try_new(&wanted).with_context(|| format!("`{wanted}` is no log level"))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = Lines::start(std::io::stderr()).context("the log's thread cannot be started")?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.writer()).with_target(false);
    let json = match telemetry.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    if json {
        builder.event_format(Json).init()
    } else {
        builder.with_ansi(terminal).init()
    }
    Ok(lines)
}
