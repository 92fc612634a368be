//! Counters of one client, for metrics. Reading them costs five loads, counting one addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What a client has done and holds. Each figure is exact; together they are no single instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections that were opened, successfully, since the start.
    pub dialled: u64,
    /// Requests that found an open connection, since the start.
    pub reused: u64,
    /// Requests that were sent a second time because their idle connection had been closed.
    pub resent: u64,
    /// Connections that are open now, idle or busy.
    pub open: u64,
    /// Requests from the call of `send` to the end of their body, now.
    pub in_flight: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    dialled: AtomicU64,
    reused: AtomicU64,
    resent: AtomicU64,
    open: AtomicI64,
    in_flight: AtomicI64,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        let level = |value: &AtomicI64| u64::try_from(value.load(Ordering::Relaxed)).unwrap_or(0);
        Stats {
            dialled: self.dialled.load(Ordering::Relaxed),
            reused: self.reused.load(Ordering::Relaxed),
            resent: self.resent.load(Ordering::Relaxed),
            open: level(&self.open),
            in_flight: level(&self.in_flight),
        }
    }

    pub(crate) fn count_reused(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_resent(&self) {
        self.resent.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    pub(crate) fn new(counters: &Arc<Counters>) -> Self {
        counters.dialled.fetch_add(1, Ordering::Relaxed);
        counters.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request under way, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Counters>);

impl InFlight {
    pub(crate) fn new(counters: &Arc<Counters>) -> Self {
        counters.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
