//! The snapshot of all keys that requests are checked against.
//!
//! It never changes once it is built: a new one takes its place. Looking up a key allocates nothing, takes no
//! lock and does no IO.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use subtle::ConstantTimeEq;

use super::token::{self, Digest, Hasher};
use super::{Key, KeyError, KeyId};

/// A use is noted at most once in this many milliseconds, so that a busy key does not make every core fight
/// for one cache line.
const NOTE_EVERY_MS: i64 = 1000;
const NEVER: i64 = i64::MIN;

/// All keys as they were at one moment, revoked ones included (so that they are refused with the right
/// words).
pub struct KeyTable {
    version: i64,
    hasher: Arc<Hasher>,
    /// Sorted by `head`.
    entries: Vec<Entry>,
}

#[derive(Clone)]
pub(crate) struct Entry {
    /// The first eight bytes of the digest, which is what the table is sorted by.
    head: u64,
    digest: Digest,
    key: Arc<Key>,
    uses: Arc<Uses>,
}

/// When a key was last used. Shared by all snapshots, so that a reload forgets nothing.
#[derive(Debug)]
struct Uses {
    seen_ms: AtomicI64,
    saved_ms: AtomicI64,
}

impl Entry {
    pub(crate) fn new(digest: Digest, key: Key) -> Self {
        let saved = key.last_used_ms.unwrap_or(NEVER);
        let uses = Uses { seen_ms: AtomicI64::new(saved), saved_ms: AtomicI64::new(saved) };
        Self { head: head(&digest), digest, key: Arc::new(key), uses: Arc::new(uses) }
    }

    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }
}

impl KeyTable {
    pub(crate) fn empty(hasher: Arc<Hasher>) -> Self {
        Self { version: 0, hasher, entries: Vec::new() }
    }

    /// The table that follows this one: other keys, the same notes of their use.
    pub(crate) fn next(&self, version: i64, mut entries: Vec<Entry>) -> Self {
        for entry in &mut entries {
            if let Some(known) = self.find(&entry.digest) {
                entry.uses = Arc::clone(&known.uses);
            }
        }
        entries.sort_unstable_by_key(|entry| entry.head);
        Self { version, hasher: Arc::clone(&self.hasher), entries }
    }

    /// This table with one key added or replaced. The version stays, so the next look at the store still
    /// reloads everything.
    pub(crate) fn with(&self, changed: Entry) -> Self {
        let mut entries: Vec<_> =
            self.entries.iter().filter(|entry| entry.key.id != changed.key.id).cloned().collect();
        entries.push(changed);
        self.next(self.version, entries)
    }

    /// The number of the last change that this table contains.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How many keys it holds, revoked ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The keys, in no order, revoked ones included.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.entries.iter().map(Entry::key)
    }

    /// Whether it holds no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Checks what a client presented, and notes the use.
    ///
    /// The comparison takes the same time wherever two digests differ. The search before it branches on the
    /// digest's first bytes, which an attacker can neither choose nor predict without the pepper.
    ///
    /// # Errors
    /// [`KeyError`], never [`KeyError::StoreAway`]: see
    /// [`Ledger::authenticate`](crate::Ledger::authenticate).
    pub fn verify(&self, presented: &str, now_ms: i64) -> Result<Arc<Key>, KeyError> {
        if !token::is_well_formed(presented) {
            return Err(KeyError::Malformed);
        }
        let entry = self.find(&self.hasher.digest(presented)).ok_or(KeyError::Unknown)?;
        let key = &entry.key;
        if key.revoked_ms.is_some() {
            return Err(KeyError::Revoked);
        }
        if key.expires_ms.is_some_and(|expires| expires <= now_ms) {
            return Err(KeyError::Expired);
        }
        if entry.uses.seen_ms.load(Ordering::Relaxed).saturating_add(NOTE_EVERY_MS) <= now_ms {
            entry.uses.seen_ms.store(now_ms, Ordering::Relaxed);
        }
        Ok(Arc::clone(key))
    }

    /// The uses that the store does not know yet, ordered by id so that two instances which save at once
    /// never wait for each other in a circle.
    pub(crate) fn unsaved_uses(&self) -> Vec<(KeyId, i64)> {
        let mut uses: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry, entry.uses.seen_ms.load(Ordering::Relaxed)))
            .filter(|(entry, seen)| *seen > entry.uses.saved_ms.load(Ordering::Relaxed))
            .map(|(entry, seen)| (entry.key.id, seen))
            .collect();
        uses.sort_unstable();
        uses
    }

    /// Remembers that these uses are in the store. `saved` is what [`Self::unsaved_uses`] gave.
    pub(crate) fn mark_saved(&self, saved: &[(KeyId, i64)]) {
        for entry in &self.entries {
            if let Ok(index) = saved.binary_search_by_key(&entry.key.id, |(id, _)| *id) {
                entry.uses.saved_ms.fetch_max(saved[index].1, Ordering::Relaxed);
            }
        }
    }

    fn find(&self, digest: &Digest) -> Option<&Entry> {
        let head = head(digest);
        let start = self.entries.partition_point(|entry| entry.head < head);
        self.entries[start..]
            .iter()
            .take_while(|entry| entry.head == head)
            .find(|entry| bool::from(entry.digest.ct_eq(digest)))
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable").field("version", &self.version).field("keys", &self.entries.len()).finish()
    }
}

