//! The data directory, the configuration, and the store between them.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nova_gateway::boot;
use nova_gateway::config::{Config, Env};
use nova_ledger::Ledger;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Global;

/// A configuration that cannot be used; the text holds every error at its place.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used\n{0}")]
pub(crate) struct BadConfig(pub(crate) String);

/// Where everything is, and how it is set up.
#[derive(Debug)]
pub(crate) struct Home {
    /// The data directory. It exists and is private.
    pub(crate) data: PathBuf,
    /// The configuration's file, where there is one.
    pub(crate) file: Option<PathBuf>,
    /// The configuration.
    pub(crate) config: Config,
}

impl Home {
    /// Reads the configuration and makes the data directory.
    pub(crate) fn open(global: &Global) -> Result<Self> {
        Self::open_allowing(global, false)
    }

    /// The same, with what the command line says about addresses that others can reach.
    pub(crate) fn open_allowing(global: &Global, remote: bool) -> Result<Self> {
        let config = load(global.config.as_deref(), &Env::process().allowing_remote(remote))?;
        let data = match &config.data_dir {
            Some(folder) if global.data.is_none() => folder.clone(),
            _ => data_dir(global)?,
        };
        make_private(&data)?;
        Ok(Self { data, file: global.config.clone(), config })
    }

    /// Opens the store.
    pub(crate) async fn ledger(&self) -> Result<Ledger> {
        Ok(boot::open_ledger(&self.config, &self.data).await?)
    }
}

/// The configuration of a file, or the defaults.
pub(crate) fn load(file: Option<&Path>, env: &Env) -> Result<Config> {
    let config = match file {
        Some(file) => Config::load(file, env),
        None => Config::defaults(env),
    };
    config.map_err(|errors| BadConfig(errors.to_string()).into())
}

/// What is allowed in a configuration and probably not meant, as lines for a person.
pub(crate) fn warnings(config: &Config) -> impl Iterator<Item = String> {
    config.warnings.iter().map(|problem| {
        let place = if problem.place.line > 0 { format!(":{}", problem.place.line) } else { String::new() };
        let hint = problem.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("warning: {}\n  --> {}{place}{hint}", problem.message, config.source)
    })
}

/// `--data`, else the place that the XDG Base Directory Specification gives.
pub(crate) fn data_dir(global: &Global) -> Result<PathBuf> {
    if let Some(data) = &global.data {
        return std::path::absolute(data).with_context(|| format!("`{}` is no path", data.display()));
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let share = from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")));
    let share =
        share.context("neither `XDG_DATA_HOME` nor `HOME` is set\nhint: say where with `--data FOLDER`")?;
    Ok(share.join("novastack"))
}

/// Makes a folder that only its owner can read; one that is already there loses what others could do.
pub(crate) fn make_private(folder: &Path) -> Result<()> {
    let failed = || format!("the data directory `{}` cannot be used", folder.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(failed)?;
    let permissions = fs::metadata(folder).with_context(failed)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(failed)?;
    }
    Ok(())
}

/// The requests to stop: Ctrl-C, or the supervisor's SIGTERM. From its making on none is missed.
#[derive(Debug)]
pub(crate) struct StopRequests {
    interrupt: Signal,
    terminate: Signal,
}

impl StopRequests {
    /// Must be made on a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Returns at the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
