//! `novastack keys`: make, list and revoke keys, directly in the store.
//!
//! A gateway that runs on the same store takes changes over within seconds.

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use nova_catalog::{DataCollection, DataPolicy, NanoUsd};
use nova_ledger::{Key, KeyBudget, KeyLimits, KeyRouting, Ledger, NewKey, Period, Scope};

use super::home::Home;
use crate::cli::Global;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key. It is shown once.
    Create(Create),
    /// List all keys, newest first.
    List,
    /// Refuse a key from now on.
    Revoke {
        /// Its name, id or prefix.
        key: String,
    },
}

/// Options of `novastack keys create`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Create {
    /// A name that no other key has.
    name: String,
    /// For the admin API and the metrics, not for models.
    #[arg(long)]
    admin: bool,
    /// A label: whose it is.
    #[arg(long)]
    owner: Option<String>,
    /// Requests per minute.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u32>,
    /// Requests at the same time.
    #[arg(long, value_name = "N")]
    max_in_flight: Option<u32>,
    /// Keeps none of its conversations, whatever the configuration says.
    #[arg(long)]
    no_store: bool,
    /// The models that it may ask for, separated by commas; all where nothing is said.
    #[arg(long, value_delimiter = ',', value_name = "MODEL,…")]
    models: Option<Vec<String>>,
    /// What one of its requests should cost at most, in US dollars: what rules read as `budget`.
    #[arg(long, value_name = "USD")]
    request_budget: Option<NanoUsd>,
    /// What it may spend: US dollars, and `day`, `week`, `month` or `total`, as in `5/month`.
    #[arg(long, value_name = "USD/SPAN", value_parser = budget)]
    budget: Option<KeyBudget>,
    /// A label that rules read as `tags.NAME`.
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// Its prompts go only where it is known that nothing is collected.
    #[arg(long)]
    no_collection: bool,
    /// Its prompts go only where it is known that nothing is kept.
    #[arg(long)]
    zdr: bool,
    /// The only regions that its prompts may go to, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "REGION,…")]
    regions: Option<Vec<String>>,
    /// How long it is good for, such as `90d` or `12h`; for ever where nothing is said.
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    expires: Option<i64>,
}

/// Does it.
pub(crate) fn run(global: &Global, keys: Keys) -> Result<()> {
    let home = Home::open(global)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ledger = home.ledger().await?;
        let done = match keys {
            Keys::Create(create) => make(global, &ledger, create).await,
            Keys::List => list(global, &ledger).await,
            Keys::Revoke { key } => revoke(global, &ledger, &key).await,
        };
        ledger.close().await;
        done
    })
}

async fn make(global: &Global, ledger: &Ledger, create: Create) -> Result<()> {
    let now = super::now_ms();
    let new = NewKey {
        name: create.name,
        owner: create.owner,
        scope: if create.admin { Scope::Admin } else { Scope::User },
        expires_ms: create.expires.map(|span| now.saturating_add(span)),
        limits: KeyLimits {
            requests_per_minute: create.requests_per_minute,
            max_in_flight: create.max_in_flight,
            store_prompts: create.no_store.then_some(false),
        },
        models: create.models,
        routing: KeyRouting {
            tags: create.tags.into_iter().collect(),
            request_budget: create.request_budget,
            budget: create.budget,
            data: DataPolicy {
                data_collection: create.no_collection.then_some(DataCollection::Deny),
                zdr: create.zdr.then_some(true),
                regions: create.regions,
            },
        },
    };
    let created = ledger.create_key(&new, now).await?;
    if global.json {
        let value = serde_json::json!({ "key": created.secret.expose(), "data": &*created.key });
        return super::say(&value.to_string());
    }
    super::say(created.secret.expose())?;
    super::note(&format!("key `{}` is made; it is not shown again", created.key.name));
    Ok(())
}

