//! `novastack quality`: the versions of what the router has learnt, directly in the store.
//!
//! A gateway that runs on the same store takes a rollback over within seconds.

use anyhow::{Result, bail};
use clap::Subcommand;
use nova_ledger::Ledger;

use super::home::Home;
use crate::cli::Global;

/// What to do with learnt quality.
#[derive(Debug, Subcommand)]
pub(crate) enum Quality {
    /// List all versions, newest first.
    List,
    /// Go back to an earlier version, or forward again.
    Rollback {
        /// The version; 0 forgets all that was learnt.
        number: i64,
    },
}

/// Does it.
pub(crate) fn run(global: &Global, quality: &Quality) -> Result<()> {
    let home = Home::open(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ledger = home.ledger().await?;
        let done = match quality {
            Quality::List => list(global, &ledger).await,
            Quality::Rollback { number } => rollback(global, &ledger, *number).await,
        };
        ledger.close().await;
        done
    })
}

async fn list(global: &Global, ledger: &Ledger) -> Result<()> {
    let versions = ledger.quality_versions().await?;
    if global.json {
        return super::say(&serde_json::json!({ "data": versions }).to_string());
    }
    let rows: Vec<[String; 5]> = versions
        .iter()
        .map(|version| {
            [
                version.version.to_string(),
                nova_gateway::api::instant(version.at_ms),
                if version.active { "in force" } else { "" }.to_owned(),
                format!("{} bytes", version.bytes),
                version.reason.clone(),
            ]
        })
        .collect();
    super::table(["VERSION", "SAVED", "STATE", "SIZE", "REASON"], &rows)
}

async fn rollback(global: &Global, ledger: &Ledger, version: i64) -> Result<()> {
    if !ledger.activate_quality(version).await? {
        bail!("there is no version `{version}`\nhint: `novastack quality list` shows all of them");
    }
    if global.json {
        return super::say(&serde_json::json!({ "data": { "version": version } }).to_string());
    }
    super::say(&format!("version {version} is in force; gateways on this store follow within seconds"))
}
