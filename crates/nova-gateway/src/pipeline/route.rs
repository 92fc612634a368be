//! Stage 4: where to send it.

use std::sync::Arc;
use std::time::Instant;

use nova_ledger::Key;
use nova_route::{DeploymentId, Facts, Health, NoRoute, Plan};
use nova_wire::{Dialect, Peek};
use serde_json::{Value, json};

use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;
use crate::state::Worker;

/// The plan: which deployments to try, in what order.
///
/// # Errors
/// 404 for a model that is unknown or not configured, 403 for one that the key may not use, 422 where
/// no deployment can do what is asked.
pub fn route(
    worker: &Worker,
    snapshot: &Snapshot,
    key: &Arc<Key>,
    peek: &Peek,
    started: Instant,
) -> Result<Plan, GatewayError> {
    let now_ns = worker.shared.ns_at(started);
    let facts = facts(peek, Some(key));
    let health = |id: DeploymentId| health(snapshot, id, now_ns);
    nova_route::plan(&snapshot.table, &facts, &health, worker.next_seed())
        .map_err(|no| refusal(snapshot, peek, no))
}

/// What a plan can depend on.
fn facts<'a>(peek: &'a Peek, key: Option<&'a Key>) -> Facts<'a> {
    Facts {
        model: &peek.model,
        prompt_tokens: peek.prompt_estimate,
        has_images: peek.has_images,
        has_tools: peek.has_tools,
        allowed_models: key.and_then(|key| key.models.as_deref()),
        ..Facts::default()
    }
}

/// Whether a deployment is resting after failures.
fn health(snapshot: &Snapshot, id: DeploymentId, now_ns: u64) -> Health {
    let resting = snapshot.deployment(id).is_some_and(|deployment| deployment.breaker.is_open(now_ns));
    if resting { Health::Open } else { Health::Good }
}

/// What a caller is told where there is no plan.
fn refusal(snapshot: &Snapshot, peek: &Peek, no: NoRoute) -> GatewayError {
    let model = &peek.model;
    let mut error = match no {
        NoRoute::Unknown { nearest } if nearest.is_empty() => GatewayError::new(
            Code::UnknownModel,
            format!("there is no model `{model}`\nhint: `GET /v1/models` lists all"),
        ),
        NoRoute::Unknown { nearest } => {
            let nearest = nearest.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            GatewayError::new(
                Code::UnknownModel,
                format!("there is no model `{model}`\nhint: did you mean {nearest}?"),
            )
        }
        NoRoute::NoDeployment => {
            let message = match snapshot.credential_hint(model) {
                Some(hint) => format!("no provider of model `{model}` is configured\nhint: {hint}"),
                None => format!("no deployment of model `{model}` is configured"),
            };
            GatewayError::new(Code::ModelNotConfigured, message)
        }
        NoRoute::NotAllowed => {
            GatewayError::new(Code::Forbidden, format!("this key may not use model `{model}`"))
        }
        NoRoute::Incapable { missing } => {
            GatewayError::new(Code::Incapable, format!("no deployment of model `{model}` can take {missing}"))
        }
    };
    error.param = Some("model".into());
    error
}

/// The plan with the names behind its numbers, for people and for tools.
///
/// # Errors
/// As [`route`].
pub fn explain(
    snapshot: &Snapshot,
    dialect: Dialect,
    peek: &Peek,
    now_ns: u64,
) -> Result<Value, GatewayError> {
    let facts = facts(peek, None);
    let health = |id: DeploymentId| health(snapshot, id, now_ns);
    // The seed only spreads load between equals; a fixed one gives the same answer each time.
    let plan =
        nova_route::plan(&snapshot.table, &facts, &health, 0).map_err(|no| refusal(snapshot, peek, no))?;
    let named = |id: DeploymentId, rest: Value| {
        let deployment = snapshot.deployment(id);
        let mut entry = json!({
            "deployment": deployment.map(|deployment| &*deployment.name),
            "model": deployment.map(|deployment| &*deployment.model),
            "provider": deployment.map(|deployment| &*deployment.provider),
            "upstream_model": deployment.map(|deployment| deployment.upstream_model.as_str()),
            "dialect": deployment.map(|deployment| deployment.mount_for(dialect).dialect),
        });
        if let (Some(entry), Some(rest)) = (entry.as_object_mut(), rest.as_object()) {
            entry.extend(rest.clone());
        }
        entry
    };
    let attempts: Vec<Value> = plan
        .attempts
        .iter()
        .map(|attempt| {
            let demoted = attempt.demoted.map(|why| why.to_string());
            named(attempt.deployment, json!({ "why": attempt.why.to_string(), "demoted": demoted }))
        })
        .collect();
    let removed: Vec<Value> =
        plan.removed.iter().map(|(id, why)| named(*id, json!({ "why": why.to_string() }))).collect();
    Ok(json!({
        "asked": peek.model,
        "model": &*plan.asked,
        "facts": {
            "dialect": dialect, "stream": peek.stream, "prompt_tokens": peek.prompt_estimate,
            "max_tokens": peek.max_tokens, "has_images": peek.has_images, "has_tools": peek.has_tools,
        },
        "attempts": attempts,
        "removed": removed,
    }))
}
