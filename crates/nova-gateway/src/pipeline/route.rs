//! Stage 4: where to send it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use nova_catalog::NanoUsd;
use nova_ledger::Decision;
use nova_route::choose::{Choice, Mode};
use nova_route::learn::{Kind, Turn};
use nova_route::record::{Noting, Record};
use nova_route::{DeploymentId, NoRoute, Plan, Preference, Why, World};
use serde_json::{Value, json};

use super::demands::Demands;
use super::facts::{self, Asking};
use super::reserve::About;
use crate::budgets::Budgets;
use crate::error::{Code, GatewayError};
use crate::graded::Grading;
use crate::learnt::{Learning, Now};
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
    let mut learnt = facts::learn(snapshot, asking)?;
    let shared = &worker.shared;
    let now_ms = shared.now_ms();
    let with_budget = asking.key.filter(|_| learnt.needs.choice);
    learnt.budget_left = with_budget.and_then(|key| shared.budgets.left(key, now_ms));
    let pace = snapshot.budget_per_request.zip(asking.key).filter(|_| learnt.needs.choice);
    learnt.quality_per_usd =
        pace.map(|(ceiling, key)| shared.pacers.quality_per_usd(key.id.number(), ceiling));
    let last =
        learnt.who.session.filter(|_| learnt.who.goes_on).and_then(|session| shared.sessions.last(session));
    let grading = learnt.grading(snapshot);
    let now = now(snapshot, asking, (last, grading), (shared.ns_at(started), now_ms));
    let seed = worker.next_seed();
    let (plan, record) = asking.with_facts(&learnt, now_ms, |facts| {
        let noting = Noting::over(&now);
        if !learnt.needs.choice && !learnt.needs.session {
            // What would be lost at a deployment is found out by writing the request for it: once each.
            let world: &dyn World = if now.demands.is_some() { &noting } else { &now };
            return (nova_route::plan(&snapshot.table, facts, world, seed), None);
        }
        let plan = nova_route::plan(&snapshot.table, facts, &noting, seed);
        let record = Record::of(&snapshot.table, facts, &noting, seed, &plan);
        (plan, Some(Box::new(record)))
    });
    let plan = plan.map_err(|no| refusal(snapshot, asking, no))?;
    let task: Option<Arc<str>> = learnt.task.as_deref().map(Arc::from);
    let learning = Learning {
        session: learnt.who.session,
        expected: last.map(|turn| (turn.deployment, turn.cached_tokens(now.prompt_tokens, now_ms, 1.0))),
        kind: task.as_deref().map(|task| Kind::of(Some(task))),
        paced: pace.and_then(|(ceiling, _)| Some((ceiling, dearest(&plan)?))),
        ..Learning::default()
    };
    let experiment = record.as_ref().and_then(|record| record.decided.experiment.as_deref());
    let about = About {
        task: task.clone(),
        session: learnt.who.session.map(|session| Arc::from(format!("{session:016x}"))),
        experiment: experiment.map(Arc::from),
        // Written as JSON where records are written, not here.
        decision: record
            .map(|record| Decision::later(move || serde_json::to_string(&record).unwrap_or_default())),
        ..About::default()
    };
    Ok(Routed { task, about, learning, plan })
}

/// What the dearest model should cost, where a pacer chose.
fn dearest(plan: &Plan) -> Option<NanoUsd> {
    let choice = plan.choice.as_ref().filter(|choice| choice.aim.mode == Mode::Budget)?;
    choice.ranked.iter().filter_map(|scored| scored.cost).map(|cost| cost.total).max()
}

/// This moment, for a request.
fn now<'a>(
    snapshot: &'a Snapshot,
    asking: &'a Asking<'a>,
    (last, graded): (Option<Turn>, Option<Grading<'a>>),
    (now_ns, now_ms): (u64, i64),
) -> Now<'a> {
    Now {
        snapshot,
        prompt_tokens: asking.peek.prompt_estimate,
        asks_to_think: asking.peek.wants_thinking,
        last,
        now_ns,
        now_ms,
        graded,
        demands: Demands::of(asking),
    }
}

