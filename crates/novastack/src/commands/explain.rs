//! `novastack explain`: where a request would go, without sending it.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use nova_gateway::budgets::Budgets;
use nova_gateway::explain::Now;
use nova_gateway::snapshot::Snapshot;
use nova_wire::{Dialect, Peek};
use serde_json::Value;

use super::home::{BadConfig, Home};
use crate::cli::Global;

/// Options of `novastack explain`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Explain {
    /// A file with the request's body; `-` reads it from standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// The prompt of a request to make up.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The model of the made-up request.
    #[arg(long, default_value = "auto", value_name = "NAME")]
    model: String,
    /// The body is an Anthropic Messages request.
    #[arg(long)]
    messages: bool,
    /// A header of the request, which rules may ask for: `x-novastack-task: reasoning`.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

/// Prints the plan.
pub(crate) fn run(global: &Global, explain: &Explain) -> Result<()> {
    let home = Home::open(global)?;
    let snapshot = Snapshot::build(&home.config, None).map_err(|error| BadConfig(error.to_string()))?;
    let dialect = if explain.messages { Dialect::Messages } else { Dialect::Chat };
    let body = Bytes::from(body(explain)?);
    let peek = Peek::read(dialect, &body)?;
    let headers = headers(&explain.headers)?;
    let now = Now { snapshot: &snapshot, budgets: &Budgets::default(), at: (0, now_ms()) };
    let plan = nova_gateway::explain::explain(now, (dialect, &headers), None, (body, peek))?;
    if global.json {
        return super::say(&plan.to_string());
    }
    match plan["plans"].as_array() {
        None => print(&plan),
        Some(plans) => plans.iter().try_for_each(|plan| {
            print(plan)?;
            super::say("")
        }),
    }
}

fn headers(written: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in written {
        let parsed = header.split_once(':').and_then(|(name, value)| {
            Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::try_from(value.trim()).ok()?))
        });
        let (name, value) = parsed.with_context(|| {
            format!("`{header}` is not a header\nhint: `-H 'x-novastack-task: reasoning'`")
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Now, in Unix milliseconds.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn body(explain: &Explain) -> Result<Vec<u8>> {
    match (&explain.file, &explain.prompt) {
        (Some(file), _) if file.as_os_str() == "-" => {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body)?;
            Ok(body)
        }
        (Some(file), _) => {
            std::fs::read(file).with_context(|| format!("`{}` cannot be read", file.display()))
        }
        (None, Some(prompt)) => {
            let body = serde_json::json!({
                "model": explain.model, "max_tokens": 1024, "messages": [{ "role": "user", "content": prompt }],
            });
            Ok(body.to_string().into_bytes())
        }
        (None, None) => {
            bail!("there is no request\nhint: `-f request.json`, or `--model NAME --prompt TEXT`")
        }
    }
}

fn print(plan: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    if let Some(message) = plan["error"]["message"].as_str() {
        return super::say(&format!("{} goes nowhere: {message}", text(&plan["asked"])));
    }
    super::say(&format!(
        "{} is {}, about {} prompt tokens\n",
        text(&plan["asked"]),
        text(&plan["model"]),
        plan["facts"]["prompt_tokens"]
    ))?;
    let facts = &plan["facts"];
    for rule in plan["rules"].as_array().into_iter().flatten() {
        let condition = rule["if"].as_str().map_or_else(|| "always".to_owned(), |it| format!("if {it}"));
        let holds = if rule["holds"] == true { "holds" } else { "does not hold" };
        super::say(&format!("rule {} {holds}: {condition}, use {}", rule["rule"], text(&rule["use"])))?;
    }
    if plan["rules"].as_array().is_some_and(|rules| !rules.is_empty()) {
        super::say(&format!("task {}, budget {}\n", text(&facts["task"]), facts["budget"]))?;
    }
    let mut rows: Vec<[String; 5]> = Vec::new();
    for (index, attempt) in plan["attempts"].as_array().into_iter().flatten().enumerate() {
        let mut why = text(&attempt["why"]);
        if let Some(demoted) = attempt["demoted"].as_str() {
            why = format!("{why}; later, because {demoted}");
        }
        rows.push(row((index + 1).to_string(), attempt, why));
    }
    for removed in plan["removed"].as_array().into_iter().flatten() {
        rows.push(row("-".to_owned(), removed, text(&removed["why"])));
    }
    super::table(["TRY", "DEPLOYMENT", "UPSTREAM MODEL", "DIALECT", "WHY"], &rows)
}

fn row(place: String, entry: &Value, why: String) -> [String; 5] {
    let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    [place, text("deployment"), text("upstream_model"), text("dialect"), why]
}
