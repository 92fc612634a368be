//! Models: names, capabilities, and who offers them.

use std::collections::HashMap;

use nova_wire::Quirks;
use nova_wire::quirks::Images;

use super::provider::unknown_provider;
use super::{Documents, Scope, price};
use crate::error::Problem;
use crate::model::{Capabilities, Model, Offer, Quality};
use crate::policy::Tags;
use crate::raw::{Capability, RawCatalog, RawModel, RawOffer, RawQuality, RawTariff, Thinking};
use crate::yaml::Located;

pub(super) fn check(raw: &RawCatalog, documents: Documents<'_>, problems: &mut Vec<Problem>) -> Vec<Model> {
    let mut names = HashMap::new();
    let mut models = Vec::with_capacity(raw.models.0.len());
    for (id, entry) in &raw.models.0 {
        // Ids first, so that an alias never wins over an id that stands further down.
        names.insert(id.to_ascii_lowercase(), id.as_str());
        let mut scope = Scope::new(documents.models, "models", id, problems);
        models.push(model(raw, id, entry, documents.strict, &mut scope));
    }
    for (id, entry) in &raw.models.0 {
        let mut scope = Scope::new(documents.models, "models", id, problems);
        for alias in &entry.aliases {
            check_name(alias, &mut scope);
            if let Some(owner) = names.insert(alias.to_ascii_lowercase(), id.as_str()) {
                let message = format!("`{}` is a name of `{owner}` already", alias.value);
                let hint = "letter case does not matter in names".to_owned();
                scope.report_at("aliases", alias, message, Some(hint));
            }
        }
    }
    models
}

fn model(
    raw: &RawCatalog,
    id: &Located<String>,
    entry: &RawModel,
    strict: bool,
    scope: &mut Scope<'_>,
) -> Model {
    check_name(id, scope);
    if strict && entry.context.is_none() {
        scope.report("context", "is missing");
    }
    if strict && entry.capabilities.is_none() {
        scope.report("capabilities", "is missing: `[]` for a model of text alone");
    }
    for (field, tokens) in [("context", entry.context), ("max_output", entry.max_output)] {
        if tokens == Some(0) {
            scope.report(field, "must be more than 0");
        }
    }
    let capabilities = capabilities(entry, scope);
    let mut offers = Vec::new();
    for (index, offer) in entry.offers.iter().flatten().enumerate() {
        let before = &entry.offers.as_deref().unwrap_or_default()[..index];
        check_offer(raw, (id, index, offer), before, scope);
        offers.push(self::offer((id, entry), (index, offer), capabilities, scope));
    }
    add_offers_of_twins(raw, &mut offers);
    if offers.is_empty() {
        let hint = "add `offers: [{provider: …}]`".to_owned();
        scope.report_with("offers", "nobody offers this model", hint);
    }
    let (source, checked) = scope.provenance(entry.source.as_ref(), entry.checked.as_ref(), strict);
    Model {
        id: id.value.clone(),
        name: entry.name.clone().unwrap_or_else(|| id.value.clone()),
        family: entry.family.clone(),
        aliases: entry.aliases.iter().map(|alias| alias.value.clone()).collect(),
        context: entry.context,
        max_output: entry.max_output,
        capabilities,
        quality: entry.quality.as_ref().map(|quality| self::quality(quality, scope)),
        deprecated: scope.date("deprecated", entry.deprecated.as_ref()),
        offers,
        source,
        checked,
    }
}

/// Names travel in JSON, headers and logs: printable, and nothing at the edges that cannot be seen.
fn check_name(name: &Located<String>, scope: &mut Scope<'_>) {
    const LONGEST: usize = 128;
    let printable = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if name.is_empty() || name.len() > LONGEST || !printable || name.trim() != name.as_str() {
        let message = format!("`{}` is no name: 1 to {LONGEST} printable ASCII characters", name.value);
        scope.report_at("", name, message, None);
    }
    if name.matches('*').count() > 1 {
        let message = format!("`{}` has more than one `*`", name.value);
        scope.report_at("", name, message, Some("one `*` stands for any text".to_owned()));
    }
}

