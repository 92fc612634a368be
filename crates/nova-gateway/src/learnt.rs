//! What the gateway knows beyond a request, from its own traffic: the live [`World`] that plans are made in, and
//! where answers are noted.
//!
//! Invariant: reading and noting take no lock but that of one shard of conversations and, where the mode `budget`
//! chooses, that of the pacers; either is held for a look-up.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nova_catalog::{Model, NanoUsd, Price, Thinking};
use nova_route::learn::{KINDS, Kind, ModelCells, Sessions, Turn, assumed};
use nova_route::quality::{Belief, Expected};
use nova_route::{DeploymentId, Estimate, Pacer, Signals, World};
use nova_wire::Usage;
use serde_json::{Map, Value, json};

use crate::graded::Grading;
use crate::lessons::{Judgement, Lesson};
use crate::pipeline::demands::Demands;
use crate::snapshot::{Deployment, Snapshot};
use crate::state::Shared;

/// Answers of so long ago still say how long answers are.
const RECALLED_MS: i64 = 7 * 24 * 60 * 60_000;

/// What is known of a model.
#[derive(Debug)]
pub struct Known {
    /// What was learnt; kept over reloads.
    pub cells: Arc<ModelCells>,
    /// What was declared or is assumed of its quality by kind of task, and whether it was declared.
    priors: [(Belief, bool); KINDS],
    thinking: Thinking,
}

impl Known {
    /// What is known of a model that charges a price, with what was learnt before.
    pub fn new(model: &Model, price: Option<&Price>, before: Option<&Self>) -> Self {
        let declared = |kind: Kind| {
            let scores = &model.quality.as_ref()?.scores;
            let score = scores.iter().find(|(task, _)| Kind::of(Some(task)) == kind && kind != Kind::Other);
            let score = score.or_else(|| scores.iter().find(|(task, _)| *task == "all" || *task == "other"));
            score.map(|(_, points)| f64::from(*points) / 100.0)
        };
        let prior = |kind: Kind| match declared(kind) {
            Some(share) => (assumed::declared(share), true),
            None => (assumed::from_price(price, kind), false),
        };
        Self {
            cells: before.map_or_else(Arc::default, |before| Arc::clone(&before.cells)),
            priors: Kind::ALL.map(|(kind, _)| prior(kind)),
            thinking: model.capabilities.thinking,
        }
    }

    /// What to expect of it, where `everyone` is what was learnt of all models together: how long answers are
    /// depends on what is asked more than on who answers. What graded answers taught of it for this request comes
    /// before what was declared.
    fn estimate(
        &self,
        kind: Kind,
        (everyone, graded): (&ModelCells, Option<&Expected>),
        asks_to_think: bool,
    ) -> Estimate {
        let thinks = match self.thinking {
            Thinking::None => false,
            Thinking::Optional => asks_to_think,
            Thinking::Always => true,
        };
        let assumed = everyone.output_tokens(kind, assumed::output_tokens(kind, thinks));
        let Some(graded) = graded else {
            return self.cells.estimate(kind, self.priors[kind as usize], assumed);
        };
        let tokens = graded.output_tokens.unwrap_or(assumed);
        self.cells.estimate(kind, (assumed::measured(graded), true), tokens)
    }
}

/// This moment, for one request.
#[derive(Debug)]
pub struct Now<'a> {
    /// The configuration.
    pub snapshot: &'a Snapshot,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Whether it asks the model to think.
    pub asks_to_think: bool,
    /// Who answered its conversation last.
    pub last: Option<Turn>,
    /// The monotonic clock, in nanoseconds.
    pub now_ns: u64,
    /// Unix time, in milliseconds.
    pub now_ms: i64,
    /// What graded answers taught of models, about this request.
    pub graded: Option<Grading<'a>>,
    /// What it demands, where nothing of it may be lost.
    pub demands: Option<Demands<'a>>,
}

