//! Days and weekdays of the Gregorian calendar in UTC, by arithmetic.
//!
//! All that prices and rows need: which weekday an instant falls on, and dates that can be compared.
//! The conversion of days to dates is Howard Hinnant's `civil_from_days`
//! (<https://howardhinnant.github.io/date_algorithms.html>).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;

/// A calendar day. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Why a text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no date: write `2026-11-21`")]
pub struct DateError;

impl Date {
    /// The first day of its month.
    #[must_use]
    pub const fn first_of_month(self) -> Self {
        Self { day: 1, ..self }
    }

    /// The first instant of the day in UTC, in milliseconds since 1970 (Hinnant's `days_from_civil`).
    pub fn start_ms(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era - 719_468) * MS_PER_DAY
    }

    /// The UTC day of an instant, in milliseconds since 1970.
    pub fn from_ms(at_ms: i64) -> Self {
        let days = at_ms.div_euclid(MS_PER_DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year: i32::try_from(year).unwrap_or(i32::MAX),
            month: u8::try_from(month).unwrap_or(1),
            day: u8::try_from(day).unwrap_or(1),
        }
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let mut parts = text.split('-');
        let (Some(year), Some(month), Some(day), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(DateError);
        };
        let number = |part: &str, digits: usize| {
            let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            if plain { part.parse::<u16>().map_err(|_| DateError) } else { Err(DateError) }
        };
        let (year, month, day) = (i32::from(number(year, 4)?), number(month, 2)?, number(day, 2)?);
        let (Ok(month), Ok(day)) = (u8::try_from(month), u8::try_from(day)) else { return Err(DateError) };
        if day == 0 || day > days_in(year, month) {
            return Err(DateError);
        }
        Ok(Self { year, month, day })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Weekday {
    /// Monday 0 to Sunday 6.
    pub const fn index(self) -> u8 {
        self as u8
    }
}

/// The weekday (Monday 0 to Sunday 6) and the minute of the day of an instant, in UTC.
pub(crate) fn weekday_and_minute(at_ms: i64) -> (u8, u16) {
    // 1970-01-01 was a Thursday.
    let weekday = (at_ms.div_euclid(MS_PER_DAY) + 3).rem_euclid(7);
    let minute = at_ms.rem_euclid(MS_PER_DAY) / MS_PER_MINUTE;
    (u8::try_from(weekday).unwrap_or(0), u16::try_from(minute).unwrap_or(0))
}

/// Days of a month; none for a month that does not exist.
const fn days_in(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 00:00 UTC, a Saturday.
    const SATURDAY: i64 = 1_795_219_200_000;

    fn check(at_ms: i64, date: &str, weekday: Weekday, minute: u16) {
        assert_eq!(Date::from_ms(at_ms).to_string(), date);
        assert_eq!(Date::from_ms(at_ms).start_ms(), at_ms.div_euclid(MS_PER_DAY) * MS_PER_DAY);
        assert_eq!(weekday_and_minute(at_ms), (weekday.index(), minute), "{at_ms}");
    }

    #[test]
    fn instants_fall_on_their_day_and_minute() {
        check(0, "1970-01-01", Weekday::Thu, 0);
        check(-1, "1969-12-31", Weekday::Wed, 1439);
        check(SATURDAY, "2026-11-21", Weekday::Sat, 0);
        check(SATURDAY - 1, "2026-11-20", Weekday::Fri, 1439);
        check(SATURDAY + 59_999, "2026-11-21", Weekday::Sat, 0);
        check(SATURDAY + 60_000, "2026-11-21", Weekday::Sat, 1);
        check(951_782_400_000, "2000-02-29", Weekday::Tue, 0);
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_day_before_it() {
        let mut last = Date::from_ms(-MS_PER_DAY);
        for day in 0..146_097 {
            let date = Date::from_ms(day * MS_PER_DAY);
            assert!(date > last, "{date} after {last}");
            assert_eq!(date.to_string().parse(), Ok(date));
            last = date;
        }
        assert_eq!(last.to_string(), "2369-12-31");
    }

    #[test]
    fn texts_that_are_no_date_are_refused() {
        for text in ["", "2026", "2026-11", "2026-13-01", "2026-02-29", "2026-11-31", "2026-11-00", "26-1-1"]
        {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
        for text in ["2026-11-21-", "+026-11-21", "2026-11-2 ", "2026/11/21"] {
            assert_eq!(text.parse::<Date>(), Err(DateError), "{text}");
        }
        assert!("2028-02-29".parse::<Date>().is_ok());
    }
}
