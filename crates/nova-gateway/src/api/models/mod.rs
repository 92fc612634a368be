//! `GET /v1/models`: what this key can ask for, in the caller's shape.
//!
//! Who sends `anthropic-version` reads Anthropic's list, who comes by `/v1beta` or sends Google's client
//! header reads Gemini's, and everyone else gets one body that OpenAI's, OpenRouter's and Codex's readers
//! all understand, since each ignores what it does not know. `shapes` has the rows, `page` cuts lists.

mod page;
mod shapes;

use std::borrow::Cow;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use nova_ledger::Key;
use nova_wire::Dialect;
use serde_json::{Value, json};

use self::page::Page;
use super::paths::parameter;
use crate::error::{Code, GatewayError};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::relay::Outgoing;
use crate::snapshot::{ListedModel, Snapshot};
use crate::state::Worker;

/// All models that have a deployment and that the key may use.
pub(super) fn list(worker: &Worker, request: &Request<Incoming>, google: bool) -> Response<Outgoing> {
    let shape = shape(request.headers(), google);
    match listed(worker, request, shape) {
        Ok(body) => super::json(body.to_string()),
        Err(error) => super::refuse(worker, shape, &error),
    }
}

/// One model, by any of its names.
pub(super) fn one(
    worker: &Worker,
    request: &Request<Incoming>,
    (name, google): (&str, bool),
) -> Response<Outgoing> {
    let shape = shape(request.headers(), google);
    let found = authenticate(&worker.shared, request.headers(), query_key(request, shape).as_deref())
        .and_then(|key| {
            let snapshot = worker.shared.snapshot.load();
            match snapshot.listed(name).filter(|model| may_use(&snapshot, &key, model)) {
                Some(model) => Ok(row(model, shape)),
                None => Err(GatewayError::new(Code::UnknownModel, format!("there is no model `{name}`"))),
            }
        });
    match found {
        Ok(row) => super::json(row.to_string()),
        Err(error) => super::refuse(worker, shape, &error),
    }
}

fn listed(worker: &Worker, request: &Request<Incoming>, shape: Dialect) -> Result<Value, GatewayError> {
    let key = authenticate(&worker.shared, request.headers(), query_key(request, shape).as_deref())?;
    let snapshot = worker.shared.snapshot.load();
    let models = visible(&snapshot, &key);
    let query = request.uri().query();
    let rows =
        |models: &[&ListedModel]| -> Vec<Value> { models.iter().map(|model| row(model, shape)).collect() };
    Ok(match shape {
        Dialect::Messages => {
            let Page { rows: page, more } = page::anthropic(&models, query)?;
            json!({
                "data": rows(page),
                "has_more": more,
                "first_id": page.first().map(|model| &model.id),
                "last_id": page.last().map(|model| &model.id),
            })
        }
        Dialect::Gemini => {
            let Page { rows: page, more } = page::gemini(&models, query)?;
            let mut body = json!({ "models": rows(page) });
            if let (true, Some(last)) = (more, page.last()) {
                body["nextPageToken"] = last.id.as_str().into();
            }
            body
        }
        Dialect::Chat | Dialect::Responses | Dialect::Converse => {
            let codex: Vec<Value> =
                models.iter().enumerate().map(|(place, model)| shapes::codex(model, place)).collect();
            json!({ "object": "list", "data": rows(&models), "models": codex })
        }
    })
}

/// Whose list the caller reads.
fn shape(headers: &HeaderMap, google: bool) -> Dialect {
    if google || headers.contains_key("x-goog-api-client") {
        Dialect::Gemini
    } else {
        super::dialect_of(headers)
    }
}

/// The key in the query, where Google's clients put it.
fn query_key(request: &Request<Incoming>, shape: Dialect) -> Option<Cow<'_, str>> {
    if shape == Dialect::Gemini { parameter(request.uri().query(), "key") } else { None }
}

fn row(model: &ListedModel, shape: Dialect) -> Value {
    match shape {
        Dialect::Messages => shapes::anthropic(model),
        Dialect::Gemini => shapes::gemini(model),
        Dialect::Chat | Dialect::Responses | Dialect::Converse => shapes::openai(model),
    }
}

fn visible<'s>(snapshot: &'s Snapshot, key: &Key) -> Vec<&'s ListedModel> {
    let all = snapshot.models.iter().chain(&snapshot.listed_autos).chain(&snapshot.listed_presets);
    all.filter(|model| may_use(snapshot, key, model)).collect()
}

/// Whether a key may use a model; a preset may be used by whom its model may be used. What chooses a model chooses
/// among those that the key may use, where there are any.
fn may_use(snapshot: &Snapshot, key: &Key, model: &ListedModel) -> bool {
    let meant = model.of.as_ref().and_then(|id| snapshot.models.iter().find(|model| model.id == *id));
    if meant.is_none() && snapshot.listed_autos.iter().any(|auto| auto.id == model.id) {
        return snapshot.models.iter().any(|model| may_use(snapshot, key, model));
    }
    let model = meant.unwrap_or(model);
    let is_called = |name: &String| model.is_called(name) || nova_route::part(name, &model.id).is_some();
    key.models.as_ref().is_none_or(|allowed| allowed.iter().any(is_called))
}
