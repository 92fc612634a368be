//! Providers, credentials and offers, resolved into deployments.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use nova_catalog::yaml::Located;
use nova_catalog::{Auth, Catalog, Model, Offer, Provider};
use nova_upstream::{Credential, CredentialId, Deadlines, Endpoint};
use nova_wire::{Dialect, Quirks};

use super::names::ModelNames;
use super::{Checker, over};
use crate::config::checked::{Deployment, LOCAL_PROVIDER, Mount};
use crate::config::problem::did_you_mean;
use crate::config::raw::{RawConfig, RawCredential, RawDeployment};

/// What authorises requests to a provider, one of several.
struct Authorisation {
    /// Its name where the provider has several.
    name: Option<String>,
    weight: u32,
    credential: Option<Credential>,
}

/// By provider.
type Authorisations = HashMap<String, Vec<Authorisation>>;

/// One deployment before its credentials are known: it becomes as many as there are.
struct Draft<'c> {
    name: Option<&'c str>,
    model: &'c Model,
    provider: &'c Provider,
    offer: Option<&'c Offer>,
    upstream_model: String,
    mounts: Vec<Mount>,
    deadlines: Deadlines,
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
        let authorisations = self.authorisations(raw, catalog);
        let mut deployments = Vec::new();
        let mut explicit = Vec::new();
        for entry in &raw.deployments {
            if let Some(model) =
                self.explicit(entry, (catalog, names), &authorisations, deadlines, &mut deployments)
            {
                explicit.push(model);
            }
        }
        for model in catalog.models().filter(|model| !explicit.contains(&model.id)) {
            for (priority, offer) in (0..).zip(&model.offers) {
                let Some(provider) = catalog.provider(&offer.provider) else { continue };
                let authorised = authorisations.get(&provider.id).map_or(&[][..], Vec::as_slice);
                if authorised.is_empty() || provider.id == LOCAL_PROVIDER || provider.needs_base_url() {
                    continue;
                }
                let mounts = self.mounts(provider, Some(offer), None);
                let draft = Draft {
                    name: None,
                    model,
                    provider,
                    offer: Some(offer),
                    upstream_model: offer.upstream_model.clone(),
                    mounts,
                    deadlines,
                    priority,
                    weight: 1,
                };
                draft.add(authorised.iter(), &mut deployments);
            }
        }
        deployments
    }

    /// What authorises requests, for every provider that has something.
    fn authorisations(&mut self, raw: &RawConfig, catalog: &Catalog) -> Authorisations {
        let mut all = Authorisations::new();
        for (id, credentials) in &raw.credentials.0 {
            let Some(provider) = catalog.provider(id) else {
                let hint = did_you_mean(id, catalog.providers().map(|provider| provider.id.as_str()));
                self.problem(id, format!("there is no provider `{}`", id.value)).hint =
                    hint.or_else(|| Some("add it to `providers:`".into()));
                continue;
            };
            if provider.auth == Auth::None && !credentials.is_empty() {
                let message = format!("provider `{}` takes no credential (`auth: none`)", provider.id);
                self.problem(id, message).hint = Some("write `auth: bearer` under `providers:`".into());
                continue;
            }
            let several = credentials.len() > 1;
            let mut list: Vec<Authorisation> = Vec::new();
            for (place, credential) in (1_usize..).zip(credentials) {
                let name =
                    credential.name.as_ref().map_or_else(|| place.to_string(), |name| name.value.clone());
                if list.iter().any(|other| other.name.as_ref() == Some(&name)) {
                    let at = credential.name.as_ref().unwrap_or(&credential.key);
                    self.problem(at, format!("provider `{}` has two credentials `{name}`", provider.id));
                }
                let named = several || credential.name.is_some();
                list.extend(self.authorisation(provider, credential, named.then_some(name)));
            }
            all.insert(provider.id.clone(), list);
        }
        for provider in catalog.providers().filter(|provider| raw.credentials.get(&provider.id).is_none()) {
            if let Some(found) = self.found_in_environment(provider, raw) {
                all.insert(provider.id.clone(), vec![found]);
            }
        }
        all
    }

    fn authorisation(
        &mut self,
        provider: &Provider,
        raw: &RawCredential,
        name: Option<String>,
    ) -> Option<Authorisation> {
        self.warn_if_written_out(&raw.key);
        let id = match &name {
            Some(name) => format!("{}/{name}", provider.id),
            None => provider.id.clone(),
        };
        match credential(provider, &id, &raw.key) {
            Ok(credential) => Some(Authorisation { name, weight: raw.weight.unwrap_or(1), credential }),
            Err(error) => {
                let wrong = self.problem(&raw.key, String::new());
                set(wrong, &error);
                None
            }
        }
    }

    /// The credential that the environment holds. A provider that the file adds and that has no way to get
    /// a credential is asked without one.
    fn found_in_environment(&mut self, provider: &Provider, raw: &RawConfig) -> Option<Authorisation> {
        if needs_none(provider) {
            let named = raw.providers.get(&provider.id).is_some();
            return named.then_some(Authorisation { name: None, weight: 1, credential: None });
        }
        let found = provider.credential_env.iter().find_map(|name| Some((name, self.env.variable(name)?)));
        let (variable, secret) = found?;
        match credential(provider, &provider.id, &secret) {
            Ok(credential) => Some(Authorisation { name: None, weight: 1, credential }),
            Err(error) => {
                let place = Located::unknown(());
                let wrong = self.problem(&place, String::new());
                set(wrong, &format!("the environment variable `{variable}` cannot be used: {error}"));
                None
            }
        }
    }

    /// An entry of `deployments:`; the id of its model.
    fn explicit(
        &mut self,
        raw: &RawDeployment,
        (catalog, names): (&Catalog, &ModelNames<'_>),
        authorisations: &Authorisations,
        deadlines: Deadlines,
        deployments: &mut Vec<Deployment>,
    ) -> Option<String> {
        let model = self.model(&raw.model, names);
        let Some(provider) = catalog.provider(&raw.provider) else {
            let hint = did_you_mean(&raw.provider, catalog.providers().map(|provider| provider.id.as_str()));
            self.problem(&raw.provider, format!("there is no provider `{}`", raw.provider.value)).hint =
                hint.or_else(|| Some("add it to `providers:`".into()));
            return None;
        };
        let model = model?;
        let offer = model.offer(&provider.id);
        if provider.needs_base_url() && raw.base_url.is_none() {
            let message = format!("it is not known where provider `{}` is reached", provider.id);
            self.problem(&raw.provider, message).hint = Some("write `base_url:` below it".into());
            return None;
        }
        let open = [Authorisation { name: None, weight: 1, credential: None }];
        let authorised: &[Authorisation] = match authorisations.get(&provider.id) {
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
        let draft = Draft {
            name: raw.name.as_ref().map(|name| name.value.as_str()),
            model,
            provider,
            offer,
            upstream_model: raw
                .upstream_model
                .clone()
                .or_else(|| offer.map(|offer| offer.upstream_model.clone()))
                .unwrap_or_else(|| model.id.clone()),
            mounts: self.mounts(provider, offer, raw.base_url.as_ref()),
            deadlines: over(&raw.timeouts, deadlines),
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

    /// Where a provider is reached, for each dialect that requests can be put into.
    fn mounts(
        &mut self,
        provider: &Provider,
        offer: Option<&Offer>,
        base_url: Option<&Located<String>>,
    ) -> Vec<Mount> {
        let headers = self.headers(provider);
        let mut mounts = Vec::new();
        for endpoint in provider.endpoints.iter().filter(|endpoint| endpoint.dialect != Dialect::Responses) {
            let Some(base) = base_url.map(|url| url.value.as_str()).or(endpoint.base_url.as_deref()) else {
                continue;
            };
            let quirks: Quirks =
                offer.map_or_else(|| endpoint.quirks.clone(), |offer| offer.quirks_at(endpoint));
            match Endpoint::parse(base, &endpoint.path) {
                Ok(parsed) => {
                    mounts.push(Mount {
                        dialect: endpoint.dialect,
                        endpoint: parsed,
                        headers: headers.clone(),
                        quirks: quirks.into(),
                    });
                }
                Err(error) => {
                    let nowhere = Located::unknown(String::new());
                    let message = match base_url {
                        Some(_) => error.to_string(),
                        None => format!("provider `{}`: {error}", provider.id),
                    };
                    set(self.problem(base_url.unwrap_or(&nowhere), String::new()), &message);
                    break;
                }
            }
        }
        if mounts.is_empty() && self.problems.is_empty() {
            let message =
                format!("provider `{}` speaks no dialect that requests can be put into", provider.id);
            self.problem(&Located::unknown(()), message).hint =
                Some("add an endpoint for `chat` or `messages`".into());
        }
        mounts
    }

    fn headers(&mut self, provider: &Provider) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = Vec::with_capacity(provider.headers.len());
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
                max_output: self.model.max_output,
                price: self.offer.and_then(|offer| offer.price.clone()),
                mounts: self.mounts.clone(),
                credential: one.credential.clone(),
                deadlines: self.deadlines,
                priority: self.priority,
                weight: self.weight.saturating_mul(one.weight),
            });
        }
    }
}

/// Whether requests go out without a credential unless the file names one.
fn needs_none(provider: &Provider) -> bool {
    provider.auth == Auth::None || provider.credential_env.is_empty()
}

/// A secret in the form in which a provider wants it.
fn credential(provider: &Provider, id: &str, secret: &str) -> Result<Option<Credential>, String> {
    let id = CredentialId::new(id);
    let made = match &provider.auth {
        Auth::None => return Ok(None),
        Auth::Bearer => Credential::bearer(id, secret),
        Auth::Header(name) => {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| format!("provider `{}`: `{name}` is not the name of a header", provider.id))?;
            Credential::header(id, name, secret)
        }
    };
    made.map(Some).map_err(|error| error.to_string())
}

/// Puts an error's text into a problem, its hint apart.
fn set(problem: &mut crate::config::problem::Problem, text: &str) {
    match text.split_once("\nhint: ") {
        Some((message, hint)) => {
            problem.message = message.to_owned();
            problem.hint = Some(hint.to_owned());
        }
        None => problem.message = text.to_owned(),
    }
}
