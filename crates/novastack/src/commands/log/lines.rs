//! Lines on their way to standard error.
//!
//! Whoever logs only puts its line into memory; a thread writes what has come together, twenty times a second at
//! most. So many lines cost one system call, and a terminal or a pipe that stands still holds up nobody.
//!
//! Invariant: no more than [`ROOM`] bytes wait. What does not fit is left out and counted, and the log and the metrics say so.

use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nova_gateway::telemetry::LOG_LINES_LEFT_OUT;
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait: some 4,000 lines.
const ROOM: usize = 1 << 20;
/// From here on they do not wait for more.
const PLENTY: usize = 64 << 10;
/// How long a line waits for others.
const LINGER: Duration = Duration::from_millis(50);

/// The thread that writes. Dropping it writes what is left.
pub(crate) struct Lines {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Where lines are put.
#[derive(Clone)]
pub(super) struct LineWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something came, much came, or the end.
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    left_out: u64,
    ended: bool,
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writing = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("nova-log".into()).spawn(move || writing.write_to(to))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn writer(&self) -> LineWriter {
        LineWriter(Arc::clone(&self.shared))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared.waiting().ended = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, there would be nowhere to say it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Whole lines are put in at once, so a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        let before = waiting.bytes.len();
        let after = before + line.len();
        if after > ROOM {
            waiting.left_out += 1;
            LOG_LINES_LEFT_OUT.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if before == 0 || (before < PLENTY && after >= PLENTY) {
            self.news.notify_one();
        }
    }

    fn write_to(&self, mut to: impl Write) {
        let mut bytes = Vec::new();
        loop {
            let (left_out, ended) = self.take(&mut bytes);
            // Where standard error is closed, nobody is there to be told.
            let _ = to.write_all(&bytes);
            if left_out > 0 {
                let _ = writeln!(
                    to,
                    "{{\"level\":\"WARN\",\"message\":\"lines of the log were left out\",\"count\":{left_out}}}"
                );
            }
            let _ = to.flush();
            if ended {
                return;
            }
        }
    }

    /// Waits for lines and takes them in the place of `bytes`; how many were left out, and whether these are the last.
    fn take(&self, bytes: &mut Vec<u8>) -> (u64, bool) {
        bytes.clear();
        let wait = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
        let waiting = self.news.wait_while(self.waiting(), wait).unwrap_or_else(PoisonError::into_inner);
        let wait = |waiting: &mut Waiting| waiting.bytes.len() < PLENTY && !waiting.ended;
        let waited = self.news.wait_timeout_while(waiting, LINGER, wait);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.bytes, bytes);
        (std::mem::take(&mut waiting.left_out), waiting.ended)
    }
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Shows what is written, and goes on when it is told to.
    struct Slow {
        shown: mpsc::Sender<Vec<u8>>,
        go_on: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.shown.send(bytes.to_vec()).unwrap();
            let _ = self.go_on.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_holds_up_nobody_and_is_told_what_it_missed() {
        let ((shown, seen), (go, go_on)) = (mpsc::channel(), mpsc::channel());
        let lines = Lines::start(Slow { shown, go_on }).unwrap();
        let mut writer = lines.writer();
        writer.write_all(b"first\n").unwrap();
        assert_eq!(seen.recv().unwrap(), b"first\n");
        // The thread stands still in its first write.
        let line = [b'x'; 1024];
        for _ in 0..ROOM / line.len() + 3 {
            writer.write_all(&line).unwrap();
        }
        drop(go);
        drop(lines);
        let rest = seen.iter().collect::<Vec<_>>().concat();
        let (kept, note) = rest.split_at(ROOM);
        assert!(kept.iter().all(|byte| *byte == b'x'));
        let note: serde_json::Value = serde_json::from_slice(note).unwrap();
        assert_eq!(note["count"], 3);
    }

    #[test]
    fn what_was_logged_last_is_written_at_the_end() {
        let ((shown, seen), (go, go_on)) = (mpsc::channel(), mpsc::channel());
        drop(go);
        let lines = Lines::start(Slow { shown, go_on }).unwrap();
        for line in ["one\n", "two\n"] {
            lines.writer().write_all(line.as_bytes()).unwrap();
        }
        drop(lines);
        assert_eq!(seen.iter().collect::<Vec<_>>().concat(), b"one\ntwo\n");
    }
}
