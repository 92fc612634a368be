//! The admin API: keys, usage, learnt quality, the plan of a request, the state of the process.
//!
//! Every call needs a key of scope `admin` (`nsa_…`). The handlers run on the background runtime, where
//! the store's connections live, so that no query ever waits on a worker.

mod explain;
mod keys;
mod quality;
mod status;
mod usage;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use hyper::body::Incoming;
use nova_ledger::{LedgerError, Scope};
use nova_wire::Dialect;
use tower::ServiceExt as _;

use crate::error::{Code, GatewayError};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::relay::Outgoing;
use crate::state::{Shared, Worker};

/// The admin paths, over the shared state.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/admin/v1/keys", get(keys::list).post(keys::create))
        .route("/admin/v1/keys/{key}", delete(keys::revoke))
        .route("/admin/v1/usage", get(usage::recent))
        .route("/admin/v1/usage/summary", get(usage::summary))
        .route("/admin/v1/usage/{request_id}", get(usage::one))
        .route("/admin/v1/quality", get(quality::list))
        .route("/admin/v1/quality/rollback", post(quality::rollback))
        .route("/admin/v1/explain", post(explain::explain))
        .route("/admin/v1/status", get(status::status))
        .route("/metrics", get(status::metrics))
        .fallback(unknown)
        .with_state(shared)
}

/// Answers an admin request.
pub async fn serve(worker: &Arc<Worker>, request: http::Request<Incoming>) -> http::Response<Outgoing> {
    let id = worker.next_id();
    let shared = Arc::clone(&worker.shared);
    let allowed = authenticate(&shared, request.headers(), None).and_then(|key| match key.scope {
        Scope::Admin => Ok(()),
        Scope::User => Err(GatewayError::new(Code::Forbidden, "this needs a key of scope `admin`")),
    });
    if let Err(error) = allowed {
        return error.response(Dialect::Chat, id.as_str()).map(Outgoing::whole);
    }
    let limit = shared.snapshot.load().limits.body_bytes;
    let request = request.map(|body| axum::body::Body::new(http_body_util::Limited::new(body, limit)));
    let router = router(Arc::clone(&shared));
    let answered = shared.background.spawn(router.oneshot(request)).await;
    match answered {
        Ok(Ok(response)) => response.map(Outgoing::Router),
        Ok(Err(never)) => match never {},
        Err(_) => {
            let error = GatewayError::new(Code::Internal, "the request could not be finished");
            error.response(Dialect::Chat, id.as_str()).map(Outgoing::whole)
        }
    }
}

async fn unknown(request: Request) -> AdminError {
    let message =
        format!("there is nothing at `{}`\nhint: see docs/reference/admin-api.md", request.uri().path());
    AdminError(GatewayError::new(Code::UnknownPath, message))
}

/// A failure of the admin API, in OpenAI's shape.
#[derive(Debug)]
pub struct AdminError(pub GatewayError);

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        self.0.response(Dialect::Chat, "").map(|body: Bytes| axum::body::Body::from(body))
    }
}

impl From<LedgerError> for AdminError {
    fn from(error: LedgerError) -> Self {
        let code = match &error {
            LedgerError::Unavailable { .. } => Code::StoreUnavailable,
            LedgerError::NoSuchKey { .. } => Code::UnknownPath,
            LedgerError::Invalid { .. } | LedgerError::NameTaken { .. } | LedgerError::Ambiguous { .. } => {
                Code::BadRequest
            }
            _ => Code::Internal,
        };
        Self(GatewayError::new(code, error.to_string()))
    }
}

impl From<GatewayError> for AdminError {
    fn from(error: GatewayError) -> Self {
        Self(error)
    }
}
