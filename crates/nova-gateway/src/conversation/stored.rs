//! `/v1/responses/{id}`: what is kept, shown and forgotten.

use http::{Method, Request, Response};
use hyper::body::Incoming;
use nova_ledger::{KeyId, StoredResponse};
use nova_wire::Dialect;
use serde_json::{Value, json};

use super::items;
use crate::api::{self, parameter};
use crate::error::{Code, GatewayError};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::relay::Outgoing;
use crate::state::Worker;

/// What a path below `/v1/responses/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored<'a> {
    /// The answer.
    Answer(&'a str),
    /// What was asked.
    InputItems(&'a str),
    /// Its cancellation.
    Cancel(&'a str),
}

impl<'a> Stored<'a> {
    /// The meaning of a path below `/v1/responses/`.
    pub(crate) fn at(path: &'a str) -> Option<Self> {
        let (id, rest) = path.split_once('/').unwrap_or((path, ""));
        match rest {
            _ if id.is_empty() => None,
            "" if !path.ends_with('/') => Some(Self::Answer(id)),
            "input_items" => Some(Self::InputItems(id)),
            "cancel" => Some(Self::Cancel(id)),
            _ => None,
        }
    }
}

/// Answers one request.
pub(crate) async fn answer(
    worker: &Worker,
    stored: Stored<'_>,
    request: &Request<Incoming>,
) -> Response<Outgoing> {
    match found(worker, stored, request).await {
        Ok(body) => api::json(body),
        Err(error) => api::refuse(worker, Dialect::Responses, &error),
    }
}

async fn found(
    worker: &Worker,
    stored: Stored<'_>,
    request: &Request<Incoming>,
) -> Result<String, GatewayError> {
    let key = authenticate(&worker.shared, request.headers(), None)?.id;
    let query = request.uri().query();
    match (stored, request.method()) {
        (Stored::Answer(_), &Method::GET) if parameter(query, "stream").as_deref() == Some("true") => Err(
            GatewayError::new(Code::BadRequest, "a kept answer cannot be streamed again; leave out `stream`"),
        ),
        (Stored::Answer(id), &Method::GET) => Ok(one(worker, key, id).await?.response.get().to_owned()),
        (Stored::Answer(id), &Method::DELETE) => {
            let (ledger, name) = (worker.shared.ledger.clone(), id.to_owned());
            match worker.shared.ask(async move { ledger.delete_response(key, &name).await }).await? {
                true => Ok(json!({ "id": id, "object": "response", "deleted": true }).to_string()),
                false => Err(unknown(worker, id)),
            }
        }
        (Stored::InputItems(id), &Method::GET) => page(&inputs(worker, key, id).await?, query),
        (Stored::Cancel(id), &Method::POST) => {
            one(worker, key, id).await?;
            Err(GatewayError::new(Code::BadRequest, "Cannot cancel a synchronous response."))
        }
        (_, method) => {
            let path = request.uri().path();
            Err(GatewayError::new(Code::MethodNotAllowed, format!("`{path}` does not answer to `{method}`")))
        }
    }
}

async fn one(worker: &Worker, key: KeyId, id: &str) -> Result<StoredResponse, GatewayError> {
    let (ledger, name, now) = (worker.shared.ledger.clone(), id.to_owned(), worker.shared.now_ms());
    let found = worker.shared.ask(async move { ledger.response(key, &name, now).await }).await?;
    found.ok_or_else(|| unknown(worker, id))
}

fn unknown(worker: &Worker, id: &str) -> GatewayError {
    let mut message = format!("Response with id '{id}' not found.");
    if !worker.shared.snapshot.load().store_responses {
        message.push_str(
            "\nhint: this gateway keeps no answers; `responses.store: true` in the configuration does",
        );
    }
    let error = GatewayError::new(Code::UnknownPath, message);
    GatewayError { detail: Some("response_not_found".into()), ..error }
}

/// All that the model was shown: the items of the turns before, then the request's own.
async fn inputs(worker: &Worker, key: KeyId, id: &str) -> Result<Vec<Value>, GatewayError> {
    let limit = worker.shared.snapshot.load().limits.body_bytes as u64 * 3;
    let (ledger, name, now) = (worker.shared.ledger.clone(), id.to_owned(), worker.shared.now_ms());
    let chain =
        worker.shared.ask(async move { ledger.response_chain(key, &name, (now, limit)).await }).await?;
    let chain = chain.ok_or_else(|| unknown(worker, id))?;
    let mut all = Vec::new();
    for (place, turn) in chain.iter().enumerate() {
        all.extend(serde_json::from_str::<Vec<Value>>(turn.input.get()).unwrap_or_default());
        if place + 1 < chain.len() {
            all.extend(items::said(turn.response.get()));
        }
    }
    for (place, item) in all.iter_mut().enumerate() {
        if let Value::Object(fields) = item {
            fields.entry("id").or_insert_with(|| format!("item_{place}_{id}").into());
            fields.entry("type").or_insert_with(|| "message".into());
        }
    }
    Ok(all)
}

/// A page of a list in OpenAI's way: newest first unless `order=asc`, `limit` (1 to 100, default 20), `after`.
fn page(all: &[Value], query: Option<&str>) -> Result<String, GatewayError> {
    let wrong = |name: &str, message: &str| {
        let error = GatewayError::new(Code::BadRequest, format!("`{name}` {message}"));
        GatewayError { param: Some(name.to_owned()), ..error }
    };
    let limit: usize = match parameter(query, "limit") {
        None => 20,
        Some(text) => {
            let size = text.parse().ok().filter(|size| (1..=100).contains(size));
            size.ok_or_else(|| wrong("limit", "must be between 1 and 100"))?
        }
    };
    let mut all: Vec<&Value> = all.iter().collect();
    if parameter(query, "order").as_deref() != Some("asc") {
        all.reverse();
    }
    let start = match parameter(query, "after") {
        None => 0,
        Some(id) => {
            let place = all.iter().position(|item| item["id"] == *id);
            place.ok_or_else(|| wrong("after", "names no item of this list"))? + 1
        }
    };
    let end = (start + limit).min(all.len());
    let shown = &all[start..end];
    let id = |item: Option<&&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let body = json!({
        "object": "list",
        "data": shown,
        "first_id": id(shown.first()),
        "last_id": id(shown.last()),
        "has_more": end < all.len(),
    });
    Ok(body.to_string())
}
