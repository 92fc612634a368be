//! `/admin/v1/quality`: the versions of what the router has learnt, and going back to an earlier one.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminError;
use crate::error::{Code, GatewayError};
use crate::learnt;
use crate::state::Shared;

/// All versions, the newest first.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, AdminError> {
    Ok(Json(json!({ "data": shared.ledger.quality_versions().await? })))
}

/// Which version to go back to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    /// Its number; 0 forgets all that was learnt.
    version: i64,
}

/// Puts a version in force: here at once, on other instances within seconds.
pub(super) async fn rollback(
    State(shared): State<Arc<Shared>>,
    body: Result<Json<Rollback>, JsonRejection>,
) -> Result<Json<Value>, AdminError> {
    let Json(Rollback { version }) =
        body.map_err(|error| GatewayError::new(Code::BadRequest, error.body_text()))?;
    if !shared.ledger.activate_quality(version).await? {
        let message = format!("there is no version {version}\nhint: `GET /admin/v1/quality` lists all");
        let error = GatewayError::new(Code::UnknownPath, message);
        return Err(GatewayError { param: Some("version".into()), ..error }.into());
    }
    shared.lessons.follow(&shared.ledger).await?;
    learnt::take_lessons(&shared);
    Ok(Json(json!({ "data": shared.ledger.quality_versions().await? })))
}
