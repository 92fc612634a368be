//! How many tokens a prompt has, for any model: `POST /v1/messages/count_tokens`, Gemini's `countTokens`
//! and `POST /v1/responses/input_tokens`.
//!
//! The provider's own counter is asked where the configuration names the provider (`native`); else the
//! answer is an estimate, corrected by how far estimates for that deployment were off (`calibration`), and
//! says so in `x-novastack-estimate`. The answer is never zero: clients that compact their history by it
//! would then never do so.

mod calibration;
mod native;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use nova_wire::Dialect;
use serde_json::{Value, json};

pub(crate) use self::calibration::Calibration;
use crate::error::GatewayError;
use crate::pipeline::relay::Outgoing;
use crate::pipeline::{self, Asked, Known, settle};
use crate::snapshot::{Deployment, Snapshot};
use crate::state::Worker;

/// A count.
#[derive(Clone, Copy, Debug)]
struct Count<'d> {
    tokens: u64,
    /// Who counted; `None` where it is an estimate.
    by: Option<&'d Deployment>,
}

/// Answers one request.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    mut asked: Asked,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let path = asked.dialect;
    let started = Instant::now();
    let id = worker.next_id();
    let snapshot = worker.shared.snapshot.load_full();
    let mut known = Known { path: Some(record(path)), ..Known::default() };
    let at = (&*snapshot, started);
    let mut response = match count(worker, &mut asked, request, at, &mut known).await {
        Ok(count) => {
            settle::counted(&worker.shared, (&id, asked.dialect, started), &known, count.by);
            respond(count, path)
        }
        Err(error) => {
            settle::refused(&worker.shared, (&id, asked.dialect, started), &known, &error);
            worker.shared.metrics.refused(path, &error);
            error.response(path, id.as_str()).map(Outgoing::whole)
        }
    };
    pipeline::name(&mut response, &id);
    response
}

async fn count<'s>(
    worker: &Worker,
    asked: &mut Asked,
    request: Request<Incoming>,
    (snapshot, started): (&'s Snapshot, Instant),
    known: &mut Known,
) -> Result<Count<'s>, GatewayError> {
    let understood = pipeline::understand(worker, asked, request, (snapshot, started), known).await?;
    known.model.clone_from(&understood.peek.model);
    let first =
        understood.route.plan.attempts.iter().find_map(|attempt| snapshot.deployment(attempt.deployment));
    let estimate = understood.peek.prompt_estimate.max(1);
    Ok(match first {
        None => Count { tokens: estimate, by: None },
        Some(deployment) => {
            match native::ask(worker, snapshot, deployment, (asked.dialect, &understood)).await {
                Some(tokens) => {
                    deployment.calibration.observe(estimate, tokens);
                    Count { tokens, by: Some(deployment) }
                }
                None => Count { tokens: deployment.calibration.correct(estimate), by: None },
            }
        }
    })
}

/// The path as usage records have it.
const fn record(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Gemini => "/models/{model}:countTokens",
        Dialect::Responses => "/responses/input_tokens",
        Dialect::Chat | Dialect::Messages | Dialect::Converse => "/messages/count_tokens",
    }
}

fn respond(count: Count<'_>, dialect: Dialect) -> Response<Outgoing> {
    let mut response = crate::api::json(body(count.tokens, dialect).to_string());
    let headers = response.headers_mut();
    match count.by {
        None => headers.insert("x-novastack-estimate", HeaderValue::from_static("true")),
        Some(deployment) => headers.insert("x-novastack-provider", deployment.provider_header.clone()),
    };
    response
}

fn body(tokens: u64, dialect: Dialect) -> Value {
    match dialect {
        Dialect::Gemini => json!({ "totalTokens": tokens }),
        Dialect::Responses => json!({ "object": "response.input_tokens", "input_tokens": tokens }),
        Dialect::Chat | Dialect::Messages | Dialect::Converse => json!({ "input_tokens": tokens }),
    }
}
