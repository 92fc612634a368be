//! What the router has learnt about the quality of models, version by version.
//!
//! Invariants: a version never changes once it was saved; at most one is in force; going back to an earlier
//! one changes which that is and nothing else, so that going back can be undone. The data is the router's own:
//! this crate only keeps it.

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use crate::Ledger;
use crate::error::{Fault, LedgerError};
use crate::usage::rows::clean;

/// Where the version in force stands in `nova_state`; 0 for none.
const ACTIVE: &str = "quality_active";
/// The versions that are kept, of which the newest one was in force when it was saved.
const KEPT: i64 = 100;
/// Larger data is refused.
const MOST_BYTES: usize = 16 << 20;

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QualityVersion {
    /// Its number, from 1 on.
    pub version: i64,
    /// When it was saved, in Unix milliseconds.
    pub at_ms: i64,
    /// Why.
    pub reason: String,
    /// The length of its data, in bytes.
    pub bytes: i64,
    /// Whether it is in force.
    pub active: bool,
}

impl Ledger {
    /// Saves a new version, puts it in force and returns its number. The newest 100 are kept.
    ///
    /// # Errors
    /// [`LedgerError::Invalid`] for data of more than 16 MiB or with a NUL, and those of any call.
    pub async fn save_quality(&self, data: &str, reason: &str, now_ms: i64) -> Result<i64, LedgerError> {
        if data.len() > MOST_BYTES || data.contains('\0') {
            let problem = format!("has {} bytes, or a NUL; at most {MOST_BYTES} are kept", data.len());
            return Err(LedgerError::Invalid { field: "data", problem });
        }
        self.change("saving learnt quality", async |transaction| {
            let version: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) + 1 FROM nova_quality")
                .fetch_one(&mut **transaction)
                .await?;
            sqlx::query(
                "INSERT INTO nova_quality (version, at_ms, reason, size, data) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(version)
            .bind(now_ms)
            .bind(clean(reason))
            .bind(i64::try_from(data.len()).unwrap_or(i64::MAX))
            .bind(data)
            .execute(&mut **transaction)
            .await?;
            sqlx::query("DELETE FROM nova_quality WHERE version <= $1")
                .bind(version - KEPT)
                .execute(&mut **transaction)
                .await?;
            activate(transaction, version).await?;
            Ok(version)
        })
        .await
    }

    /// Puts a version in force; 0 puts none in force. `false` where there is no such version.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn activate_quality(&self, version: i64) -> Result<bool, LedgerError> {
        self.change("putting learnt quality in force", async |transaction| {
            let known: Option<i64> =
                sqlx::query_scalar("SELECT version FROM nova_quality WHERE version = $1")
                    .bind(version)
                    .fetch_optional(&mut **transaction)
                    .await?;
            if known.is_none() && version != 0 {
                return Ok(false);
            }
            activate(transaction, version).await?;
            sqlx::query(
                "UPDATE nova_state SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'quality_turns'",
            )
            .execute(&mut **transaction)
            .await?;
            Ok(true)
        })
        .await
    }

    /// How often [`Self::activate_quality`] was called, by any instance: an instance that sees another number
    /// than before takes over the version in force. Saving does not count, for each instance goes on with what
    /// it learns itself.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn quality_turns(&self) -> Result<i64, LedgerError> {
        let store = &self.inner.store;
        store
            .call("reading learnt quality", async {
                let mut lease = store.lease().await?;
                let turns = number(lease.connection(), "quality_turns").await?;
                lease.settle();
                Ok(turns)
            })
            .await
    }

    /// A version and its data; the one in force where none is named. `None` where there is none.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn quality(
        &self,
        version: Option<i64>,
    ) -> Result<Option<(QualityVersion, String)>, LedgerError> {
        let store = &self.inner.store;
        store
            .call("reading learnt quality", async {
                let mut lease = store.lease().await?;
                let active = number(lease.connection(), ACTIVE).await?;
                let row = sqlx::query(
                    "SELECT version, at_ms, reason, size, data FROM nova_quality WHERE version = $1",
                )
                .bind(version.unwrap_or(active))
                .fetch_optional(lease.connection())
                .await?;
                lease.settle();
                let found = row.map(|row| Ok::<_, sqlx::Error>((read(&row, active)?, row.try_get(4)?)));
                Ok(found.transpose()?)
            })
            .await
    }

    /// All versions, the newest first, without their data.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn quality_versions(&self) -> Result<Vec<QualityVersion>, LedgerError> {
        let store = &self.inner.store;
        store
            .call("listing learnt quality", async {
                let mut lease = store.lease().await?;
                let active = number(lease.connection(), ACTIVE).await?;
                let rows = sqlx::query(
                    "SELECT version, at_ms, reason, size FROM nova_quality ORDER BY version DESC",
                )
                .fetch_all(lease.connection())
                .await?;
                lease.settle();
                Ok(rows.iter().map(|row| read(row, active)).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Runs a change in a transaction, one after the other over all instances.
    async fn change<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(&mut Transaction<'_, Any>) -> Result<T, Fault>,
    ) -> Result<T, LedgerError> {
        let store = &self.inner.store;
        store
            .call(doing, async {
                let mut lease = store.lease().await?;
                let mut transaction = lease.begin().await?;
                sqlx::query("UPDATE nova_state SET value = value WHERE name = 'quality_active'")
                    .execute(&mut *transaction)
                    .await?;
                let done = work(&mut transaction).await?;
                transaction.commit().await?;
                lease.settle();
                Ok(done)
            })
            .await
    }
}

async fn activate(transaction: &mut Transaction<'_, Any>, version: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE nova_state SET value = $1 WHERE name = 'quality_active'")
        .bind(version.to_string())
        .execute(&mut **transaction)
        .await
        .map(drop)
}

/// A number among the store's few values.
async fn number(connection: &mut sqlx::AnyConnection, name: &str) -> Result<i64, sqlx::Error> {
    let value: String = sqlx::query_scalar("SELECT value FROM nova_state WHERE name = $1")
        .bind(name)
        .fetch_one(connection)
        .await?;
    value.parse().map_err(|_| sqlx::Error::Decode(format!("`{name}` of `nova_state` is no number").into()))
}

fn read(row: &AnyRow, active: i64) -> Result<QualityVersion, sqlx::Error> {
    let version = row.try_get(0)?;
    Ok(QualityVersion {
        version,
        at_ms: row.try_get(1)?,
        reason: row.try_get(2)?,
        bytes: row.try_get(3)?,
        active: version == active,
    })
}
