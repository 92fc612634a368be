//! A store that goes away and comes back: keys go on working, unknown ones are not called wrong, and no usage
//! is lost.

use nova_ledger::{CreatedKey, GroupBy, KeyError, Ledger, NewKey, UsageWriter};
use sqlx::{AnyConnection, Connection};

use crate::backend::{Backend, Database, run};
use crate::usage::record;

/// A ledger with a key, a writer and one written record.
async fn prepare(database: &Database) -> (Ledger, UsageWriter, CreatedKey) {
    let ledger = database.ledger().await;
    let key = ledger.create_key(&NewKey::user("known"), 1).await.unwrap();
    let writer = database.writer(&ledger);
    writer.submit(record(1));
    assert!(writer.flush().await.in_database);
    (ledger, writer, key)
}

/// The store takes nothing now, and a shutdown would come at this moment.
async fn submit_while_away(writer: &UsageWriter) {
    (2..=600).for_each(|number| writer.submit(record(number)));
    assert!(!writer.flush().await.in_database);
    let stats = writer.stats();
    assert_eq!((stats.written, stats.journaled, stats.queued, stats.lost), (1, 599, 0, 0));
    assert!(stats.away && stats.failed_batches >= 1);
}

async fn check_all_is_there(ledger: &Ledger, writer: &UsageWriter) {
    writer.submit(record(601));
    assert!(writer.flush().await.in_database);
    let sums = ledger.usage_summary(0, i64::MAX, GroupBy::Provider).await.unwrap();
    assert_eq!((sums[0].requests, sums[0].cost.nanos()), (601, 601 * 602 / 2));
    assert!(!writer.stats().away);
}

/// A key of the right shape that nobody made.
fn stranger() -> String {
    format!("nsk_{}", "0".repeat(43))
}

async fn check_store_is_away(ledger: &Ledger, key: &CreatedKey) {
    assert_eq!(ledger.authenticate(&stranger(), 2), Err(KeyError::Unknown), "nobody has noticed yet");
    assert!(ledger.refresh().await.unwrap_err().is_unavailable());
    assert!(ledger.is_stale());
    assert_eq!(ledger.authenticate(&stranger(), 2), Err(KeyError::StoreAway));
    assert!(ledger.authenticate(key.secret.expose(), 2).is_ok(), "a known key goes on working");
    assert!(ledger.list_keys().await.unwrap_err().is_unavailable());
    assert!(ledger.create_key(&NewKey::user("new"), 2).await.unwrap_err().is_unavailable());
    assert!(ledger.revoke_key("known", 2).await.unwrap_err().is_unavailable());
    assert!(ledger.authenticate(key.secret.expose(), 2).is_ok(), "what the store did not take is not done");
}

async fn check_store_is_back(ledger: &Ledger, key: &CreatedKey) {
    ledger.refresh().await.unwrap();
    assert_eq!(ledger.authenticate(&stranger(), 3), Err(KeyError::Unknown));
    ledger.revoke_key("known", 3).await.unwrap();
    assert_eq!(ledger.authenticate(key.secret.expose(), 3), Err(KeyError::Revoked));
}

pub(crate) async fn a_server_that_stops_and_comes_back(backend: &Backend) {
    let database = backend.database();
    let (ledger, writer, key) = prepare(&database).await;
    let server = backend.postgres.as_ref().unwrap();
    server.stop();
    submit_while_away(&writer).await;
    check_store_is_away(&ledger, &key).await;
    server.start();
    check_store_is_back(&ledger, &key).await;
    check_all_is_there(&ledger, &writer).await;
}

pub(crate) async fn a_server_that_freezes_and_thaws(backend: &Backend) {
    let database = backend.database();
    let (ledger, writer, key) = prepare(&database).await;
    let server = backend.postgres.as_ref().unwrap();
    server.freeze();
    submit_while_away(&writer).await;
    assert!(
        ledger.refresh().await.unwrap_err().is_unavailable(),
        "connections that hang miss their deadline"
    );
    assert_eq!(ledger.authenticate(&stranger(), 2), Err(KeyError::StoreAway));
    assert!(ledger.authenticate(key.secret.expose(), 2).is_ok());
    server.thaw();
    check_store_is_back(&ledger, &key).await;
    check_all_is_there(&ledger, &writer).await;
}

#[test]
fn a_locked_sqlite_file_delays_usage_and_loses_none() {
    run(async {
        let backend = Backend::sqlite();
        let database = backend.database();
        let (ledger, writer, key) = prepare(&database).await;
        let mut other = AnyConnection::connect(&database.url).await.unwrap();
        let lock = other.begin_with("BEGIN EXCLUSIVE").await.unwrap();
        submit_while_away(&writer).await;
        // Readers are not locked out, so keys are as fresh as ever.
        ledger.refresh().await.unwrap();
        assert!(ledger.authenticate(key.secret.expose(), 2).is_ok());
        let error = ledger.create_key(&NewKey::user("new"), 2).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        lock.rollback().await.unwrap();
        check_store_is_back(&ledger, &key).await;
        check_all_is_there(&ledger, &writer).await;
    });
}
