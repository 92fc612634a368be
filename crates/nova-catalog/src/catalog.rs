//! The catalogue: providers and models, found by any of their names.

use std::collections::HashMap;

use crate::check::{self, Documents};
use crate::error::CatalogError;
use crate::merge;
use crate::model::{Model, Offer};
use crate::nearest::nearest;
use crate::provider::Provider;
use crate::raw::RawCatalog;
use crate::yaml;

const PROVIDERS: &str = include_str!("../../../catalog/providers.yaml");
const MODELS: &str = include_str!("../../../catalog/models.yaml");
const PROVIDERS_FILE: &str = "catalog/providers.yaml";
const MODELS_FILE: &str = "catalog/models.yaml";

/// Providers and models, checked. Letter case of ids and names never matters.
#[derive(Clone, Debug)]
pub struct Catalog {
    providers: Vec<Provider>,
    models: Vec<Model>,
    /// Names in lower case, to models.
    names: HashMap<String, usize>,
    /// What all this was made of, for a configuration to be laid over.
    raw: RawCatalog,
}

/// What a client's model name means.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'c> {
    /// The model.
    pub model: &'c Model,
    /// The one offer that was asked for, where the name says the provider, too
    /// (`deepseek/deepseek-v4-pro`).
    pub offer: Option<&'c Offer>,
}

impl Catalog {
    /// The catalogue that is part of the program.
    ///
    /// # Errors
    /// None in a program that passed its tests.
    pub fn builtin() -> Result<Self, CatalogError> {
        Self::from_yaml(PROVIDERS, MODELS)
    }

    /// From the two documents of a catalogue, `providers:` and `models:`. Rows must be complete.
    ///
    /// # Errors
    /// All that is wrong in the documents, if they can be read; else the first reason why they cannot.
    pub fn from_yaml(providers: &str, models: &str) -> Result<Self, CatalogError> {
        let providers: RawCatalog = yaml::read(PROVIDERS_FILE, providers)?;
        let models: RawCatalog = yaml::read(MODELS_FILE, models)?;
        let mut problems = Vec::new();
        check::duplicates(PROVIDERS_FILE, "providers", &providers.providers, &mut problems);
        check::duplicates(MODELS_FILE, "models", &models.models, &mut problems);
        if !problems.is_empty() {
            return Err(CatalogError { problems });
        }
        let raw = RawCatalog { providers: providers.providers, models: models.models };
        Self::build(raw, Documents { providers: PROVIDERS_FILE, models: MODELS_FILE, strict: true })
    }

    /// This catalogue with the entries of a configuration laid over it (the rules are those of
    /// [`RawCatalog`]'s fields). This catalogue stays as it is.
    ///
    /// # Errors
    /// All that is wrong with the entries; places are those in `file`.
    pub fn with(&self, over: &RawCatalog, file: &str) -> Result<Self, CatalogError> {
        let mut problems = Vec::new();
        check::duplicates(file, "providers", &over.providers, &mut problems);
        check::duplicates(file, "models", &over.models, &mut problems);
        if !problems.is_empty() {
            return Err(CatalogError { problems });
        }
        let mut raw = self.raw.clone();
        merge::lay(&mut raw, over);
        Self::build(raw, Documents { providers: file, models: file, strict: false })
    }

    fn build(mut raw: RawCatalog, documents: Documents<'_>) -> Result<Self, CatalogError> {
        let (providers, models) = check::check(&raw, documents)?;
        merge::forget_places(&mut raw);
        let mut names = HashMap::with_capacity(models.len() * 3);
        for (index, model) in models.iter().enumerate() {
            names.extend(model.names().map(|name| (name.to_ascii_lowercase(), index)));
        }
        Ok(Self { providers, models, names, raw })
    }

    /// All providers, in the order of the catalogue.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// All models, in the order of the catalogue.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// The provider of this id.
    pub fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.id.eq_ignore_ascii_case(id))
    }

    /// The model of this name: its id, an alias, or either behind a provider's id and a slash.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.resolve(name).map(|resolved| resolved.model)
    }

    /// What a name means, with the offer that it may ask for: `provider/name`, where the name is one of
    /// the model's or the provider's own (`groq/openai/gpt-oss-120b`).
    pub fn resolve(&self, name: &str) -> Option<Resolved<'_>> {
        if let Some(model) = self.named(name) {
            return Some(Resolved { model, offer: None });
        }
        let (provider, rest) = name.split_once('/')?;
        let provider = self.provider(provider)?;
        if let Some(model) = self.named(rest)
            && let Some(offer) = model.offer(&provider.id)
        {
            return Some(Resolved { model, offer: Some(offer) });
        }
        self.models.iter().find_map(|model| {
            let upstream = |offer: &&Offer| {
                offer.provider == provider.id && offer.upstream_model.eq_ignore_ascii_case(rest)
            };
            let offer = model.offers.iter().find(upstream)?;
            Some(Resolved { model, offer: Some(offer) })
        })
    }

    /// At most `n` names that a name which nobody has may have meant, the most alike first; one for each
    /// model.
    pub fn nearest(&self, name: &str, n: usize) -> Vec<&str> {
        let wanted = match name.split_once('/') {
            Some((provider, rest)) if self.provider(provider).is_some() => rest,
            _ => name,
        };
        let mut models = Vec::new();
        let mut found = nearest(wanted, self.models.iter().flat_map(Model::names), usize::MAX);
        found.retain(|name| {
            let model = self.names.get(&name.to_ascii_lowercase());
            let new = !models.contains(&model);
            models.push(model);
            new
        });
        found.truncate(n);
        found
    }

    fn named(&self, name: &str) -> Option<&Model> {
        self.names.get(&name.to_ascii_lowercase()).and_then(|index| self.models.get(*index))
    }
}

#[cfg(test)]
mod tests;
