//! From a checked configuration to the shared state, and what keeps it fresh.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nova_ledger::{Ledger, LedgerError, Secret, UsageWriter};

use crate::config::Config;
use crate::lessons::hearsay;
use crate::snapshot::{BuildError, Snapshot};
use crate::state::Shared;
use crate::{budgets, learnt};

/// How often keys that other processes changed are taken over.
const REFRESH: Duration = Duration::from_secs(2);
/// How often it is noted when keys were last used: once in this many refreshes.
const NOTE_EVERY: u32 = 30;
/// How often what was learnt of quality is kept, in refreshes.
const KEEP_EVERY: u32 = 300;

/// Why the state could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The store.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The configuration's deployments.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// The store of a data directory: the configured database, or SQLite in the directory itself.
///
/// # Errors
/// Where the pepper cannot be read or made, or the store cannot be opened.
pub async fn open_ledger(config: &Config, data_dir: &Path) -> Result<Ledger, LedgerError> {
    let pepper = Secret::load_or_create(&data_dir.join("pepper"))?;
    match &config.database {
        Some(url) => Ledger::open(url.expose(), pepper).await,
        None => Ledger::open(&format!("sqlite://{}", data_dir.join("novastack.db").display()), pepper).await,
    }
}

/// The shared state. It belongs on the background runtime, on which this must be called.
///
/// # Errors
/// Where the journal cannot be opened, a deployment cannot be reached as configured, or the store does not say what
/// keys have spent.
pub async fn shared(config: &Config, ledger: Ledger, data_dir: &Path) -> Result<Arc<Shared>, BootError> {
    let snapshot = Snapshot::build(config, None)?;
    let usage = UsageWriter::start(&ledger, &data_dir.join("journal"))?;
    let background = tokio::runtime::Handle::current();
    let shared = Arc::new(Shared::new(snapshot, (ledger, usage), background));
    budgets::follow(&shared).await?;
    tokio::spawn(upkeep(Arc::clone(&shared)));
    Ok(shared)
}

/// Takes over keys and learnt quality that other processes changed, and notes when keys were used.
async fn upkeep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(REFRESH);
    let mut count: u32 = 0;
    while !shared.is_stopping() {
        ticks.tick().await;
        // The ledger logs what goes wrong, once per change; the old keys stay good meanwhile.
        let refreshed = shared.ledger.refresh().await;
        if refreshed.is_ok()
            && let Err(error) = shared.lessons.follow(&shared.ledger).await
        {
            tracing::warn!(%error, "the version of learnt quality could not be read");
        }
        if refreshed.is_ok()
            && let Err(error) = hearsay::follow(&shared).await
        {
            tracing::warn!(%error, "what clients told other instances could not be read");
        }
        if refreshed.is_ok()
            && let Err(error) = budgets::follow(&shared).await
        {
            tracing::warn!(%error, "what keys have spent could not be read; it is counted in memory meanwhile");
        }
        learnt::take_lessons(&shared);
        if refreshed.is_ok() && count == 0 {
            learnt::recall_answers(&shared).await;
        }
        count = count.wrapping_add(1);
        if refreshed.is_ok() && count.is_multiple_of(KEEP_EVERY) {
            learnt::keep_lessons(&shared, "learnt from feedback and outcomes").await;
        }
        if refreshed.is_ok() && count.is_multiple_of(NOTE_EVERY) {
            let _ = shared.ledger.save_last_used().await;
        }
    }
}

/// Puts a configuration in force, or keeps the old one and remembers why.
///
/// # Errors
/// The reason, as it is also shown by `/admin/v1/status`.
pub fn reload(shared: &Shared, config: Result<Config, String>) -> Result<(), String> {
    let next = config.and_then(|config| {
        Snapshot::build(&config, Some(&shared.snapshot.load())).map_err(|error| error.to_string())
    });
    shared.metrics.reloaded(next.is_ok());
    match next {
        Ok(snapshot) => {
            tracing::info!(source = %snapshot.source, deployments = snapshot.deployments.len(), "configuration loaded");
            shared.snapshot.store(Arc::new(snapshot));
            shared.reload_error.store(Arc::new(None));
            Ok(())
        }
        Err(error) => {
            tracing::error!("the new configuration is refused, the old one stays in force\n{error}");
            shared.reload_error.store(Arc::new(Some(error.clone())));
            Err(error)
        }
    }
}

/// The tidy end: every usage record is written, or in the journal, before this returns.
pub async fn close(shared: &Shared) {
    let report = shared.usage.close().await;
    if !report.in_database {
        tracing::warn!(
            "the store did not take all usage records; they are in the journal and are replayed at the next start"
        );
    }
    learnt::take_lessons(shared);
    learnt::keep_lessons(shared, "the gateway stopped").await;
    if let Err(error) = shared.ledger.save_last_used().await {
        tracing::warn!(%error, "it could not be noted when keys were last used");
    }
    shared.ledger.close().await;
}
