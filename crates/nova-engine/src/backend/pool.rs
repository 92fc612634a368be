//! Threads that help with one step's work and sleep between steps.
//!
//! A step meets about 200 times at a barrier, so work is handed over through one shared slot instead of a queue. Whoever
//! waits spins for some microseconds at most and then sleeps in the kernel: the gateway lives on the same cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Turns of the waiting loop before a thread sleeps: about ten microseconds.
const SPINS: u32 = 2_000;

type Work<'a> = dyn Fn(usize) + Sync + 'a;

/// What the threads share.
struct Shared {
    slot: Mutex<Slot>,
    /// Rises with every piece of work; threads watch it without the lock.
    round: AtomicUsize,
    /// The next job's index within the work at hand.
    next: AtomicUsize,
    /// Helpers that have not yet finished with the work at hand.
    busy: AtomicUsize,
    failed: AtomicBool,
    start: Condvar,
    finish: Condvar,
}

struct Slot {
    work: Option<&'static Work<'static>>,
    jobs: usize,
    round: usize,
    closed: bool,
}

/// A fixed set of threads. The caller of [`Pool::each`] works too, so a pool of one has no thread at all.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `threads - 1` helpers.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            slot: Mutex::new(Slot { work: None, jobs: 0, round: 0, closed: false }),
            round: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            start: Condvar::new(),
            finish: Condvar::new(),
        });
        let mut pool = Self { shared, helpers: Vec::new() };
        for i in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let builder = std::thread::Builder::new().name(format!("engine-worker-{i}"));
            pool.helpers.push(builder.spawn(move || shared.help())?);
        }
        Ok(pool)
    }

    /// Threads that compute, the caller among them.
    pub(crate) fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Into how many pieces work should be cut: more than there are threads, since some are slower than others.
    pub(crate) fn jobs(&self) -> usize {
        if self.helpers.is_empty() { 1 } else { self.threads() * 4 }
    }

    /// Calls `f` once for each item, on all threads, and returns when all calls have returned.
    ///
    /// # Panics
    /// If a call of `f` panicked.
    pub(crate) fn each<T: Send>(&self, items: Vec<T>, f: impl Fn(T) + Sync) {
        if self.helpers.is_empty() || items.len() < 2 {
            return items.into_iter().for_each(f);
        }
        let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
        self.run(items.len(), &|i| {
            let item = items.get(i).and_then(|item| lock(item).take());
            if let Some(item) = item {
                f(item);
            }
        });
    }

    fn run(&self, jobs: usize, work: &Work<'_>) {
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Helpers use the reference only between taking it from the slot and
        // reporting back through `busy`, and `Finish`, which also runs when this frame unwinds, lets this function end
        // only after every helper has reported. The slot is emptied before that, so no helper can take it later.
        let lent = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        shared.next.store(0, Ordering::Relaxed);
        shared.busy.store(self.helpers.len(), Ordering::Relaxed);
        let finish = Finish { shared };
        {
            let mut slot = lock(&shared.slot);
            slot.work = Some(lent);
            slot.jobs = jobs;
            slot.round = slot.round.wrapping_add(1);
            shared.round.store(slot.round, Ordering::Release);
            shared.start.notify_all();
        }
        shared.work_off(work, jobs);
        drop(finish);
        assert!(!shared.failed.swap(false, Ordering::Relaxed), "a thread of the engine panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut slot = lock(&self.shared.slot);
            slot.closed = true;
            slot.round = slot.round.wrapping_add(1);
            self.shared.round.store(slot.round, Ordering::Release);
            self.shared.start.notify_all();
        }
        for helper in self.helpers.drain(..) {
            // A helper catches the panics of its work, so there is nothing to hear here.
            let _ = helper.join();
        }
    }
}

/// Waits until no helper holds the work any more.
struct Finish<'a> {
    shared: &'a Shared,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let shared = self.shared;
        let mut turns = 0;
        while shared.busy.load(Ordering::Acquire) > 0 {
            if turns < SPINS {
                turns += 1;
                std::hint::spin_loop();
                continue;
            }
            let mut slot = lock(&shared.slot);
            while shared.busy.load(Ordering::Acquire) > 0 {
                slot = shared.finish.wait(slot).unwrap_or_else(PoisonError::into_inner);
            }
        }
        lock(&shared.slot).work = None;
    }
}

impl Shared {
    /// The life of a helper.
    fn help(&self) {
        let mut seen = 0;
        while let Some((work, jobs, round)) = self.next_work(seen) {
            seen = round;
            if catch_unwind(AssertUnwindSafe(|| self.work_off(work, jobs))).is_err() {
                self.failed.store(true, Ordering::Relaxed);
            }
            if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
                // Under the lock, so that the signal cannot fall between the other's look and its sleep.
                let _slot = lock(&self.slot);
                self.finish.notify_all();
            }
        }
    }

    fn next_work(&self, seen: usize) -> Option<(&'static Work<'static>, usize, usize)> {
        let mut turns = 0;
        while self.round.load(Ordering::Acquire) == seen && turns < SPINS {
            turns += 1;
            std::hint::spin_loop();
        }
        let mut slot = lock(&self.slot);
        while slot.round == seen {
            slot = self.start.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        if slot.closed { None } else { slot.work.map(|work| (work, slot.jobs, slot.round)) }
    }

    fn work_off(&self, work: &Work<'_>, jobs: usize) {
        loop {
            let job = self.next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return;
            }
            work(job);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
