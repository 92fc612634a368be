//! Services that are passed on as they are: embeddings, legacy completions, reranking, moderations, images
//! and audio, in OpenAI's shapes.
//!
//! A request is authenticated, limited, planned, metered and recorded like any other, but never translated:
//! of the body only the model's name is replaced, and the answer's bytes are the provider's. It goes to the
//! deployments of that one model whose provider has the service, at the same path beside its chat; one that the
//! catalogue knows not to have it is never asked.
//!
//! Reading order: `body` finds and replaces the model; [`answer`] goes the
//! pipeline's way; `tries` asks the deployments; `outgoing` passes a streamed answer on and counts it.

mod body;
mod outgoing;
mod tries;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use nova_catalog::Service;
use nova_limit::Permit;
use nova_route::DeploymentId;
use nova_wire::{Dialect, Peek};

use self::body::Form;
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
    let mut known = Known { path: Some(service.path()), ..Known::default() };
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
    let routed = route::route(worker, &snapshot, &asking, started);
    let plan = routed.map_err(|error| unknown(&snapshot, service, error))?.plan;
    let asked = plan.attempts.iter().filter(|attempt| *attempt.model == *plan.asked);
    let deployments: Vec<DeploymentId> = asked.map(|attempt| attempt.deployment).collect();
    let reachable = |id: &DeploymentId| {
        let deployment = snapshot.deployment(*id);
        deployment.is_some_and(|deployment| tries::place(deployment, service).is_some())
    };
    if !deployments.iter().any(reachable) {
        return Err(nobody(&snapshot, service, &form.model));
    }
    let may_cost = || (reserve::upper_bound(&snapshot, &peek, &plan), shared.now_ms());
    let hold = shared.budgets.hold(&key, may_cost)?;
    let mut receipt = reserve::reserve(shared, &snapshot, (id, Dialect::Chat, started), key, (&peek, &plan));
    receipt.service = Some(service.path());
    receipt.hold = hold;
    Ok(Passing { service, kind, body, form, started, snapshot, deployments, receipt, _permit: permit })
}

/// No provider of this model has the service.
fn nobody(snapshot: &Snapshot, service: Service, model: &str) -> GatewayError {
    let message =
        format!("no provider of model `{model}` serves `/v1/{service}`\n{}", who(snapshot, service));
    GatewayError { param: Some("model".into()), ..GatewayError::new(Code::UnknownModel, message) }
}

/// A model that is in no list: those of the services have to be named by the operator.
fn unknown(snapshot: &Snapshot, service: Service, error: GatewayError) -> GatewayError {
    if error.code != Code::UnknownModel || error.message.contains("did you mean") {
        return error;
    }
    let what = error.message.lines().next().unwrap_or_default();
    GatewayError { message: format!("{what}\n{}", who(snapshot, service)), ..error }
}

/// Who has a service, and what to do about it.
fn who(snapshot: &Snapshot, service: Service) -> String {
    let quoted: Vec<String> = snapshot.serving(service).map(|provider| format!("`{provider}`")).collect();
    match &*quoted {
        [] => {
            format!("hint: no provider is known to have it; `services: [{service}]` of one says that it has")
        }
        all => format!(
            "hint: {} {} it: add the model to `models:` with an offer of theirs",
            all.join(", "),
            if all.len() == 1 { "has" } else { "have" }
        ),
    }
}

impl Passing {
    /// Nobody answered.
    fn fail(&mut self, error: &GatewayError) {
        self.receipt.settle(Outcome::Failed(error), &nova_wire::Meter::default());
    }
}