async fn list(global: &Global, ledger: &Ledger) -> Result<()> {
    let keys = ledger.list_keys().await?;
    if global.json {
        let data: Vec<&Key> = keys.iter().map(AsRef::as_ref).collect();
        return super::say(&serde_json::json!({ "data": data }).to_string());
    }
    let now = super::now_ms();
    let rows: Vec<[String; 6]> = keys
        .iter()
        .map(|key| {
            let used = key.last_used_ms.map_or_else(|| "never".to_owned(), |at| ago(now - at));
            [
                key.name.clone(),
                format!("{}…", key.prefix),
                key.scope.as_str().to_owned(),
                state(key, now).to_owned(),
                key.routing.budget.map_or_else(|| "-".to_owned(), shown),
                used,
            ]
        })
        .collect();
    super::table(["NAME", "PREFIX", "SCOPE", "STATE", "BUDGET", "LAST USED"], &rows)
}

fn state(key: &Key, now: i64) -> &'static str {
    if key.revoked_ms.is_some() {
        "revoked"
    } else if key.expires_ms.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "active"
    }
}

fn ago(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

async fn revoke(global: &Global, ledger: &Ledger, key: &str) -> Result<()> {
    let revoked = ledger.revoke_key(key, super::now_ms()).await?;
    if global.json {
        return super::say(&serde_json::json!({ "data": &*revoked }).to_string());
    }
    super::say(&format!("key `{}` is revoked", revoked.name))
}

/// `90d`, `12h`, `30m` or `45s` in milliseconds.
fn milliseconds(text: &str) -> Result<i64> {
    let split = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
    let (number, unit) = text.split_at(split);
    let number: i64 = number.parse().with_context(|| format!("`{text}` is no span of time; `90d` is one"))?;
    let unit = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => bail!("`{text}` needs a unit: `s`, `m`, `h` or `d`"),
    };
    number.checked_mul(unit).filter(|span| *span > 0).with_context(|| format!("`{text}` is out of range"))
}

/// A budget as it is written: `$5.00/month`.
fn shown(budget: KeyBudget) -> String {
    format!("{}/{}", budget.usd, budget.per.word())
}

/// `5/month`: US dollars and a span of time.
fn budget(text: &str) -> Result<KeyBudget> {
    let hint = "hint: `5/month`; the spans are `day`, `week`, `month` and `total`";
    let (usd, per) = text.split_once('/').with_context(|| format!("`{text}` is no budget\n{hint}"))?;
    let usd = usd.parse().with_context(|| format!("`{usd}` is no amount of US dollars\n{hint}"))?;
    let per = Period::named(per).with_context(|| format!("`{per}` is no span of time\n{hint}"))?;
    Ok(KeyBudget { usd, per })
}

/// A label: a name, `=` and a value.
fn tag(text: &str) -> Result<(String, String)> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("`{text}` is not a tag\nhint: `team=search`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_an_amount_and_a_span() {
        let check = |text: &str, expected: Option<(i64, Period)>| {
            let found = budget(text).ok().map(|budget| (budget.usd.nanos(), budget.per));
            assert_eq!(found, expected, "{text}");
        };
        check("5/month", Some((5_000_000_000, Period::Month)));
        check("0.25/day", Some((250_000_000, Period::Day)));
        check("100/total", Some((100_000_000_000, Period::Total)));
        assert_eq!(shown(budget("0.25/day").unwrap()), "$0.25/day");
        for wrong in ["5", "5/", "/day", "5/year", "five/day", ""] {
            check(wrong, None);
        }
    }

    #[test]
    fn spans_of_time_have_a_number_and_a_unit() {
        let check = |text: &str, ms: Option<i64>| assert_eq!(milliseconds(text).ok(), ms, "{text}");
        check("90d", Some(7_776_000_000));
        check("45s", Some(45_000));
        check("12h", Some(43_200_000));
        check("0d", None);
        check("-1d", None);
        check("d", None);
        check("", None);
        check("5", None);
        check("5é", None);
        check("9223372036854775807d", None);
    }
}
