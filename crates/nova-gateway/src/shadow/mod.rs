//! Shadow traffic: what clients ask of one model is shown to another one, too, after they have their answer.
//!
//! Invariants: nobody waits for a shadow, and no client sees anything of one; who is drawn follows from the request's
//! id alone; what shadows spend in a day (UTC) stays within their budget; a shadow counts towards no key's limits and
//! stands in no key's usage, but in records of its own (`experiment` is `shadow:` and its name); a prompt lives in
//! memory until it was shown, and nowhere else.
//!
//! Reading order: `draw` decides while a request is planned, `follow` acts once its client has the answer;
//! `spent` keeps the budget; `overheard` is what the client got, for `verdict`, where a judge compares the two.

mod overheard;
mod spent;
mod verdict;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use nova_catalog::NanoUsd;
use nova_ledger::Key;
use nova_limit::Gate;
use nova_route::{Controls, Plan, Preferences, World as _};
use nova_wire::splice::{self, Edit};
use nova_wire::{Dialect, Peek, Usage};

use self::overheard::{Overheard, text_of};
use self::spent::{Hold, Spent};
use self::verdict::Shown;
use crate::config::{self, Traffic};
use crate::error::GatewayError;
use crate::learnt::{Learning, Now};
use crate::pipeline::attempt::{self, Answer, Answered};
use crate::pipeline::facts::{self, Asking};
use crate::pipeline::settle::Outcome;
use crate::pipeline::{self, Call, Understood, route};
use crate::snapshot::Snapshot;
use crate::state::{RequestId, Worker};

/// A shadow of the configuration, and what it has spent and has under way.
#[derive(Debug)]
pub struct Shadow {
    configured: config::Shadow,
    gate: Arc<Gate>,
    spent: Arc<Spent>,
}

/// A request that shadows are to see.
#[derive(Debug)]
pub(crate) struct Drawn {
    shadows: Vec<Arc<Shadow>>,
    headers: HeaderMap,
    body: Bytes,
    peek: Peek,
    /// Who may see it holds for shadows, too.
    preferences: Preferences,
    /// Whether its answers are to be judged.
    judged: bool,
}

/// The same, once its answer is under way.
#[derive(Debug)]
pub(crate) struct Mirror {
    worker: Arc<Worker>,
    snapshot: Arc<Snapshot>,
    of: RequestId,
    key: Arc<Key>,
    dialect: Dialect,
    drawn: Drawn,
    /// The model that answered the client.
    pub(crate) answered: Option<Arc<str>>,
    /// What the client gets, where that is to be judged.
    overheard: Option<Box<Overheard>>,
}

impl Shadow {
    /// A shadow, with what the one of the same name before it has spent.
    pub fn new(configured: &config::Shadow, before: Option<&Self>) -> Self {
        let gate = before.map(|before| &before.gate).filter(|gate| gate.bound() == configured.max_in_flight);
        Self {
            configured: configured.clone(),
            gate: gate.map_or_else(|| Arc::new(Gate::new(configured.max_in_flight)), Arc::clone),
            spent: before.map_or_else(Arc::default, |before| Arc::clone(&before.spent)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.configured.name
    }

    fn follows(&self, asked: &str, plan: &Plan) -> bool {
        match &self.configured.traffic {
            Traffic::Auto => leaves_choice(asked),
            Traffic::Model(model) => *plan.asked == **model,
        }
    }
}

/// Whether the name leaves the choice of a model to the gateway: `auto`, with or without a mode or a task, or
/// `default`.
fn leaves_choice(name: &str) -> bool {
    let is = |start: &str| start.eq_ignore_ascii_case("auto");
    let start = name.find([':', '/']).map_or(name, |at| &name[..at]);
    is(start) || name.eq_ignore_ascii_case("default")
}

/// The shadows that are to see a request; `None` where there are none.
pub(crate) fn draw(
    snapshot: &Snapshot,
    id: &RequestId,
    asking: &Asking<'_>,
    plan: &Plan,
) -> Option<Box<Drawn>> {
    let sees = |shadow: &&Arc<Shadow>| {
        shadow.follows(&asking.peek.model, plan)
            && place(shadow.name(), id.as_str()) < u64::from(shadow.configured.per_million)
    };
    let shadows: Vec<Arc<Shadow>> = snapshot.shadows.iter().filter(sees).cloned().collect();
    if shadows.is_empty() {
        return None;
    }
    Some(Box::new(Drawn {
        judged: shadows.iter().any(|shadow| shadow.judges(id.as_str())),
        shadows,
        headers: asking.headers.clone(),
        body: asking.body.clone(),
        peek: asking.peek.clone(),
        preferences: asking.controls.map(|controls| controls.provider.clone()).unwrap_or_default(),
    }))
}

/// Where a request stands in a shadow's draw, from 0 to below a million (FNV-1a, then the finaliser of SplitMix64).
fn place(shadow: &str, request: &str) -> u64 {
    let hash =
        shadow.bytes().chain([0]).chain(request.bytes()).fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
    let mut z = hash;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    ((u128::from(z) * 1_000_000) >> 64) as u64
}

/// Shows a request that was answered to its shadows, in a task of its own.
pub(crate) fn follow(mirror: Box<Mirror>) {
    if mirror.worker.shared.is_stopping() {
        return;
    }
    // Requests are answered on a worker's runtime; where there is none, nobody is left to answer.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        for shadow in &mirror.drawn.shadows {
            mirror.show(shadow).await;
        }
    });
}

