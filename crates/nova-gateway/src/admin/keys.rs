//! `/admin/v1/keys`: make, list, revoke.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use nova_ledger::{Key, NewKey};
use serde_json::{Value, json};

use super::AdminError;
use crate::error::{Code, GatewayError};
use crate::state::Shared;

/// All keys, newest first, with what is left of their budgets; never their texts.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, AdminError> {
    let keys: Vec<Arc<Key>> = shared.ledger.list_keys().await?;
    let now_ms = shared.now_ms();
    let shown = |key: &Arc<Key>| {
        let mut row = json!(**key);
        if let Some(left) = shared.budgets.left(key, now_ms) {
            row["budget_left"] = left.into();
        }
        row
    };
    Ok(Json(json!({ "data": keys.iter().map(shown).collect::<Vec<_>>() })))
}

/// A new key. The answer is the only place where its text ever stands.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Result<Json<NewKey>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), AdminError> {
    let Json(new) = body.map_err(|error| GatewayError::new(Code::BadRequest, error.body_text()))?;
    let created = shared.ledger.create_key(&new, shared.now_ms()).await?;
    let body = json!({ "key": created.secret.expose(), "data": &*created.key });
    Ok((StatusCode::CREATED, Json(body)))
}

/// Revokes a key by its id, name or prefix. It is refused from now on here, and within seconds elsewhere.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Path(key): Path<String>,
) -> Result<Json<Value>, AdminError> {
    let revoked = shared.ledger.revoke_key(&key, shared.now_ms()).await?;
    Ok(Json(json!({ "data": &*revoked })))
}
