//! `/admin/v1/usage`: what was asked, by whom, and what it cost.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use nova_ledger::{Cursor, GroupBy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminError;
use crate::error::{Code, GatewayError};
use crate::state::Shared;

/// A page of records.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// At most this many, by default 100.
    limit: Option<u32>,
    /// Older than this record: `AT_MS:REQUEST_ID`, as `next` of the page before says it.
    before: Option<String>,
}

/// The newest records, page by page.
pub(super) async fn recent(
    State(shared): State<Arc<Shared>>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, AdminError> {
    let limit = page.limit.unwrap_or(100);
    let before = page.before.as_deref().map(cursor).transpose()?;
    let records = shared.ledger.recent_usage(limit, before.as_ref()).await?;
    let more = records.len() == limit as usize;
    let next = records.last().filter(|_| more).map(Cursor::after);
    let next = next.map(|cursor| format!("{}:{}", cursor.at_ms, cursor.request_id));
    Ok(Json(json!({ "data": records, "next": next })))
}

fn cursor(text: &str) -> Result<Cursor, GatewayError> {
    let parsed = text
        .split_once(':')
        .and_then(|(at, id)| at.parse().ok().map(|at_ms| Cursor { at_ms, request_id: id.to_owned() }));
    parsed.ok_or_else(|| {
        let message = format!("`{text}` is no cursor\nhint: `next` of the page before is one");
        GatewayError { param: Some("before".into()), ..GatewayError::new(Code::BadRequest, message) }
    })
}

/// One record.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(request_id): Path<String>,
) -> Result<Json<Value>, AdminError> {
    match shared.ledger.usage_by_request_id(&request_id).await? {
        Some(record) => Ok(Json(json!({ "data": record }))),
        None => {
            let message = format!("there is no record of request `{request_id}`");
            Err(GatewayError::new(Code::UnknownPath, message).into())
        }
    }
}

/// A span of time, and how to group it.
#[derive(Debug, Deserialize)]
pub(super) struct Span {
    /// From here on, in Unix milliseconds; by default a day ago.
    since_ms: Option<i64>,
    /// Before this, in Unix milliseconds; by default now.
    until_ms: Option<i64>,
    /// `key`, `model` or `provider`; by default by model.
    by: Option<GroupBy>,
}

/// Sums of requests, tokens and cost.
pub(super) async fn summary(
    State(shared): State<Arc<Shared>>,
    Query(span): Query<Span>,
) -> Result<Json<Value>, AdminError> {
    const DAY_MS: i64 = 86_400_000;
    let until = span.until_ms.unwrap_or_else(|| shared.now_ms() + 1);
    let since = span.since_ms.unwrap_or(until - DAY_MS);
    let sums = shared.ledger.usage_summary(since, until, span.by.unwrap_or(GroupBy::Model)).await?;
    Ok(Json(json!({ "since_ms": since, "until_ms": until, "data": sums })))
}
