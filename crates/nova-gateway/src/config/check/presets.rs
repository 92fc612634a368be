//! Presets: that each has a name that a request can write, and that the models and providers which it names exist.

use std::sync::Arc;

use nova_catalog::Catalog;
use nova_catalog::yaml::Located;
use nova_route::{Controls, Suffixes, fold};
use nova_wire::preset::Additions;

use super::Checker;
use super::names::ModelNames;
use crate::config::checked::Preset;
use crate::config::problem::did_you_mean;
use crate::config::raw::{RawConfig, RawPreset};

impl Checker<'_> {
    pub(super) fn presets(
        &mut self,
        raw: &RawConfig,
        catalog: &Catalog,
        names: &ModelNames<'_>,
    ) -> Vec<Arc<Preset>> {
        let mut presets: Vec<Arc<Preset>> = Vec::new();
        for (name, preset) in &raw.presets.0 {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if name.is_empty() || !name.bytes().all(plain) {
                self.problem(name, format!("`{}` is no name of a preset", name.value)).hint =
                    Some("letters, digits, `-`, `_` and `.` can stand in one".into());
            }
            if let Some(other) = presets.iter().find(|other| fold(&other.name) == fold(name)) {
                let message = format!("`{}` and `{}` are one name", other.name, name.value);
                self.problem(name, message).hint = Some("rename one of them".into());
            }
            presets.push(Arc::new(self.preset(name, preset, catalog, names)));
        }
        presets
    }

    fn preset(
        &mut self,
        name: &Located<String>,
        raw: &RawPreset,
        catalog: &Catalog,
        names: &ModelNames<'_>,
    ) -> Preset {
        for (model, is_fallback) in raw
            .model
            .iter()
            .map(|model| (model, false))
            .chain(raw.fallbacks.iter().flat_map(|list| &list.0).map(|model| (model, true)))
        {
            self.preset_model(model, is_fallback, names);
        }
        let known = || {
            catalog.providers().flat_map(|provider| {
                let aliases = provider.aliases.iter().map(String::as_str);
                [provider.id.as_str(), provider.name.as_str()].into_iter().chain(aliases)
            })
        };
        for (field, written) in raw.provider.named() {
            // `provider/region` and names of deployments are for requests to find.
            let is_known = written.contains('/') || known().any(|known| fold(known) == fold(written));
            if !is_known {
                let message = format!("`provider.{field}` names `{written}`, and there is no such provider");
                let hint = did_you_mean(written, known()).unwrap_or_else(|| "leave it out".into());
                self.warning(name, message, &hint);
            }
        }
        Preset {
            name: name.value.clone(),
            description: raw.description.clone(),
            model: raw.model.as_ref().map(|model| model.value.clone()),
            controls: Controls {
                fallbacks: raw
                    .fallbacks
                    .as_ref()
                    .map(|list| list.0.iter().map(|name| name.value.clone()).collect()),
                provider: raw.provider.clone(),
            },
            additions: Additions { system: raw.system.clone(), parameters: raw.parameters.clone() },
        }
    }

    /// A model of a preset, which may have suffixes; the one to ask for may be left to the gateway.
    fn preset_model(&mut self, model: &Located<String>, is_fallback: bool, names: &ModelNames<'_>) {
        let (base, suffixes) = nova_route::suffixed(model, |name| names.find(name).is_some());
        let is_auto = base.split([':', '/']).next().is_some_and(|word| word.eq_ignore_ascii_case("auto"));
        if is_fallback && suffixes != Suffixes::default() {
            self.problem(model, "a fallback has no suffix of its own").hint =
                Some(format!("write `{base}`; what the suffixes of `model` ask for holds for it, too"));
        } else if is_fallback || !is_auto {
            let base = Located { value: base.to_owned(), line: model.line, column: model.column };
            self.model(&base, names);
        }
    }
}
