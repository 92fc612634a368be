//! What the router is told from outside: clients' judgements of answers, and which version of what it has
//! learnt an operator wants in force.
//!
//! What was said to other instances is heard from the store ([`hearsay`]).
//!
//! A lesson is in the store before it is here, and waits here until the router takes it; nothing waits for the
//! router. Invariants: the queue is bounded; a version that is to be restored is never dropped, and takes the
//! place of all that was said before it.

pub mod hearsay;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nova_ledger::{Ledger, LedgerError};

/// Judgements that wait; more than the router takes are left to the store.
const MOST: usize = 4096;

/// One thing to learn.
#[derive(Clone, Debug, PartialEq)]
pub enum Lesson {
    /// Somebody judged an answer.
    Judged(Judgement),
    /// This version is to be taken over in place of what was learnt; `None` where nothing is.
    Restored {
        /// Its number, 0 for none.
        version: i64,
        /// Its data, as it was saved.
        data: Option<String>,
    },
}

/// How good an answer was.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The model that answered.
    pub model: Arc<str>,
    /// What the request was about, where that is known.
    pub task: Option<Arc<str>>,
    /// From 0 (bad) to 1 (good).
    pub value: f64,
    /// What the same client said of the same answer before, which this replaces.
    pub before: Option<f64>,
}

/// The lessons that wait.
#[derive(Debug, Default)]
pub struct Lessons {
    waiting: Mutex<VecDeque<Lesson>>,
    /// The turn of [`Ledger::quality_turns`] that was followed last. Held while one is followed, so that they are
    /// in order.
    turn: tokio::sync::Mutex<Option<i64>>,
}

impl Lessons {
    /// All that waits, the oldest first, and leaves nothing.
    pub fn take(&self) -> VecDeque<Lesson> {
        std::mem::take(&mut self.waiting())
    }

    /// Notes a judgement.
    pub(crate) fn judged(&self, judgement: Judgement) {
        let mut waiting = self.waiting();
        if waiting.len() < MOST {
            waiting.push_back(Lesson::Judged(judgement));
        }
    }

    /// Takes over the version in force where somebody put another one there, here or elsewhere; at the first
    /// call in any case.
    ///
    /// # Errors
    /// Where the store cannot be read. The next call tries again.
    pub async fn follow(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let mut followed = self.turn.lock().await;
        let turn = ledger.quality_turns().await?;
        if *followed == Some(turn) {
            return Ok(());
        }
        let found = ledger.quality(None).await?;
        let first = followed.replace(turn).is_none();
        // A first start without anything learnt has nothing to take over.
        if found.is_some() || !first {
            let version = found.as_ref().map_or(0, |(version, _)| version.version);
            let data = found.map(|(_, data)| data);
            let mut waiting = self.waiting();
            waiting.clear();
            waiting.push_back(Lesson::Restored { version, data });
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Lesson>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_wait_in_order_and_within_a_bound() {
        let lessons = Lessons::default();
        let judgement =
            |value| Judgement { model: Arc::from("m"), task: None, value: f64::from(value), before: None };
        (0..5000).for_each(|value| lessons.judged(judgement(value)));
        let taken = lessons.take();
        assert_eq!(taken.len(), MOST);
        assert_eq!(taken[7], Lesson::Judged(judgement(7)));
        assert!(lessons.take().is_empty());
    }
}
