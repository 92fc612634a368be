//! `GET /v1/models`: what this key can ask for, in the caller's shape.
//!
//! OpenAI readers get `{object: list, data: […]}` with the fields that OpenRouter's readers look for
//! besides; Anthropic readers (who send `anthropic-version`) get their own list shape. Readers of either
//! kind ignore fields that they do not know.

use http::{HeaderMap, Response};
use serde_json::{Value, json};

use crate::error::{Code, GatewayError};
use crate::pipeline::authenticate::authenticate;
use crate::pipeline::relay::Outgoing;
use crate::snapshot::{ListedModel, Snapshot};
use crate::state::Worker;
use nova_ledger::Key;
use nova_wire::Dialect;

/// All models that have a deployment and that the key may use.
pub(super) fn list(worker: &Worker, headers: &HeaderMap) -> Response<Outgoing> {
    let key = match authenticate(&worker.shared, headers, None) {
        Ok(key) => key,
        Err(error) => return super::refuse(worker, headers, &error),
    };
    let snapshot = worker.shared.snapshot.load();
    let models = visible(&snapshot, &key);
    let body = match super::dialect_of(headers) {
        Dialect::Messages => {
            let data: Vec<Value> = models.iter().map(|model| anthropic(model)).collect();
            let first = models.first().map(|model| &model.id);
            let last = models.last().map(|model| &model.id);
            json!({ "data": data, "has_more": false, "first_id": first, "last_id": last })
        }
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Converse => {
            let data: Vec<Value> = models.iter().map(|model| openai(model)).collect();
            json!({ "object": "list", "data": data })
        }
    };
    super::json(body.to_string())
}

/// One model, by any of its names.
pub(super) fn one(worker: &Worker, headers: &HeaderMap, name: &str) -> Response<Outgoing> {
    let key = match authenticate(&worker.shared, headers, None) {
        Ok(key) => key,
        Err(error) => return super::refuse(worker, headers, &error),
    };
    let snapshot = worker.shared.snapshot.load();
    let Some(model) = snapshot.listed(name).filter(|model| may_use(&key, model)) else {
        let error = GatewayError::new(Code::UnknownModel, format!("there is no model `{name}`"));
        return super::refuse(worker, headers, &error);
    };
    let body = match super::dialect_of(headers) {
        Dialect::Messages => anthropic(model),
        Dialect::Chat | Dialect::Responses | Dialect::Gemini | Dialect::Converse => openai(model),
    };
    super::json(body.to_string())
}

fn visible<'s>(snapshot: &'s Snapshot, key: &Key) -> Vec<&'s ListedModel> {
    snapshot.models.iter().filter(|model| may_use(key, model)).collect()
}

fn may_use(key: &Key, model: &ListedModel) -> bool {
    key.models.as_ref().is_none_or(|allowed| allowed.iter().any(|name| model.is_called(name)))
}

fn openai(model: &ListedModel) -> Value {
    let mut modalities = vec!["text"];
    if model.images {
        modalities.push("image");
    }
    json!({
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.providers.first(),
        "name": model.name,
        "context_length": model.context,
        "max_output_tokens": model.max_output,
        "architecture": { "input_modalities": modalities, "output_modalities": ["text"] },
        "pricing": model.pricing,
        "providers": model.providers,
        "aliases": model.aliases,
    })
}

fn anthropic(model: &ListedModel) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": model.created_at,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
    })
}
