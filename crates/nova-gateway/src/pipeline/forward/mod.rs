//! Services that are passed on as they are: embeddings, legacy completions, reranking, moderations, images
//! and audio, in OpenAI's shapes.
//!
//! A request is authenticated, limited, planned, metered and recorded like any other, but never translated:
//! of the body only the model's name is replaced, and the answer's bytes are the provider's. It goes to the
//! deployments of that one model whose provider speaks OpenAI's API, at the same path beside its chat.
//!
//! Reading order: `service` names what is served; `body` finds and replaces the model; [`answer`] goes the
//! pipeline's way; `tries` asks the deployments; `outgoing` passes a streamed answer on and counts it.

mod body;
mod outgoing;
mod service;
mod tries;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use nova_limit::Permit;
use nova_route::DeploymentId;
use nova_wire::{Dialect, Peek};

use self::body::Form;
pub(crate) use self::service::Service;
use super::facts::Asking;
use super::relay::Outgoing;
use super::reserve::Receipt;
use super::settle::{self, Outcome};
use super::{Known, admit, authenticate, read, reserve, route};
use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;
use crate::state::{RequestId, Worker};

/// Four bytes of text make about one token.
const BYTES_PER_TOKEN: u64 = 4;

/// A request on its way, and what it holds until it is settled.
#[derive(Debug)]
struct Passing {
    service: Service,
    /// The kind of the client's body, with the boundary of a form.
    kind: HeaderValue,
    body: Bytes,
    form: Form,
    started: Instant,
    snapshot: Arc<Snapshot>,
    deployments: Vec<DeploymentId>,
    receipt: Receipt,
    _permit: Option<Permit>,
}

/// Answers one request.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    service: Service,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let started = Instant::now();
    let id = worker.next_id();
    let mut known = Known::default();
    let answered = match understand(worker, service, request, (&id, started, &mut known)).await {
        Ok(passing) => tries::ask(worker, passing).await,
        Err(error) => {
            settle::refused(&worker.shared, (&id, Dialect::Chat, started), &known, &error);
            Err(error)
        }
    };
    let mut response = answered.unwrap_or_else(|error| {
        worker.shared.metrics.refused(Dialect::Chat, &error);
        error.response(Dialect::Chat, id.as_str()).map(Outgoing::whole)
    });
    super::name(&mut response, &id);
    response
}

/// Stages 1 to 5.
async fn understand(
    worker: &Worker,
    service: Service,
    request: Request<Incoming>,
    (id, started, known): (&RequestId, Instant, &mut Known),
) -> Result<Passing, GatewayError> {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load_full();
    let (head, incoming) = request.into_parts();
    let key = authenticate::authenticate(shared, &head.headers, None)?;
    known.key = Some(Arc::clone(&key));
    let permit = admit::admit(shared, &snapshot, &key)?;
    let body = read::whole(&head.headers, incoming, &snapshot).await?;
    let json = HeaderValue::from_static("application/json");
    let kind = head.headers.get(CONTENT_TYPE).cloned().unwrap_or(json);
    let form = Form::read(service, &kind, &body)?;
    known.model.clone_from(&form.model);
    known.stream = form.stream;
    let peek = Peek {
        model: form.model.clone(),
        stream: form.stream,
        // What is no text, such as audio, is not priced by tokens of it.
        prompt_estimate: if form.is_json() { body.len() as u64 / BYTES_PER_TOKEN } else { 0 },
        ..Peek::default()
    };
    let asking = Asking {
        dialect: Dialect::Chat,
        headers: &head.headers,
        body: &body,
        peek: &peek,
        key: Some(&key),
        controls: None,
    };
    let plan = route::route(worker, &snapshot, &asking, started)?.plan;
    let asked = plan.attempts.iter().filter(|attempt| *attempt.model == *plan.asked);
    let deployments: Vec<DeploymentId> = asked.map(|attempt| attempt.deployment).collect();
    let reachable = |id: &DeploymentId| {
        let deployment = snapshot.deployment(*id);
        deployment.is_some_and(|deployment| tries::place(deployment, service).is_some())
    };
    if !deployments.iter().any(reachable) {
        let model = &form.model;
        let message = format!("no provider of model `{model}` serves `/v1/{}`", service.path());
        return Err(GatewayError {
            param: Some("model".into()),
            ..GatewayError::new(Code::UnknownModel, message)
        });
    }
    let may_cost = || (reserve::upper_bound(&snapshot, &peek, &plan), shared.now_ms());
    let hold = shared.budgets.hold(&key, may_cost)?;
    let mut receipt = reserve::reserve(shared, &snapshot, (id, Dialect::Chat, started), key, (&peek, &plan));
    receipt.service = Some(service.record());
    receipt.hold = hold;
    Ok(Passing { service, kind, body, form, started, snapshot, deployments, receipt, _permit: permit })
}

impl Passing {
    /// Nobody answered.
    fn fail(&mut self, error: &GatewayError) {
        self.receipt.settle(Outcome::Failed(error), &nova_wire::Meter::default());
    }
}
