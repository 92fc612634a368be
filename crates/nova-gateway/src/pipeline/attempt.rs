//! Stage 6: tries, one after the other, until one answers.
//!
//! A try is invisible to the client as long as no content of it was passed on. Each failure says whose
//! fault it was and whether trying again can help ([`nova_upstream::Failure`]); this stage only obeys.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use nova_ledger::AttemptRecord;
use nova_limit::Allowed;
use nova_route::DeploymentId;
use nova_route::learn::Busy;
use nova_upstream::{Deadlines, Failure, Kind, Retry};
use nova_wire::hub::past::Past;
use nova_wire::{Dialect, ErrorClass, Meter, Outbound, ReplyContext, StreamRelay, Target};

use crate::config::Mount;
use crate::error::{Code, GatewayError, Upstream};
use crate::pipeline::Call;
use crate::pipeline::reserve::Receipt;
use crate::pipeline::settle::Outcome;
use crate::snapshot::{Deployment, Snapshot};
use crate::state::Worker;

/// An error body is read up to here; what it says fits in less.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// A whole answer is read up to here.
const MAX_REPLY_BODY: usize = 32 * 1024 * 1024;
/// A longer pause than this is better spent at the client, who is told the time.
const MAX_PAUSE: Duration = Duration::from_secs(8);
/// A provider that asks for a longer pause than this is asked again all the same.
const LONGEST_LIMIT: Duration = Duration::from_secs(300);

/// A call that some deployment answers.
#[derive(Debug)]
pub struct Answered {
    /// The call.
    pub call: Box<Call>,
    /// What the target could not carry.
    pub dropped: Vec<String>,
    /// The answer.
    pub answer: Answer,
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// A whole one, in the client's dialect.
    Whole {
        /// The body.
        body: Vec<u8>,
        /// What was counted.
        meter: Meter,
        /// Why it does not have the form that was asked for.
        mismatch: Option<String>,
    },
    /// A streamed one, whose first content is there.
    Live(Box<Live>),
}

/// A stream under way.
#[derive(Debug)]
pub struct Live {
    /// The upstream's body.
    pub upstream: nova_upstream::Body,
    /// The translation.
    pub relay: StreamRelay,
    /// What the client has not got yet.
    pub ready: Vec<Bytes>,
    /// Whether the upstream has said all that it will.
    pub ended: bool,
}

/// Why one try did not answer.
enum Stumble {
    /// The upstream's doing, or the network's.
    Failed(Failure),
    /// The request cannot be put to this target at all.
    Unfit(GatewayError),
}

/// How the walk through the plan goes on.
enum Next {
    Again(Duration),
    Elsewhere,
    GiveUp,
}

/// Walks through the plan.
///
/// # Errors
/// What the client is told when no try answered: the failure of the last one that says most.
pub async fn attempt(worker: &Arc<Worker>, mut call: Box<Call>) -> Result<Answered, GatewayError> {
    let planned: Vec<(DeploymentId, Arc<str>)> =
        call.plan.attempts.iter().map(|attempt| (attempt.deployment, Arc::clone(&attempt.model))).collect();
    let mut told: Option<GatewayError> = None;
    let mut tries = 0;
    'plan: for (place, (id, model)) in planned.iter().enumerate() {
        let snapshot = Arc::clone(&call.snapshot);
        let Some(deployment) = snapshot.deployment(*id) else { continue };
        let alone = place + 1 == planned.len();
        let mut here = 0;
        loop {
            if tries >= snapshot.retry.max_attempts {
                break 'plan;
            }
            if let Allowed::NotBefore(wait_ns) = deployment.breaker.allow(worker.shared.now_ns()) {
                let message = format!("deployment `{}` rests after repeated failures", deployment.name);
                let wait = Duration::from_nanos(wait_ns);
                told.get_or_insert_with(|| GatewayError::new(Code::NoHealthyDeployment, message).after(wait));
                break;
            }
            tries += 1;
            here += 1;
            let begun = Instant::now();
            call.receipt.busy = Some(Busy::on(&deployment.speed));
            call.receipt.learning.tried = Some(begun);
            let stumble = match one(worker, &mut call, (deployment, model), begun).await {
                Ok((dropped, answer)) => {
                    deployment.breaker.success(worker.shared.now_ns());
                    deployment.speed.tried(false);
                    if let Answer::Live(_) = &answer {
                        call.receipt.learning.first_token_ms = Some(begun.elapsed().as_secs_f32() * 1e3);
                    }
                    call.receipt.answered_by = Some(*id);
                    call.receipt.answered_as = Some(Arc::clone(model));
                    return Ok(Answered { call, dropped, answer });
                }
                Err(stumble) => stumble,
            };
            let next = learn(worker, &mut call, deployment, (&stumble, begun), (here, alone));
            told = Some(worse(told, explain(&call, deployment, stumble)));
            match next {
                Next::Again(pause) => pause_for(&mut call, pause).await,
                Next::Elsewhere => break,
                Next::GiveUp => break 'plan,
            }
        }
    }
    let error = told.unwrap_or_else(|| GatewayError::new(Code::Internal, "the plan was empty"));
    call.receipt.settle(Outcome::Failed(&error), &Meter::default());
    Err(error)
}

