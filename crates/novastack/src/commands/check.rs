//! `novastack check`: everything that is wrong with a configuration, at once.

use anyhow::{Context as _, Result};
use nova_gateway::config::Env;
use nova_gateway::snapshot::Snapshot;

use super::home::{self, BadConfig};
use crate::cli::{Check, Global};

/// Checks a file and says what it comes to.
pub(crate) fn run(global: &Global, check: Check) -> Result<()> {
    let file = check.file.or_else(|| global.config.clone());
    let file = file.context("there is no file to check\nhint: `novastack check nova.yaml`")?;
    let config = home::load(Some(&file), &Env::process())?;
    home::warnings(&config).for_each(|warning| super::note(&warning));
    let snapshot = Snapshot::build(&config, None).map_err(|error| BadConfig(error.to_string()))?;
    let unpriced: Vec<&str> =
        snapshot.deployments.iter().filter(|one| one.price.is_none()).map(|one| &*one.name).collect();
    let retiring: Vec<String> = config
        .served_models()
        .filter_map(|model| Some(nova_gateway::warnings::of_retirement(&model.id, model.deprecated?)))
        .collect();
    if global.json {
        let value = serde_json::json!({
            "ok": true, "deployments": snapshot.deployments.len(), "models": snapshot.models.len(), "unpriced": unpriced,
            "retiring": retiring,
        });
        return super::say(&value.to_string());
    }
    super::say(&format!(
        "`{}` is good: {} models, {} deployments",
        file.display(),
        snapshot.models.len(),
        snapshot.deployments.len()
    ))?;
    retiring.iter().for_each(|text| super::note(text));
    if !unpriced.is_empty() {
        super::note(&format!("no price is known for {}", unpriced.join(", ")));
    }
    Ok(())
}
