//! The paths that clients call.
//!
//! The data plane is matched by hand: it is a handful of fixed paths, twice (`/v1` and `/router/v1`),
//! and the request path has no use for a router. [`crate::admin`] is an ordinary axum router.

mod explain;
mod feedback;
mod generation;
mod health;
mod models;
mod not_found;
mod paths;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use nova_catalog::Date;
use nova_wire::Dialect;

use self::paths::Endpoint;
pub(crate) use self::paths::parameter;
use crate::error::{Code, GatewayError};
use crate::pipeline::relay::Outgoing;
use crate::state::Worker;
use crate::{admin, compare, conversation, count, pipeline};

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
            (Endpoint::Compare, &Method::POST) => {
                let dialect = dialect_of(request.headers());
                Box::pin(compare::answer(worker, dialect, request)).await
            }
            (Endpoint::Generation, _) => Box::pin(generation::answer(worker, &request)).await,
            (Endpoint::Feedback, &Method::POST) => Box::pin(feedback::answer(worker, request)).await,
            (Endpoint::Stored(stored), _) => Box::pin(conversation::answer(worker, stored, &request)).await,
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
        return Box::pin(admin::serve(worker, request)).await;
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

/// The same for paths that no client's dialect has: Google's clients say who they are, too.
fn caller(headers: &HeaderMap) -> Dialect {
    let google = headers.contains_key("x-goog-api-client") || headers.contains_key("x-goog-api-key");
    if google { Dialect::Gemini } else { dialect_of(headers) }
}

pub(crate) fn refuse(worker: &Worker, dialect: Dialect, error: &GatewayError) -> Response<Outgoing> {
    worker.shared.metrics.refused(dialect, error);
    error.response(dialect, worker.next_id().as_str()).map(Outgoing::whole)
}

/// An instant as RFC 3339 has it, in UTC.
pub fn instant(at_ms: i64) -> String {
    let ms = at_ms.rem_euclid(86_400_000);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", Date::from_ms(at_ms), ms % 1000)
}

pub(crate) fn json(body: impl Into<Bytes>) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_in_rfc_3339() {
        assert_eq!(instant(1_763_700_000_123), "2025-11-21T04:40:00.123Z");
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(-1), "1969-12-31T23:59:59.999Z");
    }
}