/// One try at one deployment, up to a whole answer or the first content of a streamed one.
async fn one(
    worker: &Worker,
    call: &mut Call,
    (deployment, model): (&Deployment, &str),
    begun: Instant,
) -> Result<(Vec<String>, Answer), Stumble> {
    let mount = deployment.mount_for(call.dialect);
    let upstream_model = deployment.upstream_for(model);
    let target = Target {
        dialect: mount.dialect,
        model: &upstream_model,
        quirks: &mount.quirks,
        max_output: deployment.max_output,
    };
    let mut outbound = outbound(call, deployment, &target)?;
    let context = context(call, (deployment, mount), &mut outbound);
    let headers = headers(call.beta.as_ref(), call.dialect, mount);
    let sent = worker
        .client
        .send(nova_upstream::Request {
            credential: deployment.credential.as_ref(),
            headers: &headers,
            deadlines: deadlines(deployment, &call.snapshot, (call.started, call.peek.stream)),
            ..nova_upstream::Request::post(mount.endpoint_for(call.peek.stream), Bytes::from(outbound.body))
        })
        .await;
    let answer = match sent {
        Err(failure) => Err(failure),
        Ok(response) if response.status != StatusCode::OK => Err(refused(response, mount.dialect).await),
        Ok(response) if call.peek.stream && is_event_stream(&response) => {
            first_content(response, context).await
        }
        Ok(response) => whole(response, &context, call.peek.stream).await,
    };
    call.receipt.upstream_us += micros(begun);
    let mut answer = answer.map_err(Stumble::Failed)?;
    if let Answer::Whole { meter, mismatch: Some(why), .. } = &answer {
        // The provider is paid for it all the same.
        call.receipt.discard(deployment, meter);
        call.receipt.learning.judge(deployment, 0.0);
        return Err(Stumble::Failed(Failure::from_upstream(nova_wire::translate::mismatch(why))));
    }
    if let (Answer::Whole { .. }, Some(_)) = (&answer, &call.check) {
        call.receipt.learning.judge(deployment, 1.0);
    }
    call.keep(match &mut answer {
        Answer::Whole { meter, .. } => meter.thought.take(),
        Answer::Live(live) => live.relay.take_thought(),
    });
    Ok((outbound.dropped, answer))
}

/// The deployment's own headers, and what a Messages client switches on where its request is passed through.
///
/// Hosts that take the dialect inside an envelope of their own (Bedrock, Vertex) are told in the body.
pub(crate) fn headers<'a>(
    beta: Option<&HeaderValue>,
    client: Dialect,
    mount: &'a Mount,
) -> Cow<'a, [(HeaderName, HeaderValue)]> {
    match beta {
        Some(beta)
            if client == Dialect::Messages
                && mount.dialect == Dialect::Messages
                && mount.quirks.betas.is_none() =>
        {
            let mut headers = mount.headers.clone();
            headers.push((HeaderName::from_static("anthropic-beta"), beta.clone()));
            Cow::Owned(headers)
        }
        _ => Cow::Borrowed(&mount.headers),
    }
}