fn head(digest: &Digest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyLimits, KeyRouting, Scope};
    use crate::secret::Secret;

    fn hasher() -> Arc<Hasher> {
        Arc::new(Hasher::new(&Secret::new("p".repeat(32))).unwrap())
    }

    fn key(name: &str) -> Key {
        Key {
            id: KeyId::fresh(),
            name: name.to_owned(),
            owner: None,
            prefix: "nsk_0000".to_owned(),
            scope: Scope::User,
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            last_used_ms: None,
            limits: KeyLimits::default(),
            models: None,
            routing: KeyRouting::default(),
        }
    }

    #[test]
    fn every_key_of_many_is_found_and_no_other() {
        let hasher = hasher();
        let texts: Vec<_> = (0..500).map(|_| token::generate(Scope::User).unwrap()).collect();
        let entries = texts
            .iter()
            .enumerate()
            .map(|(index, text)| Entry::new(hasher.digest(text.expose()), key(&format!("k{index}"))))
            .collect();
        let table = KeyTable::empty(Arc::clone(&hasher)).next(7, entries);
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(table.verify(text.expose(), 0).unwrap().name, format!("k{index}"));
        }
        let stranger = token::generate(Scope::User).unwrap();
        assert_eq!(table.verify(stranger.expose(), 0), Err(KeyError::Unknown));
        assert_eq!(table.verify("nsk_", 0), Err(KeyError::Malformed));
        assert_eq!((table.version(), table.len()), (7, 500));
    }

    #[test]
    fn digests_that_begin_alike_are_told_apart() {
        let mut digests = [[7_u8; 32]; 3];
        for (index, digest) in digests.iter_mut().enumerate() {
            digest[31] = u8::try_from(index).unwrap();
        }
        let entries =
            digests.iter().map(|digest| Entry::new(*digest, key(&digest[31].to_string()))).collect();
        let table = KeyTable::empty(hasher()).next(1, entries);
        for digest in &digests {
            assert_eq!(table.find(digest).unwrap().key.name, digest[31].to_string());
        }
        assert!(table.find(&[7; 32]).is_none());
    }

    #[test]
    fn a_use_is_noted_once_a_second_and_survives_a_reload() {
        let hasher = hasher();
        let text = token::generate(Scope::User).unwrap();
        let entry = Entry::new(hasher.digest(text.expose()), key("k"));
        let id = entry.key.id;
        let first = KeyTable::empty(hasher).next(1, vec![entry.clone()]);
        let second = first.with(Entry::new(entry.digest, Key::clone(&entry.key)));
        for now in [10_000, 10_001, 10_999] {
            first.verify(text.expose(), now).unwrap();
        }
        assert_eq!(second.unsaved_uses(), [(id, 10_000)]);
        first.verify(text.expose(), 11_000).unwrap();
        second.mark_saved(&[(id, 10_000)]);
        assert_eq!(second.unsaved_uses(), [(id, 11_000)], "a use after the save is still to be saved");
        second.mark_saved(&[(id, 11_000)]);
        assert!(first.unsaved_uses().is_empty());
    }
}
