//! Usage records as rows: the one place that knows the columns' order.

use std::sync::{Arc, LazyLock};

use nova_catalog::NanoUsd;
use nova_wire::{Dialect, Usage};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Row};

use super::decision::Decision;
use super::{Outcome, Submitted, UsageRecord};
use crate::store::Kind;

/// The columns in the order that [`bind`] writes and [`read`] reads.
pub(crate) const COLUMNS: &str = "request_id, at_ms, key_id, dialect, path, model_asked, model_answered, provider, deployment, attempts, outcome, \
     status, stream, estimated, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_nanos, \
     total_us, first_token_us, overhead_us, error_code, finish, task, session, experiment, preset, decision";
const COLUMN_COUNT: usize = 30;

/// Rows of one statement. Few sizes, so that every connection prepares five statements once and no others
/// ever.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// The statements of [`SIZES`], for each kind of store.
///
/// This is the one text that is not the same for both. SQLite looks up the name of a numbered parameter by
/// walking a list, so that binding takes the square of their number: 180 µs of CPU a record at 256 rows. Its
/// plain `?` has no name; PostgreSQL knows only `$1`. The values stand in the same order.
static NUMBERED: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| SIZES.map(|rows| statement(rows, true)));
static PLAIN: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| SIZES.map(|rows| statement(rows, false)));

/// Longer texts are cut. All of them are names and codes; only a client's idea of a model's name can be long.
const MOST_BYTES: usize = 512;

/// Writes records; those whose id is stored already are left as they are. Runs inside the caller's
/// transaction.
pub(crate) async fn insert(
    connection: &mut AnyConnection,
    kind: Kind,
    records: &[Submitted],
) -> Result<(), sqlx::Error> {
    let statements = match kind {
        Kind::Sqlite => &*PLAIN,
        Kind::Postgres => &*NUMBERED,
    };
    let mut rest = records;
    for (size, sql) in SIZES.iter().zip(statements) {
        while rest.len() >= *size {
            let (chunk, after) = rest.split_at(*size);
            let mut query = sqlx::query(sql.as_str());
            for record in chunk {
                query = bind(query, record);
            }
            query.execute(&mut *connection).await?;
            rest = after;
        }
    }
    Ok(())
}

fn statement(rows: usize, numbered: bool) -> String {
    let mut sql = format!("INSERT INTO nova_usage ({COLUMNS}) VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=COLUMN_COUNT {
            sql.push_str(if column == 1 { "" } else { "," });
            if numbered {
                sql.push_str(&format!("${}", row * COLUMN_COUNT + column));
            } else {
                sql.push('?');
            }
        }
        sql.push(')');
    }
    sql.push_str(" ON CONFLICT (request_id) DO NOTHING");
    sql
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, record: &UsageRecord) -> Query<'q, Any, AnyArguments> {
    // A list of names and numbers always has a JSON form.
    let attempts = serde_json::to_string(&record.attempts).unwrap_or_else(|_| "[]".to_owned());
    query
        .bind(clean(&record.request_id))
        .bind(record.at_ms)
        .bind(record.key_id.map(|id| id.to_string()))
        .bind(record.dialect.as_str())
        .bind(clean(&record.path))
        .bind(clean(&record.model_asked))
        .bind(record.model_answered.as_deref().map(clean))
        .bind(record.provider.as_deref().map(clean))
        .bind(record.deployment.as_deref().map(clean))
        .bind(attempts)
        .bind(record.outcome.as_str())
        .bind(i64::from(record.status))
        .bind(i64::from(record.stream))
        .bind(i64::from(record.estimated))
        .bind(signed(record.usage.input))
        .bind(signed(record.usage.cache_read))
        .bind(signed(record.usage.cache_write))
        .bind(signed(record.usage.output))
        .bind(signed(record.usage.reasoning))
        .bind(record.cost.nanos())
        .bind(signed(record.total_us))
        .bind(record.first_token_us.map(signed))
        .bind(signed(record.overhead_us))
        .bind(record.error_code.as_deref().map(clean))
        .bind(record.finish.as_deref().map(clean))
        .bind(record.task.as_deref().map(clean))
        .bind(record.session.as_deref().map(clean))
        .bind(record.experiment.as_deref().map(clean))
        .bind(record.preset.as_deref().map(clean))
        .bind(record.decision.as_ref().map(|decision| clean_to(&decision.json(), usize::MAX)))
}

