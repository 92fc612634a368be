//! What `GET /v1/models` lists: models, names that leave the choice to us, presets.

use nova_catalog::{Capabilities, Model, Price, Thinking};
use nova_route::Table;
use nova_route::choose::Mode;
use serde_json::{Value, json};

use super::ListedModel;
use crate::config::{Config, Preset};

/// The day of what nobody dated.
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// The name that leaves the choice to us, alone or before a mode.
const AUTO: &str = "auto";
/// Who serves what we choose.
const OURSELVES: &str = "novastack";

/// The modes that have a name of their own; `auto` alone is another name of the one that is left out.
const MODES: [(Mode, &str, &str); 5] = [
    (Mode::Cheap, "Auto: cheapest", "The cheapest model that can take the request"),
    (Mode::Fast, "Auto: fastest", "The model whose first token should come soonest"),
    (Mode::Throughput, "Auto: throughput", "The model that should write the most tokens per second"),
    (Mode::Best, "Auto: best", "The best model for what the request is about"),
    (Mode::Budget, "Auto: budget", "The most quality for the budget that a request has on average"),
];

/// A model that somebody serves.
pub(super) fn model(model: &Model, config: &Config) -> ListedModel {
    let deployments = || config.deployments.iter().filter(|deployment| *deployment.model == *model.id);
    let mut providers: Vec<String> =
        deployments().map(|deployment| deployment.provider.to_string()).collect();
    providers.dedup();
    let price = deployments().next().and_then(|deployment| deployment.price.as_ref());
    let created = model.checked.map_or(0, |date| date.start_ms() / 1000);
    ListedModel {
        id: model.id.clone(),
        name: model.name.clone(),
        description: String::new(),
        of: None,
        aliases: model.aliases.clone(),
        context: model.context,
        max_output: model.max_output,
        capabilities: model.capabilities,
        retires_at: model.deprecated.map(|date| format!("{date}T00:00:00Z")),
        providers,
        created,
        created_at: model.checked.map_or_else(|| EPOCH.to_owned(), |date| format!("{date}T00:00:00Z")),
        pricing: price.map(pricing),
    }
}

/// A preset as a model of its own, which can do what the model that it asks for can do.
pub(super) fn preset(preset: &Preset, table: &Table, models: &[ListedModel]) -> ListedModel {
    let named = preset.model.as_deref().unwrap_or_default();
    let (base, _) = nova_route::suffixed(named, |name| table.has_name(name));
    let id = table.find(base).and_then(|index| table.name(index));
    let model = models.iter().find(|model| Some(model.id.as_str()) == id);
    ListedModel {
        id: format!("preset/{}", preset.name),
        name: preset.name.clone(),
        description: preset.description.clone().unwrap_or_default(),
        of: model.map(|model| model.id.clone()),
        aliases: vec![format!("@preset/{}", preset.name)],
        ..model.cloned().unwrap_or_else(unknown)
    }
}

/// US dollars per token, as decimal strings: prices are per million tokens, so six places more.
fn pricing(price: &Price) -> Value {
    let rates = price.rates_for(0);
    let per_token = |rate: nova_catalog::PerMillion| {
        let nanos = rate.price().nanos();
        let digits = format!("{:016}", nanos.max(0));
        let (whole, fraction) = digits.split_at(digits.len() - 15);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    };
    let mut pricing = json!({ "prompt": per_token(rates.input), "completion": per_token(rates.output) });
    // OpenRouter's readers take an absent price, and no `null`.
    let more = [
        ("input_cache_read", rates.cache_read),
        ("input_cache_write", rates.cache_write),
        ("internal_reasoning", rates.reasoning),
    ];
    for (name, rate) in more {
        if let Some(rate) = rate {
            pricing[name] = per_token(rate).into();
        }
    }
    pricing
}

