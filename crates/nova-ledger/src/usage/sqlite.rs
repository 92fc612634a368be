//! Usage into SQLite by a connection of its own, without the detour by `sqlx::Any`.
//!
//! On its way through `Any` every text is copied three times, which was a third of the instructions of writing
//! a record. Here the names that records share are handed to SQLite as they are. Statements, columns and
//! values are those of [`rows`].

use std::time::Duration;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Connection, SqliteConnection};

use super::Submitted;
use super::rows::{self, Value, Words};
use crate::error::Fault;
use crate::store::Store;

/// Closing folds the write-ahead log into the file, which must not hold up the end for long.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Writes batches, one after the other.
#[derive(Default)]
pub(crate) struct Inserter {
    /// Open between batches. One whose batch failed or was given up is closed, by dropping it.
    connection: Option<SqliteConnection>,
}

impl Inserter {
    /// Writes records in one transaction; those whose id is stored already are left as they are.
    pub(crate) async fn insert(
        &mut self,
        store: &Store,
        (records, words): (&[Submitted], &mut Words),
    ) -> Result<(), Fault> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => store.open_sqlite().await?,
        };
        let mut transaction = connection.begin_with(store.kind().begin()).await?;
        for (sql, piece) in rows::pieces(store.kind(), records) {
            let mut arguments = SqliteArguments::default();
            arguments.reserve(piece.len() * rows::COLUMN_COUNT, 0);
            for record in piece {
                let bound = words.values(record, |value| match value {
                    Value::Text(text) => arguments.add(text),
                    Value::Number(number) => arguments.add(number),
                });
                bound.map_err(sqlx::Error::Encode)?;
            }
            sqlx::query_with(sql, arguments).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Closes the connection, for a tidy end.
    pub(crate) async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // All that matters was committed before.
            let _ = tokio::time::timeout(CLOSE_DEADLINE, connection.close()).await;
        }
    }
}
