//! Idle connections, kept apart by destination and by credential.
//!
//! A connection is never shared between credentials: some providers tie limits, sessions or a cache
//! to it, and a mistake there would show one account's traffic to another. The pool belongs to one
//! client and is as small as its limits say; what lies in it is polled only when it is given back, and
//! by the reaper.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use crate::credential::CredentialId;
use crate::http1::Http1;
use crate::http2::Http2;

/// How often the reaper looks, at most.
const SWEEP: Duration = Duration::from_secs(5);

/// What connections are shared by. TLS settings are the same for a whole client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) origin: Arc<str>,
    pub(crate) credential: Option<CredentialId>,
}

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) idle_per_key: usize,
    pub(crate) idle_total: usize,
    pub(crate) idle_for: Duration,
}

/// See the module's documentation.
pub(crate) struct Pool {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shelves: HashMap<Key, Shelf>,
    idle: usize,
    reaper: Option<AbortHandle>,
}

/// The connections of one key. The most recently used HTTP/1.1 connection is last, and taken first:
/// so few of them stay in use, and the others grow old and are closed.
#[derive(Default)]
struct Shelf {
    #[expect(
        clippy::vec_box,
        reason = "a connection is most of a kilobyte, and on its way between pool and exchange only a pointer moves"
    )]
    http1: Vec<Box<Http1>>,
    http2: Vec<Http2>,
}

/// A connection to use.
pub(crate) enum Taken {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Pool {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// An open connection for `key`, if there is one that is young enough.
    ///
    /// The peer may have closed it: the exchange finds that out before it writes, at no extra cost.
    pub(crate) fn take(&self, key: &Key, now: Instant) -> Option<Taken> {
        let mut state = self.lock();
        let State { shelves, idle, .. } = &mut *state;
        let shelf = shelves.get_mut(key)?;
        if !shelf.http2.is_empty() {
            shelf.http2.retain(|connection| !connection.is_closed());
            if let Some(connection) = shelf.http2.iter_mut().find(|connection| connection.has_room()) {
                connection.used = now;
                return Some(Taken::Http2(connection.clone()));
            }
        }
        let connection = shelf.http1.pop()?;
        *idle -= 1;
        let age = now.saturating_duration_since(connection.idle_since);
        // The others are older still; the reaper closes them.
        (age < self.limits.idle_for).then_some(Taken::Http1(connection))
    }

    /// Gives a connection back after its exchange, if it can take another.
    pub(crate) fn give_back(self: &Arc<Self>, key: Key, mut connection: Box<Http1>) {
        if !connection.is_reusable() {
            return;
        }
        connection.rest();
        let mut state = self.lock();
        let shelf = state.shelves.entry(key).or_default();
        shelf.http1.push(connection);
        // The oldest makes room: first on its own shelf, then on any.
        let crowded = shelf.http1.len() > self.limits.idle_per_key;
        let oldest = crowded.then(|| shelf.http1.remove(0));
        if oldest.is_none() {
            state.idle += 1;
        }
        if state.idle > self.limits.idle_total {
            state.drop_oldest();
        }
        self.start_reaper(&mut state);
    }

    /// Offers an HTTP/2 connection to other requests.
    pub(crate) fn share(self: &Arc<Self>, key: Key, connection: Http2) {
        let mut state = self.lock();
        state.shelves.entry(key).or_default().http2.push(connection);
        self.start_reaper(&mut state);
    }

    /// Closes what is dead or too old; `false` when nothing is left.
    fn sweep(&self, now: Instant) -> bool {
        let old = |since: Instant| now.saturating_duration_since(since) >= self.limits.idle_for;
        let mut state = self.lock();
        state.shelves.retain(|_, shelf| {
            shelf.http1.retain_mut(|connection| !old(connection.idle_since) && connection.is_reusable());
            shelf.http2.retain(|connection| {
                !connection.is_closed() && (connection.streams() > 0 || !old(connection.used))
            });
            !shelf.http1.is_empty() || !shelf.http2.is_empty()
        });
        state.idle = state.shelves.values().map(|shelf| shelf.http1.len()).sum();
        if state.shelves.is_empty() {
            state.reaper = None;
        }
        state.reaper.is_some()
    }

    /// Starts the task that closes what nobody takes any more. It ends with the last connection.
    fn start_reaper(self: &Arc<Self>, state: &mut State) {
        if state.reaper.as_ref().is_some_and(|reaper| !reaper.is_finished()) {
            return;
        }
        let (pool, pause) = (Arc::downgrade(self), SWEEP.min(self.limits.idle_for));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            state.reaper = Some(runtime.spawn(reap(pool, pause)).abort_handle());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock leaves the state half changed, so that a panic elsewhere is no reason
        // to stop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_oldest(&mut self) {
        let age = |shelf: &Shelf| shelf.http1.first().map(|connection| connection.idle_since);
        let oldest =
            self.shelves.values_mut().filter(|shelf| age(shelf).is_some()).min_by_key(|shelf| age(shelf));
        if let Some(shelf) = oldest {
            shelf.http1.remove(0);
            self.idle -= 1;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(reaper) = self.lock().reaper.take() {
            reaper.abort();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limits", &self.limits).finish_non_exhaustive()
    }
}

async fn reap(pool: Weak<Pool>, pause: Duration) {
    loop {
        sleep(pause).await;
        let Some(pool) = pool.upgrade() else { return };
        if !pool.sweep(Instant::now()) {
            return;
        }
    }
}
