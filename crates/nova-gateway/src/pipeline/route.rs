//! Stage 4: where to send it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Instant;

use nova_route::{DeploymentId, Health, NoRoute, Plan, Why};
use nova_wire::Peek;
use serde_json::{Value, json};

use super::facts::{self, Asking};
use crate::error::{Code, GatewayError};
use crate::snapshot::{Deployment, Snapshot};
use crate::state::Worker;

/// The plan: which deployments to try, in what order; and what the request is about, where rules asked that.
///
/// # Errors
/// 404 for a model that is unknown or not configured, 403 for one that the key may not use, 422 where
/// no deployment can do what is asked, 400 for a budget that is no amount.
pub fn route(
    worker: &Worker,
    snapshot: &Snapshot,
    asking: &Asking<'_>,
    started: Instant,
) -> Result<Routed, GatewayError> {
    let now_ns = worker.shared.ns_at(started);
    let health = |id: DeploymentId| health(snapshot, id, now_ns);
    let learnt = facts::learn(snapshot, asking)?;
    let plan = asking.with_facts(&learnt, worker.shared.now_ms(), |facts| {
        nova_route::plan(&snapshot.table, facts, &health, worker.next_seed())
    });
    let plan = plan.map_err(|no| refusal(snapshot, asking.peek, no))?;
    Ok(Routed { plan, task: learnt.task.map(Cow::into_owned) })
}

/// A request that has a plan.
#[derive(Debug)]
pub struct Routed {
    /// Where to send it, in order.
    pub plan: Plan,
    /// What it is about, where rules asked that.
    pub task: Option<String>,
}

/// A decision in one line, for a header: who chose, what the request is about, who answered, and at which
/// place of how many. What a header cannot carry is shown as `?`.
pub(super) fn line((plan, task): (&Plan, Option<&str>), id: DeploymentId, deployment: &Deployment) -> String {
    let place = plan.attempts.iter().position(|attempt| attempt.deployment == id);
    let mut line = match plan.by {
        Why::Rule { rule } => format!("rule={rule}"),
        Why::Rest => "rule=default".to_owned(),
        Why::Mode { mode } => format!("mode={}", mode.word()),
        Why::Arm => "experiment".to_owned(),
        _ => "asked".to_owned(),
    };
    // Writing to a text cannot fail.
    if let Some(task) = task {
        let _ = write!(line, " task={task}");
    }
    let (model, name, of) = (&deployment.model, &deployment.name, plan.attempts.len());
    let _ = write!(line, " model={model} deployment={name} try={}/{of}", place.map_or(0, |place| place + 1));
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line;
    }
    line.chars().map(|letter| if matches!(letter, ' '..='~') { letter } else { '?' }).collect()
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
        NoRoute::Unwanted { removed } => unwanted(snapshot, model, &removed),
        NoRoute::Incapable { missing } => {
            GatewayError::new(Code::Incapable, format!("no deployment of model `{model}` can take {missing}"))
        }
        NoRoute::NoneLeft { why } => GatewayError::new(
            Code::Incapable,
            format!(
                "no model can serve this request: of the last one, {why}\nhint: `POST /v1/route/explain` shows all"
            ),
        ),
    };
    error.param = Some(if error.code == Code::Unwanted { "provider" } else { "model" }.into());
    error
}

/// What each deployment lacked, for a request whose preferences leave none.
fn unwanted(snapshot: &Snapshot, model: &str, removed: &[(DeploymentId, Why)]) -> GatewayError {
    /// More than this nobody reads.
    const SHOWN: usize = 8;
    let mut message = format!("no deployment of model `{model}` is as the request wants it");
    for (place, (id, why)) in removed.iter().take(SHOWN).enumerate() {
        let name = snapshot.deployment(*id).map_or("?", |deployment| &deployment.name);
        let before = if place == 0 { ": " } else { "; " };
        // Writing to a text cannot fail.
        let _ = write!(message, "{before}`{name}`: {why}");
    }
    if removed.len() > SHOWN {
        let _ = write!(message, "; and {} more", removed.len() - SHOWN);
    }
    message.push_str("\nhint: `POST /v1/route/explain` shows what each preference leaves");
    GatewayError::new(Code::Unwanted, message)
}

/// The whole decision with the names behind its numbers, for people and for tools: the facts, what each rule
/// says, the plan, and what was left out. Nothing is sent.
///
/// # Errors
/// As [`route`].
pub fn explain(
    snapshot: &Snapshot,
    asking: &Asking<'_>,
    (now_ns, now_ms): (u64, i64),
) -> Result<Value, GatewayError> {
    let (dialect, peek) = (asking.dialect, asking.peek);
    let health = |id: DeploymentId| health(snapshot, id, now_ns);
    let learnt = facts::learn(snapshot, asking)?;
    // The seed only spreads load between equals; a fixed one gives the same answer each time.
    let (plan, judged) = asking.with_facts(&learnt, now_ms, |facts| {
        (nova_route::plan(&snapshot.table, facts, &health, 0), snapshot.table.judged(facts, &health))
    });
    let plan = plan.map_err(|no| refusal(snapshot, peek, no))?;
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
        "by": plan.by,
        "rules": judged,
        "facts": {
            "dialect": dialect, "stream": peek.stream, "prompt_tokens": peek.prompt_estimate,
            "max_tokens": peek.max_tokens, "turns": peek.messages, "has_images": peek.has_images,
            "has_tools": peek.has_tools, "json_schema": peek.has_schema, "task": learnt.task.as_deref(),
            "budget": learnt.budget, "key": asking.key.map(|key| key.name.as_str()), "now_ms": now_ms,
        },
        "attempts": attempts,
        "removed": removed,
    }))
}
