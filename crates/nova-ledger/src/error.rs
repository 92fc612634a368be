//! What can go wrong with the store, and whose fault it is.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// A failed call to the ledger.
///
/// The texts are for people: what happened, then a `hint:` line where there is something to do. None holds a
/// secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store did not answer in time, or answered that it cannot work now. Trying again later is right.
    /// The gateway answers 503 with `retry-after`, never 401.
    #[error(
        "the store is away ({doing}): {cause}\nhint: check that the database runs and that its disk has room; NovaStack goes on by itself once it is back"
    )]
    Unavailable {
        /// What was under way.
        doing: &'static str,
        /// The driver's words, or the deadline that passed.
        cause: String,
    },
    /// The store answered with an error that trying again does not cure: a defect of ours, or a damaged
    /// database.
    #[error("the store refused: {doing}: {source}")]
    Store {
        /// What was under way.
        doing: &'static str,
        /// The driver's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store's URL cannot be used. The URL is not shown, because it may hold a password.
    #[error(
        "the store's URL cannot be used: {problem}\nhint: `sqlite:///var/lib/novastack/nova.db` or `postgres://user:password@host/database`"
    )]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// A file of the ledger cannot be read or written.
    #[error("`{path}`: {source}\nhint: check that the folder exists, belongs to this user and has room")]
    File {
        /// Which one.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The pepper is too short to protect anything.
    #[error(
        "the pepper has {bytes} bytes, and at least 32 are needed\nhint: `openssl rand -hex 32` makes a good one"
    )]
    ShortPepper {
        /// How many it has.
        bytes: usize,
    },
    /// The database was filled under another pepper, so that no key in it could ever be recognised.
    #[error(
        "the pepper is not the one that this database's keys were made with\nhint: every instance on one database needs the same pepper; restore the old one from your backup"
    )]
    WrongPepper,
    /// The database's schema is not one that this program can work with.
    #[error("migration {version} of the database: {problem}")]
    Migration {
        /// The number of the migration in question.
        version: i64,
        /// What is wrong, and the hint.
        problem: String,
    },
    /// A key that is not revoked has this name already.
    #[error("a key named `{name}` exists already\nhint: revoke it first, or choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A value that was given for a key is not allowed.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field of [`NewKey`](crate::NewKey).
        field: &'static str,
        /// What is wrong with the value.
        problem: String,
    },
    /// No key has this id, name or prefix.
    #[error("no key has the id, name or prefix `{selector}`\nhint: `novastack keys list` shows all of them")]
    NoSuchKey {
        /// What was asked for, shortened when it was a whole key.
        selector: String,
    },
    /// Several keys begin with this prefix.
    #[error("several keys begin with `{selector}`: {names}\nhint: use the id or the name")]
    Ambiguous {
        /// What was asked for.
        selector: String,
        /// Their names, separated by commas.
        names: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Randomness(getrandom::Error),
}

impl LedgerError {
    /// Whether the store is away, so that the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the database will never take this very value, while it takes others: a constraint, or text
    /// that it cannot hold.
    pub(crate) fn refuses_value(&self) -> bool {
        let Self::Store { source, .. } = self else { return false };
        let code = source.downcast_ref::<sqlx::Error>().and_then(|error| error.as_database_error()?.code());
        code.is_some_and(|code| refuses_value_code(&code))
    }
}

/// What a database call can end with inside this crate, before it is known what was under way.
pub(crate) enum Fault {
    Sql(sqlx::Error),
    Ledger(LedgerError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Fault {
    pub(crate) fn while_doing(self, doing: &'static str) -> LedgerError {
        match self {
            Self::Ledger(error) => error,
            Self::Sql(error) if is_away(&error) => {
                LedgerError::Unavailable { doing, cause: error.to_string() }
            }
            Self::Sql(error) => LedgerError::Store { doing, source: error.into() },
        }
    }
}

/// Whether the error says "not now" rather than "never".
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_away_code(&code)),
        _ => false,
    }
}

/// SQLSTATE has five characters, SQLite's extended codes are decimal numbers of at most four.
///
/// Sources: PostgreSQL 15, appendix A; <https://www.sqlite.org/rescode.html>.
fn is_away_code(code: &str) -> bool {
    if code.len() == 5 {
        // Connection, resources, operator intervention, rolled back by the server, read-only after a
        // failover, and a password that was changed under us.
        return ["08", "53", "57", "58", "40", "25006", "28", "3D000"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL: the low byte is the primary code.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14 | 15))
}

/// Data exceptions and violated constraints; TOOBIG, CONSTRAINT and MISMATCH in SQLite.
fn refuses_value_code(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("22") || code.starts_with("23");
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

#[cfg(test)]
mod tests {
    use super::{is_away_code, refuses_value_code};

    #[test]
    fn codes_tell_a_store_that_is_away_from_one_that_refuses() {
        for away in [
            "57P01", "57P03", "53300", "53100", "08006", "40P01", "25006", "57014", "5", "517", "261", "13",
            "2570",
        ] {
            assert!(is_away_code(away), "{away}");
        }
        for refused in ["23505", "42P01", "22021", "1555", "2067", "1", "11", "26", ""] {
            assert!(!is_away_code(refused), "{refused}");
        }
        for value in ["23505", "22021", "22P05", "1555", "2067", "19", "18"] {
            assert!(refuses_value_code(value), "{value}");
        }
        for other in ["42P01", "57P01", "11", "26", "5", ""] {
            assert!(!refuses_value_code(other), "{other}");
        }
    }
}