/// A request that has a plan.
#[derive(Debug)]
pub struct Routed {
    /// Where to send it, in order.
    pub plan: Plan,
    /// What it is about, where that was asked.
    pub task: Option<Arc<str>>,
    /// What its record will say of it, the decision included where there was something to choose.
    pub about: About,
    /// What its answer will teach.
    pub learning: Learning,
}

/// A decision in one line, for a header: who chose, what the request is about, who answered, and at which
/// place of how many. What a header cannot carry is shown as `?`.
pub(super) fn line(
    (plan, task): (&Plan, Option<&str>),
    (id, model): (DeploymentId, &str),
    deployment: &Deployment,
) -> String {
    let place = plan.attempts.iter().position(|attempt| attempt.deployment == id && *attempt.model == *model);
    let mut line = match plan.by {
        Why::Rule { rule } => format!("rule={rule}"),
        Why::Rest => "rule=default".to_owned(),
        Why::Mode { mode } => format!("mode={}", mode.word()),
        Why::Arm => match &plan.exposure {
            Some(exposure) => format!("experiment={}/{}", exposure.experiment, exposure.arm),
            None => "experiment".to_owned(),
        },
        _ => "asked".to_owned(),
    };
    // Writing to a text cannot fail.
    if let Some(task) = task {
        let _ = write!(line, " task={task}");
    }
    let (name, of) = (&deployment.name, plan.attempts.len());
    let _ = write!(line, " model={model} deployment={name} try={}/{of}", place.map_or(0, |place| place + 1));
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line;
    }
    line.chars().map(|letter| if matches!(letter, ' '..='~') { letter } else { '?' }).collect()
}

/// What a caller is told where there is no plan.
fn refusal(snapshot: &Snapshot, asking: &Asking<'_>, no: NoRoute) -> GatewayError {
    let model = &asking.peek.model;
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
        NoRoute::Unwanted { removed } => unwanted(snapshot, asking, &removed),
        NoRoute::Incapable { missing } => {
            GatewayError::new(Code::Incapable, format!("no deployment of model `{model}` can take {missing}"))
        }
        NoRoute::NoneLeft { why: why @ Why::DataPolicy } => GatewayError::new(
            Code::Forbidden,
            format!(
                "no deployment of model `{model}` can be used: {why}\nhint: `data_collection`, `zdr` and `region` of a deployment say how it treats prompts"
            ),
        ),
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
fn unwanted(snapshot: &Snapshot, asking: &Asking<'_>, removed: &[(DeploymentId, Why)]) -> GatewayError {
    /// More than this nobody reads.
    const SHOWN: usize = 8;
    let mut message = format!("no deployment of model `{}` is as the request wants it", asking.peek.model);
    for (place, (id, why)) in removed.iter().take(SHOWN).enumerate() {
        let name = snapshot.deployment(*id).map_or("?", |deployment| &deployment.name);
        let before = if place == 0 { ": " } else { "; " };
        // Writing to a text cannot fail.
        let _ = write!(message, "{before}`{name}`: {}", reason(snapshot, asking, (*id, *why)));
    }
    if removed.len() > SHOWN {
        let _ = write!(message, "; and {} more", removed.len() - SHOWN);
    }
    message.push_str("\nhint: `POST /v1/route/explain` shows what each preference leaves");
    GatewayError::new(Code::Unwanted, message)
}

/// Why a deployment was left out; of what would be lost there, the fields.
fn reason(snapshot: &Snapshot, asking: &Asking<'_>, (id, why): (DeploymentId, Why)) -> String {
    let loses = why == Why::Preference { preference: Preference::Parameters };
    let lost = snapshot
        .deployment(id)
        .zip(Demands::of(asking).filter(|_| loses))
        .map(|(deployment, demands)| demands.lost(deployment));
    match lost.as_deref() {
        Some([_, ..]) => {
            let fields: Vec<String> = lost.iter().flatten().map(|field| format!("`{field}`")).collect();
            format!("`provider.require_parameters` is true, and {} would be lost there", fields.join(", "))
        }
        _ => why.to_string(),
    }
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
    budgets: &Budgets,
) -> Result<Value, GatewayError> {
    let (dialect, peek) = (asking.dialect, asking.peek);
    let mut learnt = facts::learn(snapshot, asking)?;
    learnt.budget_left = asking.key.and_then(|key| budgets.left(key, now_ms));
    let now = now(snapshot, asking, (None, learnt.grading(snapshot)), (now_ns, now_ms));
    // The seed only spreads load between equals; a fixed one gives the same answer each time.
    let (plan, judged) = asking.with_facts(&learnt, now_ms, |facts| {
        // One moment for both.
        let now = Noting::over(&now);
        (nova_route::plan(&snapshot.table, facts, &now, 0), snapshot.table.judged(facts, &now))
    });
    let plan = plan.map_err(|no| refusal(snapshot, asking, no))?;
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
            let upstream = snapshot.deployment(attempt.deployment).map(|it| it.upstream_for(&attempt.model));
            let why = attempt.why.to_string();
            named(
                attempt.deployment,
                json!({ "model": &*attempt.model, "upstream_model": upstream, "why": why, "demoted": demoted }),
            )
        })
        .collect();
    let removed: Vec<Value> = plan
        .removed
        .iter()
        .map(|left| named(left.0, json!({ "why": reason(snapshot, asking, *left) })))
        .collect();
    Ok(json!({
        "asked": peek.model,
        "model": &*plan.asked,
        "by": plan.by,
        "rules": judged,
        "facts": {
            "dialect": dialect, "stream": peek.stream, "prompt_tokens": peek.prompt_estimate,
            "max_tokens": peek.max_tokens, "turns": peek.messages, "has_images": peek.has_images,
            "has_tools": peek.has_tools, "json_schema": peek.has_schema, "task": learnt.task.as_deref(),
            "task_confidence": learnt.task_confidence.map(shown), "complexity": learnt.complexity.map(shown),
            "lang": learnt.lang,
            "budget": learnt.budget, "budget_left": learnt.budget_left, "key": asking.key.map(|key| key.name.as_str()), "now_ms": now_ms,
        },
        "attempts": attempts,
        "removed": removed,
        "choice": plan.choice.as_deref().map(|choice| arithmetic(choice, &named)),
        "experiment": plan.exposure,
    }))
}

