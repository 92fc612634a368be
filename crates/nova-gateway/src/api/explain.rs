//! `POST /v1/route/explain`: where a request would go, in which order, and why, as its sender's key would have
//! it. Nothing is sent, nothing is charged.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::error::GatewayError;
use crate::explain::{self, Now};
use crate::pipeline::relay::Outgoing;
use crate::pipeline::{self, Asked, admit, authenticate, read};
use crate::state::Worker;

/// Answers one request, whose body is that of any dialect.
pub(super) async fn answer(worker: &Arc<Worker>, request: Request<Incoming>) -> Response<Outgoing> {
    let id = worker.next_id();
    let mut asked = Asked::of(super::dialect_of(request.headers()));
    let mut response = match plan(worker, &mut asked, request).await {
        Ok(plan) => super::json(plan),
        Err(error) => {
            worker.shared.metrics.refused(asked.dialect, &error);
            error.response(asked.dialect, id.as_str()).map(Outgoing::whole)
        }
    };
    pipeline::name(&mut response, &id);
    response
}

async fn plan(
    worker: &Worker,
    asked: &mut Asked,
    request: Request<Incoming>,
) -> Result<String, GatewayError> {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load_full();
    let (head, incoming) = request.into_parts();
    let key = authenticate::authenticate(shared, &head.headers, None)?;
    let _permit = admit::admit(shared, &snapshot, &key)?;
    let (body, peek) = read::read(asked, &head.headers, incoming, &snapshot).await?;
    let at = (shared.now_ns(), shared.now_ms());
    let now = Now { snapshot: &snapshot, budgets: &shared.budgets, at };
    let plan = explain::explain(now, (asked.dialect, &head.headers), Some(&key), (body, peek))?;
    Ok(plan.to_string())
}
