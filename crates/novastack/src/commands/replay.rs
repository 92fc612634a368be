//! `novastack replay`: decisions of the past, made again.
//!
//! With the configuration in force it shows that a record gives the decision that was made, or which
//! decisions a changed file gives now. With another file it shows what that would have moved and cost: the
//! tokens that were really used, at the price of where the request would have gone first. Nothing is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nova_catalog::NanoUsd;
use nova_gateway::config::Env;
use nova_gateway::snapshot::Snapshot;
use nova_ledger::{Cursor, Ledger, UsageRecord};
use nova_route::record::{Decided, Record, Told};
use serde_json::json;

use super::home::{self, BadConfig, Home};
use crate::cli::Global;

/// Records that are read at once.
const PAGE: u32 = 500;

/// Options of `novastack replay`.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// How far to go back: `90m`, `24h` or `7d`.
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = ago)]
    since: Duration,
    /// Decide with this file instead of the configuration.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    requests: u64,
    /// Of these, those with a record of their decision.
    recorded: u64,
    /// Those that go to the same deployment first, and, where there is a record, have the same plan.
    same: u64,
    /// Those that would have gone nowhere.
    nowhere: u64,
    /// Those whose price there is not known.
    unpriced: u64,
    /// From which model to which one, how many, and what they cost and would have cost.
    moved: BTreeMap<(String, String), (u64, NanoUsd, NanoUsd)>,
    cost: NanoUsd,
    would_cost: NanoUsd,
}

/// Does it.
pub(crate) fn run(global: &Global, replay: &Replay) -> Result<()> {
    let home = Home::open(global)?;
    let other = match &replay.with {
        Some(file) => Some(home::load(Some(file), &Env::process())?),
        None => None,
    };
    let config = other.as_ref().unwrap_or(&home.config);
    let snapshot = Snapshot::build(config, None).map_err(|error| BadConfig(error.to_string()))?;
    let since_ms = super::now_ms().saturating_sub(i64::try_from(replay.since.as_millis())?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let ledger = home.ledger().await?;
        let outcome = all(&ledger, &snapshot, since_ms).await;
        ledger.close().await;
        outcome
    })?;
    if global.json { super::say(&as_json(&outcome)) } else { print(&outcome) }
}

async fn all(ledger: &Ledger, snapshot: &Snapshot, since_ms: i64) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut after: Option<Cursor> = None;
    loop {
        let records = ledger.usage_since(since_ms, after.as_ref(), PAGE).await?;
        let Some(last) = records.last() else { return Ok(outcome) };
        after = Some(Cursor { at_ms: last.at_ms, request_id: last.request_id.clone() });
        records.iter().for_each(|record| one(&mut outcome, snapshot, record));
    }
}

/// Decides again about one request that was answered.
fn one(outcome: &mut Outcome, snapshot: &Snapshot, record: &UsageRecord) {
    let (Some(model), Some(deployment)) = (&record.model_answered, &record.deployment) else { return };
    outcome.requests += 1;
    outcome.cost = outcome.cost.saturating_add(record.cost);
    let table = &snapshot.table;
    let decision =
        record.decision.as_ref().and_then(|decision| serde_json::from_str::<Record>(&decision.json()).ok());
    outcome.recorded += u64::from(decision.is_some());
    // Of a request that named its model, what its usage says is all that its plan depended on.
    let told = || Told {
        model: record.model_asked.to_string(),
        prompt_tokens: record.usage.prompt(),
        stream: record.stream,
        now_ms: Some(record.at_ms),
        ..Told::default()
    };
    let plan = match &decision {
        Some(decision) => decision.replay(table),
        None => told().with(|facts| {
            nova_route::plan(table, facts, &|_: nova_route::DeploymentId| nova_route::Health::Good, 0)
        }),
    };
    let decided = Decided::of(table, &plan);
    let Some(first) = decided.attempts.first() else {
        outcome.nowhere += 1;
        return;
    };
    // A request may have been answered by a fallback; what was decided is who was asked first.
    let (was_model, was_deployment) = match &decision {
        Some(Record { decided, .. }) => {
            let first = decided.attempts.first();
            first.map_or(("", ""), |first| (first.model.as_str(), first.deployment.as_str()))
        }
        None => (&**model, &**deployment),
    };
    if decision.as_ref().map_or(first.deployment == was_deployment, |record| record.decided == decided) {
        outcome.same += 1;
    }
    let price = snapshot.deployments.iter().find(|one| *one.name == *first.deployment).map(|one| &one.price);
    let would = match price {
        Some(Some(price)) if first.deployment != was_deployment => price.cost(&record.usage, record.at_ms),
        Some(None) if first.deployment != was_deployment => {
            outcome.unpriced += 1;
            NanoUsd::ZERO
        }
        _ => record.cost,
    };
    outcome.would_cost = outcome.would_cost.saturating_add(would);
    if first.model != was_model {
        let entry = outcome.moved.entry((was_model.to_owned(), first.model.clone())).or_default();
        *entry = (entry.0 + 1, entry.1.saturating_add(record.cost), entry.2.saturating_add(would));
    }
}

fn print(outcome: &Outcome) -> Result<()> {
    let Outcome { requests, recorded, same, nowhere, unpriced, moved, cost, would_cost } = outcome;
    super::say(&format!(
        "{requests} answered requests, {recorded} with a record of their decision; {same} are decided as they were"
    ))?;
    if *nowhere > 0 {
        super::say(&format!("{nowhere} would go nowhere"))?;
    }
    if *unpriced > 0 {
        super::say(&format!("{unpriced} would go where no price is known, and count as free"))?;
    }
    super::say(&format!("they cost {cost} and would have cost {would_cost}\n"))?;
    if moved.is_empty() {
        return Ok(());
    }
    let rows: Vec<[String; 5]> = moved
        .iter()
        .map(|((from, to), (count, cost, would))| {
            [from.clone(), to.clone(), count.to_string(), cost.to_string(), would.to_string()]
        })
        .collect();
    super::table(["FROM", "TO", "REQUESTS", "COST", "WOULD COST"], &rows)
}

fn as_json(outcome: &Outcome) -> String {
    let moved = outcome.moved.iter().map(|((from, to), (count, cost, would))| {
        json!({ "from": from, "to": to, "requests": count, "cost": cost, "would_cost": would })
    });
    json!({
        "requests": outcome.requests, "recorded": outcome.recorded, "same": outcome.same,
        "nowhere": outcome.nowhere, "unpriced": outcome.unpriced,
        "cost": outcome.cost, "would_cost": outcome.would_cost, "moved": moved.collect::<Vec<_>>(),
    })
    .to_string()
}

/// A span of time: a number and `m`, `h` or `d`.
fn ago(text: &str) -> Result<Duration> {
    let wrong = || format!("`{text}` is not a span of time\nhint: `90m`, `24h` or `7d`");
    let unit = text.chars().next_back().with_context(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().with_context(wrong)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        _ => bail!(wrong()),
    };
    number.checked_mul(minutes * 60).map(Duration::from_secs).with_context(wrong)
}