/// A number for people: four places are enough. Records keep all.
fn shown(number: impl Into<f64>) -> f64 {
    (number.into() * 1e4).round() / 1e4
}

/// A ranking with its arithmetic: what each model should cost and why, what was enough, who came second, and which
/// cheaper model failed by how much.
fn arithmetic(choice: &Choice, named: &impl Fn(DeploymentId, Value) -> Value) -> Value {
    let enough = |low: f32| choice.reach.is_none_or(|reach| f64::from(low) >= reach);
    let ranked: Vec<Value> = choice
        .ranked
        .iter()
        .map(|scored| {
            let rest = json!({
                "cost": scored.cost, "quality": shown(scored.quality), "quality_at_least": shown(scored.low),
                "enough": enough(scored.low), "measured": scored.measured,
                "ttft_ms": scored.ttft_ms.map(shown), "tokens_per_s": scored.tokens_per_s.map(shown),
            });
            named(scored.deployment, rest)
        })
        .collect();
    let cost = |scored: &nova_route::choose::Scored| scored.cost.map_or(i64::MAX, |cost| cost.total.nanos());
    let cheaper = choice.ranked.first().and_then(|first| {
        let fails = choice.ranked.iter().filter(|scored| !enough(scored.low) && cost(scored) < cost(first));
        fails.min_by_key(|scored| cost(scored))
    });
    let cheaper = cheaper
        .filter(|_| choice.aim.mode == Mode::Capable)
        .map(|scored| json!({ "model": &*scored.model, "needs": choice.reach.map(shown), "has": shown(scored.low) }));
    json!({
        "mode": choice.aim.mode, "task": choice.task, "enough": shown(choice.aim.enough),
        "quality_needed": choice.reach.map(shown), "quality_per_usd": choice.aim.quality_per_usd,
        "runner_up": choice.ranked.get(1).map(|scored| &*scored.model),
        "cheaper_but_not_enough": cheaper, "explored": choice.explored, "ranked": ranked,
    })
}
