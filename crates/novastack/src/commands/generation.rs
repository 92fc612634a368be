//! `novastack generation`: what one request did, and why it went where it went, directly from the store.

use anyhow::{Result, bail};
use clap::Args;
use nova_gateway::state::RequestId;
use nova_ledger::{Feedback, UsageRecord};
use serde_json::{Value, json};

use super::home::Home;
use crate::cli::Global;

/// Options of `novastack generation`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Generation {
    /// The answer's `x-request-id`, or its own id where the gateway wrote the answer.
    id: String,
}

/// Prints the record.
pub(crate) fn run(global: &Global, generation: &Generation) -> Result<()> {
    let home = Home::open(global)?;
    let id = RequestId::within(&generation.id).unwrap_or(&generation.id);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (record, feedback) = runtime.block_on(async {
        let ledger = home.ledger().await?;
        let found =
            async { anyhow::Ok((ledger.usage_by_request_id(id).await?, ledger.feedback_of(id).await?)) };
        let found = found.await;
        ledger.close().await;
        found
    })?;
    let Some(record) = record else {
        bail!(
            "there is no record of request `{id}`\nhint: the id is the answer's `x-request-id`; a record is written \
             within 200 ms of the answer's end"
        )
    };
    if global.json {
        return super::say(&json!({ "data": record, "feedback": feedback }).to_string());
    }
    print(&record, &feedback)
}

fn print(record: &UsageRecord, feedback: &[Feedback]) -> Result<()> {
    super::table(["REQUEST", &record.request_id], &facts(record))?;
    if !record.attempts.is_empty() {
        super::say("")?;
        let rows: Vec<[String; 4]> = record
            .attempts
            .iter()
            .map(|attempt| {
                let status = attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
                [
                    attempt.deployment.to_string(),
                    attempt.outcome.to_string(),
                    status,
                    format!("{} ms", attempt.ms),
                ]
            })
            .collect();
        super::table(["FAILED ATTEMPT", "OUTCOME", "STATUS", "TOOK"], &rows)?;
    }
    if !feedback.is_empty() {
        super::say("")?;
        let rows: Vec<[String; 3]> = feedback
            .iter()
            .map(|said| {
                let value = said.value.map_or_else(|| "-".to_owned(), |value| value.to_string());
                [said.metric.clone(), value, said.comment.clone().unwrap_or_default()]
            })
            .collect();
        super::table(["FEEDBACK", "VALUE", "COMMENT"], &rows)?;
    }
    if let Some(decision) = &record.decision {
        let json = decision.json();
        let shown = serde_json::from_str::<Value>(&json)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| json.into_owned());
        super::say(&format!("\nDECISION\n{shown}"))?;
    }
    Ok(())
}

/// What is known of it, one thing a line.
fn facts(record: &UsageRecord) -> Vec<[String; 2]> {
    let usage = &record.usage;
    let ms = |us: u64| format!("{}.{:03} ms", us / 1000, us % 1000);
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let mut rows = vec![
        ("at", nova_gateway::api::instant(record.at_ms)),
        ("dialect", format!("{}, {}", record.dialect, record.path)),
        ("outcome", format!("{}, status {}", record.outcome.as_str(), record.status)),
        ("asked for", record.model_asked.to_string()),
        ("answered by", or_none(record.model_answered.as_deref())),
        ("deployment", or_none(record.deployment.as_deref())),
        ("finish", or_none(record.finish.as_deref())),
        (
            "tokens",
            format!(
                "{} prompt ({} cached), {} answer ({} reasoning){}",
                usage.prompt(),
                usage.cache_read,
                usage.output,
                usage.reasoning,
                if record.estimated { ", estimated" } else { "" }
            ),
        ),
        ("cost", record.cost.to_string()),
        ("took", format!("{}, of which the gateway {}", ms(record.total_us), ms(record.overhead_us))),
        ("first token", record.first_token_us.map_or_else(|| "-".to_owned(), ms)),
    ];
    let optional = [
        ("error", record.error_code.as_deref()),
        ("task", record.task.as_deref()),
        ("session", record.session.as_deref()),
        ("experiment", record.experiment.as_deref()),
        ("preset", record.preset.as_deref()),
    ];
    rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))));
    rows.into_iter().map(|(name, value)| [name.to_owned(), value]).collect()
}
