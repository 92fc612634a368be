//! From a finished request to a row: a queue, a background task, and the journal for when the store is away.
//!
//! [`UsageWriter::submit`] only pushes onto a queue. The task wakes at the first record, waits up to 200 ms
//! for company (or until 1,024 are there), and writes them in one transaction. When the store does not take a
//! batch within two seconds, the batch goes to the journal on disk, and so does everything after it, at the
//! same pace, until the store is back and has taken the journal too.
//!
//! What can be lost: nothing at an orderly end (`close`). At `kill -9` or a power cut the records of the last
//! 200 ms; of the last 2.2 s when it comes just as the store freezes, before the first batch has missed its
//! deadline.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::journal::{Journal, Segment};
use super::rows::{self, Words};
use super::sqlite::Inserter;
use super::{Submitted, UsageRecord};
use crate::Ledger;
use crate::error::LedgerError;
use crate::store::Kind;

/// The most records that wait in memory: about 40 MB of them.
const QUEUE: usize = 65_536;
/// Rows of one transaction. Under load the fixed cost of one, two waits for the disk among it, is shared by more
/// of them, and what a power cut takes is bounded by the time anyway.
const BATCH: usize = 1024;
/// How long a record waits for company.
const LINGER: Duration = Duration::from_millis(200);
/// After this the store counts as away.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);
/// A flush uses the database for no longer than this; what is left goes to the journal, or stays there.
const FLUSH_BUDGET: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// Bounds how late a store that is back is noticed.
const LONGEST_BACKOFF: Duration = Duration::from_secs(4);

/// Takes usage records from requests. A clone feeds the same queue. When the last clone is dropped, the task
/// writes what is left and ends; [`UsageWriter::close`] waits for that.
#[derive(Clone)]
pub struct UsageWriter {
    records: mpsc::Sender<Box<UsageRecord>>,
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
}

struct Shared {
    counts: Counts,
    /// A batch is full.
    full: Notify,
    journal: Mutex<Journal>,
    /// Whether the journal holds something that the database lacks. Changes only under the journal's lock.
    replay: AtomicBool,
}

#[derive(Default)]
struct Counts {
    submitted: AtomicU64,
    taken: AtomicU64,
    written: AtomicU64,
    journaled: AtomicU64,
    replayed: AtomicU64,
    overflowed: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    failed_batches: AtomicU64,
    away: AtomicBool,
}

/// What the writer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterStats {
    /// Records that wait in memory now.
    pub queued: u64,
    /// Records that went straight to the database.
    pub written: u64,
    /// Records that went to the journal.
    pub journaled: u64,
    /// Records that went from the journal to the database; those of earlier runs are among them.
    pub replayed: u64,
    /// Those of `journaled` that a request had to put there itself, because the queue was full or closed.
    pub overflowed: u64,
    /// Records that the database will never take; they are kept in `refused.json-lines`.
    pub refused: u64,
    /// Records that neither the database nor the disk took. Anything but 0 is an incident; each one is in the
    /// log.
    pub lost: u64,
    /// Batches that the database did not take in time.
    pub failed_batches: u64,
    /// Whether the store is away now.
    pub away: bool,
}

/// Where everything that was submitted before a flush is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushReport {
    /// Whether the database has all of it. When not, the rest is on disk and is replayed by itself.
    pub in_database: bool,
}

enum Order {
    Flush(oneshot::Sender<FlushReport>),
    Close(oneshot::Sender<FlushReport>),
}

impl UsageWriter {
    /// Starts the background task on the current tokio runtime. The journal is kept in `folder`, which is
    /// made when it is missing; what an earlier run left there is replayed.
    ///
    /// # Errors
    /// [`LedgerError::File`] when the folder cannot be used.
    pub fn start(ledger: &Ledger, folder: &Path) -> Result<Self, LedgerError> {
        Self::start_sized(ledger, folder, QUEUE)
    }

