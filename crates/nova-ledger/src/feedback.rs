//! What clients say of the answers they got.
//!
//! Invariant: there is one row for each metric of a request and the last word wins, so that saying something
//! twice counts once. Whether a key may speak about a request is for the caller to know.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use crate::error::{Fault, LedgerError};
use crate::usage::rows::{clean, clean_to};
use crate::{KeyId, Ledger};

/// Longer comments are cut.
const MOST_COMMENT_BYTES: usize = 4096;
/// Pages are bounded, so that no question takes the memory.
const MOST_ROWS: u32 = 10_000;

/// One metric of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// The request whose answer is meant.
    pub request_id: String,
    /// What was judged: `score`, `thumbs`, or a name of the operator's.
    pub metric: String,
    /// The key that the request was made with.
    pub key_id: KeyId,
    /// When it was said, in Unix milliseconds.
    pub at_ms: i64,
    /// The judgement; `None` where there is only a comment.
    pub value: Option<f64>,
    /// In words, at most 4 KiB.
    pub comment: Option<String>,
    /// The model that answered.
    pub model: Option<Arc<str>>,
    /// What the request was about.
    pub task: Option<Arc<str>>,
}

const COLUMNS: &str = "request_id, metric, key_id, at_ms, value, comment, model, task";

impl Ledger {
    /// Keeps a judgement in place of what the same key said of the same metric before, which is returned.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn save_feedback(&self, feedback: &Feedback) -> Result<Option<Feedback>, LedgerError> {
        let store = &self.inner.store;
        let insert = format!(
            "INSERT INTO nova_feedback ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (request_id, metric, key_id) DO NOTHING"
        );
        let before = format!(
            "SELECT {COLUMNS} FROM nova_feedback WHERE request_id = $1 AND metric = $2 AND key_id = $3"
        );
        store
            .call("keeping feedback", async {
                let mut lease = store.lease().await?;
                let mut transaction = lease.begin().await?;
                let inserted = bind(sqlx::query(sqlx::AssertSqlSafe(insert)), feedback)
                    .execute(&mut *transaction)
                    .await?;
                let mut replaced = None;
                if inserted.rows_affected() == 0 {
                    // Takes the row's lock, so that of two replacements at once the later one sees the other.
                    let lock = "UPDATE nova_feedback SET at_ms = at_ms WHERE request_id = $1 AND metric = $2 AND key_id = $3";
                    bind_name(sqlx::query(lock), feedback).execute(&mut *transaction).await?;
                    let row = bind_name(sqlx::query(sqlx::AssertSqlSafe(before)), feedback)
                        .fetch_one(&mut *transaction)
                        .await?;
                    replaced = Some(read(&row)?);
                    let update = "UPDATE nova_feedback SET at_ms = $4, value = $5, comment = $6, model = $7, task = $8
                                  WHERE request_id = $1 AND metric = $2 AND key_id = $3";
                    bind(sqlx::query(update), feedback).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                lease.settle();
                Ok::<_, Fault>(replaced)
            })
            .await
    }

    /// What was said at `since_ms` or later, the oldest first, at most `limit` (and at most 10,000). `after` is
    /// the last one of the page before.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn feedback_since(
        &self,
        since_ms: i64,
        after: Option<&Feedback>,
        limit: u32,
    ) -> Result<Vec<Feedback>, LedgerError> {
        let place = match after {
            Some(_) => "(at_ms, request_id, metric, key_id) > ($3, $4, $5, $6) AND",
            None => "",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM nova_feedback WHERE {place} at_ms >= $1
             ORDER BY at_ms, request_id, metric, key_id LIMIT $2"
        );
        self.inner
            .store
            .call("reading feedback", async {
                let mut lease = self.inner.store.lease().await?;
                let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(since_ms)
                    .bind(i64::from(limit.min(MOST_ROWS)));
                if let Some(last) = after {
                    query = query
                        .bind(last.at_ms)
                        .bind(last.request_id.as_str())
                        .bind(last.metric.as_str())
                        .bind(last.key_id.to_string());
                }
                let rows = query.fetch_all(lease.connection()).await?;
                lease.settle();
                Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// All that was said of one request, by metric.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn feedback_of(&self, request_id: &str) -> Result<Vec<Feedback>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM nova_feedback WHERE request_id = $1 ORDER BY metric");
        self.inner
            .store
            .call("reading feedback", async {
                let mut lease = self.inner.store.lease().await?;
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                    .bind(clean(request_id))
                    .fetch_all(lease.connection())
                    .await?;
                lease.settle();
                Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
            })
            .await
    }
}

type Bound<'q> = Query<'q, Any, AnyArguments>;

fn bind_name<'q>(query: Bound<'q>, feedback: &Feedback) -> Bound<'q> {
    query.bind(clean(&feedback.request_id)).bind(clean(&feedback.metric)).bind(feedback.key_id.to_string())
}

/// Prepared anew each time: sqlx 0.9 declares a missing DOUBLE PRECISION to PostgreSQL as a REAL, and a statement that
/// was prepared so would refuse the next value (22P03).
fn bind<'q>(query: Bound<'q>, feedback: &Feedback) -> Bound<'q> {
    bind_name(query.persistent(false), feedback)
        .bind(feedback.at_ms)
        .bind(feedback.value)
        .bind(feedback.comment.as_deref().map(|comment| clean_to(comment, MOST_COMMENT_BYTES)))
        .bind(feedback.model.as_deref().map(clean))
        .bind(feedback.task.as_deref().map(clean))
}

fn read(row: &AnyRow) -> Result<Feedback, sqlx::Error> {
    let name = |index| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(index)?.map(Arc::from));
    Ok(Feedback {
        request_id: row.try_get(0)?,
        metric: row.try_get(1)?,
        key_id: row
            .try_get::<String, _>(2)?
            .parse()
            .map_err(|error: String| sqlx::Error::Decode(error.into()))?,
        at_ms: row.try_get(3)?,
        value: row.try_get(4)?,
        comment: row.try_get(5)?,
        model: name(6)?,
        task: name(7)?,
    })
}
