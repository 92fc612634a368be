//! Answers in OpenAI's Responses dialect, kept so that a conversation can go on by `previous_response_id`.
//!
//! Invariants: an answer is found by its own key alone; what is kept is encrypted (`seal`); it is gone after
//! its time, and the oldest are gone earlier where all together are too large ([`Ledger::purge_responses`]).

mod seal;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::Row;
use sqlx::any::AnyRow;

pub(crate) use self::seal::Seal;
use crate::error::{Fault, LedgerError};
use crate::{KeyId, Ledger};

/// The longest conversation that is put together again, in answers.
const LONGEST_CHAIN: i64 = 1000;

/// One kept answer.
#[derive(Clone, Debug)]
pub struct StoredResponse {
    /// The id that the client knows.
    pub id: String,
    /// The answer before it in the conversation.
    pub previous: Option<String>,
    /// When it was given, in Unix milliseconds.
    pub created_ms: i64,
    /// When it is forgotten, in Unix milliseconds.
    pub expires_ms: i64,
    /// The request's own input items: a JSON array.
    pub input: Box<RawValue>,
    /// The answer: a JSON object.
    pub response: Box<RawValue>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    input: Box<RawValue>,
    response: Box<RawValue>,
}

impl Ledger {
    /// Keeps an answer for this key. One of the same id is replaced.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn save_response(&self, key: KeyId, response: &StoredResponse) -> Result<(), LedgerError> {
        let content = Content { input: response.input.clone(), response: response.response.clone() };
        // Two pieces of JSON always serialise.
        let content = serde_json::to_string(&content).unwrap_or_default();
        let Some(sealed) = self.inner.seal.seal(&bound_to(key, &response.id), &content) else {
            return Err(LedgerError::Randomness(getrandom::Error::UNEXPECTED));
        };
        self.inner
            .store
            .call("keeping an answer", async {
                let mut lease = self.inner.store.lease().await?;
                sqlx::query(
                    "INSERT INTO nova_responses (key_id, id, previous_id, created_ms, expires_ms, size, content)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)
                     ON CONFLICT (key_id, id) DO UPDATE SET previous_id = excluded.previous_id,
                       created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
                       size = excluded.size, content = excluded.content",
                )
                .bind(key.to_string())
                .bind(response.id.as_str())
                .bind(response.previous.as_deref())
                .bind(response.created_ms)
                .bind(response.expires_ms)
                .bind(i64::try_from(sealed.len()).unwrap_or(i64::MAX))
                .bind(sealed)
                .execute(lease.connection())
                .await?;
                lease.settle();
                Ok(())
            })
            .await
    }

    /// A conversation up to and including this answer, the oldest first. `None` where this key has no such
    /// answer, where one before it is gone, or where together they are larger than `most_bytes`.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn response_chain(
        &self,
        key: KeyId,
        id: &str,
        (now_ms, most_bytes): (i64, u64),
    ) -> Result<Option<Vec<StoredResponse>>, LedgerError> {
        let rows = self
            .inner
            .store
            .call("reading a conversation", async {
                let mut lease = self.inner.store.lease().await?;
                let rows = sqlx::query(
                    "WITH RECURSIVE chain (id, previous_id, created_ms, expires_ms, content, total, depth) AS (
                       SELECT id, previous_id, created_ms, expires_ms, content, size, CAST(0 AS BIGINT)
                       FROM nova_responses WHERE key_id = $1 AND id = $2 AND expires_ms > $3
                       UNION ALL
                       SELECT r.id, r.previous_id, r.created_ms, r.expires_ms, r.content, c.total + r.size, c.depth + 1
                       FROM nova_responses r JOIN chain c ON r.id = c.previous_id
                       WHERE r.key_id = $1 AND r.expires_ms > $3 AND c.depth < $4 AND c.total + r.size <= $5)
                     SELECT id, previous_id, created_ms, expires_ms, content FROM chain ORDER BY depth DESC",
                )
                .bind(key.to_string())
                .bind(clean(id))
                .bind(now_ms)
                .bind(LONGEST_CHAIN)
                .bind(i64::try_from(most_bytes).unwrap_or(i64::MAX))
                .fetch_all(lease.connection())
                .await?;
                lease.settle();
                Ok(rows)
            })
            .await?;
        let chain: Option<Vec<StoredResponse>> = rows.iter().map(|row| self.read(key, row)).collect();
        Ok(chain.filter(|chain| chain.first().is_some_and(|first| first.previous.is_none())))
    }

    /// One answer of this key.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn response(
        &self,
        key: KeyId,
        id: &str,
        now_ms: i64,
    ) -> Result<Option<StoredResponse>, LedgerError> {
        let row = self
            .inner
            .store
            .call("reading an answer", async {
                let mut lease = self.inner.store.lease().await?;
                let row = sqlx::query(
                    "SELECT id, previous_id, created_ms, expires_ms, content FROM nova_responses
                     WHERE key_id = $1 AND id = $2 AND expires_ms > $3",
                )
                .bind(key.to_string())
                .bind(clean(id))
                .bind(now_ms)
                .fetch_optional(lease.connection())
                .await?;
                lease.settle();
                Ok(row)
            })
            .await?;
        Ok(row.and_then(|row| self.read(key, &row)))
    }

    /// Forgets an answer of this key; says whether there was one.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn delete_response(&self, key: KeyId, id: &str) -> Result<bool, LedgerError> {
        self.inner
            .store
            .call("deleting an answer", async {
                let mut lease = self.inner.store.lease().await?;
                let done = sqlx::query("DELETE FROM nova_responses WHERE key_id = $1 AND id = $2")
                    .bind(key.to_string())
                    .bind(clean(id))
                    .execute(lease.connection())
                    .await?;
                lease.settle();
                Ok(done.rows_affected() > 0)
            })
            .await
    }

    /// Forgets what has expired, and of the rest the oldest until no more than `most_bytes` are kept.
    /// Returns how many answers are gone.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn purge_responses(&self, now_ms: i64, most_bytes: u64) -> Result<u64, LedgerError> {
        self.inner
            .store
            .call("forgetting old answers", async {
                let mut lease = self.inner.store.lease().await?;
                let expired = sqlx::query("DELETE FROM nova_responses WHERE expires_ms <= $1")
                    .bind(now_ms)
                    .execute(lease.connection())
                    .await?
                    .rows_affected();
                let surplus = sqlx::query(
                    "DELETE FROM nova_responses WHERE created_ms <= (
                       SELECT MAX(created_ms) FROM (
                         SELECT created_ms, SUM(size) OVER (ORDER BY created_ms DESC) AS newer FROM nova_responses) s
                       WHERE newer > $1)",
                )
                .bind(i64::try_from(most_bytes).unwrap_or(i64::MAX))
                .execute(lease.connection())
                .await?
                .rows_affected();
                lease.settle();
                Ok::<_, Fault>(expired + surplus)
            })
            .await
    }

    /// A row, opened; `None` where it cannot be.
    fn read(&self, key: KeyId, row: &AnyRow) -> Option<StoredResponse> {
        let id: String = row.try_get(0).ok()?;
        let sealed: String = row.try_get(4).ok()?;
        let content = self.inner.seal.open(&bound_to(key, &id), &sealed)?;
        let Content { input, response } = serde_json::from_str(&content).ok()?;
        Some(StoredResponse {
            previous: row.try_get(1).ok()?,
            created_ms: row.try_get(2).ok()?,
            expires_ms: row.try_get(3).ok()?,
            id,
            input,
            response,
        })
    }
}

fn bound_to(key: KeyId, id: &str) -> String {
    format!("{key} {id}")
}

/// PostgreSQL refuses a NUL in a text, and an id comes from the client.
fn clean(id: &str) -> String {
    id.chars().filter(|c| *c != '\0').take(256).collect()
}