    fn start_sized(ledger: &Ledger, folder: &Path, queue: usize) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: folder.to_owned(), source };
        let journal = Journal::open(folder).map_err(failed)?;
        let replay = AtomicBool::new(!journal.is_empty().map_err(failed)?);
        let (records, queue) = mpsc::channel(queue);
        let (orders, orders_in) = mpsc::channel(8);
        let shared = Arc::new(Shared {
            counts: Counts::default(),
            full: Notify::new(),
            journal: Mutex::new(journal),
            replay,
        });
        let task = Task {
            ledger: ledger.clone(),
            shared: Arc::clone(&shared),
            queue,
            orders: orders_in,
            sqlite: Inserter::default(),
            words: Words::default(),
            away: None,
        };
        tokio::spawn(task.run());
        Ok(Self { records, orders, shared })
    }

    /// Hands over a record. Returns at once: it pushes onto a queue, and every 1,024th call wakes the task.
    ///
    /// Only when 65,536 records wait already, or after [`Self::close`], it writes the record to the journal
    /// itself, which takes as long as the disk takes: losing the record would be worse. From a quarter of
    /// that on, records are kept without their decisions, which may be far larger than all the rest: what
    /// waits must not take the memory.
    pub fn submit(&self, mut record: Box<UsageRecord>) {
        if self.records.capacity() < self.records.max_capacity() / 4 * 3 {
            record.decision = None;
        }
        let counts = &self.shared.counts;
        match self.records.try_send(record) {
            Ok(()) => {
                let before = counts.submitted.fetch_add(1, Ordering::Relaxed);
                if before % BATCH as u64 == BATCH as u64 - 1 {
                    self.shared.full.notify_one();
                }
            }
            Err(TrySendError::Full(record) | TrySendError::Closed(record)) => {
                counts.overflowed.fetch_add(1, Ordering::Relaxed);
                self.shared.keep(&[record]);
            }
        }
    }

    /// Waits until everything that was submitted before is in the database, or in the journal when the
    /// database does not take it. Takes no longer than a few deadlines (about 10 s), however the store
    /// behaves.
    pub async fn flush(&self) -> FlushReport {
        self.order(Order::Flush).await
    }

    /// As [`Self::flush`], and ends the task. Records that come later go straight to the journal.
    pub async fn close(&self) -> FlushReport {
        self.order(Order::Close).await
    }

    /// What has been done so far.
    pub fn stats(&self) -> WriterStats {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let taken = read(&counts.taken);
        WriterStats {
            queued: read(&counts.submitted).saturating_sub(taken),
            written: read(&counts.written),
            journaled: read(&counts.journaled),
            replayed: read(&counts.replayed),
            overflowed: read(&counts.overflowed),
            refused: read(&counts.refused),
            lost: read(&counts.lost),
            failed_batches: read(&counts.failed_batches),
            away: counts.away.load(Ordering::Relaxed),
        }
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<FlushReport>) -> Order) -> FlushReport {
        let (reply, done) = oneshot::channel();
        if self.orders.send(order(reply)).await.is_ok()
            && let Ok(report) = done.await
        {
            return report;
        }
        // The task has ended: all that came since is in the journal.
        FlushReport { in_database: self.shared.journal().is_empty().unwrap_or(false) }
    }
}

impl fmt::Debug for UsageWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageWriter").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        // The journal is consistent between any two of its calls, so a panic elsewhere does not spoil it.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts records into the journal. Blocks for as long as the disk does.
    fn keep(&self, records: &[Submitted]) {
        let mut journal = self.journal();
        self.replay.store(true, Ordering::Release);
        // A second try begins a new file, which helps when only the old one is broken.
        match journal.append(records).or_else(|_| journal.append(records)) {
            Ok(()) => {
                self.counts.journaled.fetch_add(records.len() as u64, Ordering::Relaxed);
            }
            Err(error) => {
                self.counts.lost.fetch_add(records.len() as u64, Ordering::Relaxed);
                for record in records {
                    let line = serde_json::to_string(record).unwrap_or_default();
                    let folder = journal.folder().display();
                    tracing::error!(%error, %folder, record = line, "a usage record could not be kept");
                }
            }
        }
    }
}

struct Task {
    ledger: Ledger,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Box<UsageRecord>>,
    orders: mpsc::Receiver<Order>,
    sqlite: Inserter,
    words: Words,
    /// Set while the store is away.
    away: Option<Away>,
}

struct Away {
    retry_at: Instant,
    backoff: Duration,
}