fn capabilities(entry: &RawModel, scope: &mut Scope<'_>) -> Capabilities {
    let thinking = entry.thinking.unwrap_or_default();
    let Some(given) = &entry.capabilities else { return unknown_capabilities(thinking) };
    let can = |capability| given.contains(&capability);
    if !can(Capability::Tools) && (can(Capability::ForcedTools) || can(Capability::ParallelTools)) {
        scope.report("capabilities", "`forced_tools` and `parallel_tools` need `tools`");
    }
    Capabilities {
        images: can(Capability::Images),
        pdf: can(Capability::Pdf),
        tools: can(Capability::Tools),
        forced_tools: can(Capability::ForcedTools),
        parallel_tools: can(Capability::ParallelTools),
        json_schema: can(Capability::JsonSchema),
        thinking,
    }
}

/// Of a model that a configuration adds without a word on what it can do, nothing is refused beforehand.
const fn unknown_capabilities(thinking: Thinking) -> Capabilities {
    Capabilities {
        images: true,
        pdf: true,
        tools: true,
        forced_tools: true,
        parallel_tools: true,
        json_schema: true,
        thinking,
    }
}

fn quality(raw: &RawQuality, scope: &mut Scope<'_>) -> Quality {
    if raw.source.trim().is_empty() {
        scope.report("quality.source", "is empty: a number without its measurement says nothing");
    }
    for (task, score) in raw.scores.iter().filter(|(_, score)| **score > 100) {
        scope.report(&format!("quality.scores.{task}"), format!("`{score}` is more than 100 points"));
    }
    Quality { source: raw.source.clone(), scores: raw.scores.clone() }
}

fn check_offer(
    raw: &RawCatalog,
    (id, index, offer): (&Located<String>, usize, &RawOffer),
    before: &[RawOffer],
    scope: &mut Scope<'_>,
) {
    let field = format!("offers[{index}]");
    if raw.providers.get(&offer.provider).is_none() {
        unknown_provider(raw, &format!("{field}.provider"), &offer.provider, scope);
    }
    let upstream = |offer: &RawOffer| offer.model.clone().unwrap_or_else(|| id.value.clone());
    let same = |other: &&RawOffer| {
        other.provider.eq_ignore_ascii_case(&offer.provider)
            && upstream(other) == upstream(offer)
            && other.region == offer.region
    };
    if before.iter().any(|other| same(&other)) {
        let message = format!("`{}` offers `{}` twice", offer.provider.value, upstream(offer));
        scope.report_at(&field, &offer.provider, message, None);
    }
}

fn offer(
    (id, entry): (&Located<String>, &RawModel),
    (index, raw): (usize, &RawOffer),
    capabilities: Capabilities,
    scope: &mut Scope<'_>,
) -> Offer {
    let price = match &raw.price {
        None | Some(RawTariff::Unknown) => None,
        Some(RawTariff::Free) => Some(crate::price::Price::default()),
        Some(RawTariff::Price(price)) => {
            Some(self::price::check(&format!("offers[{index}].price"), price, &raw.provider, scope))
        }
    };
    if raw.max_output == Some(0) {
        scope.report_at(&format!("offers[{index}].max_output"), &raw.provider, "must be more than 0", None);
    }
    Offer {
        provider: raw.provider.to_ascii_lowercase(),
        upstream_model: raw.model.clone().unwrap_or_else(|| id.value.clone()),
        price,
        max_output: raw.max_output.or(entry.max_output),
        dialects: raw.dialects.clone(),
        quirks: text_only(raw.quirks.clone().unwrap_or_default(), capabilities),
        dialect_quirks: raw.dialect_quirks.clone(),
        tags: Tags { region: raw.region.clone(), quantization: raw.quantization, ..Tags::default() },
    }
}

/// A model that reads no images says so to the translator, too.
fn text_only(quirks: Quirks, capabilities: Capabilities) -> Quirks {
    let images = if capabilities.images { quirks.images } else { Some(Images::None) };
    Quirks { images, ..quirks }
}

/// Providers that have all models of another (`models_of`) offer what that one offers.
fn add_offers_of_twins(raw: &RawCatalog, offers: &mut Vec<Offer>) {
    for (id, provider) in &raw.providers.0 {
        let Some(other) = &provider.models_of else { continue };
        let own = |offer: &&Offer| offer.provider.eq_ignore_ascii_case(id);
        if offers.iter().any(|offer| own(&offer)) {
            continue;
        }
        let theirs = offers.iter().find(|offer| offer.provider.eq_ignore_ascii_case(other));
        if let Some(theirs) = theirs.cloned() {
            offers.push(Offer {
                provider: id.to_ascii_lowercase(),
                price: None,
                tags: Tags::default(),
                ..theirs
            });
        }
    }
}