impl World for Now<'_> {
    fn signals(&self, id: DeploymentId) -> Signals {
        let Some(deployment) = self.snapshot.deployment(id) else { return Signals::default() };
        let open = deployment.breaker.is_open(self.now_ns);
        let mut signals = deployment.speed.signals(self.prompt_tokens, self.now_ns, open);
        if let Some(turn) = self.last.filter(|turn| turn.deployment == deployment.token) {
            signals.cached_tokens =
                turn.cached_tokens(self.prompt_tokens, self.now_ms, deployment.speed.hit_share());
        }
        signals.loses = self.demands.is_some_and(|demands| !demands.lost(deployment).is_empty());
        signals
    }

    fn estimate(&self, model: usize, task: Option<&str>) -> Estimate {
        let known = self.snapshot.known.get(model);
        known.map_or_else(Estimate::default, |known| {
            let graded = self.graded.as_ref().and_then(|grading| grading.expect(model));
            known.estimate(Kind::of(task), (&self.snapshot.everyone, graded), self.asks_to_think)
        })
    }
}

/// What is needed to learn from an answer once it is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learning {
    /// The conversation.
    pub session: Option<u64>,
    /// Who answered it last, and what its cache should have held.
    pub expected: Option<(u64, u64)>,
    /// What the request is about.
    pub kind: Option<Kind>,
    /// When the try began that answered.
    pub tried: Option<Instant>,
    /// How long its first token took.
    pub first_token_ms: Option<f32>,
    /// What its key may spend on average, and what the dearest model would have cost, where a pacer chose.
    pub paced: Option<(NanoUsd, NanoUsd)>,
}

impl Learning {
    /// Learns from a whole answer of a deployment, of which the provider counted the tokens.
    pub fn learn(&self, snapshot: &Snapshot, deployment: &Deployment, usage: &Usage) {
        let speed = &deployment.speed;
        if let Some(tried) = self.tried {
            let total_ms = tried.elapsed().as_secs_f32() * 1e3;
            if let Some(first_ms) = self.first_token_ms {
                speed.began(usage.prompt(), first_ms);
            }
            // Short answers say more about the way to the provider than about how fast it writes.
            let writing_ms = total_ms - self.first_token_ms.unwrap_or(0.0);
            if usage.output >= 16 && writing_ms >= 1.0 {
                speed.wrote(usage.output as f32 * 1e3 / writing_ms);
            }
        }
        // Who sells no cached tokens may not report them either.
        let reports = deployment.price.as_ref().is_some_and(|price| price.rates.cache_read.is_some());
        if let (true, Some((_, cached))) =
            (reports, self.expected.filter(|(token, _)| *token == deployment.token))
        {
            speed.cached(cached, usage.cache_read);
        }
        for cells in std::iter::once(&snapshot.everyone).chain(&deployment.cells) {
            cells.answered(Kind::Other, usage.output);
            if let Some(kind) = self.kind.filter(|kind| *kind != Kind::Other) {
                cells.answered(kind, usage.output);
            }
        }
    }

    /// Takes in whether an answer was good, where that could be checked: 1 good, 0 not.
    pub fn judge(&self, deployment: &Deployment, grade: f32) {
        if let Some(cells) = &deployment.cells {
            cells.judged(self.kind.unwrap_or(Kind::Other), grade);
        }
    }

    /// Remembers who answered the conversation.
    pub fn remember(&self, sessions: &Sessions, deployment: &Deployment, prompt_tokens: u64, now_ms: i64) {
        if let Some(session) = self.session {
            sessions.remember(session, Turn { deployment: deployment.token, prompt_tokens, at_ms: now_ms });
        }
    }
}

/// Takes what clients and operators said of answers into what is known of models.
pub fn take_lessons(shared: &Shared) {
    let snapshot = shared.snapshot.load();
    for lesson in shared.lessons.take() {
        match lesson {
            Lesson::Judged(Judgement { model, task, value, before }) => {
                let Some(known) = snapshot.known_of(&model) else { continue };
                let kind = Kind::of(task.as_deref());
                match before {
                    None => known.cells.judged(kind, value as f32),
                    Some(before) => known.cells.evidence(kind).correct(before as f32, value as f32),
                }
                shared.learnt_anew.store(true, Ordering::Relaxed);
            }
            Lesson::Restored { version, data } => {
                let data = data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or(Value::Null);
                snapshot.restore_quality(&data);
                shared.learnt_anew.store(false, Ordering::Relaxed);
                tracing::info!(version, "learnt quality was taken over");
            }
        }
    }
}

/// Keeps what was learnt of quality as a new version, where something was.
pub(crate) async fn keep_lessons(shared: &Shared, reason: &str) {
    if !shared.learnt_anew.swap(false, Ordering::Relaxed) {
        return;
    }
    let data = shared.snapshot.load().quality().to_string();
    if let Err(error) = shared.ledger.save_quality(&data, reason, shared.now_ms()).await {
        shared.learnt_anew.store(true, Ordering::Relaxed);
        tracing::warn!(%error, "learnt quality could not be kept");
    }
}