/// The names by which the choice of a model is left to us, where there is one to choose.
///
/// An operator may have made `auto` an ordinary name of a model; then it can do what that one can.
pub(super) fn autos(config: &Config, table: &Table, models: &[ListedModel]) -> Vec<ListedModel> {
    if models.is_empty() {
        return Vec::new();
    }
    let named = |id: &str, name: &str, what: &str, like: &ListedModel| ListedModel {
        id: id.to_owned(),
        name: name.to_owned(),
        description: what.to_owned(),
        aliases: Vec::new(),
        ..like.clone()
    };
    let pool = any_of(config, table, models);
    let mut autos = Vec::new();
    let meant = table.find(AUTO).and_then(|index| table.name(index));
    match meant.filter(|_| !table.needs(AUTO).choice) {
        Some(meant) => {
            let model = models.iter().find(|model| model.id == meant);
            autos.extend(model.map(|model| ListedModel {
                of: Some(model.id.clone()),
                ..named(AUTO, &model.name, &model.description, model)
            }));
        }
        None => autos.push(named(
            AUTO,
            "Auto",
            "The gateway chooses the model: by rules, else the cheapest that is good enough",
            &pool,
        )),
    }
    for (mode, name, what) in MODES {
        let id = format!("{AUTO}:{}", mode.word());
        if mode != Mode::Budget || config.budget_per_request.is_some() {
            autos.push(named(&id, name, what, &pool));
        }
    }
    autos
}

/// What at least one of the models can do that `auto` chooses among: requests go to those that can take them.
fn any_of(config: &Config, table: &Table, models: &[ListedModel]) -> ListedModel {
    let chosen: Vec<&str> =
        config.choosing.models.iter().filter_map(|name| table.name(table.find(name)?)).collect();
    let pool = || models.iter().filter(|model| chosen.is_empty() || chosen.contains(&model.id.as_str()));
    let any = |can: fn(&Capabilities) -> bool| pool().any(|model| can(&model.capabilities));
    let thinks = any(|can| can.thinking != Thinking::None);
    ListedModel {
        context: pool().filter_map(|model| model.context).max(),
        max_output: pool().filter_map(|model| model.max_output).max(),
        capabilities: Capabilities {
            images: any(|can| can.images),
            pdf: any(|can| can.pdf),
            tools: any(|can| can.tools),
            forced_tools: any(|can| can.forced_tools),
            parallel_tools: any(|can| can.parallel_tools),
            json_schema: any(|can| can.json_schema),
            thinking: if thinks { Thinking::Optional } else { Thinking::None },
        },
        providers: vec![OURSELVES.to_owned()],
        ..unknown()
    }
}

/// What nothing is known of.
fn unknown() -> ListedModel {
    ListedModel {
        id: String::new(),
        name: String::new(),
        description: String::new(),
        of: None,
        aliases: Vec::new(),
        context: None,
        max_output: None,
        capabilities: Capabilities { images: true, pdf: true, tools: true, ..Capabilities::default() },
        retires_at: None,
        providers: Vec::new(),
        created: 0,
        created_at: EPOCH.to_owned(),
        pricing: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;

    #[test]
    fn prices_are_shown_per_token_without_a_float() {
        let check = |dollars_per_million: &str, shown: &str| {
            let yaml = format!(
                "providers: {{ p: {{ like: vllm, base_url: 'http://127.0.0.1:1/v1' }} }}\nmodels: {{ m: {{ offers: [{{ provider: p, price: {{ input: '{dollars_per_million}', output: 1 }} }}] }} }}\n"
            );
            let config = Config::parse("test.yaml", &yaml, &crate::config::Env::of([]))
                .unwrap_or_else(|error| panic!("{error}"));
            let snapshot = Snapshot::build(&config, None).unwrap();
            assert_eq!(snapshot.listed("m").unwrap().pricing.as_ref().unwrap()["prompt"], shown);
        };
        check("1.32", "0.00000132");
        check("10", "0.00001");
        check("0.0001", "0.0000000001");
        check("1000000", "1");
    }
}
