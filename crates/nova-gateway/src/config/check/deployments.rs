//! Providers, credentials and offers, resolved into deployments.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use nova_catalog::yaml::Located;
use nova_catalog::{Catalog, Model, Offer, Provider, Tags};
use nova_upstream::Deadlines;

use super::authorisations::{Authorisation, Authorisations, needs_none, set};
use super::names::ModelNames;
use super::places::{Places, Reached, Unreachable};
use super::{Checker, over};
use crate::config::checked::{Deployment, LOCAL_PROVIDER, Mount};
use crate::config::problem::did_you_mean;
use crate::config::raw::{RawConfig, RawDeployment};

/// What all deployments are made of.
struct Known<'k, 'c> {
    catalog: &'c Catalog,
    names: &'k ModelNames<'c>,
    authorisations: Authorisations,
    places: HashMap<&'c str, Places>,
    deadlines: Deadlines,
}

/// One deployment before its credentials are known: it becomes as many as there are.
struct Draft<'c> {
    name: Option<&'c str>,
    model: &'c Model,
    provider: &'c Provider,
    offer: Option<&'c Offer>,
    upstream_model: String,
    mounts: Vec<Mount>,
    deadlines: Deadlines,
    tags: Tags,
    priority: u32,
    weight: u32,
}

impl Checker<'_> {
    pub(super) fn deployments(
        &mut self,
        raw: &RawConfig,
        catalog: &Catalog,
        names: &ModelNames<'_>,
        deadlines: Deadlines,
    ) -> Vec<Deployment> {
        let places: HashMap<&str, Places> =
            catalog.providers().map(|provider| (&*provider.id, self.places(provider, raw))).collect();
        let authorisations = self.authorisations(raw, catalog, &places);
        self.warn_of_unreachable(raw, catalog, &places);
        self.warn_of_doubled(raw, catalog, &places);
        let known = Known { catalog, names, authorisations, places, deadlines };
        let mut deployments = Vec::new();
        let mut explicit = Vec::new();
        for entry in &raw.deployments {
            explicit.extend(self.explicit(entry, &known, &mut deployments));
        }
        for model in catalog.models().filter(|model| !explicit.contains(&model.id)) {
            for (priority, offer) in (0..).zip(&model.offers) {
                let Some(provider) = catalog.provider(&offer.provider) else { continue };
                let authorised = known.authorisations.get(&provider.id).map_or(&[][..], Vec::as_slice);
                let places = &known.places[&*provider.id];
                if authorised.is_empty()
                    || provider.id == LOCAL_PROVIDER
                    || places.missing(provider, None).is_some()
                {
                    continue;
                }
                let mounts = self.mounts((provider, places), Some(offer), &offer.upstream_model, None);
                let draft = Draft {
                    name: None,
                    model,
                    provider,
                    offer: Some(offer),
                    upstream_model: offer.upstream_model.clone(),
                    mounts,
                    deadlines,
                    tags: offer.tags.over(&provider.tags),
                    priority,
                    weight: 1,
                };
                draft.add(authorised.iter(), &mut deployments);
            }
        }
        deployments
    }

    /// An entry of `deployments:`; the id of its model.
    fn explicit(
        &mut self,
        raw: &RawDeployment,
        known: &Known<'_, '_>,
        deployments: &mut Vec<Deployment>,
    ) -> Option<String> {
        let model = self.entry(&raw.model, known.names);
        let Some(provider) = known.catalog.provider(&raw.provider) else {
            let hint =
                did_you_mean(&raw.provider, known.catalog.providers().map(|provider| provider.id.as_str()));
            self.problem(&raw.provider, format!("there is no provider `{}`", raw.provider.value)).hint =
                hint.or_else(|| Some("add it to `providers:`".into()));
            return None;
        };
        let model = model?;
        let offer = model.offer(&provider.id);
        let places = &known.places[&*provider.id];
        let base_url = raw.base_url.as_ref();
        if let Some((message, hint)) = places.missing(provider, base_url.map(|url| url.value.as_str())) {
            self.problem(&raw.provider, message).hint = Some(hint);
            return None;
        }
        let open = [Authorisation::OPEN];
        let authorised: &[Authorisation] = match known.authorisations.get(&provider.id) {
            Some(list) => list,
            None if needs_none(provider) => &open,
            None => {
                let message = format!("provider `{}` has no credential", provider.id);
                let variable = provider.credential_env.first().map(String::as_str).unwrap_or_default();
                let hint = format!("set `{variable}`, or add one to `credentials:`");
                self.problem(&raw.provider, message).hint = Some(hint);
                return None;
            }
        };
        let chosen = self.chosen(raw, provider, authorised);
        let upstream_model = raw
            .upstream_model
            .clone()
            .or_else(|| offer.map(|offer| offer.upstream_model.clone()))
            .unwrap_or_else(|| model.id.clone());
        let draft = Draft {
            name: raw.name.as_ref().map(|name| name.value.as_str()),
            model,
            provider,
            offer,
            mounts: self.mounts((provider, places), offer, &upstream_model, base_url),
            upstream_model,
            deadlines: over(&raw.timeouts, known.deadlines),
            tags: raw
                .tags()
                .over(&offer.map_or_else(Tags::default, |offer| offer.tags.clone()))
                .over(&provider.tags),
            priority: raw.priority,
            weight: raw.weight.unwrap_or(1),
        };
        let before = deployments.len();
        draft.add(chosen.into_iter(), deployments);
        self.unique(raw, before, deployments);
        Some(model.id.clone())
    }

    /// The credential that a deployment names, or all of its provider.
    fn chosen<'a>(
        &mut self,
        raw: &RawDeployment,
        provider: &Provider,
        authorised: &'a [Authorisation],
    ) -> Vec<&'a Authorisation> {
        let Some(wanted) = &raw.credential else { return authorised.iter().collect() };
        let found: Vec<&Authorisation> =
            authorised.iter().filter(|one| one.name.as_ref() == Some(&wanted.value)).collect();
        if found.is_empty() {
            let known = authorised.iter().filter_map(|one| one.name.as_deref());
            let hint = did_you_mean(wanted, known);
            let message = format!("provider `{}` has no credential `{}`", provider.id, wanted.value);
            self.problem(wanted, message).hint = hint.or_else(|| Some("add it to `credentials:`".into()));
        }
        found
    }

    /// Deployments are told apart by their names in logs, metrics and plans.
    fn unique(&mut self, raw: &RawDeployment, before: usize, deployments: &mut [Deployment]) {
        for index in before..deployments.len() {
            let name = Arc::clone(&deployments[index].name);
            if deployments[..index].iter().all(|other| other.name != name) {
                continue;
            }
            match &raw.name {
                Some(written) => {
                    self.problem(written, format!("there are two deployments `{name}`"));
                }
                // Two servers of one provider and model, say: numbered in the order of the file.
                None => {
                    let numbered = (2..).map(|number| format!("{name}#{number}"));
                    let free =
                        |candidate: &String| deployments.iter().all(|other| *other.name != **candidate);
                    if let Some(name) = numbered.into_iter().find(free) {
                        deployments[index].name = Arc::from(name);
                    }
                }
            }
        }
    }

    /// A credential that the file gives is for nothing where the provider cannot be reached.
    fn warn_of_unreachable(&mut self, raw: &RawConfig, catalog: &Catalog, places: &HashMap<&str, Places>) {
        for (id, _) in &raw.credentials.0 {
            let Some(provider) = catalog.provider(id).filter(|provider| !provider.parameters.is_empty())
            else {
                continue;
            };
            if let Some((message, hint)) = places[&*provider.id].missing(provider, None) {
                self.warning(id, message, &hint);
            }
        }
    }

    /// A base URL that ends in `/v1` before a path that begins with it.
    fn warn_of_doubled(&mut self, raw: &RawConfig, catalog: &Catalog, places: &HashMap<&str, Places>) {
        for (id, _) in &raw.credentials.0 {
            let Some(provider) = catalog.provider(id) else { continue };
            let doubled = provider.endpoints.iter().find_map(|address| {
                let reached = places[&*provider.id].reach(address, None, "model").ok()?;
                Some(reached.endpoint.to_string()).filter(|endpoint| endpoint.contains("/v1/v1/"))
            });
            if let Some(endpoint) = doubled {
                let message = format!("requests would go to `{endpoint}`, which says `/v1` twice");
                self.warning(id, message, "leave `/v1` out of `base_url`, or give the endpoint a `path`");
            }
        }
    }

    /// Where a provider is reached, for each dialect in which it serves the model.
    fn mounts(
        &mut self,
        (provider, places): (&Provider, &Places),
        offer: Option<&Offer>,
        upstream_model: &str,
        base_url: Option<&Located<String>>,
    ) -> Vec<Mount> {
        let headers = self.headers(provider);
        let mut mounts = Vec::new();
        let speaks = |dialect| offer.is_none_or(|offer| offer.speaks(dialect));
        // The address of a model that stands for many is known only when one of them is asked for.
        let is_open = |address: &&nova_catalog::Endpoint| {
            let texts = [address.base_url.as_deref(), Some(address.path.as_str())];
            !nova_route::is_pattern(upstream_model)
                || !texts.into_iter().flatten().any(|text| text.contains("{model}"))
        };
        for address in provider.endpoints.iter().filter(|address| speaks(address.dialect)).filter(is_open) {
            let quirks = offer.map_or_else(|| address.quirks.clone(), |offer| offer.quirks_at(address));
            match places.reach(address, base_url.map(|url| url.value.as_str()), upstream_model) {
                Ok(Reached { endpoint, stream_endpoint }) => mounts.push(Mount {
                    dialect: address.dialect,
                    endpoint,
                    stream_endpoint,
                    headers: headers.clone(),
                    quirks: quirks.into(),
                }),
                Err(Unreachable::NoBaseUrl | Unreachable::Missing(_)) => {}
                Err(Unreachable::Wrong(error)) => {
                    let nowhere = Located::unknown(String::new());
                    let message = match base_url {
                        Some(_) => error,
                        None => format!("provider `{}`: {error}", provider.id),
                    };
                    set(self.problem(base_url.unwrap_or(&nowhere), String::new()), &message);
                    break;
                }
            }
        }
        if mounts.is_empty() && self.problems.is_empty() {
            let message =
                format!("provider `{}` speaks no dialect that this model is served in", provider.id);
            self.problem(&Located::unknown(()), message).hint = Some("add an endpoint for one".into());
        }
        mounts
    }

    /// What every request to a provider carries; the catalogue may not say what kind of body it has.
    fn headers(&mut self, provider: &Provider) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::with_capacity(provider.headers.len() + 1);
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        for (name, value) in &provider.headers {
            match (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => {
                    let message = format!("provider `{}`: the header `{name}` cannot be sent", provider.id);
                    self.problem(&Located::unknown(()), message);
                }
            }
        }
        headers
    }
}

impl Draft<'_> {
    /// One deployment for each of these credentials.
    fn add<'a>(&self, authorised: impl Iterator<Item = &'a Authorisation>, to: &mut Vec<Deployment>) {
        if self.mounts.is_empty() {
            return;
        }
        for one in authorised {
            let plain = match self.name {
                Some(name) => name.to_owned(),
                None => format!("{}/{}", self.provider.id, self.model.id),
            };
            let name = match &one.name {
                Some(credential) if self.name.is_none() => format!("{plain}@{credential}"),
                _ => plain,
            };
            to.push(Deployment {
                name: Arc::from(name),
                model: Arc::from(self.model.id.as_str()),
                provider: Arc::from(self.provider.id.as_str()),
                upstream_model: self.upstream_model.clone(),
                max_output: self.offer.map_or(self.model.max_output, |offer| offer.max_output),
                price: self.offer.and_then(|offer| offer.price.clone()),
                mounts: self.mounts.clone(),
                services: self.provider.services.as_deref().map(Arc::from),
                credential: one.credential.clone(),
                deadlines: self.deadlines,
                tags: self.tags.clone(),
                priority: self.priority,
                weight: self.weight.saturating_mul(one.weight),
            });
        }
    }
}