/// Learns from the store how long answers were.
pub(crate) async fn recall_answers(shared: &Shared) {
    let since = shared.now_ms() - RECALLED_MS;
    let stats = match shared.ledger.output_stats(since).await {
        Ok(stats) => stats,
        Err(error) => return tracing::warn!(%error, "the lengths of past answers could not be read"),
    };
    let snapshot = shared.snapshot.load();
    let mut all = [(0, 0.0); KINDS];
    for stat in stats {
        let kind = Kind::of(stat.task.as_deref());
        // What is not told apart by task is every answer.
        let places = [kind as usize, Kind::Other as usize];
        for &place in &places[..1 + usize::from(kind != Kind::Other)] {
            let (count, tokens) = &mut all[place];
            *count += stat.count;
            *tokens += stat.mean * stat.count as f64;
        }
        if let Some(known) = snapshot.known_of(&stat.model) {
            known.cells.recall_answers(kind, stat.count, stat.mean as f32);
        }
    }
    for ((kind, _), (count, tokens)) in Kind::ALL.into_iter().zip(all) {
        if count > 0 {
            snapshot.everyone.recall_answers(kind, count, (tokens / count as f64) as f32);
        }
    }
}

impl Snapshot {
    /// The evidence of quality of every model: what worked and what did not, by kind of task.
    pub fn quality(&self) -> Value {
        let mut models = Map::new();
        for (model, known) in self.known.iter().enumerate() {
            let mut kinds = Map::new();
            for (kind, word) in Kind::ALL {
                let (worked, failed) = known.cells.evidence(kind).get();
                if worked + failed > 0.0 {
                    kinds.insert(word.to_owned(), json!([worked, failed]));
                }
            }
            if let (false, Some(name)) = (kinds.is_empty(), self.table.name(model)) {
                models.insert(name.to_owned(), kinds.into());
            }
        }
        models.into()
    }

    /// Puts evidence of quality back as [`Self::quality`] gave it; models that it does not name have none.
    pub fn restore_quality(&self, quality: &Value) {
        for (model, known) in self.known.iter().enumerate() {
            let kinds = self.table.name(model).and_then(|name| quality.get(name));
            for (kind, word) in Kind::ALL {
                let pair = kinds.and_then(|kinds| kinds.get(word));
                let weight = |at: usize| pair.and_then(|pair| pair.get(at)?.as_f64()).unwrap_or(0.0) as f32;
                known.cells.evidence(kind).set(weight(0), weight(1));
            }
        }
    }
}

/// What keys may spend on average in the mode `budget`, and what a dollar must buy for that.
#[derive(Debug, Default)]
pub struct Pacers {
    by_key: Mutex<HashMap<u64, (NanoUsd, Pacer)>>,
}

/// Keys whose pacers are kept; beyond it all begin anew, which a pacer recovers from within some requests.
const MOST_PACERS: usize = 10_000;

impl Pacers {
    /// How much quality (0 to 1) one US dollar must buy for a key, whose requests may cost `ceiling` on average.
    pub fn quality_per_usd(&self, key: u64, ceiling: NanoUsd) -> f64 {
        const DOLLAR: NanoUsd = NanoUsd::from_nanos(1_000_000_000);
        self.with(key, ceiling, |pacer| pacer.price(DOLLAR))
    }

    /// A request of a key cost so much, and would have cost `dearest` at most.
    pub fn charge(&self, key: u64, ceiling: NanoUsd, (cost, dearest): (NanoUsd, NanoUsd), now_ms: i64) {
        self.with(key, ceiling, |pacer| pacer.charge(cost, dearest, now_ms));
    }

    fn with<T>(&self, key: u64, ceiling: NanoUsd, then: impl FnOnce(&mut Pacer) -> T) -> T {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= MOST_PACERS && !by_key.contains_key(&key) {
            by_key.clear();
        }
        let entry = by_key.entry(key).or_insert_with(|| (ceiling, Pacer::per_request(ceiling)));
        if entry.0 != ceiling {
            *entry = (ceiling, Pacer::per_request(ceiling));
        }
        then(&mut entry.1)
    }
}
