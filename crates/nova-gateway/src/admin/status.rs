//! `/admin/v1/status` and `/metrics`: the state of this process.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use crate::state::Shared;

/// The configuration in force, the store, and each deployment's health.
pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load();
    let now = shared.now_ns();
    let deployments: Vec<Value> = snapshot
        .deployments
        .iter()
        .map(|deployment| {
            json!({
                "name": deployment.name,
                "model": deployment.model,
                "provider": deployment.provider,
                "resting": deployment.breaker.is_open(now),
                "priced": deployment.price.is_some(),
            })
        })
        .collect();
    let usage = shared.usage.stats();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "configuration": {
            "source": snapshot.source,
            "loaded_ms": snapshot.loaded_ms,
            "reload_error": **shared.reload_error.load(),
        },
        "store": { "away": shared.ledger.is_stale() || usage.away },
        "usage": { "queued": usage.queued, "written": usage.written, "journaled": usage.journaled },
        "deployments": deployments,
    }))
}

/// The counters, in the OpenMetrics text format.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text =
        shared.metrics.expose(&shared.usage.stats(), shared.upstream_connections(), shared.recall.size());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}
