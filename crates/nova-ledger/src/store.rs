//! The connection pool, and the rule that every call has a deadline.
//!
//! One pool of `sqlx::Any` serves SQLite and PostgreSQL, so every SQL text stands once, with `$1` and the
//! types TEXT, BIGINT and DOUBLE PRECISION only. What differs between the two is in [`Kind`] and nowhere
//! else.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, SqliteConnection, Transaction};
use tokio::time::{Instant, sleep, timeout};

use crate::error::{Fault, LedgerError};

/// Connections of one instance. A fixed small number: PostgreSQL has 100 for everybody by default, and SQLite
/// has one writer.
const POOL_SIZE: u32 = 10;
/// How long a call may take in all, the wait for a connection included.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// How long a call waits for a connection. Also bounds how long sqlx goes on knocking at a closed port.
const ACQUIRE_DEADLINE: Duration = Duration::from_secs(2);
const WAL_RETRY: Duration = Duration::from_millis(20);

/// Which database is behind the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    fn of(url: &str) -> Result<Self, LedgerError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            Some(other) => Err(LedgerError::Url {
                problem: format!("`{other}:` is not a database that NovaStack knows"),
            }),
            None => Err(LedgerError::Url { problem: "it has no scheme".to_owned() }),
        }
    }

    /// Settings of every connection.
    ///
    /// SQLite's `synchronous` is FULL: NORMAL may lose the last commits at a power cut, and a revocation that
    /// comes undone is a hole, while the fsync per commit is paid by the batch writer, where no request waits
    /// for it. The `busy_timeout` stays under the deadline of a call, so that a locked file is reported as
    /// such. PostgreSQL's own timeouts end what a caller has given up.
    const fn session(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 1500; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;"
            }
            Self::Postgres => {
                "SET statement_timeout = 10000; SET idle_in_transaction_session_timeout = 10000; \
                               SET application_name = 'novastack';"
            }
        }
    }

    /// SQLite must take the write lock at once: a transaction that reads first and writes later fails without
    /// waiting when somebody else wrote in between.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}

pub(crate) struct Store {
    pool: AnyPool,
    kind: Kind,
}

impl Store {
    /// Opens the pool; for SQLite makes the file. Connects to nothing else yet.
    pub(crate) async fn open(url: &str) -> Result<Self, LedgerError> {
        sqlx::any::install_default_drivers();
        let kind = Kind::of(url)?;
        let options = AnyConnectOptions::from_str(url)
            .map_err(|error| LedgerError::Url { problem: error.to_string() })?
            .disable_statement_logging();
        if kind == Kind::Sqlite {
            make_file(url)?;
            switch_to_wal(&options).await?;
        }
        let pool = AnyPoolOptions::new()
            .max_connections(POOL_SIZE)
            .acquire_timeout(ACQUIRE_DEADLINE)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(kind.session()).execute(connection).await.map(drop) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, kind })
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Runs database work under the usual deadline.
    pub(crate) async fn call<T>(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, LedgerError> {
        self.call_within(CALL_DEADLINE, doing, work).await
    }

    /// Runs database work under a deadline. Work that misses it is dropped, which closes its connection (see
    /// [`Lease`]).
    pub(crate) async fn call_within<T>(
        &self,
        deadline: Duration,
        doing: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, LedgerError> {
        match timeout(deadline, work).await {
            Ok(done) => done.map_err(|fault| fault.while_doing(doing)),
            Err(_) => Err(LedgerError::Unavailable {
                doing,
                cause: format!("no answer within {} ms", deadline.as_millis()),
            }),
        }
    }

    pub(crate) async fn lease(&self) -> Result<Lease, Fault> {
        Ok(Lease { connection: self.pool.acquire().await?, kind: self.kind, settled: false })
    }

    /// A connection to SQLite beside the pool, for whoever knows which database it is.
    pub(crate) async fn open_sqlite(&self) -> Result<SqliteConnection, Fault> {
        let options = SqliteConnectOptions::from_str(self.pool.connect_options().database_url.as_str())?;
        let mut connection = options.disable_statement_logging().connect().await?;
        sqlx::raw_sql(self.kind.session()).execute(&mut connection).await?;
        Ok(connection)
    }

    pub(crate) async fn close(&self) {
        // A connection that hangs must not hold up the shutdown; whatever matters was committed before.
        let _ = timeout(ACQUIRE_DEADLINE, self.pool.close()).await;
    }
}

/// A connection on loan. One that is dropped before [`Lease::settle`] is closed instead of going back to the
/// pool: its call failed or was given up, so an answer to the old question may still be on its way, and a
/// frozen server would keep its place for ever.
pub(crate) struct Lease {
    connection: PoolConnection<Any>,
    kind: Kind,
    settled: bool,
}

impl Lease {
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }

    /// Begins a transaction that will write.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_, Any>, Fault> {
        Ok(self.connection.begin_with(self.kind.begin()).await?)
    }

    /// Gives the connection back to the pool.
    pub(crate) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            self.connection.close_on_drop();
        }
    }
}

/// SQLite would make the file with the process's umask; ours is readable by its owner only, and SQLite gives
/// the same mode to the `-wal` and `-shm` files beside it.
fn make_file(url: &str) -> Result<(), LedgerError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| LedgerError::Url { problem: error.to_string() })?;
    let path: &Path = options.get_filename();
    // Every connection to `:memory:` would be a database of its own.
    if url.contains(":memory:") || url.contains("mode=memory") || path.as_os_str().is_empty() {
        return Err(LedgerError::Url {
            problem: "a database in memory cannot be shared by several connections".to_owned(),
        });
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| LedgerError::File { path: path.to_owned(), source })
}

/// Write-ahead logging lets readers go on while the writer writes. The mode is kept in the file, but the
/// change to it waits for nobody, so two instances that start on a new file at once take turns here.
async fn switch_to_wal(options: &AnyConnectOptions) -> Result<(), LedgerError> {
    let doing = "opening the database file";
    let until = Instant::now() + CALL_DEADLINE;
    loop {
        let attempt = async {
            let mut connection = options.connect().await?;
            let switched = sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut connection).await;
            connection.close().await?;
            switched
        };
        match attempt.await {
            Ok(_) => return Ok(()),
            Err(error) => match Fault::Sql(error).while_doing(doing) {
                away if away.is_unavailable() && Instant::now() < until => sleep(WAL_RETRY).await,
                error => return Err(error),
            },
        }
    }
}
