//! What the admin API and the command line ask about usage.

use nova_catalog::NanoUsd;
use nova_wire::Usage;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{UsageRecord, rows};
use crate::Ledger;
use crate::error::LedgerError;

/// Pages are bounded, so that no question takes the memory.
const MOST_ROWS: u32 = 1000;
/// What is learnt from at a start is bounded, so that a large database does not hold it up.
const LEARNT_ROWS: i64 = 200_000;

/// By what a summary is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// One line per key.
    Key,
    /// One line per model that answered, or was asked for when none did.
    Model,
    /// One line per provider.
    Provider,
}

impl GroupBy {
    const fn column(self) -> &'static str {
        match self {
            Self::Key => "u.key_id",
            Self::Model => "COALESCE(u.model_answered, u.model_asked)",
            Self::Provider => "u.provider",
        }
    }
}

/// One line of a summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageSum {
    /// The key's id, the model or the provider; `None` for requests that had none.
    pub group: Option<String>,
    /// The key's name, in a summary by key.
    pub name: Option<String>,
    /// How many requests.
    pub requests: u64,
    /// How many of them did not end in a whole answer (a client that went away is not counted).
    pub failed: u64,
    /// For how many the tokens were estimated.
    pub estimated: u64,
    /// Their tokens.
    pub usage: Usage,
    /// What they cost.
    pub cost: NanoUsd,
}

/// How long the answers of one model to one kind of request are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputStats {
    /// The model that answered.
    pub model: String,
    /// What the requests were about; `None` for those of which nobody knew.
    pub task: Option<String>,
    /// How many answers.
    pub count: u64,
    /// Their mean length in tokens, reasoning included.
    pub mean: f64,
}

/// Where a page of records ended: the last record on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Its time.
    pub at_ms: i64,
    /// Its id, which puts records of the same millisecond in order.
    pub request_id: String,
}

impl Cursor {
    /// The cursor that continues after this record.
    pub fn after(record: &UsageRecord) -> Self {
        Self { at_ms: record.at_ms, request_id: record.request_id.clone() }
    }
}

