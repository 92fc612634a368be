//! What a plan can depend on: what the request says, and what its rules must have found out of it.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use nova_ledger::Key;
use nova_route::rules::{Condition, OfModel};
use nova_route::task::SIDE_CALL;
use nova_route::{Classifier, Controls, Facts, Named, Needs};
use nova_wire::{Dialect, Peek};
use serde_json::{Map, Value};

use super::outline::Outline;
use super::said;
use super::session::{self, Who};
use super::task::{self, Heard};
use crate::error::{Code, GatewayError};
use crate::graded::Grading;
use crate::snapshot::Snapshot;

const BUDGET: &str = "x-novastack-budget";
const TASK: &str = "x-novastack-task";

/// A request to find a place for.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Its dialect.
    pub dialect: Dialect,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a Bytes,
    /// What was read of the body.
    pub peek: &'a Peek,
    /// Whose it is; nobody's may use every model.
    pub key: Option<&'a Key>,
    /// What it asks of routing beside its model.
    pub controls: Option<&'a Controls>,
}

/// What was found out for the rules.
#[derive(Debug, Default)]
pub(super) struct Learnt<'a> {
    pub(super) budget: Option<f64>,
    /// What the key may still spend, in US dollars.
    pub(super) budget_left: Option<f64>,
    /// What a dollar must buy, where a pacer watches over the key.
    pub(super) quality_per_usd: Option<f64>,
    pub(super) who: Who,
    pub(super) needs: Needs<'a>,
    pub(super) task: Option<Cow<'a, str>>,
    pub(super) task_confidence: Option<f64>,
    pub(super) lang: Option<&'static str>,
    pub(super) complexity: Option<f64>,
    /// What was said, where the quality of models is to be told by it.
    heard: Option<Heard>,
    metadata: Map<String, Value>,
}

/// Finds out what the rules ask for; nothing where none are asked.
///
/// # Errors
/// 400 for a budget that is no amount.
pub(super) fn learn<'a>(snapshot: &Snapshot, asking: &Asking<'a>) -> Result<Learnt<'a>, GatewayError> {
    learn_for(snapshot, asking, snapshot.table.needs(&asking.peek.model))
}

/// What a request is about: what its header says, else what the classifier finds.
pub(crate) fn task(snapshot: &Snapshot, asking: &Asking<'_>) -> Option<String> {
    let needs = Needs { text: true, ..Needs::default() };
    learn_for(snapshot, asking, needs).ok()?.task.map(Cow::into_owned)
}

/// Whether a request meets a condition that stands beside the rules.
pub(crate) fn holds(snapshot: &Snapshot, asking: &Asking<'_>, condition: &Condition, now_ms: i64) -> bool {
    let asks = condition.asks();
    let needs = Needs { text: asks.text, metadata: asks.metadata, choice: true, ..Needs::default() };
    // A budget that is no amount was refused, where it counts.
    let learnt = learn_for(snapshot, asking, needs).unwrap_or_default();
    asking.with_facts(&learnt, now_ms, |facts| condition.holds(facts, &OfModel::default()))
}

