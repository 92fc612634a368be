//! Thinking that clients drop, kept for the next turn.
//!
//! DeepSeek, Kimi and Qwen want the thinking that led to a call of a tool back with the call's result, and
//! many clients forget it. So the thought of every answer that calls tools is kept by the ids of its calls
//! for a while, and put back where a request lacks it ([`nova_wire::hub::past`]).
//!
//! It lives in this process's memory only: it is never written, and another instance does not have it (a
//! client that loses its thinking is then where it would be without a gateway). Each key finds only what
//! was answered to itself. Both bounds hold together: the oldest thoughts leave first.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use nova_wire::hub::past::Thought;

/// Parts that are locked apart from each other.
const SHARDS: usize = 16;
/// The most memory of one shard, in bytes: 16 MiB in all.
const SHARD_BYTES: usize = 1 << 20;
/// The most calls of one shard.
const SHARD_CALLS: usize = 4096;

/// The thoughts of the last answers that called tools.
#[derive(Debug)]
pub struct Recall {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    thoughts: HashMap<u64, Arc<Thought>>,
    /// The calls in the order in which they came.
    order: VecDeque<u64>,
    bytes: usize,
}

impl Default for Recall {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Recall {
    /// Keeps a thought for the key that it was answered to.
    pub fn keep(&self, key: impl Hash + Copy, thought: Thought) {
        let thought = Arc::new(thought);
        for (id, _) in &thought.calls {
            if !id.is_empty() {
                let place = self.place(key, id);
                self.shard(place).keep(place, Arc::clone(&thought));
            }
        }
    }

    /// The thought that preceded the call with this id, if this key was answered one.
    pub fn find(&self, key: impl Hash + Copy, id: &str) -> Option<Arc<Thought>> {
        let place = self.place(key, id);
        let found = self.shard(place).thoughts.get(&place).cloned()?;
        // Two ids may share a place; only the right one's thought names it.
        found.calls.iter().any(|(known, _)| known == id).then_some(found)
    }

    /// How many calls and bytes are kept, for the metrics.
    pub fn size(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(calls, bytes), shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (calls + shard.thoughts.len(), bytes + shard.bytes)
        })
    }

    fn place(&self, key: impl Hash, id: &str) -> u64 {
        self.hasher.hash_one((key, id))
    }

    #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
    fn shard(&self, place: u64) -> std::sync::MutexGuard<'_, Shard> {
        self.shards[place as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn keep(&mut self, place: u64, thought: Arc<Thought>) {
        self.bytes += thought.size();
        match self.thoughts.insert(place, thought) {
            Some(before) => self.bytes -= before.size(),
            None => self.order.push_back(place),
        }
        while self.bytes > SHARD_BYTES || self.order.len() > SHARD_CALLS {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.thoughts.remove(&oldest) {
                self.bytes -= gone.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nova_wire::hub::request::Part;

    use super::*;

    fn thought(id: &str, text: &str) -> Thought {
        Thought {
            provider: "p".into(),
            parts: vec![Part::Thinking { text: text.into(), signature: None }],
            calls: vec![(id.into(), None), (format!("{id}-2"), None)],
        }
    }

    #[test]
    fn a_thought_is_found_by_each_of_its_calls_and_by_its_own_key_only() {
        let recall = Recall::default();
        recall.keep("alice", thought("a", "why"));
        assert_eq!(recall.find("alice", "a").as_deref(), Some(&thought("a", "why")));
        assert!(recall.find("alice", "a-2").is_some());
        assert!(recall.find("bob", "a").is_none());
        assert!(recall.find("alice", "b").is_none());
        recall.keep("alice", thought("a", "again"));
        assert_eq!(recall.find("alice", "a").as_deref(), Some(&thought("a", "again")));
        assert_eq!(recall.size(), (2, 2 * thought("a", "again").size()));
    }

    #[test]
    fn the_oldest_leave_when_the_room_is_full() {
        let recall = Recall::default();
        for at in 0..SHARDS * SHARD_BYTES / (64 << 10) {
            recall.keep("k", thought(&format!("{at}"), &"x".repeat(64 << 10)));
        }
        assert!(recall.size().1 <= SHARDS * SHARD_BYTES);
        assert!(recall.find("k", "0").is_none());
        let small = Recall::default();
        for at in 0..2 * SHARDS * SHARD_CALLS {
            small.keep("k", thought(&format!("{at}"), ""));
        }
        assert!(small.size().0 <= SHARDS * SHARD_CALLS);
        let last = 2 * SHARDS * SHARD_CALLS - 1;
        assert!(small.find("k", &format!("{last}")).is_some());
    }
}
