//! Where a provider is reached: what fills the places in its addresses.

use std::collections::BTreeMap;

use nova_catalog::yaml::Located;
use nova_catalog::{Endpoint as Address, Provider, template};
use nova_upstream::Endpoint;

use super::Checker;
use crate::config::checked::Env;
use crate::config::raw::RawConfig;

/// What is known of a provider's addresses, apart from the model.
pub(super) struct Places {
    values: BTreeMap<String, String>,
    /// A base URL for all endpoints, from the environment.
    base_url: Option<String>,
}

/// Where requests for one model go.
pub(super) struct Reached {
    pub(super) endpoint: Endpoint,
    pub(super) stream_endpoint: Option<Endpoint>,
}

/// Why an address cannot be used.
pub(super) enum Unreachable {
    /// Nobody said what the base URL is.
    NoBaseUrl,
    /// Nothing fills this place.
    Missing(String),
    /// What came out is no address.
    Wrong(String),
}

impl Places {
    /// The value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The endpoints at an address for a model, at `base_url` where the file gives one for it alone.
    pub(super) fn reach(
        &self,
        address: &Address,
        base_url: Option<&str>,
        model: &str,
    ) -> Result<Reached, Unreachable> {
        let base = base_url.or(self.base_url.as_deref()).or(address.base_url.as_deref());
        let base = self.fill(base.ok_or(Unreachable::NoBaseUrl)?, None)?;
        let model = template::segment(model);
        let parse = |path: &str| {
            let path = self.fill(path, Some(&model))?;
            Endpoint::parse(&base, &path).map_err(|error| Unreachable::Wrong(error.to_string()))
        };
        Ok(Reached {
            endpoint: parse(&address.path)?,
            stream_endpoint: address.stream_path.as_deref().map(parse).transpose()?,
        })
    }

    /// What is missing to reach a provider at all, as a sentence and a hint.
    pub(super) fn missing(&self, provider: &Provider, base_url: Option<&str>) -> Option<(String, String)> {
        let gaps = provider.endpoints.iter().map(|address| self.reach(address, base_url, "model").err());
        // One endpoint that can be reached is enough.
        let mut first = None;
        for gap in gaps {
            first = first.or(Some(gap?));
        }
        let message = format!("it is not known where provider `{}` is reached", provider.id);
        match first? {
            Unreachable::NoBaseUrl => Some((message, "write `base_url:` below it".to_owned())),
            Unreachable::Missing(name) => {
                let known = provider.parameters.iter().find(|parameter| parameter.name == name);
                let variable = known.and_then(|parameter| parameter.env.first());
                let set = variable.map_or_else(String::new, |variable| format!("set `{variable}`, or "));
                let hint = format!("{set}write `parameters: {{ {name}: … }}` for it under `providers:`");
                Some((format!("{message}: `{name}` is missing"), hint))
            }
            Unreachable::Wrong(_) => None,
        }
    }

    fn fill(&self, template: &str, model: Option<&str>) -> Result<String, Unreachable> {
        let value = |name: &str| if name == template::MODEL { model } else { self.value(name) };
        template::fill(template, value).map_err(|name| Unreachable::Missing(name.to_owned()))
    }
}

impl Checker<'_> {
    /// What fills a provider's addresses, from the file and the environment.
    pub(super) fn places(&mut self, provider: &Provider, raw: &RawConfig) -> Places {
        let mut values = BTreeMap::new();
        for parameter in &provider.parameters {
            let in_env = || first_set(self.env, &parameter.env);
            let found = match &parameter.value {
                Some(value) => Some((None, value.clone())),
                None => in_env().map(|(variable, value)| (Some(variable), value)),
            };
            let (variable, value) = match (found, &parameter.default) {
                (Some(found), _) => found,
                (None, Some(default)) => (None, default.clone()),
                (None, None) => continue,
            };
            if template::is_value(&value) {
                values.insert(parameter.name.clone(), value);
            } else if let Some(variable) = variable {
                // What the file gives was checked with the catalogue.
                let message = format!(
                    "the environment variable `{variable}` cannot stand in an address of provider `{}`",
                    provider.id
                );
                self.problem(&Located::unknown(()), message).hint =
                    Some("letters, digits, `.`, `_` and `-` can".into());
            }
        }
        let given = raw.providers.get(&provider.id).is_some_and(|given| given.base_url.is_some());
        let base_url = if given { None } else { first_set(self.env, &provider.base_url_env) };
        Places { values, base_url: base_url.map(|(_, url)| url) }
    }
}

fn first_set<'n>(env: &Env, names: &'n [String]) -> Option<(&'n str, String)> {
    names.iter().find_map(|name| Some((name.as_str(), env.variable(name)?)))
}
