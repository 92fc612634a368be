//! `novastack models`: what is ready, or all that is known.

use anyhow::Result;
use clap::Args;
use nova_gateway::snapshot::Snapshot;

use super::home::{BadConfig, Home};
use crate::cli::Global;

/// Options of `novastack models`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Models {
    /// Also the models of the catalogue that nobody configured serves.
    #[arg(long)]
    all: bool,
}

/// Prints the list.
pub(crate) fn run(global: &Global, models: &Models) -> Result<()> {
    let home = Home::open(global)?;
    let snapshot = Snapshot::build(&home.config, None).map_err(|error| BadConfig(error.to_string()))?;
    let ready = |id: &str| snapshot.models.iter().any(|model| model.id == id);
    let known: Vec<_> = home.config.catalog.models().filter(|model| models.all || ready(&model.id)).collect();
    if global.json {
        let data: Vec<_> = known
            .iter()
            .map(|model| serde_json::json!({ "id": model.id, "ready": ready(&model.id), "model": model }))
            .collect();
        return super::say(&serde_json::json!({ "data": data }).to_string());
    }
    let rows: Vec<[String; 5]> = known
        .iter()
        .map(|model| {
            let context = model.context.map_or_else(|| "?".to_owned(), |context| context.to_string());
            let providers: Vec<&str> = model.offers.iter().map(|offer| offer.provider.as_str()).collect();
            let state = if ready(&model.id) { "ready" } else { "no credential" };
            [model.id.clone(), context, state.to_owned(), providers.join(", "), model.aliases.join(", ")]
        })
        .collect();
    super::table(["MODEL", "CONTEXT", "STATE", "PROVIDERS", "ALSO CALLED"], &rows)
}