/// The request as this deployment wants it.
fn outbound(call: &Call, deployment: &Deployment, target: &Target<'_>) -> Result<Outbound, Stumble> {
    let recall = |id: &str| call.receipt.shared.recall.find(call.receipt.key.id, id);
    let past = Past { provider: &deployment.provider, recall: Some(&recall) };
    let mut outbound =
        nova_wire::translate::request_after(call.dialect, &call.body, &call.peek, target, &past)
            .map_err(|bad| Stumble::Unfit(bad.into()))?;
    if let (Some(taken), Some(beta)) = (&target.quirks.betas, &call.beta)
        && (call.dialect, target.dialect) == (Dialect::Messages, Dialect::Messages)
    {
        let asked = beta.to_str().unwrap_or_default();
        let lost = nova_wire::messages::betas::put(&mut outbound.body, asked, taken);
        outbound.dropped.extend(lost.map_err(|bad| Stumble::Unfit(bad.into()))?);
    }
    if call.strict && !outbound.dropped.is_empty() {
        let fields: Vec<String> = outbound.dropped.iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "`{}` cannot carry {} for `{}`\nhint: without `x-novastack-strict: true` they are left out and named in `x-novastack-dropped`",
            deployment.provider,
            fields.join(", "),
            call.peek.model
        );
        return Err(Stumble::Unfit(GatewayError::new(Code::BadRequest, message)));
    }
    Ok(outbound)
}

fn context(call: &Call, (deployment, mount): (&Deployment, &Mount), outbound: &mut Outbound) -> ReplyContext {
    ReplyContext {
        client: call.dialect,
        upstream: mount.dialect,
        hub: outbound.hub,
        model: call.peek.model.clone(),
        id: call.id.as_str().to_owned(),
        created: u64::try_from(call.receipt.started_ms / 1000).unwrap_or_default(),
        include_usage: call.peek.include_usage,
        // Chat has no way to ask; its clients expect `reasoning_content` where the model thinks.
        want_thinking: call.peek.wants_thinking || call.dialect == Dialect::Chat,
        prompt_estimate: call.peek.prompt_estimate,
        quirks: Arc::clone(&mount.quirks),
        provider: Arc::clone(&deployment.provider),
        check: call.check.clone(),
        names: std::mem::take(&mut outbound.names),
        echo: std::mem::take(&mut outbound.echo),
        stops: std::mem::take(&mut outbound.stops),
    }
}

/// The deployment's deadlines, and no more of the total than a request that began at `started` has left.
pub(super) fn deadlines(
    deployment: &Deployment,
    snapshot: &Snapshot,
    (started, stream): (Instant, bool),
) -> Deadlines {
    let mut deadlines = deployment.deadlines;
    deadlines.total = deadlines.total.saturating_sub(started.elapsed());
    if !stream {
        deadlines.first_byte = deadlines.first_byte.max(snapshot.timeouts.whole);
    }
    deadlines
}

/// A status other than 200 as a failure with the provider's words.
pub(super) async fn refused(response: nova_upstream::Response, dialect: Dialect) -> Failure {
    let nova_upstream::Response { status, headers, body, .. } = response;
    let words = body.excerpt(MAX_ERROR_BODY).await;
    Failure::from_status(status, &headers, &words, dialect)
}

/// A whole answer: read, understood, translated.
async fn whole(
    response: nova_upstream::Response,
    context: &ReplyContext,
    streamed: bool,
) -> Result<Answer, Failure> {
    let nova_upstream::Response { status, headers, body, .. } = response;
    let bytes = body.collect(MAX_REPLY_BODY).await?;
    if streamed {
        // A stream was asked for and something else came: an error in a 200, or a proxy's page.
        let error = nova_wire::error::classify(
            context.upstream,
            status.as_u16(),
            |name| header(&headers, name),
            &bytes,
        );
        return Err(Failure::from_upstream(error));
    }
    match nova_wire::translate::reply(context, &bytes) {
        Ok(reply) => Ok(Answer::Whole { body: reply.body, meter: reply.meter, mismatch: reply.mismatch }),
        Err(error) => Err(Failure::from_upstream(error)),
    }
}

/// A streamed answer, read until its first content or its end.
async fn first_content(response: nova_upstream::Response, context: ReplyContext) -> Result<Answer, Failure> {
    let mut live =
        Live { upstream: response.body, relay: StreamRelay::new(context), ready: Vec::new(), ended: false };
    while !live.ended && !live.relay.meter().content_started {
        match live.upstream.frame().await {
            Some(Ok(bytes)) => live.relay.push(&bytes, &mut live.ready),
            Some(Err(failure)) => return Err(failure),
            None => {
                live.relay.finish(&mut live.ready);
                live.ended = true;
            }
        }
        if let Some(error) = live.relay.error()
            && !live.relay.meter().content_started
        {
            return Err(Failure::from_upstream(error.clone()));
        }
    }
    Ok(Answer::Live(Box::new(live)))
}

