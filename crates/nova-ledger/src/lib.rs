//! Keys, usage records, feedback, learnt quality and kept answers, in SQLite or PostgreSQL. The only crate that names sqlx.
//!
//! Invariants:
//! - A request never waits for the store: keys are checked against a snapshot in memory ([`KeyTable`]), usage
//!   is handed to a background task ([`UsageWriter`]).
//! - A store that is away is told apart from a key that is wrong ([`LedgerError::Unavailable`],
//!   [`KeyError::StoreAway`]).
//! - A usage record that was submitted reaches the database exactly once, or the journal on disk and the
//!   database later.
//! - Secrets are a type that cannot be printed ([`Secret`]).
//! - What is kept of prompts is encrypted, and only its own key finds it.
//!
//! Reading order: `store` (pool and deadlines), `migrate`, `keys`, `usage`, `feedback`, `quality`, `responses`.

mod error;
mod feedback;
mod keys;
mod migrate;
mod quality;
mod responses;
mod secret;
mod store;
mod usage;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::keys::token::{Digest, Hasher};
use crate::responses::Seal;
use crate::store::Store;

pub use crate::error::LedgerError;
pub use crate::feedback::Feedback;
pub use crate::keys::table::KeyTable;
pub use crate::keys::{
    CreatedKey, Key, KeyBudget, KeyError, KeyId, KeyLimits, KeyRouting, NewKey, Period, Scope,
};
pub use crate::quality::QualityVersion;
pub use crate::responses::StoredResponse;
pub use crate::secret::Secret;
pub use crate::usage::decision::Decision;
pub use crate::usage::query::{Cursor, GroupBy, OutputStats, UsageSum};
pub use crate::usage::writer::{FlushReport, UsageWriter, WriterStats};
pub use crate::usage::{AttemptRecord, Outcome, UsageRecord};

/// The store and the snapshot of its keys. A clone shares both.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    hasher: Arc<Hasher>,
    seal: Seal,
    table: ArcSwap<KeyTable>,
    /// Held while the snapshot is replaced.
    turn: tokio::sync::Mutex<()>,
    stale: AtomicBool,
}

impl Ledger {
    /// Opens `sqlite:///absolute/path.db` (the file is made with mode 0600, its folder must exist) or
    /// `postgres://user:password@host/database`, brings the schema up to date and loads the keys. Several
    /// instances may do so at once.
    ///
    /// The pepper is the secret that keys are hashed with, at least 32 bytes. All instances on one database
    /// need the same; see [`Secret::load_or_create`].
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] when the store does not answer; [`LedgerError::Url`],
    /// [`LedgerError::File`], [`LedgerError::ShortPepper`], [`LedgerError::WrongPepper`] and
    /// [`LedgerError::Migration`] when it never will.
    pub async fn open(url: &str, pepper: Secret) -> Result<Self, LedgerError> {
        let hasher = Arc::new(Hasher::new(&pepper)?);
        let store = Store::open(url).await?;
        migrate::run(&store, &hex(&hasher.digest("nova-ledger pepper check 1")), now_ms()).await?;
        let ledger = Self {
            inner: Arc::new(Inner {
                store,
                seal: Seal::new(&hasher),
                table: ArcSwap::from_pointee(KeyTable::empty(Arc::clone(&hasher))),
                hasher,
                turn: tokio::sync::Mutex::new(()),
                stale: AtomicBool::new(false),
            }),
        };
        ledger.refresh().await?;
        Ok(ledger)
    }

    /// Closes the connections, for a tidy end. SQLite then folds its write-ahead log into the file.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("kind", &self.inner.store.kind())
            .field("table", &self.inner.table.load())
            .field("stale", &self.is_stale())
            .finish()
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}
