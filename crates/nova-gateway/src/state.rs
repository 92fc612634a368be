//! What lives as long as the process: the parts that every worker shares, and those of one worker.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use nova_ledger::{Key, KeyId, Ledger, LedgerError, UsageWriter};
use nova_limit::{Bucket, Gate};
use nova_route::learn::Sessions;
use uuid::Uuid;

use crate::budgets::Budgets;
use crate::config::Limits;
use crate::error::{Code, GatewayError};
use crate::learnt::Pacers;
use crate::lessons::Lessons;
use crate::lessons::hearsay::Hearsay;
use crate::recall::Recall;
use crate::snapshot::Snapshot;
use crate::telemetry::Metrics;

/// What every worker shares.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force. A request reads it once.
    pub snapshot: ArcSwap<Snapshot>,
    /// The store, and the keys as last read from it.
    pub ledger: Ledger,
    /// Where usage records go.
    pub usage: UsageWriter,
    /// The limits of each key that has any.
    pub key_limits: KeyLimits,
    /// Thinking that clients drop, for their next turns.
    pub recall: Recall,
    /// What the router is told from outside.
    pub lessons: Lessons,
    /// What clients said of answers, here and elsewhere.
    pub hearsay: Hearsay,
    /// Who answered conversations last.
    pub sessions: Sessions,
    /// What keys may spend on average.
    pub pacers: Pacers,
    /// What keys have spent of their budgets.
    pub budgets: Budgets,
    /// Whether something was learnt of quality that is not kept yet.
    pub(crate) learnt_anew: AtomicBool,
    /// What is counted.
    pub metrics: Metrics,
    /// Where work runs that is no request: the store, reloads.
    pub background: tokio::runtime::Handle,
    /// The last reload's error, for `/admin/status` and `/readyz`.
    pub reload_error: ArcSwap<Option<String>>,
    pub(crate) stopping: AtomicBool,
    /// The clients of all workers, whose counters are shown together.
    clients: Mutex<Vec<nova_upstream::Client>>,
    epoch: Instant,
}

impl Shared {
    /// The shared parts around a store and a first configuration.
    pub fn new(
        snapshot: Snapshot,
        (ledger, usage): (Ledger, UsageWriter),
        background: tokio::runtime::Handle,
    ) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            ledger,
            usage,
            key_limits: KeyLimits::default(),
            recall: Recall::default(),
            lessons: Lessons::default(),
            hearsay: Hearsay::default(),
            sessions: Sessions::default(),
            pacers: Pacers::default(),
            budgets: Budgets::default(),
            learnt_anew: AtomicBool::new(false),
            metrics: Metrics::new(),
            background,
            reload_error: ArcSwap::from_pointee(None),
            stopping: AtomicBool::new(false),
            clients: Mutex::new(Vec::new()),
            epoch: Instant::now(),
        }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// A monotonic clock in nanoseconds, for limits and breakers.
    pub fn now_ns(&self) -> u64 {
        self.ns_at(Instant::now())
    }

    /// A moment on the clock of [`Self::now_ns`].
    pub fn ns_at(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Waits for an answer of the store, whose connections live on the background runtime.
    ///
    /// # Errors
    /// 503 while the store is away.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
    ) -> Result<T, GatewayError> {
        match self.background.spawn(question).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store failed a request");
                let code = if error.is_unavailable() { Code::StoreUnavailable } else { Code::Internal };
                Err(GatewayError::new(code, "the store cannot be reached; try again shortly"))
            }
            Err(_) => Err(GatewayError::new(Code::Internal, "the store did not answer")),
        }
    }

    /// Open connections to providers, over all workers.
    pub fn upstream_connections(&self) -> u64 {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.iter().map(|client| client.stats().open).sum()
    }

    /// Whether new requests are turned away.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The limits of keys, made when a key is first used and kept while its bounds stay the same.
#[derive(Debug, Default)]
pub struct KeyLimits {
    by_key: RwLock<HashMap<KeyId, Arc<KeyLimit>>>,
}