fn is_event_stream(response: &nova_upstream::Response) -> bool {
    let kind = header(&response.headers, "content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // The second one is AWS's, in binary frames.
    ["text/event-stream", "application/vnd.amazon.eventstream"]
        .iter()
        .any(|one| kind.eq_ignore_ascii_case(one))
}

fn header<'h>(headers: &'h http::HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Notes a failed try, feeds the breaker, and says how to go on.
fn learn(
    worker: &Worker,
    call: &mut Call,
    deployment: &Deployment,
    (stumble, begun): (&Stumble, Instant),
    (here, alone): (u32, bool),
) -> Next {
    let (status, outcome) = match stumble {
        Stumble::Unfit(error) => (None, error.code.row().word),
        Stumble::Failed(failure) => (failure.status, word(failure)),
    };
    note(&mut call.receipt, deployment, (outcome, status), begun);
    let Stumble::Failed(failure) = stumble else { return Next::Elsewhere };
    tracing::info!(request = call.id.as_str(), deployment = %deployment.name, outcome, %failure, "an attempt failed");
    feed(worker, deployment, is_unwell(failure));
    if let (Some(after), true) = (failure.after, word(failure) == ErrorClass::Rate.as_str()) {
        let until = worker.shared.now_ns().saturating_add(nanos(after.min(LONGEST_LIMIT)));
        deployment.speed.limit(until);
    }
    match failure.retry {
        Retry::Never => Next::GiveUp,
        Retry::ElsewhereOnly => Next::Elsewhere,
        Retry::SameAllowed if here >= call.snapshot.retry.attempts_per_deployment => Next::Elsewhere,
        Retry::SameAllowed => {
            let base = call.snapshot.retry.base;
            let pause = nova_upstream::backoff::wait(base, here - 1, worker.next_seed(), failure.after);
            // Somebody else may answer at once; the only one left is worth a short wait.
            let affordable = pause <= if alone { MAX_PAUSE } else { base };
            if affordable { Next::Again(pause) } else { Next::Elsewhere }
        }
    }
}

/// Counts a failed try and puts it on the request's record.
pub(super) fn note(
    receipt: &mut Receipt,
    deployment: &Deployment,
    (outcome, status): (&'static str, Option<u16>),
    begun: Instant,
) {
    receipt.shared.metrics.attempt_failed(&deployment.provider, outcome);
    receipt.attempts.push(AttemptRecord {
        deployment: Arc::clone(&deployment.name),
        outcome: outcome.into(),
        status,
        ms: micros(begun) / 1000,
    });
}

/// Tells a deployment's breaker how it is.
pub(super) fn feed(worker: &Worker, deployment: &Deployment, unwell: bool) {
    let now = worker.shared.now_ns();
    deployment.speed.tried(unwell);
    if unwell { deployment.breaker.failure(now) } else { deployment.breaker.success(now) }
}

/// The word for a failure in records and metrics: the provider's own error, else what the network did.
pub(super) fn word(failure: &Failure) -> &'static str {
    failure.error.as_ref().map_or(failure.kind.as_str(), |error| error.class.as_str())
}

/// Whether a failure says that the deployment is unwell, rather than that this request is wrong, too
/// large, or one too many.
pub(super) fn is_unwell(failure: &Failure) -> bool {
    match &failure.error {
        Some(error) => matches!(
            error.class,
            ErrorClass::Auth
                | ErrorClass::Balance
                | ErrorClass::Overloaded
                | ErrorClass::Server
                | ErrorClass::Garbage
                | ErrorClass::Cut
        ),
        None => failure.kind != Kind::TotalTimeout,
    }
}

/// What the client would be told of this try.
fn explain(call: &Call, deployment: &Deployment, stumble: Stumble) -> GatewayError {
    match stumble {
        Stumble::Unfit(error) => error,
        Stumble::Failed(failure) => {
            let who = Upstream { provider: &deployment.provider, model: &call.peek.model };
            GatewayError::from_failure(call.dialect, who, &failure)
        }
    }
}

/// Of two failures, the one to tell: what the caller can mend (a 4xx other than 429) first, then the
/// later one.
fn worse(before: Option<GatewayError>, now: GatewayError) -> GatewayError {
    let mendable = |error: &GatewayError| {
        let status = error.code.row().status;
        (400..500).contains(&status) && status != 429
    };
    match before {
        Some(before) if mendable(&before) && !mendable(&now) => before,
        _ => now,
    }
}

async fn pause_for(call: &mut Call, pause: Duration) {
    let begun = Instant::now();
    tokio::time::sleep(pause).await;
    call.receipt.upstream_us += micros(begun);
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