impl Mirror {
    pub(crate) fn new(
        (worker, snapshot): (Arc<Worker>, Arc<Snapshot>),
        of: &RequestId,
        (key, dialect): (Arc<Key>, Dialect),
        drawn: Drawn,
    ) -> Self {
        let overheard = drawn.judged.then(|| Box::new(Overheard::new(dialect)));
        Self { worker, snapshot, of: of.clone(), key, dialect, drawn, answered: None, overheard }
    }

    /// Hears a piece of the stream that the client gets.
    pub(crate) fn overhear(&mut self, piece: &Bytes) {
        if let Some(overheard) = &mut self.overheard {
            overheard.hear(piece);
        }
    }

    /// Hears the whole answer that the client gets.
    pub(crate) fn overhear_whole(&mut self, body: &[u8]) {
        if let Some(overheard) = &mut self.overheard {
            overheard.hear_whole(self.dialect, body);
        }
    }

    async fn show(&self, shadow: &Shadow) {
        let metrics = &self.worker.shared.metrics;
        if !self.takes_part(shadow) {
            return;
        }
        let Some(_permit) = shadow.gate.enter() else { return metrics.shadowed(shadow.name(), "busy") };
        let asked = match self.question(shadow) {
            Ok((body, peek)) => {
                let experiment = format!("shadow:{}", shadow.name());
                let beta = self.drawn.headers.get("anthropic-beta").cloned();
                self.call(shadow, (self.dialect, body, peek), (&experiment, beta))
            }
            Err(_) => Err("unfit"),
        };
        let (call, hold) = match asked {
            Ok(asked) => asked,
            Err(why) => return metrics.shadowed(shadow.name(), why),
        };
        let answered = self.ask(shadow, call, hold).await;
        metrics.shadowed(shadow.name(), if answered.is_some() { "answered" } else { "failed" });
        if let Some((model, body)) = answered {
            let shown = Shown { model, text: text_of(self.dialect, &body) };
            self.judge(shadow, &shown).await;
        }
    }

    fn takes_part(&self, shadow: &Shadow) -> bool {
        let Some(condition) = &shadow.configured.condition else { return true };
        let Drawn { headers, body, peek, .. } = &self.drawn;
        let asking =
            Asking { dialect: self.dialect, headers, body, peek, key: Some(&self.key), controls: None };
        facts::holds(&self.snapshot, &asking, condition, self.worker.shared.now_ms())
    }

    /// The model that answered and its whole answer; charges what it cost.
    async fn ask(&self, shadow: &Shadow, call: Box<Call>, hold: Hold) -> Option<(Arc<str>, Bytes)> {
        let shared = &self.worker.shared;
        tracing::debug!(request = call.id.as_str(), of = self.of.as_str(), shadow = %shadow.name(), "a shadow");
        let Answered { mut call, answer, .. } = attempt::attempt(&self.worker, call).await.ok()?;
        let body = match answer {
            Answer::Whole { body, meter, .. } => {
                call.receipt.settle(Outcome::Done, &meter);
                Some(Bytes::from(body))
            }
            Answer::Live(_) => None,
        };
        let cost = call.receipt.bill.and_then(|bill| bill.cost).unwrap_or(NanoUsd::ZERO);
        hold.charge(cost, shared.now_ms());
        let deployment = call.receipt.answered_by.and_then(|id| self.snapshot.deployment(id))?;
        Some((Arc::clone(&deployment.model), body?))
    }