/// The limits of one key.
#[derive(Debug)]
pub struct KeyLimit {
    bounds: (Option<u32>, Option<u32>),
    /// Requests per minute.
    pub rate: Option<Bucket>,
    /// Requests in flight.
    pub in_flight: Option<Arc<Gate>>,
}

/// Keys whose limits are kept; beyond it the map begins anew, which forgives a minute at most.
const MAX_KEYS: usize = 100_000;

impl KeyLimits {
    /// The limits of a key: its own, else the configured ones; `None` where there are none.
    pub fn of(&self, key: &Key, defaults: &Limits) -> Option<Arc<KeyLimit>> {
        let bounds = (
            key.limits.requests_per_minute.or(defaults.requests_per_minute),
            key.limits.max_in_flight.or(defaults.max_in_flight),
        );
        if bounds == (None, None) {
            return None;
        }
        let read = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = read.get(&key.id)
            && limit.bounds == bounds
        {
            return Some(Arc::clone(limit));
        }
        drop(read);
        let limit = Arc::new(KeyLimit {
            bounds,
            rate: bounds.0.map(|per_minute| Bucket::per_minute(u64::from(per_minute))),
            in_flight: bounds.1.map(|bound| Arc::new(Gate::new(bound))),
        });
        let mut write = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        if write.len() >= MAX_KEYS {
            write.clear();
        }
        // Two requests may get here at once; both must then count against the same limit.
        let entry = write.entry(key.id).or_insert_with(|| Arc::clone(&limit));
        if entry.bounds != bounds {
            *entry = limit;
        }
        Some(Arc::clone(entry))
    }
}

/// What belongs to one worker thread.
pub struct Worker {
    /// What it shares.
    pub shared: Arc<Shared>,
    /// Its connections to providers, which stay on its thread.
    pub client: nova_upstream::Client,
    random: AtomicU64,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker around its own connections. `seed` differs from worker to worker.
    pub fn new(shared: Arc<Shared>, client: nova_upstream::Client, seed: u64) -> Self {
        shared.clients.lock().unwrap_or_else(PoisonError::into_inner).push(client.clone());
        Self { shared, client, random: AtomicU64::new(seed) }
    }

    /// The next number of this worker's sequence (SplitMix64): spreads load and jitter, keeps no secret.
    pub fn next_seed(&self) -> u64 {
        let mut z = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A new request id: a UUID of version 7, so that records sort by time.
    pub fn next_id(&self) -> RequestId {
        let millis = u64::try_from(self.shared.now_ms()).unwrap_or_default();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next_seed().to_le_bytes());
        random[8..].copy_from_slice(&self.next_seed().to_le_bytes()[..2]);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        RequestId::new(id)
    }
}

/// The id of a request: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 32]);

impl RequestId {
    fn new(id: Uuid) -> Self {
        let mut text = [0; 32];
        id.simple().encode_lower(&mut text);
        Self(text)
    }

    /// The request's id in an id that a client knows: its own, or that of an answer that the gateway wrote, which
    /// has it behind the prefix of its dialect.
    pub fn within(id: &str) -> Option<&str> {
        let prefixes = ["chatcmpl-", "msg_", "resp_", "gen-"];
        let id = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id);
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (id.len() == 32 && id.bytes().all(digit)).then_some(id)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_own_id_and_by_those_that_hold_it() {
        const ID: &str = "019ab0c2d3e47f5081928374a5b6c7d8";
        let check = |id: &str, known: bool| assert_eq!(RequestId::within(id), known.then_some(ID), "{id}");
        check(ID, true);
        for prefix in ["chatcmpl-", "msg_", "resp_", "gen-"] {
            check(&format!("{prefix}{ID}"), true);
        }
        check(&ID.to_uppercase(), false);
        check(&ID[1..], false);
        check("chatcmpl-9xYz", false);
        check("msg_msg_019ab0c2d3e47f5081928374a5b6c7d8", false);
        check("", false);
    }
}
