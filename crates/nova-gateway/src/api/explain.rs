//! `POST /v1/route/explain`: where a request would go, in which order, and why, as its sender's key would have
//! it. Nothing is sent, nothing is charged.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use nova_wire::Dialect;

use crate::error::GatewayError;
use crate::pipeline::controls::{self, Controlled};
use crate::pipeline::facts::Asking;
use crate::pipeline::relay::Outgoing;
use crate::pipeline::{self, Asked, admit, authenticate, read, route};
use crate::state::Worker;

/// Answers one request, whose body is that of any dialect.
pub(super) async fn answer(worker: &Arc<Worker>, request: Request<Incoming>) -> Response<Outgoing> {
    let id = worker.next_id();
    let mut asked = Asked::of(super::dialect_of(request.headers()));
    let mut response = match explain(worker, &mut asked, request).await {
        Ok(plan) => super::json(plan),
        Err(error) => {
            worker.shared.metrics.refused(asked.dialect, &error);
            error.response(asked.dialect, id.as_str()).map(Outgoing::whole)
        }
    };
    pipeline::name(&mut response, &id);
    response
}

async fn explain(
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
    let dialect: Dialect = asked.dialect;
    let Controlled { body, peek, controls, .. } =
        controls::take((&snapshot, Some(&key)), dialect, (body, peek))?;
    let asking = Asking {
        dialect,
        headers: &head.headers,
        body: &body,
        peek: &peek,
        key: Some(&key),
        controls: controls.as_deref(),
    };
    let plan = route::explain(&snapshot, &asking, (shared.now_ns(), shared.now_ms()), &shared.budgets)?;
    Ok(plan.to_string())
}