fn learn_for<'a>(
    snapshot: &Snapshot,
    asking: &Asking<'a>,
    needs: Needs<'a>,
) -> Result<Learnt<'a>, GatewayError> {
    let mut learnt = Learnt { needs, task: needs.task.map(Cow::Borrowed), ..Learnt::default() };
    if needs.choice {
        let of_key = asking.key.and_then(|key| key.routing.request_budget);
        // Exact up to some millions of dollars.
        learnt.budget = budget(asking.headers)?.or(of_key.map(|budget| budget.nanos() as f64 / 1e9));
    }
    let classifies = needs.text && snapshot.classifier != Classifier::None;
    let grades = needs.quality && snapshot.graded.is_some();
    let hears = classifies || grades;
    let reads = hears || needs.metadata || (needs.session && asking.body.len() <= session::LONGEST);
    let mut outline = if reads { Outline::of(asking.body) } else { Outline::default() };
    let mut heard = if hears { said::last(asking.dialect, &outline).map(Heard::new) } else { None };
    let mut is_side_call = false;
    if needs.text {
        let told = asking.headers.get(TASK).and_then(|value| value.to_str().ok()).map(str::trim);
        learnt.task = told.filter(|task| !task.is_empty()).map(Cow::Borrowed);
        let judge = |heard| task::judge(&snapshot.classifier, heard, asking);
        let verdict = heard.as_mut().filter(|_| classifies).map(judge).unwrap_or_default();
        is_side_call = verdict.name == Some(SIDE_CALL);
        (learnt.lang, learnt.complexity) = (verdict.lang, verdict.complexity);
        if learnt.task.is_some() {
            learnt.task_confidence = Some(1.0);
        } else {
            learnt.task = verdict.name.map(Cow::Borrowed);
            learnt.task_confidence = verdict.confidence;
        }
    }
    // What agents ask beside the conversation is not of the kind that people graded.
    learnt.heard = heard.filter(|_| grades && !is_side_call);
    if needs.session {
        let key = asking.key.map_or(0, |key| key.id.number());
        learnt.who = session::of(key, asking.headers, &outline);
    }
    if needs.metadata {
        learnt.metadata = metadata(std::mem::take(&mut outline.metadata));
    }
    Ok(learnt)
}

/// What the request may cost, in US dollars.
fn budget(headers: &HeaderMap) -> Result<Option<f64>, GatewayError> {
    let Some(value) = headers.get(BUDGET) else { return Ok(None) };
    let amount = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    match amount.filter(|amount| amount.is_finite() && *amount >= 0.0) {
        Some(amount) => Ok(Some(amount)),
        None => Err(GatewayError {
            param: Some(BUDGET.into()),
            ..GatewayError::new(
                Code::BadRequest,
                format!("`{BUDGET}` is not an amount\nhint: write US dollars, as in `0.0005`"),
            )
        }),
    }
}

/// The entries of the body's `metadata`, numbers and truths as they are written.
fn metadata(mut entries: Map<String, Value>) -> Map<String, Value> {
    for value in entries.values_mut() {
        if !value.is_string() {
            *value = Value::String(value.to_string());
        }
    }
    entries
}

impl Learnt<'_> {
    /// What graded answers taught of models, about this request.
    pub(super) fn grading<'g>(&'g self, snapshot: &'g Snapshot) -> Option<Grading<'g>> {
        Some(snapshot.graded.as_ref()?.asked(self.heard.as_ref()?))
    }
}

impl Asking<'_> {
    /// Calls with all that is known of the request.
    pub(super) fn with_facts<T>(
        &self,
        learnt: &Learnt<'_>,
        now_ms: i64,
        then: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let peek = self.peek;
        let header = |name: &str| self.headers.get(name)?.to_str().ok();
        let entry = |name: &str| learnt.metadata.get(name)?.as_str();
        let tag = |name: &str| Some(self.key?.routing.tags.get(name)?.as_str());
        let facts = Facts {
            model: &peek.model,
            prompt_tokens: peek.prompt_estimate,
            max_tokens: peek.max_tokens,
            turns: Some(peek.messages),
            stream: peek.stream,
            has_images: peek.has_images,
            has_tools: peek.has_tools,
            json_schema: peek.has_schema,
            allowed_models: self.key.and_then(|key| key.models.as_deref()),
            controls: self.controls,
            key_name: self.key.map(|key| key.name.as_str()),
            key_owner: self.key.and_then(|key| key.owner.as_deref()),
            key: self.key.map(|key| key.id.number()),
            session: learnt.who.session,
            user: learnt.who.user,
            task: learnt.task.as_deref(),
            task_confidence: learnt.task_confidence,
            lang: learnt.lang,
            complexity: learnt.complexity,
            budget: learnt.budget,
            budget_left: learnt.budget_left,
            quality_per_usd: learnt.quality_per_usd,
            data: self.key.map(|key| &key.routing.data),
            tags: Named::of(&tag),
            now_ms: Some(now_ms),
            headers: Named::of(&header),
            metadata: Named::of(&entry),
        };
        then(&facts)
    }
}
