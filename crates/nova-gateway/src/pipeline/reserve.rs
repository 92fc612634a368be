//! Stage 5: what the request may cost, promised before anything is spent.
//!
//! The receipt is the one place that knows how a request went. It is settled exactly once: by the stage
//! that ends the request, or by its `Drop` when nobody got that far.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nova_catalog::NanoUsd;
use nova_ledger::{AttemptRecord, Decision, Key};
use nova_route::learn::Busy;
use nova_route::{DeploymentId, Plan};
use nova_wire::{Dialect, Meter, Peek};

use crate::budgets::Hold;
use crate::learnt::Learning;
use crate::pipeline::settle::{self, Bill, Outcome};
use crate::shadow::{self, Mirror};
use crate::snapshot::{Deployment, Snapshot};
use crate::state::{RequestId, Shared};

/// The tokens that an answer is assumed to have at most where neither client nor catalogue says.
const ASSUMED_OUTPUT: u64 = 4096;

/// A promise to settle, and all that the settlement needs.
#[derive(Debug)]
pub struct Receipt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) id: RequestId,
    pub(crate) dialect: Dialect,
    pub(crate) key: Arc<Key>,
    pub(crate) model: Arc<str>,
    pub(crate) stream: bool,
    pub(crate) prompt_estimate: u64,
    pub(crate) started: Instant,
    pub(crate) started_ms: i64,
    /// The most that the request can cost over the whole plan.
    pub(crate) upper_bound: NanoUsd,
    /// The path of a service that is passed on; `None` for the model dialects.
    pub(crate) service: Option<&'static str>,
    /// Every try so far.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// The deployment whose answer the client gets.
    pub(crate) answered_by: Option<DeploymentId>,
    /// The model that it answers as, where the plan says it: a deployment may serve many.
    pub(crate) answered_as: Option<Arc<str>>,
    /// When the first content went to the client.
    pub(crate) first_content: Option<Instant>,
    /// What answers cost that were thrown away because they did not have the form that was asked for.
    pub(crate) discarded: NanoUsd,
    /// What its answer will teach.
    pub(crate) learning: Learning,
    /// Counts it as in flight with the deployment that it waits for.
    pub(crate) busy: Option<Busy>,
    /// Time spent waiting for providers and pauses between tries.
    pub(crate) upstream_us: u64,
    /// What its record says beside what it did.
    pub(crate) about: About,
    /// Whether it is a shadow's, which is no client's.
    pub(crate) shadows: bool,
    /// What of its key's budget is kept free for it.
    pub(crate) hold: Option<Hold>,
    /// Who else is to see the request.
    pub(crate) mirror: Option<Box<Mirror>>,
    /// What it came to, once it is settled.
    pub(crate) bill: Option<Bill>,
    settled: bool,
}

/// What the record of a request says of it beside what it did.
#[derive(Debug, Default)]
pub struct About {
    /// What it is about.
    pub task: Option<Arc<str>>,
    /// A hash of the conversation that it belongs to.
    pub session: Option<Arc<str>>,
    /// The experiment and the arm that it is in: `name/arm`.
    pub experiment: Option<Arc<str>>,
    /// The preset that it asked for.
    pub preset: Option<Arc<str>>,
    /// How it was routed, where there was something to choose.
    pub decision: Option<Decision>,
}

/// Opens a receipt over the dearest attempt of the plan.
pub fn reserve(
    shared: &Arc<Shared>,
    snapshot: &Arc<Snapshot>,
    (id, dialect, started): (&RequestId, Dialect, Instant),
    key: Arc<Key>,
    (peek, plan): (&Peek, &Plan),
) -> Receipt {
    let upper_bound = upper_bound(snapshot, peek, plan);
    shared.metrics.open_receipts.fetch_add(1, Ordering::Relaxed);
    shared.metrics.reserved.fetch_add(upper_bound.nanos(), Ordering::Relaxed);
    Receipt {
        shared: Arc::clone(shared),
        snapshot: Arc::clone(snapshot),
        id: id.clone(),
        dialect,
        key,
        model: Arc::from(peek.model.as_str()),
        stream: peek.stream,
        prompt_estimate: peek.prompt_estimate,
        started,
        started_ms: shared.now_ms(),
        upper_bound,
        service: None,
        attempts: Vec::new(),
        answered_by: None,
        answered_as: None,
        first_content: None,
        discarded: NanoUsd::ZERO,
        learning: Learning::default(),
        busy: None,
        upstream_us: 0,
        about: About::default(),
        shadows: false,
        mirror: None,
        hold: None,
        bill: None,
        settled: false,
    }
}

/// The most that a request can cost over a plan.
pub(crate) fn upper_bound(snapshot: &Snapshot, peek: &Peek, plan: &Plan) -> NanoUsd {
    plan.attempts
        .iter()
        .filter_map(|attempt| snapshot.deployment(attempt.deployment))
        .filter_map(|deployment| {
            let output = peek.max_tokens.or(deployment.max_output).unwrap_or(ASSUMED_OUTPUT);
            deployment.price.as_ref().map(|price| price.upper_bound(peek.prompt_estimate, output))
        })
        .max()
        .unwrap_or(NanoUsd::ZERO)
}

impl Receipt {
    /// Counts what an answer cost that is thrown away.
    pub fn discard(&mut self, deployment: &Deployment, meter: &Meter) {
        if let Some((price, usage)) = deployment.price.as_ref().zip(meter.usage) {
            self.discarded = self.discarded.saturating_add(price.cost(&usage, self.started_ms));
        }
    }

    /// Settles: the usage record, the metrics, the log line. Later calls do nothing.
    pub fn settle(&mut self, outcome: Outcome<'_>, meter: &Meter) {
        if !std::mem::replace(&mut self.settled, true) {
            self.shared.metrics.open_receipts.fetch_sub(1, Ordering::Relaxed);
            self.shared.metrics.reserved.fetch_sub(self.upper_bound.nanos(), Ordering::Relaxed);
            self.bill = Some(settle::settle(self, outcome, meter));
            if let (Some(mut mirror), Outcome::Done) = (self.mirror.take(), outcome) {
                mirror.answered = self.answered_by.and_then(|id| {
                    self.snapshot.deployment(id).map(|deployment| Arc::clone(&deployment.model))
                });
                shadow::follow(mirror);
            }
        }
    }
}

impl Drop for Receipt {
    /// Nobody settled: the client left before the answer began, or a panic unwound.
    fn drop(&mut self) {
        self.settle(Outcome::ClientGone, &Meter::default());
    }
}