impl Ledger {
    /// Sums of all requests with `since_ms <= at_ms < until_ms`, the most expensive first. Records that still
    /// wait in the writer or in a journal are not in it; the sum of the lines is exactly the sum of the
    /// records.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn usage_summary(
        &self,
        since_ms: i64,
        until_ms: i64,
        by: GroupBy,
    ) -> Result<Vec<UsageSum>, LedgerError> {
        // The column is one of three literals. SUM of a BIGINT is a NUMERIC in PostgreSQL, hence the casts.
        let sql = format!(
            "SELECT {column} AS grouped, MAX(k.name), COUNT(*),
               CAST(SUM(CASE WHEN u.outcome IN ('ok', 'client_gone') THEN 0 ELSE 1 END) AS BIGINT), CAST(SUM(u.estimated) AS BIGINT),
               CAST(SUM(u.input_tokens) AS BIGINT), CAST(SUM(u.cache_read_tokens) AS BIGINT), CAST(SUM(u.cache_write_tokens) AS BIGINT),
               CAST(SUM(u.output_tokens) AS BIGINT), CAST(SUM(u.reasoning_tokens) AS BIGINT), CAST(SUM(u.cost_nanos) AS BIGINT) AS cost
             FROM nova_usage u LEFT JOIN nova_keys k ON {join}
             WHERE u.at_ms >= $1 AND u.at_ms < $2 GROUP BY 1 ORDER BY cost DESC, grouped",
            column = by.column(),
            join = if by == GroupBy::Key { "k.id = u.key_id" } else { "1 = 0" },
        );
        self.inner
            .store
            .call("summing up usage", async {
                let mut lease = self.inner.store.lease().await?;
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(since_ms)
                    .bind(until_ms)
                    .fetch_all(lease.connection())
                    .await?;
                lease.settle();
                Ok(rows.iter().map(read_sum).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The newest records, at most `limit` (and at most 1,000), from before the cursor when there is one. They
    /// come without their decisions, which [`Self::usage_by_request_id`] has.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn recent_usage(
        &self,
        limit: u32,
        before: Option<&Cursor>,
    ) -> Result<Vec<UsageRecord>, LedgerError> {
        let place = if before.is_some() { "WHERE (at_ms, request_id) < ($2, $3)" } else { "" };
        let columns = rows::COLUMNS.replace("decision", "CAST(NULL AS TEXT)");
        let sql =
            format!("SELECT {columns} FROM nova_usage {place} ORDER BY at_ms DESC, request_id DESC LIMIT $1");
        self.inner
            .store
            .call("reading recent usage", async {
                let mut lease = self.inner.store.lease().await?;
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(i64::from(limit.min(MOST_ROWS)));
                if let Some(cursor) = before {
                    query = query.bind(cursor.at_ms).bind(cursor.request_id.as_str());
                }
                let rows = query.fetch_all(lease.connection()).await?;
                lease.settle();
                Ok(rows.iter().map(rows::read).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The records of requests that arrived at `since_ms` or later, with their decisions, the oldest first, at
    /// most `limit` (and at most 1,000), from after the cursor when there is one.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn usage_since(
        &self,
        since_ms: i64,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>, LedgerError> {
        let place = if after.is_some() { "(at_ms, request_id) > ($3, $4) AND" } else { "" };
        let columns = rows::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM nova_usage WHERE {place} at_ms >= $1 ORDER BY at_ms, request_id LIMIT $2"
        );
        self.inner
            .store
            .call("reading usage", async {
                let mut lease = self.inner.store.lease().await?;
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(since_ms)
                    .bind(i64::from(limit.min(MOST_ROWS)));
                if let Some(cursor) = after {
                    query = query.bind(cursor.at_ms).bind(cursor.request_id.as_str());
                }
                let rows = query.fetch_all(lease.connection()).await?;
                lease.settle();
                Ok(rows.iter().map(rows::read).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// How long answers are, for each model and task: of the newest 200,000 requests since `since_ms` those that
    /// were answered whole and counted by the provider.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn output_stats(&self, since_ms: i64) -> Result<Vec<OutputStats>, LedgerError> {
        self.inner
            .store
            .call("reading lengths of answers", async {
                let mut lease = self.inner.store.lease().await?;
                let rows = sqlx::query(
                    "SELECT model_answered, task, COUNT(*), CAST(SUM(output_tokens) AS BIGINT) FROM (
                       SELECT model_answered, task, output_tokens, outcome, estimated FROM nova_usage
                       WHERE at_ms >= $1 ORDER BY at_ms DESC LIMIT $2) u
                     WHERE outcome = 'ok' AND estimated = 0 AND output_tokens > 0 AND model_answered IS NOT NULL
                     GROUP BY 1, 2 ORDER BY 1, 2",
                )
                .bind(since_ms)
                .bind(LEARNT_ROWS)
                .fetch_all(lease.connection())
                .await?;
                lease.settle();
                Ok(rows.iter().map(read_output).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// The record of one request, if the store has it already.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn usage_by_request_id(&self, request_id: &str) -> Result<Option<UsageRecord>, LedgerError> {
        let sql = format!("SELECT {} FROM nova_usage WHERE request_id = $1", rows::COLUMNS);
        self.inner
            .store
            .call("looking up a request", async {
                let mut lease = self.inner.store.lease().await?;
                let row = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(rows::clean(request_id))
                    .fetch_optional(lease.connection())
                    .await?;
                lease.settle();
                Ok(row.as_ref().map(rows::read).transpose()?)
            })
            .await
    }
}

fn read_output(row: &AnyRow) -> Result<OutputStats, sqlx::Error> {
    let (count, sum): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
    Ok(OutputStats {
        model: row.try_get(0)?,
        task: row.try_get(1)?,
        count: u64::try_from(count).unwrap_or(0),
        // Both are far below 2^53.
        mean: sum as f64 / count.max(1) as f64,
    })
}

fn read_sum(row: &AnyRow) -> Result<UsageSum, sqlx::Error> {
    let count = |index| Ok::<_, sqlx::Error>(u64::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0));
    Ok(UsageSum {
        group: row.try_get(0)?,
        name: row.try_get(1)?,
        requests: count(2)?,
        failed: count(3)?,
        estimated: count(4)?,
        usage: Usage {
            input: count(5)?,
            cache_read: count(6)?,
            cache_write: count(7)?,
            output: count(8)?,
            reasoning: count(9)?,
        },
        cost: NanoUsd::from_nanos(row.try_get(10)?),
    })
}
