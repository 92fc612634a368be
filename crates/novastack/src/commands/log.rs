//! Logs of `novastack serve`, on standard error.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use nova_gateway::config::{LogFormat, Telemetry};
use tracing_subscriber::EnvFilter;

/// Starts logging as configured; `NOVASTACK_LOG` wins over the configuration's level.
pub(crate) fn start(telemetry: &Telemetry) -> Result<()> {
    let wanted = std::env::var("NOVASTACK_LOG").unwrap_or_else(|_| telemetry.log_level.clone());
    let filter = EnvFilter::try_new(&wanted).with_context(|| format!("`{wanted}` is no log level"))?;
    let terminal = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let json = match telemetry.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    if json {
        builder.json().flatten_event(true).init()
    } else {
        builder.with_ansi(terminal).init()
    }
    Ok(())
}
