//! A database for each case, on either kind of store, and what the cases share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nova_ledger::{Ledger, Secret, UsageWriter};
use nova_testkit::postgres::Postgres;

pub(crate) const PEPPER: &str = "0123456789abcdef0123456789abcdef";

/// Where fresh databases come from.
pub(crate) struct Backend {
    folder: Folder,
    pub(crate) postgres: Option<Postgres>,
    made: AtomicU32,
}

/// A database, and a folder for journals beside it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) folder: PathBuf,
}

/// A temporary folder that goes away with its owner.
pub(crate) struct Folder(PathBuf);

impl Backend {
    pub(crate) fn sqlite() -> Self {
        Self { folder: Folder::fresh(), postgres: None, made: AtomicU32::new(0) }
    }

    pub(crate) fn postgres(postgres: Postgres) -> Self {
        Self { postgres: Some(postgres), ..Self::sqlite() }
    }

    pub(crate) fn database(&self) -> Database {
        let folder = self.folder.path().join(self.made.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&folder).unwrap();
        let url = match &self.postgres {
            None => format!("sqlite://{}/nova.db", folder.display()),
            Some(postgres) => postgres.database(),
        };
        Database { url, folder }
    }
}

impl Database {
    pub(crate) async fn ledger(&self) -> Ledger {
        Ledger::open(&self.url, Secret::new(PEPPER)).await.unwrap()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("usage-journal")
    }

    pub(crate) fn writer(&self, ledger: &Ledger) -> UsageWriter {
        UsageWriter::start(ledger, &self.journal()).unwrap()
    }

    /// One column of texts, read behind the ledger's back.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        use sqlx::{AnyConnection, Connection, Row};
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Runs SQL behind the ledger's back.
    pub(crate) async fn sql(&self, sql: &str) {
        use sqlx::{AnyConnection, Connection};
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Folder {
    pub(crate) fn fresh() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        // In memory where there is such a place: on a busy disk a single fsync may outlast a deadline.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = parent.join(format!("nova-ledger-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a case on a runtime of its own, so that no task of one case outlives it.
pub(crate) fn run(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case);
}
