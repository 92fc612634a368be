//! The deployments, one after the other, until one answers.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use nova_catalog::Service;
use nova_limit::Allowed;
use nova_upstream::{Endpoint, Failure, Retry};
use nova_wire::Dialect;

use super::Passing;
use super::outgoing::{self, Streaming};
use crate::error::{Code, GatewayError, Upstream};
use crate::pipeline::attempt;
use crate::pipeline::relay::Outgoing;
use crate::pipeline::settle::Outcome;
use crate::sibling::sibling;
use crate::snapshot::Deployment;
use crate::state::Worker;

/// Images come as base64 in JSON, several to an answer.
const MAX_REPLY_BODY: usize = 128 * 1024 * 1024;

/// Where a deployment has a service: beside its chat. `None` where it is known to have none.
pub(super) fn place(deployment: &Deployment, service: Service) -> Option<Endpoint> {
    if deployment.services.as_ref().is_some_and(|all| !all.contains(&service)) {
        return None;
    }
    let at = |dialect: Dialect| {
        let mount = deployment.mounts.iter().find(|mount| mount.dialect == dialect)?;
        sibling(&mount.endpoint, dialect.path(), service.path())
    };
    at(Dialect::Chat).or_else(|| at(Dialect::Responses))
}

/// Asks until one answers.
pub(super) async fn ask(
    worker: &Arc<Worker>,
    mut passing: Passing,
) -> Result<Response<Outgoing>, GatewayError> {
    let snapshot = Arc::clone(&passing.snapshot);
    let mut told: Option<GatewayError> = None;
    for id in std::mem::take(&mut passing.deployments) {
        let Some(deployment) = snapshot.deployment(id) else { continue };
        let Some(endpoint) = place(deployment, passing.service) else { continue };
        if let Allowed::NotBefore(_) = deployment.breaker.allow(worker.shared.now_ns()) {
            let message = format!("deployment `{}` rests after repeated failures", deployment.name);
            told.get_or_insert_with(|| GatewayError::new(Code::NoHealthyDeployment, message));
            continue;
        }
        let begun = Instant::now();
        let failure = match one(worker, &mut passing, deployment, &endpoint).await {
            Ok(answer) => {
                deployment.breaker.success(worker.shared.now_ns());
                passing.receipt.answered_by = Some(id);
                return Ok(respond(passing, deployment, answer));
            }
            Err(failure) => failure,
        };
        let goes_on = learn(worker, &mut passing, deployment, (&failure, begun));
        told = Some(explain(&passing, deployment, &failure));
        if !goes_on {
            break;
        }
    }
    let error = told.unwrap_or_else(|| GatewayError::new(Code::Internal, "the plan was empty"));
    passing.fail(&error);
    Err(error)
}

/// A provider's answer: its kind, and all of it or the rest to come.
struct Answer {
    kind: Option<HeaderValue>,
    disposition: Option<HeaderValue>,
    body: Arriving,
}

enum Arriving {
    Whole(Bytes),
    Rest(nova_upstream::Body),
}

async fn one(
    worker: &Worker,
    passing: &mut Passing,
    deployment: &Deployment,
    endpoint: &Endpoint,
) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let mount = deployment.mount_for(Dialect::Chat);
    let others = mount.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE).cloned();
    let headers: Vec<(HeaderName, HeaderValue)> =
        others.chain([(CONTENT_TYPE, passing.kind.clone())]).collect();
    let body = passing.form.with_model(&passing.body, &deployment.upstream_for(&passing.form.model));
    let sent = worker.client.send(nova_upstream::Request {
        credential: deployment.credential.as_ref(),
        headers: &headers,
        deadlines: attempt::deadlines(deployment, &passing.snapshot, (passing.started, passing.form.stream)),
        ..nova_upstream::Request::post(endpoint, body)
    });
    let answer = match sent.await {
        Err(failure) => Err(failure),
        Ok(response) => receive(response).await,
    };
    passing.receipt.upstream_us += u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    answer
}

async fn receive(response: nova_upstream::Response) -> Result<Answer, Failure> {
    if response.status != StatusCode::OK {
        return Err(attempt::refused(response, Dialect::Chat).await);
    }
    let nova_upstream::Response { headers, body, .. } = response;
    let kind = headers.get(CONTENT_TYPE).cloned();
    let is_json = kind.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let body =
        if is_json { Arriving::Whole(body.collect(MAX_REPLY_BODY).await?) } else { Arriving::Rest(body) };
    Ok(Answer { kind, disposition: headers.get(CONTENT_DISPOSITION).cloned(), body })
}

fn respond(mut passing: Passing, deployment: &Deployment, answer: Answer) -> Response<Outgoing> {
    let tries = passing.receipt.attempts.len() + 1;
    let body = match answer.body {
        Arriving::Whole(body) => {
            passing.receipt.settle(Outcome::Done, &outgoing::meter(&body));
            Outgoing::whole(body)
        }
        Arriving::Rest(upstream) => {
            let events =
                answer.kind.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
            Outgoing::Router(axum::body::Body::new(Streaming::new(passing, upstream, events)))
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-novastack-model", deployment.model_header.clone());
    headers.insert("x-novastack-provider", deployment.provider_header.clone());
    headers.insert("x-novastack-attempts", HeaderValue::from(tries));
    headers.extend(answer.kind.map(|kind| (CONTENT_TYPE, kind)));
    headers.extend(answer.disposition.map(|disposition| (CONTENT_DISPOSITION, disposition)));
    response
}

/// Notes a failed try and feeds the breaker; says whether to ask elsewhere.
fn learn(
    worker: &Worker,
    passing: &mut Passing,
    deployment: &Deployment,
    (failure, begun): (&Failure, Instant),
) -> bool {
    attempt::note(&mut passing.receipt, deployment, (attempt::word(failure), failure.status), begun);
    // What a provider does not have says nothing of what it has.
    attempt::feed(worker, deployment, attempt::is_unwell(failure) && !is_missing(failure));
    failure.retry != Retry::Never || is_missing(failure)
}

/// Whether the provider does not have this service at all.
const fn is_missing(failure: &Failure) -> bool {
    matches!(failure.status, Some(404 | 405 | 501))
}

fn explain(passing: &Passing, deployment: &Deployment, failure: &Failure) -> GatewayError {
    if is_missing(failure) {
        let words = failure.error.as_ref().map_or("", |error| &error.message);
        let message = format!(
            "`{}` does not serve `/v1/{}` for model `{}`: {words}",
            deployment.provider, passing.service, passing.form.model
        );
        return GatewayError::new(Code::UnknownModel, message);
    }
    let who = Upstream { provider: &deployment.provider, model: &passing.form.model };
    GatewayError::from_failure(Dialect::Chat, who, failure)
}
