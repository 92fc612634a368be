//! Stage 8: what happened, for the usage record, the metrics and the log.

use std::sync::Arc;
use std::time::Instant;

use nova_catalog::NanoUsd;
use nova_ledger::{Outcome as Recorded, UsageRecord};
use nova_wire::hub::reply::Finish;
use nova_wire::{Dialect, Meter, Usage};

use crate::error::{Code, GatewayError};
use crate::pipeline::Known;
use crate::pipeline::reserve::{About, Receipt};
use crate::snapshot::Deployment;
use crate::state::{RequestId, Shared};

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The client has the whole answer.
    Done,
    /// No attempt answered.
    Failed(&'a GatewayError),
    /// The answer broke off after its first content.
    Broken(&'a GatewayError),
    /// The client left first.
    ClientGone,
}

impl Outcome<'_> {
    const fn recorded(&self) -> Recorded {
        match self {
            Self::Done => Recorded::Ok,
            Self::Failed(GatewayError { code: Code::Internal, .. }) => Recorded::GatewayError,
            Self::Failed(_) => Recorded::UpstreamError,
            Self::Broken(_) => Recorded::Cut,
            Self::ClientGone => Recorded::ClientGone,
        }
    }

    const fn error(&self) -> Option<&GatewayError> {
        match self {
            Self::Failed(error) | Self::Broken(error) => Some(error),
            Self::Done | Self::ClientGone => None,
        }
    }
}

/// Bytes of text that make a token where nobody counted: the estimate that the peek uses, too.
const BYTES_PER_TOKEN: u64 = 4;

/// What a request came to.
#[derive(Clone, Copy, Debug)]
pub struct Bill {
    /// The tokens.
    pub usage: Usage,
    /// The cost; `None` where nobody says what the answer's deployment charges.
    pub cost: Option<NanoUsd>,
}

/// Writes the record, counts, and logs one line.
pub fn settle(receipt: &mut Receipt, outcome: Outcome<'_>, meter: &Meter) -> Bill {
    let (usage, estimated) = tokens(receipt, meter);
    let deployment = receipt.answered_by.and_then(|id| receipt.snapshot.deployment(id));
    if let (Some(deployment), false) = (deployment, estimated) {
        deployment.calibration.observe(receipt.prompt_estimate, usage.prompt());
        if matches!(outcome, Outcome::Done) {
            receipt.learning.learn(&receipt.snapshot, deployment, &usage);
        }
    }
    if let (Some(deployment), true) = (deployment, meter.content_started) {
        let (sessions, prompt_tokens) = (&receipt.shared.sessions, usage.prompt());
        receipt.learning.remember(sessions, deployment, prompt_tokens, receipt.started_ms);
    }
    receipt.busy = None;
    let price = deployment.and_then(|deployment| deployment.price.as_ref());
    // An answer without any output is free for whoever asked; see docs/guides/usage.md.
    let billable = meter.content_started && (usage.output > 0 || receipt.service.is_some());
    let cost = match price {
        Some(price) if billable => price.cost(&usage, receipt.started_ms),
        _ => NanoUsd::ZERO,
    };
    let cost = cost.saturating_add(receipt.discarded);
    if let Some((ceiling, dearest)) = receipt.learning.paced {
        let (key, now_ms) = (receipt.key.id.number(), receipt.started_ms);
        receipt.shared.pacers.charge(key, ceiling, (cost, dearest), now_ms);
    }
    if let Some(hold) = receipt.hold.take() {
        hold.charge(cost, receipt.started_ms);
    }
    let total_us = micros(receipt.started);
    let status = match &outcome {
        Outcome::Done | Outcome::Broken(_) => 200,
        Outcome::Failed(error) => error.code.row().status,
        // What nginx writes for a client that closed its request.
        Outcome::ClientGone => 499,
    };
    let error = outcome.error();
    let About { task, session, experiment, preset, decision } = std::mem::take(&mut receipt.about);
    let record = Box::new(UsageRecord {
        key_id: (!receipt.shadows).then_some(receipt.key.id),
        model_answered: receipt
            .answered_as
            .clone()
            .or_else(|| deployment.map(|deployment| Arc::clone(&deployment.model))),
        provider: deployment.map(|deployment| Arc::clone(&deployment.provider)),
        deployment: deployment.map(|deployment| Arc::clone(&deployment.name)),
        attempts: std::mem::take(&mut receipt.attempts),
        outcome: outcome.recorded(),
        status,
        stream: receipt.stream,
        usage,
        estimated,
        cost,
        total_us,
        first_token_us: receipt
            .first_content
            .map(|at| duration_us(at.saturating_duration_since(receipt.started))),
        overhead_us: total_us.saturating_sub(receipt.upstream_us),
        error_code: error.map(|error| error.code.row().word.into()),
        finish: meter.finish.as_ref().map(Finish::as_str).map(Into::into),
        task,
        session,
        experiment,
        preset,
        decision,
        path: receipt.service.unwrap_or(receipt.dialect.path()).into(),
        ..UsageRecord::new(
            receipt.id.as_str(),
            receipt.started_ms,
            receipt.dialect,
            Arc::clone(&receipt.model),
        )
    });
    let unpriced = deployment.is_some() && price.is_none();
    let metrics = &receipt.shared.metrics;
    let counters = deployment.map(|deployment| {
        deployment.counters.get_or_init(|| metrics.of_model(&deployment.provider, &deployment.model))
    });
    if !receipt.shadows {
        metrics.settled(&record, meter.bad_events);
    }
    metrics.spent(&record, counters, unpriced);
    log(&record, error);
    receipt.shared.usage.submit(record);
    Bill { usage, cost: (!unpriced).then_some(cost) }
}

