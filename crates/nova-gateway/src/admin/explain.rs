//! `/admin/v1/explain`: where a request would go, in which order, and why. Nothing is sent anywhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use bytes::Bytes;
use http::HeaderMap;
use nova_wire::{Dialect, Peek};
use serde::Deserialize;
use serde_json::Value;

use super::AdminError;
use crate::explain::Now;
use crate::state::Shared;

/// How to read the request in the body.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// `chat` or `messages`; by default chat.
    dialect: Option<Dialect>,
}

/// The plan for the request in the body, as any key would get it.
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, AdminError> {
    let snapshot = shared.snapshot.load();
    let dialect = asked.dialect.unwrap_or(Dialect::Chat);
    let peek = Peek::read(dialect, &body).map_err(crate::error::GatewayError::from)?;
    let at = (shared.now_ns(), shared.now_ms());
    let now = Now { snapshot: &snapshot, budgets: &shared.budgets, at };
    Ok(Json(crate::explain::explain(now, (dialect, &headers), None, (body, peek))?))
}