/// Why the task woke.
enum Wake {
    /// It is time to write what is there.
    Due,
    Ordered(Order),
    /// All writers are gone.
    Ended,
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match self.wait(&mut batch).await {
                Wake::Due => {
                    self.drain(&mut batch, None).await;
                    self.replay_when_due().await;
                }
                Wake::Ordered(Order::Flush(reply)) => {
                    let report = self.flush(&mut batch).await;
                    let _ = reply.send(report);
                }
                Wake::Ordered(Order::Close(reply)) => {
                    let report = self.close(&mut batch).await;
                    self.sqlite.close().await;
                    let _ = reply.send(report);
                    return;
                }
                Wake::Ended => {
                    self.flush(&mut batch).await;
                    self.sqlite.close().await;
                    return;
                }
            }
        }
    }

    /// Sleeps until there is something to do. An idle writer sets no timer at all.
    async fn wait(&mut self, batch: &mut Vec<Submitted>) -> Wake {
        let retry_at = match (&self.away, self.behind()) {
            (Some(away), _) => Some(away.retry_at),
            (None, true) => return Wake::Due,
            (None, false) => None,
        };
        tokio::select! {
            biased;
            Some(order) = self.orders.recv() => return Wake::Ordered(order),
            first = self.queue.recv() => match first {
                Some(record) => batch.push(record),
                None => return Wake::Ended,
            },
            () = sleep_until(retry_at.unwrap_or_else(Instant::now)), if retry_at.is_some() => return Wake::Due,
        }
        self.shared.counts.taken.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            biased;
            Some(order) = self.orders.recv() => Wake::Ordered(order),
            () = self.shared.full.notified() => Wake::Due,
            () = sleep_until(Instant::now() + LINGER) => Wake::Due,
        }
    }

    /// Writes all that is in the queue, batch by batch; to the disk only, once `until` has passed.
    async fn drain(&mut self, batch: &mut Vec<Submitted>, until: Option<Instant>) {
        loop {
            self.fill(batch);
            if batch.is_empty() {
                return;
            }
            let late = until.is_some_and(|until| Instant::now() >= until);
            self.settle(std::mem::take(batch), late).await;
        }
    }

    fn fill(&mut self, batch: &mut Vec<Submitted>) {
        let before = batch.len();
        while batch.len() < BATCH
            && let Ok(record) = self.queue.try_recv()
        {
            batch.push(record);
        }
        self.shared.counts.taken.fetch_add((batch.len() - before) as u64, Ordering::Relaxed);
    }

    /// Brings a batch to safety: into the database, or else onto the disk.
    async fn settle(&mut self, batch: Vec<Submitted>, disk_only: bool) {
        if self.away.is_none() && !disk_only {
            match self.write(&batch).await {
                Ok(()) => {
                    self.shared.counts.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return;
                }
                Err(error) => self.note_failure(&error),
            }
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.keep(&batch)).await;
    }

    /// Writes records to the database. One that it refuses for good is put aside, so that it does not hold up
    /// the others.
    async fn write(&mut self, records: &[Submitted]) -> Result<(), LedgerError> {
        match self.insert(records).await {
            Err(error) if error.refuses_value() => {}
            done => return done,
        }
        for record in records {
            match self.insert(std::slice::from_ref(record)).await {
                Err(error) if error.refuses_value() => {
                    let request_id = &record.request_id;
                    tracing::error!(%error, request_id, "the database refuses a usage record");
                    self.shared.counts.refused.fetch_add(1, Ordering::Relaxed);
                    let (shared, record) = (Arc::clone(&self.shared), record.clone());
                    blocking(move || {
                        if let Err(error) = shared.journal().refuse(&record) {
                            shared.counts.lost.fetch_add(1, Ordering::Relaxed);
                            tracing::error!(%error, "a refused usage record could not be kept");
                        }
                    })
                    .await;
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn insert(&mut self, records: &[Submitted]) -> Result<(), LedgerError> {
        let store = &self.ledger.inner.store;
        let (sqlite, batch) = (&mut self.sqlite, (records, &mut self.words));
        store
            .call_within(WRITE_DEADLINE, "writing usage", async {
                if store.kind() == Kind::Sqlite {
                    return sqlite.insert(store, batch).await;
                }
                let mut lease = store.lease().await?;
                let mut transaction = lease.begin().await?;
                rows::insert(&mut transaction, store.kind(), batch).await?;
                transaction.commit().await?;
                lease.settle();
                Ok(())
            })
            .await
    }

    fn note_failure(&mut self, error: &LedgerError) {
        self.shared.counts.failed_batches.fetch_add(1, Ordering::Relaxed);
        self.shared.counts.away.store(true, Ordering::Relaxed);
        let backoff = match &self.away {
            None => {
                tracing::warn!(%error, "usage goes to the journal until the store is back");
                FIRST_BACKOFF
            }
            Some(away) => (away.backoff * 2).min(LONGEST_BACKOFF),
        };
        self.away = Some(Away { retry_at: Instant::now() + backoff, backoff });
    }

    async fn replay_when_due(&mut self) {
        if self.behind() && self.away.as_ref().is_none_or(|away| away.retry_at <= Instant::now()) {
            self.replay_one().await;
        }
    }

    /// Brings one segment of the journal into the database; true when there may be another one to do now.
    async fn replay_one(&mut self) -> bool {
        let segment = match self.next_segment().await {
            Ok(segment) => segment,
            Err(error) => {
                let error =
                    LedgerError::File { path: self.shared.journal().folder().to_owned(), source: error };
                self.note_failure(&error);
                return false;
            }
        };
        let Some(segment) = segment else {
            self.note_back();
            return false;
        };
        for chunk in segment.records.chunks(BATCH) {
            if let Err(error) = self.write(chunk).await {
                self.note_failure(&error);
                return false;
            }
        }
        self.shared.counts.replayed.fetch_add(segment.records.len() as u64, Ordering::Relaxed);
        self.note_back();
        if let Err(source) = blocking(move || segment.done()).await {
            // It is replayed again later, which does no harm; but somebody has to look at the disk.
            let error = LedgerError::File { path: self.shared.journal().folder().to_owned(), source };
            tracing::error!(%error, "a replayed usage journal cannot be removed");
            self.note_failure(&error);
            return false;
        }
        true
    }

    fn behind(&self) -> bool {
        self.shared.replay.load(Ordering::Acquire)
    }

    async fn next_segment(&self) -> std::io::Result<Option<Segment>> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let mut journal = shared.journal();
            journal.seal();
            let segment = journal.take()?;
            // Whatever is left when there is none belongs to another process that is alive.
            shared.replay.store(segment.is_some(), Ordering::Release);
            Ok(segment)
        })
        .await
    }

    fn note_back(&mut self) {
        if self.away.take().is_some() {
            tracing::info!("the store takes usage again");
            self.shared.counts.away.store(false, Ordering::Relaxed);
        }
    }

    async fn flush(&mut self, batch: &mut Vec<Submitted>) -> FlushReport {
        let until = Instant::now() + FLUSH_BUDGET;
        // Whoever flushes wants to know now, not after the backoff. The journal goes first, as it would
        // without the flush.
        while self.behind() && self.replay_one().await && Instant::now() < until {}
        self.drain(batch, Some(until)).await;
        FlushReport { in_database: !self.behind() }
    }

    /// From here on `submit` journals by itself.
    async fn close(&mut self, batch: &mut Vec<Submitted>) -> FlushReport {
        self.queue.close();
        let mut report = self.flush(batch).await;
        // A `submit` that found a place just before the end may still be putting its record there; `recv`
        // waits for it, and ends when there is none.
        while let Some(record) = self.queue.recv().await {
            self.shared.counts.taken.fetch_add(1, Ordering::Relaxed);
            batch.push(record);
            report = self.flush(batch).await;
        }
        report
    }
}

