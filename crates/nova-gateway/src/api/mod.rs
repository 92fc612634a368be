//! The paths that clients call.
//!
//! The data plane is matched by hand: it is a handful of fixed paths, twice (`/v1` and `/router/v1`),
//! and the request path has no use for a router. [`crate::admin`] is an ordinary axum router.

mod explain;
mod health;
mod models;
mod not_found;
mod paths;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use nova_wire::Dialect;

use self::paths::Endpoint;
pub(crate) use self::paths::parameter;
use crate::error::{Code, GatewayError};
use crate::pipeline::relay::Outgoing;
use crate::state::Worker;
use crate::{admin, conversation, count, pipeline};

/// Answers one request, whatever it is.
pub async fn serve(worker: &Arc<Worker>, request: Request<Incoming>) -> Response<Outgoing> {
    let path = request.uri().path();
    if let Some(endpoint) = paths::endpoint(path, request.uri().query()) {
        return match (endpoint, request.method()) {
            (Endpoint::Answer(asked), &Method::POST) => pipeline::answer(worker, asked, request).await,
            // The rarer ways in boxes of their own: the largest would set the size of every request's future.
            (Endpoint::Count(asked), &Method::POST) => Box::pin(count::answer(worker, asked, request)).await,
            (Endpoint::Forward(service), &Method::POST) => {
                Box::pin(pipeline::forward::answer(worker, service, request)).await
            }
            (Endpoint::Explain, &Method::POST) => Box::pin(explain::answer(worker, request)).await,
            (Endpoint::Stored(stored), _) => conversation::answer(worker, stored, &request).await,
            (Endpoint::Models(google), &Method::GET) => models::list(worker, &request, google),
            (Endpoint::Model(name, google), &Method::GET) => models::one(worker, &request, (&name, google)),
            (_, method) => {
                let message = format!("`{path}` does not answer to `{method}`");
                let dialect = not_found::dialect(path).unwrap_or_else(|| dialect_of(request.headers()));
                refuse(worker, dialect, &GatewayError::new(Code::MethodNotAllowed, message))
            }
        };
    }
    if path == "/metrics" || path.starts_with("/admin/") {
        return admin::serve(worker, request).await;
    }
    match health::answer(worker, path) {
        Some(response) => response,
        None => {
            let dialect = not_found::dialect(path).unwrap_or_else(|| dialect_of(request.headers()));
            refuse(worker, dialect, &not_found::error(path))
        }
    }
}

/// The dialect of a client that has not said it by its path: Anthropic's SDKs send their version.
fn dialect_of(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") { Dialect::Messages } else { Dialect::Chat }
}

pub(crate) fn refuse(worker: &Worker, dialect: Dialect, error: &GatewayError) -> Response<Outgoing> {
    worker.shared.metrics.refused(dialect, error);
    error.response(dialect, worker.next_id().as_str()).map(Outgoing::whole)
}

pub(crate) fn json(body: impl Into<Bytes>) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
