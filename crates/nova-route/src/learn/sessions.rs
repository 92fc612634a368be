//! Who answered a conversation last, so that its next turn can find the provider's cache.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A provider's cache surely lasts so long after its last use (the shortest that providers document).
const SURE_MS: i64 = 5 * 60_000;
/// After this it is surely gone.
const GONE_MS: i64 = 60 * 60_000;
/// Conversations are spread over so many locks.
const SHARDS: usize = 16;
/// Conversations in one shard; beyond it the older half of its generation is forgotten.
const PER_SHARD: usize = 4_096;

/// The last turn of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// A number that stands for the deployment that answered it, the same after a reload.
    pub deployment: u64,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

/// The last turns of conversations, as many as fit: two generations of bounded maps, of which the older one is
/// dropped whole when the younger one is full, so that forgetting costs nothing per entry.
#[derive(Debug, Default)]
pub struct Sessions {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    young: HashMap<u64, Turn>,
    old: HashMap<u64, Turn>,
}

impl Sessions {
    /// Remembers who answered.
    pub fn remember(&self, session: u64, turn: Turn) {
        let mut shard = self.shard(session);
        if shard.young.len() >= PER_SHARD / 2 && !shard.young.contains_key(&session) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(session, turn);
    }

    /// The last turn of a conversation.
    pub fn last(&self, session: u64) -> Option<Turn> {
        let shard = self.shard(session);
        shard.young.get(&session).or_else(|| shard.old.get(&session)).copied()
    }

    /// Conversations that are remembered.
    pub fn len(&self) -> usize {
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(held).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, session: u64) -> std::sync::MutexGuard<'_, Shard> {
        let at = (session >> 32) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// How many tokens of a prompt the deployment's cache should hold, of which it usually holds a share.
    pub fn cached_tokens(&self, prompt_tokens: u64, now_ms: i64, hit_share: f32) -> u64 {
        let lasting = match now_ms.saturating_sub(self.at_ms) {
            age if age <= SURE_MS => 1.0,
            age if age >= GONE_MS => 0.0,
            age => 1.0 - (age - SURE_MS) as f32 / (GONE_MS - SURE_MS) as f32,
        };
        let shared = self.prompt_tokens.min(prompt_tokens);
        (shared as f32 * hit_share.clamp(0.0, 1.0) * lasting) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Turn = Turn { deployment: 7, prompt_tokens: 1_000, at_ms: 0 };

    #[test]
    fn a_cache_is_trusted_less_and_less() {
        let minutes = |minutes: i64| TURN.cached_tokens(5_000, minutes * 60_000, 0.8);
        assert_eq!([minutes(0), minutes(5), minutes(60), minutes(600)], [800, 800, 0, 0]);
        assert!((300..500).contains(&minutes(30)));
        assert_eq!(TURN.cached_tokens(10, 0, 1.0), 10, "no more than the prompt has");
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_go_first() {
        let sessions = Sessions::default();
        let session = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for number in 0..200_000 {
            sessions.remember(session(number), Turn { prompt_tokens: number, ..TURN });
        }
        assert!(sessions.len() <= SHARDS * PER_SHARD, "{}", sessions.len());
        assert_eq!(sessions.last(session(199_999)).map(|turn| turn.prompt_tokens), Some(199_999));
        assert_eq!(sessions.last(session(0)), None);
    }
}
