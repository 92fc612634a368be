//! Another model says whether a client's answer or the shadow's was the better one, and the router learns it.
//!
//! The judge sees the two without their models' names, in an order that is drawn from the request's id, as in a
//! comparison. What it costs is held and charged as what the shadow itself costs.

use std::sync::Arc;

use bytes::Bytes;
use nova_wire::{Dialect, Peek};

use super::{Mirror, Shadow, place};
use crate::compare;
use crate::learnt;
use crate::lessons::Judgement;
use crate::pipeline::facts::{self, Asking};
use crate::pipeline::outline::Outline;
use crate::pipeline::said;

/// Scores go up to this.
const BEST: f64 = 10.0;

/// What a shadow answered.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) model: Arc<str>,
    pub(super) text: String,
}

impl Shadow {
    /// Whether the answers to a request are judged.
    pub(super) fn judges(&self, of: &str) -> bool {
        let judge = self.configured.judge.as_ref();
        judge.is_some_and(|judge| place(&format!("{}/judge", self.name()), of) < u64::from(judge.per_million))
    }
}

impl Mirror {
    /// Has the client's answer and a shadow's judged, where the configuration wants that and both said something.
    pub(super) async fn judge(&self, shadow: &Shadow, shown: &Shown) {
        if !shadow.judges(self.of.as_str()) || shown.text.trim().is_empty() {
            return;
        }
        let heard = self.overheard.as_ref().and_then(|overheard| overheard.text());
        let (Some(text), Some(model)) = (heard, &self.answered) else { return };
        let answers = [(model, text), (&shown.model, shown.text.as_str())];
        let mut order = vec![0, 1];
        compare::shuffle(&mut order, compare::seed(&self.of));
        let scores = self.scores(shadow, &[answers[order[0]].1, answers[order[1]].1]).await;
        let metrics = &self.worker.shared.metrics;
        let Some(scores) = scores.filter(|scores| scores.len() == order.len()) else {
            return metrics.shadow_judged(shadow.name(), "none");
        };
        let task = self.task();
        let mut of = [0; 2];
        for (answer, score) in order.into_iter().zip(scores) {
            of[answer] = score;
            let (model, value) = (Arc::clone(answers[answer].0), f64::from(score) / BEST);
            self.worker.shared.lessons.judged(Judgement { model, task: task.clone(), value, before: None });
        }
        learnt::take_lessons(&self.worker.shared);
        let better = match of[0].cmp(&of[1]) {
            std::cmp::Ordering::Greater => "client",
            std::cmp::Ordering::Less => "shadow",
            std::cmp::Ordering::Equal => "equal",
        };
        metrics.shadow_judged(shadow.name(), better);
        tracing::debug!(of = self.of.as_str(), shadow = %shadow.name(), client = of[0], other = of[1], "a shadow was judged");
    }

    /// The scores of two answers in this order; `None` where there is no verdict that can be used.
    async fn scores(&self, shadow: &Shadow, answers: &[&str]) -> Option<Vec<u8>> {
        let judge = shadow.configured.judge.as_ref()?;
        let said = said::last(self.dialect, &Outline::of(&self.drawn.body))?;
        let body = compare::question(&judge.model, judge.criteria.as_deref(), &said.text, answers);
        let body = Bytes::from(body);
        let peek = Peek::read(Dialect::Chat, &body).ok()?;
        let experiment = format!("shadow:{}/judge", shadow.name());
        let (call, hold) = self.call(shadow, (Dialect::Chat, body, peek), (&experiment, None)).ok()?;
        let (_, body) = self.ask(shadow, call, hold).await?;
        compare::scores(&body, answers.len()).ok()
    }

    /// What the request is about.
    fn task(&self) -> Option<Arc<str>> {
        let drawn = &self.drawn;
        let asking = Asking {
            dialect: self.dialect,
            headers: &drawn.headers,
            body: &drawn.body,
            peek: &drawn.peek,
            key: Some(&self.key),
            controls: None,
        };
        facts::task(&self.snapshot, &asking).map(Arc::from)
    }
}