    /// A call for a shadow or for its judge and what is held for it, or why there is none.
    fn call(
        &self,
        shadow: &Shadow,
        (dialect, body, peek): (Dialect, Bytes, Peek),
        (experiment, beta): (&str, Option<HeaderValue>),
    ) -> Result<(Box<Call>, Hold), &'static str> {
        let (worker, snapshot) = (&self.worker, &self.snapshot);
        let (id, started) = (worker.next_id(), Instant::now());
        let preferences = Preferences { order: None, sort: None, ..self.drawn.preferences.clone() };
        let controls = Controls { fallbacks: Some(Vec::new()), provider: preferences };
        let asking = Asking {
            dialect,
            // What they say is about the client's own answer.
            headers: &HeaderMap::new(),
            body: &body,
            peek: &peek,
            // Where its prompts may go, and which models it may use, holds for shadows, too.
            key: Some(&self.key),
            controls: Some(&controls),
        };
        let mut route = route::route(worker, snapshot, &asking, started).map_err(|_| "unfit")?;
        // Nothing of it belongs to the client's conversation.
        route.learning = Learning { kind: route.learning.kind, ..Learning::default() };
        route.about.session = None;
        route.about.experiment = Some(experiment.into());
        let (expected, now_ms) = (self.expected(&route.plan, &peek), worker.shared.now_ms());
        let hold =
            shadow.spent.hold(expected, shadow.configured.budget_per_day, now_ms).ok_or("over_budget")?;
        let understood = Understood::plain(Arc::clone(&self.key), (body, peek), route, beta);
        let mut call = pipeline::open(worker, snapshot, (&id, dialect, started), understood);
        call.receipt.shadows = true;
        Ok((call, hold))
    }

    /// The request as the shadow gets it: whole, by its own name, and kept nowhere.
    fn question(&self, shadow: &Shadow) -> Result<(Bytes, Peek), GatewayError> {
        let Drawn { body, peek, .. } = &self.drawn;
        let model = shadow.configured.to.clone();
        if self.dialect == Dialect::Gemini {
            return Ok((body.clone(), Peek { model, stream: false, ..peek.clone() }));
        }
        let mut edits = vec![Edit::Set("stream", b"false".to_vec()), Edit::Remove("stream_options")];
        edits.push(match self.dialect {
            Dialect::Responses => Edit::Set("store", b"false".to_vec()),
            _ => Edit::Remove("store"),
        });
        let body = splice::apply(body, &splice::fields(body)?, &edits);
        let again = Peek::read(self.dialect, &body)?;
        Ok((Bytes::from(body), Peek { model, ..again }.thinking_as(peek.thinking)))
    }

    /// What the first deployment of a plan should charge.
    fn expected(&self, plan: &Plan, peek: &Peek) -> NanoUsd {
        let (snapshot, shared) = (&*self.snapshot, &self.worker.shared);
        let first = plan.attempts.first().and_then(|attempt| snapshot.deployment(attempt.deployment));
        let priced =
            first.and_then(|first| Some((first.price.as_ref()?, snapshot.table.find(&first.model)?)));
        let Some((price, model)) = priced else { return NanoUsd::ZERO };
        let now = Now {
            snapshot,
            prompt_tokens: peek.prompt_estimate,
            asks_to_think: peek.wants_thinking,
            last: None,
            now_ns: shared.now_ns(),
            now_ms: shared.now_ms(),
            graded: None,
            demands: None,
        };
        let output = (now.estimate(model, None).output_tokens.max(0.0) as u64)
            .min(peek.max_tokens.unwrap_or(u64::MAX));
        price.cost(&Usage { input: peek.prompt_estimate, output, ..Usage::default() }, shared.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draw_follows_from_the_id_and_is_even() {
        let drawn =
            |shadow: &str| (0..10_000).filter(|id| place(shadow, &format!("{id:032x}")) < 100_000).count();
        assert!((900..1100).contains(&drawn("a")), "{}", drawn("a"));
        let both = |id: &u32| {
            let id = format!("{id:032x}");
            place("a", &id) < 100_000 && place("b", &id) < 100_000
        };
        let both = (0..10_000).filter(both).count();
        assert!((60..140).contains(&both), "shadows draw independently: {both}");
        assert_eq!(place("a", "1"), place("a", "1"));
    }

    #[test]
    fn the_share_of_answers_that_are_judged_follows_from_the_id_too() {
        let judged = |percent: &str| {
            let yaml = format!(
                "shadows: [{{ name: s, model: auto, to: kimi-2.6, percent: 100, budget_per_day: 1, judge: {{ model: kimi-2.6, percent: {percent} }} }}]"
            );
            let config = config::Config::parse("test.yaml", &yaml, &config::Env::of([])).unwrap();
            let shadow = Shadow::new(&config.shadows[0], None);
            let ids = (0..2_000).map(|id| format!("{id:032x}"));
            ids.filter(|id| shadow.judges(id)).count()
        };
        assert_eq!((judged("0"), judged("100")), (0, 2_000));
        assert!((120..280).contains(&judged("10")), "{}", judged("10"));
    }

    #[test]
    fn names_that_leave_the_choice_to_the_gateway() {
        for name in ["auto", "AUTO", "auto:cheap", "auto/code", "auto/code:best", "default", "Default"] {
            assert!(leaves_choice(name), "{name}");
        }
        for name in ["automatic", "openrouter/auto", "default-model", "kimi", ""] {
            assert!(!leaves_choice(name), "{name}");
        }
    }
}
