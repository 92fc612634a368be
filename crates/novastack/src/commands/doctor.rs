//! `novastack doctor`: what could be wrong with this installation.
//!
//! Nothing is sent to a model and nothing is charged. `--online` also connects to the providers, which
//! shows whether names resolve, the network lets us out, and certificates are trusted.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use nova_gateway::snapshot::Snapshot;
use nova_upstream::{Client, ClientOptions, Deadlines, Tls, TlsOptions};

use super::engine::{FETCH, default_model};
use super::home::Home;
use crate::cli::Global;

/// Options of `novastack doctor`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Doctor {
    /// Also connect to the providers that are configured.
    #[arg(long)]
    online: bool,
}

/// One finding.
struct Finding {
    what: String,
    /// What is wrong and what to do, where something is.
    wrong: Option<String>,
    /// Whether the gateway cannot work like this.
    fatal: bool,
}

/// Looks, and prints what it found; fails where something is fatally wrong.
pub(crate) fn run(global: &Global, doctor: &Doctor) -> Result<()> {
    let home = Home::open(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = vec![configuration(&home), descriptors(), model(&home), port(&home)];
    findings.push(runtime.block_on(store(&home)));
    findings.extend(prices(&home));
    if doctor.online {
        findings.extend(runtime.block_on(providers(&home))?);
    }
    print(global, &findings)?;
    match findings.iter().filter(|finding| finding.fatal).count() {
        0 => Ok(()),
        fatal => bail!("{fatal} of {} checks failed", findings.len()),
    }
}

fn good(what: impl Into<String>) -> Finding {
    Finding { what: what.into(), wrong: None, fatal: false }
}

fn wrong(what: impl Into<String>, why: impl Into<String>, fatal: bool) -> Finding {
    Finding { what: what.into(), wrong: Some(why.into()), fatal }
}

fn configuration(home: &Home) -> Finding {
    match Snapshot::build(&home.config, None) {
        Ok(snapshot) if snapshot.deployments.is_empty() && !default_model(&home.data).is_file() => wrong(
            "models",
            "no provider has a credential\nhint: set `DEEPSEEK_API_KEY` or another provider's key",
            false,
        ),
        Ok(snapshot) => {
            good(format!("configuration `{}`: {} deployments", snapshot.source, snapshot.deployments.len()))
        }
        Err(error) => wrong("configuration", error.to_string(), true),
    }
}

async fn store(home: &Home) -> Finding {
    match home.ledger().await {
        Ok(ledger) => {
            let keys = ledger.key_table().len();
            ledger.close().await;
            good(format!("store: {keys} keys"))
        }
        Err(error) => wrong("store", error.to_string(), true),
    }
}

fn model(home: &Home) -> Finding {
    let path = home.config.engine.model.clone().unwrap_or_else(|| default_model(&home.data));
    if !home.config.engine.enabled {
        return good("local model: switched off");
    }
    if path.is_file() {
        return good(format!("local model: `{}`", path.display()));
    }
    wrong("local model", format!("there is none at `{}`\nhint: {FETCH}", path.display()), false)
}

fn port(home: &Home) -> Finding {
    let address = home.config.listen;
    match std::net::TcpListener::bind(address) {
        Ok(_) => good(format!("port: `{address}` is free")),
        Err(error) => wrong(
            "port",
            format!("`{address}`: {error}\nhint: a gateway may be running there already"),
            false,
        ),
    }
}

/// A stream takes two descriptors: the client's and the provider's.
fn descriptors() -> Finding {
    const ENOUGH: u64 = 8192;
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse::<u64>().ok());
    match soft {
        Some(soft) if soft < ENOUGH => wrong(
            "open files",
            format!("at most {soft}, which is about {} streams\nhint: `ulimit -n 65536`", soft / 2),
            false,
        ),
        Some(soft) => good(format!("open files: at most {soft}")),
        None => good("open files: no limit that this system shows"),
    }
}

fn prices(home: &Home) -> Vec<Finding> {
    let unpriced: Vec<&str> =
        home.config.deployments.iter().filter(|one| one.price.is_none()).map(|one| &*one.name).collect();
    if unpriced.is_empty() {
        return Vec::new();
    }
    let why = format!(
        "no price is known for {}\nhint: give its offer a `price` in the configuration",
        unpriced.join(", ")
    );
    vec![wrong("prices", why, false)]
}

/// Whether each provider's host can be reached. What it answers does not matter.
async fn providers(home: &Home) -> Result<Vec<Finding>> {
    let client = Client::new(ClientOptions::default(), Tls::new(&TlsOptions::default())?);
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for deployment in &home.config.deployments {
        let endpoint = &deployment.mounts[0].endpoint;
        if seen.contains(&endpoint.origin()) {
            continue;
        }
        seen.push(endpoint.origin());
        let deadlines = Deadlines { first_byte: Duration::from_secs(10), ..Deadlines::default() };
        let sent =
            client.send(nova_upstream::Request { deadlines, ..nova_upstream::Request::get(endpoint) }).await;
        let what = format!("provider `{}` at {}", deployment.provider, endpoint.origin());
        findings.push(match sent {
            Ok(_) => good(format!("{what}: reachable")),
            Err(failure) => wrong(what, failure.to_string(), false),
        });
    }
    Ok(findings)
}

fn print(global: &Global, findings: &[Finding]) -> Result<()> {
    if global.json {
        let data: Vec<_> = findings
            .iter()
            .map(|one| serde_json::json!({ "check": one.what, "ok": one.wrong.is_none(), "problem": one.wrong, "fatal": one.fatal }))
            .collect();
        return super::say(&serde_json::json!({ "data": data }).to_string());
    }
    for finding in findings {
        let mark = if finding.wrong.is_none() {
            "ok  "
        } else if finding.fatal {
            "BAD "
        } else {
            "note"
        };
        let wrong = finding.wrong.as_ref().map(|wrong| format!(": {}", wrong.replace('\n', "\n      ")));
        super::say(&format!("{mark}  {}{}", finding.what, wrong.unwrap_or_default()))?;
    }
    Ok(())
}