/// The record in a row of [`COLUMNS`].
pub(crate) fn read(row: &AnyRow) -> Result<UsageRecord, sqlx::Error> {
    let text = |index| row.try_get::<String, _>(index);
    let name = |index| Ok::<_, sqlx::Error>(row.try_get::<Option<String>, _>(index)?.map(Arc::from));
    let count = |index| Ok::<_, sqlx::Error>(u64::try_from(row.try_get::<i64, _>(index)?).unwrap_or(0));
    let flag = |index| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(index)? != 0);
    Ok(UsageRecord {
        request_id: text(0)?,
        at_ms: row.try_get(1)?,
        key_id: row
            .try_get::<Option<String>, _>(2)?
            .map(|id| id.parse())
            .transpose()
            .map_err(|error: String| damaged(&error))?,
        dialect: read_dialect(&text(3)?)?,
        path: text(4)?.into(),
        model_asked: text(5)?.into(),
        model_answered: name(6)?,
        provider: name(7)?,
        deployment: name(8)?,
        attempts: serde_json::from_str(&text(9)?).map_err(|error| sqlx::Error::Decode(error.into()))?,
        outcome: Outcome::parse(&text(10)?).ok_or_else(|| damaged("an outcome that is not known"))?,
        status: u16::try_from(row.try_get::<i64, _>(11)?).unwrap_or(0),
        stream: flag(12)?,
        estimated: flag(13)?,
        usage: Usage {
            input: count(14)?,
            cache_read: count(15)?,
            cache_write: count(16)?,
            output: count(17)?,
            reasoning: count(18)?,
        },
        cost: NanoUsd::from_nanos(row.try_get(19)?),
        total_us: count(20)?,
        first_token_us: row.try_get::<Option<i64>, _>(21)?.map(|us| u64::try_from(us).unwrap_or(0)),
        overhead_us: count(22)?,
        error_code: row.try_get::<Option<String>, _>(23)?.map(Into::into),
        finish: row.try_get::<Option<String>, _>(24)?.map(Into::into),
        task: name(25)?,
        session: name(26)?,
        experiment: name(27)?,
        preset: name(28)?,
        decision: row.try_get::<Option<String>, _>(29)?.map(Decision::text),
    })
}

fn read_dialect(word: &str) -> Result<Dialect, sqlx::Error> {
    [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Converse]
        .into_iter()
        .find(|dialect| dialect.as_str() == word)
        .ok_or_else(|| damaged("a dialect that is not known"))
}

/// PostgreSQL refuses a NUL in a text, and a model's name comes from the client: one such request must not
/// hold up all others.
pub(crate) fn clean(text: &str) -> String {
    clean_to(text, MOST_BYTES)
}

/// The same with a bound of its own.
pub(crate) fn clean_to(text: &str, most_bytes: usize) -> String {
    let end = text.floor_char_boundary(most_bytes);
    text[..end].replace('\0', "\u{fffd}")
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`nova_usage` holds {what}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_numbers_every_value_once() {
        let sql = statement(2, true);
        assert!(sql.contains("VALUES ($1,$2,"), "{sql}");
        assert!(sql.contains(",$30), ($31,"), "{sql}");
        assert!(sql.ends_with(",$60) ON CONFLICT (request_id) DO NOTHING"), "{sql}");
        assert_eq!(statement(3, false).matches('?').count(), 3 * COLUMN_COUNT);
        assert_eq!(COLUMNS.split(',').count(), COLUMN_COUNT);
        // SQLite takes 32,766 values in one statement, PostgreSQL 65,535.
        assert!(SIZES[0] * COLUMN_COUNT < 32_766);
    }

    #[test]
    fn texts_that_a_database_would_refuse_are_made_fit() {
        assert_eq!(clean("gpt\0-5"), "gpt\u{fffd}-5");
        assert_eq!(clean(&"é".repeat(400)).len(), 512);
        assert_eq!(clean("plain"), "plain");
    }
}
