//! The database's schema: ordered files, applied once each, forward only.
//!
//! All missing migrations run in one transaction under a lock, so two instances that start at once apply each
//! exactly once, and one that dies half-way leaves nothing behind. A file that was applied must never change:
//! its checksum is compared at every start.

use std::time::Duration;

use hmac::digest::Digest;
use sha2::Sha256;
use sqlx::{Any, Row, Transaction};

use crate::error::{Fault, LedgerError};
use crate::store::{Kind, Store};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "keys and usage",
        sql: include_str!("../migrations/0001_keys_and_usage.sql"),
    },
    Migration { version: 2, name: "responses", sql: include_str!("../migrations/0002_responses.sql") },
    Migration {
        version: 3,
        name: "prompt_policy",
        sql: include_str!("../migrations/0003_prompt_policy.sql"),
    },
    Migration {
        version: 4,
        name: "decisions_and_feedback",
        sql: include_str!("../migrations/0004_decisions_and_feedback.sql"),
    },
    Migration {
        version: 5,
        name: "routing_of_keys",
        sql: include_str!("../migrations/0005_routing_of_keys.sql"),
    },
];

const CHANGED: &str = "it was applied with another content\n\
    hint: this program was changed after the database was made; use an official release";
const UNKNOWN: &str = "this program does not know it\n\
    hint: a newer NovaStack has used this database; start that version or a later one";

/// How long the whole may take, the wait for another instance that migrates included.
const DEADLINE: Duration = Duration::from_secs(60);
/// Any number will do, as long as nothing else in the database uses the same one: "NovaStac" in ASCII.
const LOCK: i64 = 0x4e6f_7661_5374_6163;

/// Brings the schema up to date, and proves that `pepper_check` is the one that the first instance stored.
pub(crate) async fn run(store: &Store, pepper_check: &str, now_ms: i64) -> Result<(), LedgerError> {
    store
        .call_within(DEADLINE, "bringing the database's schema up to date", async {
            let mut lease = store.lease().await?;
            let mut transaction = lease.begin().await?;
            if store.kind() == Kind::Postgres {
                sqlx::raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
            }
            apply_missing(&mut transaction, now_ms).await?;
            check_pepper(&mut transaction, pepper_check).await?;
            transaction.commit().await?;
            lease.settle();
            Ok(())
        })
        .await
}

async fn apply_missing(transaction: &mut Transaction<'_, Any>, now_ms: i64) -> Result<(), Fault> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS nova_migrations
         (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_ms BIGINT NOT NULL)",
    )
    .execute(&mut **transaction)
    .await?;
    let mut applied = Vec::new();
    for row in sqlx::query("SELECT version, checksum FROM nova_migrations ORDER BY version")
        .fetch_all(&mut **transaction)
        .await?
    {
        applied.push((row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?));
    }
    for migration in missing(MIGRATIONS, &applied)? {
        tracing::info!(version = migration.version, name = migration.name, "applying a migration");
        sqlx::raw_sql(migration.sql).execute(&mut **transaction).await?;
        sqlx::query(
            "INSERT INTO nova_migrations (version, name, checksum, applied_ms) VALUES ($1, $2, $3, $4)",
        )
        .bind(migration.version)
        .bind(migration.name)
        .bind(checksum(migration.sql))
        .bind(now_ms)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// What is still to be applied, or why this program and this database do not fit.
fn missing<'a>(known: &'a [Migration], applied: &[(i64, String)]) -> Result<&'a [Migration], LedgerError> {
    for (index, (version, sum)) in applied.iter().enumerate() {
        let problem = match known.get(index) {
            Some(ours) if ours.version == *version && checksum(ours.sql) == *sum => continue,
            Some(ours) if ours.version == *version => CHANGED,
            _ => UNKNOWN,
        };
        return Err(LedgerError::Migration { version: *version, problem: problem.to_owned() });
    }
    Ok(&known[applied.len()..])
}

fn checksum(sql: &str) -> String {
    crate::hex(&Sha256::digest(sql.as_bytes()))
}

/// A wrong pepper makes every key unknown, which looks to every client like a revoked key. It must be found
/// here, not there.
async fn check_pepper(transaction: &mut Transaction<'_, Any>, ours: &str) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO nova_state (name, value) VALUES ('pepper_check', $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(ours)
    .execute(&mut **transaction)
    .await?;
    let stored: String = sqlx::query_scalar("SELECT value FROM nova_state WHERE name = 'pepper_check'")
        .fetch_one(&mut **transaction)
        .await?;
    if stored == ours { Ok(()) } else { Err(LedgerError::WrongPepper.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_another_making_is_refused() {
        let known =
            [Migration { version: 1, name: "a", sql: "A" }, Migration { version: 2, name: "b", sql: "B" }];
        let row = |version, sql| (version, checksum(sql));
        let outcome = |applied: &[(i64, String)]| match missing(&known, applied) {
            Ok(rest) => Ok(rest.iter().map(|migration| migration.version).collect::<Vec<_>>()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(outcome(&[]), Ok(vec![1, 2]));
        assert_eq!(outcome(&[row(1, "A")]), Ok(vec![2]));
        assert_eq!(outcome(&[row(1, "A"), row(2, "B")]), Ok(vec![]));
        for (applied, expected) in [
            (vec![row(1, "changed")], "another content"),
            (vec![row(1, "A"), row(2, "B"), row(3, "C")], "does not know it"),
            (vec![row(2, "B")], "does not know it"),
        ] {
            assert!(outcome(&applied).unwrap_err().contains(expected), "{applied:?}");
        }
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<_> = MIGRATIONS.iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=MIGRATIONS.len() as i64).collect::<Vec<_>>());
    }
}
