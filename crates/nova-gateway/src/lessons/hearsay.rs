//! What clients told other instances on the same store.
//!
//! Feedback is in the store before anybody learns from it. Every instance reads what came since it looked last, and
//! learns what it does not know yet: neither what was said here nor what it read before. Clocks of instances differ
//! and writes take their time, so the last minute is read again each time.
//!
//! Invariants: nothing is learnt twice while it is remembered, and what is remembered is bounded.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nova_ledger::{Feedback, KeyId, LedgerError};

use super::Judgement;
use crate::state::Shared;

/// How far back it is read again.
const OVERLAP_MS: i64 = 60_000;
/// How long it is remembered what was said: who says something else about the same answer later than that counts
/// twice.
const REMEMBERED_MS: i64 = 60 * 60_000;
/// The words that are remembered; beyond it those of the last minute alone are.
const MOST: usize = 50_000;
/// Rows of one page, and pages of one look; what is left is read at the next one.
const PAGE: u32 = 1_000;
const PAGES: usize = 10;

/// What was said, here and elsewhere, as far as it is remembered.
#[derive(Debug, Default)]
pub struct Hearsay {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Up to when the store was read; `None` before the first look.
    until_ms: Option<i64>,
    said: HashMap<Words, (i64, Option<f64>)>,
}

/// One metric of one answer, and who speaks of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Words {
    request_id: String,
    metric: String,
    key: KeyId,
}

impl Hearsay {
    /// Notes what a client says here; before it is stored, so that no look at the store takes it for news.
    pub(crate) fn said(&self, feedback: &Feedback) {
        self.known().said.insert(Words::of(feedback), (feedback.at_ms, feedback.value));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Words {
    fn of(feedback: &Feedback) -> Self {
        Self {
            request_id: feedback.request_id.clone(),
            metric: feedback.metric.clone(),
            key: feedback.key_id,
        }
    }
}

impl Known {
    /// What is to be learnt from a row of the store, if it is new.
    fn hear(&mut self, row: Feedback) -> Option<Judgement> {
        let words = Words::of(&row);
        let before = match self.said.get(&words) {
            Some((at_ms, _)) if row.at_ms <= *at_ms => return None,
            known => known.and_then(|(_, value)| *value),
        };
        self.said.insert(words, (row.at_ms, row.value));
        let (model, value) = (row.model?, row.value?);
        (before != Some(value)).then_some(Judgement { model, task: row.task, value, before })
    }

    fn forget(&mut self, now_ms: i64) {
        let oldest = if self.said.len() > MOST { OVERLAP_MS } else { REMEMBERED_MS };
        self.said.retain(|_, (at_ms, _)| now_ms - *at_ms <= oldest);
    }
}

/// Learns what clients told other instances since the last look; at the first one, since what was learnt was kept.
///
/// # Errors
/// Where the store cannot be read. The next look reads the same again.
pub async fn follow(shared: &Shared) -> Result<(), LedgerError> {
    let (ledger, hearsay) = (&shared.ledger, &shared.hearsay);
    let until_ms = hearsay.known().until_ms;
    let mut until_ms = match until_ms {
        Some(until_ms) => until_ms,
        None => ledger.quality(None).await?.map_or(0, |(kept, _)| kept.at_ms + OVERLAP_MS),
    };
    let since_ms = until_ms - OVERLAP_MS;
    let mut last: Option<Feedback> = None;
    for page in 1..=PAGES {
        let rows = ledger.feedback_since(since_ms, last.as_ref(), PAGE).await?;
        let is_last = rows.len() < PAGE as usize;
        last = rows.last().cloned().or(last);
        let newest_ms = last.as_ref().map_or(until_ms, |last| last.at_ms);
        // Where there is more, the next look begins where this one ended.
        until_ms = until_ms.max(if page == PAGES && !is_last { newest_ms + OVERLAP_MS } else { newest_ms });
        let mut known = hearsay.known();
        let news: Vec<Judgement> = rows.into_iter().filter_map(|row| known.hear(row)).collect();
        drop(known);
        news.into_iter().for_each(|judgement| shared.lessons.judged(judgement));
        if is_last {
            break;
        }
    }
    let mut known = hearsay.known();
    known.until_ms = Some(until_ms);
    known.forget(shared.now_ms());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn row(request: &str, at_ms: i64, value: Option<f64>) -> Feedback {
        Feedback {
            request_id: request.to_owned(),
            metric: "score".to_owned(),
            key_id: "00000001-0000-7000-8000-000000000000".parse().unwrap(),
            at_ms,
            value,
            comment: None,
            model: Some(Arc::from("m")),
            task: None,
        }
    }

    #[test]
    fn each_word_is_learnt_once_and_a_later_one_takes_its_place() {
        let hearsay = Hearsay::default();
        hearsay.said(&row("mine", 5, Some(1.0)));
        let hear = |row| hearsay.known().hear(row).map(|news| (news.value, news.before));
        assert_eq!(hear(row("mine", 5, Some(1.0))), None, "it was said here");
        assert_eq!(hear(row("theirs", 6, Some(0.5))), Some((0.5, None)));
        assert_eq!(hear(row("theirs", 6, Some(0.5))), None);
        assert_eq!(hear(row("theirs", 9, Some(0.0))), Some((0.0, Some(0.5))));
        assert_eq!(hear(row("mine", 7, Some(0.25))), Some((0.25, Some(1.0))), "it was taken back elsewhere");
        assert_eq!(hear(row("mine", 8, Some(0.25))), None, "the same once more");
        assert_eq!(hear(row("words", 9, None)), None, "a comment is no judgement");
        hearsay.known().forget(REMEMBERED_MS + 8);
        assert_eq!(hearsay.known().said.len(), 3, "what is older than an hour is forgotten");
    }
}