/// Writes the record of a request that was refused before it had a plan.
///
/// Without a good key there is none: whoever can reach the port could fill the store. Those are counted.
pub(crate) fn refused(
    shared: &Shared,
    (id, dialect, started): (&RequestId, Dialect, Instant),
    known: &Known,
    error: &GatewayError,
) {
    let Some(key) = &known.key else { return };
    let row = error.code.row();
    let elapsed = started.elapsed();
    let started_ms = shared.now_ms() - i64::try_from(elapsed.as_millis()).unwrap_or(0);
    let record = Box::new(UsageRecord {
        key_id: Some(key.id),
        outcome: Recorded::Rejected,
        status: row.status,
        stream: known.stream,
        total_us: duration_us(elapsed),
        overhead_us: duration_us(elapsed),
        error_code: Some(row.word.into()),
        path: known.path.unwrap_or(dialect.path()).into(),
        ..UsageRecord::new(id.as_str(), started_ms, dialect, Arc::from(known.model.as_str()))
    });
    log(&record, Some(error));
    shared.usage.submit(record);
}

/// Writes the record of a count of tokens, which costs nothing and has no tokens of its own.
pub(crate) fn counted(
    shared: &Shared,
    (id, dialect, started): (&RequestId, Dialect, Instant),
    known: &Known,
    by: Option<&Deployment>,
) {
    let Some(key) = &known.key else { return };
    let elapsed = started.elapsed();
    let started_ms = shared.now_ms() - i64::try_from(elapsed.as_millis()).unwrap_or(0);
    let record = Box::new(UsageRecord {
        key_id: Some(key.id),
        outcome: Recorded::Ok,
        status: 200,
        model_answered: by.map(|deployment| Arc::clone(&deployment.model)),
        provider: by.map(|deployment| Arc::clone(&deployment.provider)),
        deployment: by.map(|deployment| Arc::clone(&deployment.name)),
        total_us: duration_us(elapsed),
        overhead_us: if by.is_some() { 0 } else { duration_us(elapsed) },
        path: known.path.unwrap_or(dialect.path()).into(),
        ..UsageRecord::new(id.as_str(), started_ms, dialect, Arc::from(known.model.as_str()))
    });
    log(&record, None);
    shared.usage.submit(record);
}

/// The tokens as the provider counted them, else an estimate from what was passed on.
fn tokens(receipt: &Receipt, meter: &Meter) -> (Usage, bool) {
    match meter.usage {
        Some(usage) => (usage, false),
        None if !meter.content_started => (Usage::default(), false),
        None => {
            let output = meter.output_bytes.div_ceil(BYTES_PER_TOKEN);
            (Usage { input: receipt.prompt_estimate, output, ..Usage::default() }, true)
        }
    }
}

fn log(record: &UsageRecord, error: Option<&GatewayError>) {
    let deployment = record.deployment.as_deref().unwrap_or("-");
    let status = record.status;
    match error {
        None => tracing::info!(
            request = &*record.request_id, model = &*record.model_asked, deployment, status,
            outcome = record.outcome.as_str(), total_us = record.total_us,
            input = record.usage.prompt(), output = record.usage.output, cost = %record.cost, "answered"
        ),
        Some(error) => tracing::warn!(
            request = &*record.request_id, model = &*record.model_asked, deployment, status,
            outcome = record.outcome.as_str(), code = error.code.row().word, total_us = record.total_us,
            %error, "failed"
        ),
    }
}

fn micros(since: Instant) -> u64 {
    duration_us(since.elapsed())
}

fn duration_us(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
