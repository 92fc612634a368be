//! What a key may spend in a span of time.
//!
//! Spans are those of the calendar in UTC. A request counts to the span in which it arrived, which is what its usage
//! record says, so that sums over records and counts in memory agree.

use nova_catalog::{Date, NanoUsd};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::KeyId;
use crate::Ledger;
use crate::error::LedgerError;

const DAY_MS: i64 = 24 * 60 * 60_000;
/// Longer than any month.
const MONTH_AND_MORE_MS: i64 = 32 * DAY_MS;

/// What a key may spend in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBudget {
    /// US dollars, above 0.
    pub usd: NanoUsd,
    /// In which span.
    pub per: Period,
}

/// A span of time in which a budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
    /// For ever.
    Total,
}

impl Period {
    /// Every span, and its word.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Day, "day"), (Self::Week, "week"), (Self::Month, "month"), (Self::Total, "total")];

    /// The span of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == word).map(|(period, _)| *period)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(period, _)| *period == self).map_or("total", |(_, word)| word)
    }

    /// When the span began that a moment lies in, both in Unix milliseconds.
    pub fn start_ms(self, now_ms: i64) -> i64 {
        let day = now_ms.div_euclid(DAY_MS);
        match self {
            Self::Day => day * DAY_MS,
            // The first of January 1970 was a Thursday, so that Mondays are four days after multiples of seven.
            Self::Week => (day - (day - 4).rem_euclid(7)) * DAY_MS,
            Self::Month => Date::from_ms(now_ms).first_of_month().start_ms(),
            Self::Total => 0,
        }
    }

    /// When the next one begins; `None` where there is no next one.
    pub fn next_ms(self, now_ms: i64) -> Option<i64> {
        let start = self.start_ms(now_ms);
        match self {
            Self::Day => Some(start + DAY_MS),
            Self::Week => Some(start + 7 * DAY_MS),
            Self::Month => Some(Date::from_ms(start + MONTH_AND_MORE_MS).first_of_month().start_ms()),
            Self::Total => None,
        }
    }
}

impl Ledger {
    /// What each key spent with requests that arrived at `since_ms` or later. Keys that spent nothing are left out, and
    /// records that still wait in the writer or in a journal are not in it.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn spent_since(&self, since_ms: i64) -> Result<Vec<(KeyId, NanoUsd)>, LedgerError> {
        self.inner
            .store
            .call("summing up what keys spent", async {
                let mut lease = self.inner.store.lease().await?;
                // SUM of a BIGINT is a NUMERIC in PostgreSQL, hence the cast.
                let rows = sqlx::query(
                    "SELECT key_id, CAST(SUM(cost_nanos) AS BIGINT) FROM nova_usage
                     WHERE at_ms >= $1 AND key_id IS NOT NULL AND cost_nanos > 0 GROUP BY key_id",
                )
                .bind(since_ms)
                .fetch_all(lease.connection())
                .await?;
                lease.settle();
                let mut sums = Vec::with_capacity(rows.len());
                for row in &rows {
                    let id: String = row.try_get(0)?;
                    let id = id.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?;
                    sums.push((id, NanoUsd::from_nanos(row.try_get(1)?)));
                }
                Ok(sums)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_those_of_the_calendar() {
        let ms = |date: &str| date.parse::<Date>().unwrap().start_ms();
        let check = |period: Period, now: i64, start: &str, next: Option<&str>| {
            assert_eq!(
                (period.start_ms(now), period.next_ms(now)),
                (ms(start), next.map(ms)),
                "{period:?} {now}"
            );
        };
        // A Saturday.
        let now = ms("2026-11-21") + 5_000;
        check(Period::Day, now, "2026-11-21", Some("2026-11-22"));
        check(Period::Week, now, "2026-11-16", Some("2026-11-23"));
        check(Period::Month, now, "2026-11-01", Some("2026-12-01"));
        check(Period::Total, now, "1970-01-01", None);
        check(Period::Week, ms("2026-11-23"), "2026-11-23", Some("2026-11-30"));
        check(Period::Week, ms("2026-11-23") - 1, "2026-11-16", Some("2026-11-23"));
        check(Period::Month, ms("2027-12-31"), "2027-12-01", Some("2028-01-01"));
        check(Period::Month, ms("2028-02-29"), "2028-02-01", Some("2028-03-01"));
        check(Period::Day, -1, "1969-12-31", Some("1970-01-01"));
    }

    #[test]
    fn spans_have_one_word_each() {
        for (period, word) in Period::ALL {
            assert_eq!((Period::named(word), period.word()), (Some(period), word));
            assert_eq!(serde_json::to_value(period).unwrap(), word);
        }
        assert_eq!(Period::named("year"), None);
    }
}
