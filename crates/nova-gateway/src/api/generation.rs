//! `GET /v1/generation?id=`: what one request did, cost and took, in OpenRouter's shape, and why it went where
//! it went.
//!
//! Invariant: a record is shown to the key that made the request, and to no other; whoever asks for somebody
//! else's learns no more than that there is none of theirs.

use http::{Method, Request, Response};
use hyper::body::Incoming;
use nova_ledger::{Feedback, KeyId, Outcome, UsageRecord};
use serde_json::{Value, json};

use super::{instant, parameter};
use crate::error::{Code, GatewayError};
use crate::pipeline::relay::Outgoing;
use crate::pipeline::{admit, authenticate};
use crate::state::{RequestId, Shared, Worker};

/// Answers one request.
pub(super) async fn answer(worker: &Worker, request: &Request<Incoming>) -> Response<Outgoing> {
    let dialect = super::caller(request.headers());
    match show(worker, request).await {
        Ok(body) => super::json(body.to_string()),
        Err(error) => super::refuse(worker, dialect, &error),
    }
}

async fn show(worker: &Worker, request: &Request<Incoming>) -> Result<Value, GatewayError> {
    if request.method() != Method::GET {
        let message = format!("`{}` does not answer to `{}`", request.uri().path(), request.method());
        return Err(GatewayError::new(Code::MethodNotAllowed, message));
    }
    let shared = &worker.shared;
    let key = authenticate::authenticate(shared, request.headers(), None)?;
    let _permit = admit::admit(shared, &shared.snapshot.load(), &key)?;
    let id = parameter(request.uri().query(), "id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| {
        let message = "`id` is missing\nhint: `/v1/generation?id=` and an answer's `x-request-id`";
        GatewayError { param: Some("id".into()), ..GatewayError::new(Code::BadRequest, message) }
    })?;
    let record = record_of(shared, key.id, &id).await?;
    let (ledger, request_id) = (shared.ledger.clone(), record.request_id.clone());
    let feedback = shared.ask(async move { ledger.feedback_of(&request_id).await }).await?;
    Ok(json!({ "data": body(&record, &feedback) }))
}

/// The record of a request that this key made, by any id that the client knows it by.
///
/// A client may ask the moment it has its answer. The record was handed to the writer before the answer's
/// last byte went out, so what the store does not have yet is there once the writer has written all it has.
///
/// # Errors
/// 404 where this key made no such request, 503 while the store is away.
pub(super) async fn record_of(shared: &Shared, key: KeyId, id: &str) -> Result<UsageRecord, GatewayError> {
    let Some(request_id) = RequestId::within(id).map(str::to_owned) else { return Err(unknown(id, true)) };
    let (ledger, usage) = (shared.ledger.clone(), shared.usage.clone());
    let found = shared.ask(async move {
        let found = ledger.usage_by_request_id(&request_id).await?;
        if found.is_some() {
            return Ok((found, true));
        }
        let written = usage.flush().await.in_database;
        Ok((ledger.usage_by_request_id(&request_id).await?, written))
    });
    match found.await? {
        (Some(record), _) if record.key_id == Some(key) => Ok(record),
        (None, false) => Err(GatewayError::new(
            Code::StoreUnavailable,
            "the store has not taken the newest records yet; try again shortly",
        )),
        _ => Err(unknown(id, false)),
    }
}

fn unknown(id: &str, foreign: bool) -> GatewayError {
    let shown: String = id.chars().take(80).collect();
    let hint = if foreign {
        "this is no id of the gateway's; where a provider's answer is passed on, its id is the provider's: use the \
         answer's `x-request-id`"
    } else {
        "a record is there once its answer has ended, and only for the key that asked"
    };
    let error =
        GatewayError::new(Code::UnknownPath, format!("there is no generation `{shown}`\nhint: {hint}"));
    GatewayError { param: Some("id".into()), detail: Some("generation_not_found".into()), ..error }
}

/// The record in OpenRouter's words (<https://openrouter.ai/docs/api-reference/get-a-generation>), and under
/// `novastack` what those have no place for.
fn body(record: &UsageRecord, feedback: &[Feedback]) -> Value {
    let usage = &record.usage;
    let cost = record.cost.nanos() as f64 / 1e9;
    let milliseconds = |us: u64| us as f64 / 1e3;
    let first = record.first_token_us.unwrap_or(record.total_us);
    json!({
        "id": record.request_id,
        "created_at": instant(record.at_ms),
        "model": record.model_answered.as_ref().unwrap_or(&record.model_asked),
        "provider_name": record.provider,
        "streamed": record.stream,
        "cancelled": record.outcome == Outcome::ClientGone,
        "total_cost": cost,
        "usage": cost,
        "tokens_prompt": usage.prompt(),
        "tokens_completion": usage.output,
        "native_tokens_prompt": usage.prompt(),
        "native_tokens_completion": usage.output,
        "native_tokens_reasoning": usage.reasoning,
        "native_tokens_cached": usage.cache_read,
        "latency": milliseconds(first),
        "generation_time": milliseconds(record.total_us.saturating_sub(first)),
        "finish_reason": record.finish.as_deref().map(finish_reason),
        "native_finish_reason": record.finish,
        "novastack": {
            "dialect": record.dialect,
            "path": record.path,
            "model_asked": record.model_asked,
            "deployment": record.deployment,
            "outcome": record.outcome,
            "status": record.status,
            "error_code": record.error_code,
            "attempts": record.attempts,
            "usage": usage,
            "estimated": record.estimated,
            "total_us": record.total_us,
            "overhead_us": record.overhead_us,
            "task": record.task,
            "session": record.session,
            "experiment": record.experiment,
            "preset": record.preset,
            "decision": record.decision,
            "feedback": feedback.iter().map(judged).collect::<Vec<Value>>(),
        },
    })
}

fn judged(feedback: &Feedback) -> Value {
    json!({
        "metric": feedback.metric,
        "value": feedback.value,
        "comment": feedback.comment,
        "at": instant(feedback.at_ms),
    })
}

/// OpenRouter's word for why an answer ended.
fn finish_reason(word: &str) -> &str {
    match word {
        "stop_sequence" | "pause" => "stop",
        "filter" => "content_filter",
        "failed" => "error",
        other => other,
    }
}
