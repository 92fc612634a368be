//! `novastack route test`: a file of requests, and where each must go.
//!
//! Nothing is sent and nothing is learnt: what deployments do is not known here, so that a case gives the same
//! answer on every machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use nova_catalog::yaml::{self, Located};
use nova_gateway::learnt::Now;
use nova_gateway::snapshot::Snapshot;
use nova_route::record::{Decided, Told};
use nova_route::{Table, Why};
use serde::Deserialize;
use serde_json::json;

use super::home::{BadConfig, Home};
use crate::cli::Global;

/// What to do with routes.
#[derive(Debug, Subcommand)]
pub(crate) enum Route {
    /// Hold the rules against a file of cases; fails where one of them goes elsewhere.
    Test(Test),
}

/// Options of `novastack route test`.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The cases; docs/guides/routing.md explains them.
    file: PathBuf,
}

/// A case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows.
    #[serde(default)]
    name: Option<String>,
    /// What is known of the request, by the names that rules use.
    #[serde(default)]
    request: Request,
    /// Where it must go.
    expect: Located<Expect>,
}

/// What is known of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    model: String,
    task: Option<String>,
    task_confidence: Option<f64>,
    complexity: Option<f64>,
    lang: Option<String>,
    context_length: u64,
    max_tokens: Option<u64>,
    turns: Option<u32>,
    budget: Option<f64>,
    budget_left: Option<f64>,
    stream: bool,
    has_images: bool,
    has_tools: bool,
    json_schema: bool,
    /// Unix milliseconds, for prices by the hour, `hour` and `weekday`.
    at_ms: i64,
    key_name: Option<String>,
    key_owner: Option<String>,
    tags: BTreeMap<String, String>,
    header: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            model: "auto".into(),
            task: None,
            task_confidence: None,
            complexity: None,
            lang: None,
            context_length: 0,
            max_tokens: None,
            turns: None,
            budget: None,
            budget_left: None,
            stream: false,
            has_images: false,
            has_tools: false,
            json_schema: false,
            // A Monday noon, so that cases without a time do not depend on the day.
            at_ms: 1_767_614_400_000,
            key_name: None,
            key_owner: None,
            tags: BTreeMap::new(),
            header: BTreeMap::new(),
            metadata: BTreeMap::new(),
        }
    }
}

/// Where a request must go. What is not said may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    /// The model, by any of its names.
    model: Option<String>,
    /// The place of the rule that chooses, from 1.
    rule: Option<u32>,
    /// The models that are tried after it, in order.
    then: Option<Vec<String>>,
    /// Models that must not be tried.
    never: Vec<String>,
    /// A part of the reason why there is no plan.
    error: Option<String>,
}

/// Does it.
pub(crate) fn run(global: &Global, route: &Route) -> Result<()> {
    let Route::Test(Test { file }) = route;
    let home = Home::open(global)?;
    let snapshot = Snapshot::build(&home.config, None).map_err(|error| BadConfig(error.to_string()))?;
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("`{name}` cannot be read"))?;
    let cases: Vec<Case> = yaml::read(&name, &text)?;
    if cases.is_empty() {
        bail!(
            "`{name}` has no case\nhint: a case is `- {{ request: {{ task: code }}, expect: {{ model: NAME }} }}`"
        );
    }
    let mut failed = 0;
    let mut shown = Vec::new();
    for case in &cases {
        let wrong = judge(&snapshot, case)?;
        failed += usize::from(!wrong.is_empty());
        let title = case.name.clone().unwrap_or_else(|| format!("line {}", case.expect.line));
        if global.json {
            shown.push(
                json!({ "case": title, "line": case.expect.line, "ok": wrong.is_empty(), "wrong": wrong }),
            );
        } else if wrong.is_empty() {
            super::say(&format!("ok    {title}"))?;
        } else {
            super::say(&format!("FAIL  {title}\n      --> {name}:{}", case.expect.line))?;
            wrong.iter().try_for_each(|line| super::say(&format!("      {line}")))?;
        }
    }
    if global.json {
        super::say(&json!({ "cases": shown, "failed": failed }).to_string())?;
    }
    if failed > 0 {
        bail!("{failed} of {} cases went elsewhere", cases.len());
    }
    Ok(())
}

/// What is not as it must be.
fn judge(snapshot: &Snapshot, case: &Case) -> Result<Vec<String>> {
    let table = &snapshot.table;
    let told = told(&case.request);
    let now = Now {
        snapshot,
        prompt_tokens: told.prompt_tokens,
        asks_to_think: false,
        last: None,
        now_ns: 0,
        now_ms: case.request.at_ms,
        graded: None,
        demands: None,
    };
    let plan = told.with(|facts| nova_route::plan(table, facts, &now, 0));
    let decided = Decided::of(table, &plan);
    let expect = &case.expect.value;
    let mut wrong = Vec::new();
    let mut models: Vec<&str> = decided.attempts.iter().map(|tried| tried.model.as_str()).collect();
    models.dedup();
    if let Some(part) = &expect.error {
        match &plan {
            Ok(_) => wrong.push(format!("it goes to `{}`, and should go nowhere", decided.model)),
            Err(no) if !no.to_string().contains(part) => wrong.push(format!("the reason is: {no}")),
            Err(_) => {}
        }
    } else if let Err(no) = &plan {
        wrong.push(format!("it goes nowhere: {no}"));
    }
    if let Some(model) = &expect.model
        && own_name(table, model)? != decided.model
    {
        wrong.push(format!("it goes to `{}`, because {}", decided.model, decided.by));
    }
    if let (Some(rule), Ok(plan)) = (expect.rule, &plan)
        && plan.by != (Why::Rule { rule })
    {
        wrong.push(format!("it is not rule {rule} that chooses: {}", decided.by));
    }
    if let Some(then) = &expect.then {
        let then = then.iter().map(|name| own_name(table, name)).collect::<Result<Vec<_>>>()?;
        let after = models.get(1..).unwrap_or_default();
        if then != after {
            wrong.push(format!("after it come: {}", after.join(", ")));
        }
    }
    for name in &expect.never {
        let name = own_name(table, name)?;
        if models.contains(&name) {
            wrong.push(format!("`{name}` is tried"));
        }
    }
    Ok(wrong)
}

/// A model's own name.
fn own_name<'t>(table: &'t Table, name: &str) -> Result<&'t str> {
    let found = table.find(name).and_then(|model| table.name(model));
    found.with_context(|| format!("a case names the model `{name}`, which there is not"))
}

fn told(request: &Request) -> Told {
    let numbers = [
        ("task_confidence", request.task_confidence),
        ("complexity", request.complexity),
        ("budget", request.budget),
        ("budget_left", request.budget_left),
    ];
    let texts = [("tags", &request.tags), ("header", &request.header), ("metadata", &request.metadata)];
    Told {
        model: request.model.clone(),
        prompt_tokens: request.context_length,
        max_tokens: request.max_tokens,
        turns: request.turns,
        stream: request.stream,
        has_images: request.has_images,
        has_tools: request.has_tools,
        json_schema: request.json_schema,
        key_name: request.key_name.clone(),
        key_owner: request.key_owner.clone(),
        task: request.task.clone(),
        lang: request.lang.clone(),
        numbers: numbers
            .into_iter()
            .filter_map(|(name, number)| Some((name.to_owned(), number?.to_string())))
            .collect(),
        now_ms: Some(request.at_ms),
        texts: texts
            .into_iter()
            .flat_map(|(family, entries)| {
                entries.iter().map(move |(name, value)| (format!("{family}.{name}"), value.clone()))
            })
            .collect(),
        ..Told::default()
    }
}
