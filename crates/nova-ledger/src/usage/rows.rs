//! Usage records as rows: the one place that knows the columns' order.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use nova_catalog::NanoUsd;
use nova_wire::{Dialect, Usage};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments, Row};

use super::decision::Decision;
use super::{Outcome, Submitted, UsageRecord};
use crate::keys::KeyId;
use crate::store::Kind;

/// The columns in the order that [`Words::values`] writes and [`read`] reads.
pub(crate) const COLUMNS: &str = "request_id, at_ms, key_id, dialect, path, model_asked, model_answered, provider, deployment, attempts, outcome, \
     status, stream, estimated, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_nanos, \
     total_us, first_token_us, overhead_us, error_code, finish, task, session, experiment, preset, decision";
pub(crate) const COLUMN_COUNT: usize = 30;

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

/// A value of a row, or NULL in a column of its type.
pub(crate) enum Value {
    Text(Option<Arc<str>>),
    Number(Option<i64>),
}

/// Texts that many records share, made once. Names of models come as they are.
#[derive(Default)]
pub(crate) struct Words {
    /// The gateway's own words, found by their address.
    literals: Vec<(&'static str, Arc<str>)>,
    /// The last key.
    key: Option<(KeyId, Arc<str>)>,
}

/// Records in pieces as large as statements are, and the statement of each.
pub(crate) fn pieces(
    kind: Kind,
    mut records: &[Submitted],
) -> impl Iterator<Item = (&'static str, &[Submitted])> {
    let statements = match kind {
        Kind::Sqlite => &*PLAIN,
        Kind::Postgres => &*NUMBERED,
    };
    std::iter::from_fn(move || {
        let fits = SIZES.iter().position(|size| *size <= records.len())?;
        let (piece, rest) = records.split_at(SIZES[fits]);
        records = rest;
        Some((statements[fits].as_str(), piece))
    })
}

/// Writes records; those whose id is stored already are left as they are. Runs inside the caller's
/// transaction.
pub(crate) async fn insert(
    connection: &mut AnyConnection,
    kind: Kind,
    (records, words): (&[Submitted], &mut Words),
) -> Result<(), sqlx::Error> {
    for (sql, piece) in pieces(kind, records) {
        let mut arguments = AnyArguments::default();
        for record in piece {
            let bound = words.values(record, |value| match value {
                Value::Text(text) => arguments.add(text.map(|text| text.to_string())),
                Value::Number(number) => arguments.add(number),
            });
            bound.map_err(sqlx::Error::Encode)?;
        }
        sqlx::query_with(sql, arguments).execute(&mut *connection).await?;
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

impl Words {
    /// Gives out the values of one row, in the order of [`COLUMNS`].
    pub(crate) fn values<E>(
        &mut self,
        record: &UsageRecord,
        mut to: impl FnMut(Value) -> Result<(), E>,
    ) -> Result<(), E> {
        use Value::{Number, Text};
        let usage = &record.usage;
        to(Text(Some(text(&record.request_id))))?;
        to(Number(Some(record.at_ms)))?;
        to(Text(record.key_id.map(|id| self.key(id))))?;
        to(Text(Some(self.literal(record.dialect.as_str()))))?;
        to(Text(Some(self.word(record.path.clone()))))?;
        to(Text(Some(name(&record.model_asked))))?;
        to(Text(record.model_answered.as_ref().map(name)))?;
        to(Text(record.provider.as_ref().map(name)))?;
        to(Text(record.deployment.as_ref().map(name)))?;
        to(Text(Some(self.attempts(record))))?;
        to(Text(Some(self.literal(record.outcome.as_str()))))?;
        to(Number(Some(i64::from(record.status))))?;
        to(Number(Some(i64::from(record.stream))))?;
        to(Number(Some(i64::from(record.estimated))))?;
        for count in [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning] {
            to(Number(Some(signed(count))))?;
        }
        to(Number(Some(record.cost.nanos())))?;
        to(Number(Some(signed(record.total_us))))?;
        to(Number(record.first_token_us.map(signed)))?;
        to(Number(Some(signed(record.overhead_us))))?;
        to(Text(record.error_code.clone().map(|word| self.word(word))))?;
        to(Text(record.finish.clone().map(|word| self.word(word))))?;
        for about in [&record.task, &record.session, &record.experiment, &record.preset] {
            to(Text(about.as_ref().map(name)))?;
        }
        let decision = record.decision.as_ref();
        to(Text(decision.map(|decision| Arc::from(clean_to(&decision.json(), usize::MAX)))))
    }

    fn attempts(&mut self, record: &UsageRecord) -> Arc<str> {
        if record.attempts.is_empty() {
            return self.literal("[]");
        }
        // A list of names and numbers always has a JSON form.
        serde_json::to_string(&record.attempts).unwrap_or_else(|_| "[]".to_owned()).into()
    }

    fn word(&mut self, word: Cow<'static, str>) -> Arc<str> {
        match word {
            Cow::Borrowed(literal) => self.literal(literal),
            Cow::Owned(word) => text(&word),
        }
    }

    fn literal(&mut self, literal: &'static str) -> Arc<str> {
        if let Some((_, word)) = self.literals.iter().find(|(known, _)| std::ptr::eq(*known, literal)) {
            return Arc::clone(word);
        }
        let word = text(literal);
        self.literals.push((literal, Arc::clone(&word)));
        word
    }

    fn key(&mut self, id: KeyId) -> Arc<str> {
        match &self.key {
            Some((known, text)) if *known == id => Arc::clone(text),
            _ => Arc::clone(&self.key.insert((id, Arc::from(id.to_string()))).1),
        }
    }
}

/// A name as the database takes it: without a copy where it is fit as it is.
fn name(name: &Arc<str>) -> Arc<str> {
    if is_fit(name) { Arc::clone(name) } else { clean(name).into() }
}

fn text(text: &str) -> Arc<str> {
    if is_fit(text) { text.into() } else { clean(text).into() }
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

/// Whether a text is fit as it is.
fn is_fit(text: &str) -> bool {
    text.len() <= MOST_BYTES && !text.as_bytes().contains(&0)
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
