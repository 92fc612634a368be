//! What may stand where a model's name stands: a name of the catalogue, or an alias of the file.

use nova_catalog::yaml::Located;
use nova_catalog::{Catalog, Model};
use nova_route::is_pattern;

use super::Checker;
use super::rules::default_rule;
use crate::config::checked::{DEFAULT_NAMES, Names};
use crate::config::raw::{OneOrMany, RawConfig};

/// All names of models.
pub(super) struct ModelNames<'c> {
    catalog: &'c Catalog,
    raw: &'c RawConfig,
    /// Whether every name is there; else an unknown one may be among what was wrong.
    is_whole: bool,
}

impl<'c> ModelNames<'c> {
    pub(super) const fn new(catalog: &'c Catalog, raw: &'c RawConfig, is_whole: bool) -> Self {
        Self { catalog, raw, is_whole }
    }

    /// Whether every name is there.
    pub(super) const fn are_whole(&self) -> bool {
        self.is_whole
    }

    /// The model of a name.
    pub(super) fn find(&self, name: &str) -> Option<&'c Model> {
        let target = match self.raw.aliases.get(name) {
            Some(target) => target.value.as_str(),
            None if DEFAULT_NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                default_rule(self.raw)
                    .or(self.raw.default_model.as_ref())
                    .map_or(name, |model| model.value.as_str())
            }
            None => name,
        };
        self.catalog.model(target)
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let near = self.catalog.nearest(name, 3);
        let near: Vec<&str> = if near.is_empty() {
            let alike = |alias: &&str| strsim::jaro_winkler(alias, name) >= 0.8;
            self.raw.aliases.0.iter().map(|(alias, _)| alias.value.as_str()).filter(alike).take(3).collect()
        } else {
            near
        };
        let list = crate::config::problem::either(&near);
        (!near.is_empty()).then(|| format!("did you mean {list}?"))
    }
}

impl Checker<'_> {
    /// The model that is named here, or a problem.
    pub(super) fn model<'n>(&mut self, name: &Located<String>, names: &ModelNames<'n>) -> Option<&'n Model> {
        let found = self.entry(name, names)?;
        if is_pattern(&found.id) {
            let message = format!("`{}` stands for many models", found.id);
            self.problem(name, message).hint = Some("give the one that you mean an entry of its own".into());
            return None;
        }
        Some(found)
    }

    /// The same, where also an entry may be named that stands for many models.
    pub(super) fn entry<'n>(&mut self, name: &Located<String>, names: &ModelNames<'n>) -> Option<&'n Model> {
        let found = names.find(name);
        if found.is_none() && names.is_whole {
            let hint = names.nearest(name).unwrap_or_else(|| "add it to `models:`".into());
            self.problem(name, format!("there is no model `{}`", name.value)).hint = Some(hint);
        }
        found
    }

    fn models(&mut self, list: &OneOrMany, names: &ModelNames<'_>) -> Vec<String> {
        let known = list.0.iter().filter(|name| self.model(name, names).is_some());
        known.map(|name| name.value.clone()).collect()
    }

    pub(super) fn names(&mut self, raw: &RawConfig, names: &ModelNames<'_>) -> Names {
        let mut checked =
            Names { default_fallback: self.models(&raw.default_fallback, names), ..Names::default() };
        for (alias, target) in &raw.aliases.0 {
            if alias.matches('*').count() > 1 {
                self.problem(alias, format!("`{}` has more than one `*`", alias.value)).hint =
                    Some("one `*` stands for any text".into());
            }
            let taken = names.catalog.models().find(|model| model.id.eq_ignore_ascii_case(alias));
            if let Some(model) = taken {
                let message = format!("`{}` is the own name of a model, it cannot be an alias", model.id);
                self.problem(alias, message).hint =
                    Some("use another name, or change the model in `models:`".into());
            } else if names.catalog.model(target).is_some_and(|model| !is_pattern(&model.id)) {
                checked.aliases.push((alias.value.clone(), target.value.clone()));
            } else if raw.aliases.get(target).is_some() {
                let message = format!("`{}` is an alias itself", target.value);
                self.problem(target, message).hint = Some("name the model".into());
            } else {
                self.model(target, names);
            }
        }
        if let Some(model) = &raw.default_model {
            self.model(model, names);
        }
        // What the last rule says wins over `default_model`; its model is looked for with the rules.
        let default = default_rule(raw).or(raw.default_model.as_ref());
        if let Some(model) = default.filter(|model| names.find(model).is_some()) {
            checked.default_model = Some(model.value.clone());
            for name in DEFAULT_NAMES {
                if raw.aliases.get(name).is_none() && names.catalog.model(name).is_none() {
                    checked.aliases.push((name.to_owned(), model.value.clone()));
                }
            }
        }
        for (name, to) in &raw.fallbacks.0 {
            let model = self.model(name, names);
            let fallbacks = self.models(to, names);
            let Some(model) = model else { continue };
            for back in &to.0 {
                if names.find(back).is_some_and(|fallback| fallback.id == model.id) {
                    self.problem(back, format!("`{}` falls back to itself", name.value));
                }
            }
            if checked.fallbacks.iter().any(|(other, _)| *other == model.id) {
                self.problem(name, format!("the fallbacks of `{}` are there twice", model.id));
            }
            checked.fallbacks.push((model.id.clone(), fallbacks));
        }
        checked
    }
}