/// Runs disk work where it does not stop the runtime. The closure's panics are its own; the shutdown of the
/// runtime waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // The runtime is going away, and this task with it.
        Err(Err(_cancelled)) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use nova_wire::Dialect;

    use super::*;
    use crate::{GroupBy, Secret};

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_full_queue_spills_onto_the_disk_and_loses_nothing() {
        let name = format!("nova-ledger-queue-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).unwrap();
        let url = format!("sqlite://{}/nova.db", folder.0.display());
        let ledger = Ledger::open(&url, Secret::new("p".repeat(32))).await.unwrap();
        let writer = UsageWriter::start_sized(&ledger, &folder.0.join("journal"), 4).unwrap();
        // The task cannot run before this one waits, so it takes nothing in between.
        for number in 0..10 {
            let mut record = UsageRecord::new(number.to_string(), number, Dialect::Chat, Arc::from("m"));
            record.decision = Some(crate::Decision::text("1"));
            writer.submit(Box::new(record));
        }
        let stats = writer.stats();
        assert_eq!((stats.queued, stats.overflowed, stats.journaled), (4, 6, 6));
        assert!(writer.flush().await.in_database);
        let stats = writer.stats();
        assert_eq!((stats.queued, stats.written, stats.replayed, stats.lost), (0, 4, 6, 0));
        assert_eq!(ledger.usage_summary(0, 10, GroupBy::Model).await.unwrap()[0].requests, 10);
        let decided = ledger.usage_since(0, None, 10).await.unwrap().into_iter();
        let decided: Vec<i64> = decided.filter(|it| it.decision.is_some()).map(|it| it.at_ms).collect();
        assert_eq!(decided, [0, 1], "those that waited while little did");
        ledger.close().await;
    }
}
