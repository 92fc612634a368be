//! What authorises requests to each provider, from the file and from the environment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use http::HeaderName;
use nova_catalog::yaml::Located;
use nova_catalog::{Auth, Catalog, Provider};
use nova_upstream::{AwsKey, Credential, CredentialId};

use super::places::Places;
use super::{Checker, aws_profile};
use crate::config::problem::{Problem, did_you_mean};
use crate::config::raw::{RawConfig, RawCredential};

/// What authorises requests to a provider, one of several.
pub(super) struct Authorisation {
    /// Its name where the provider has several.
    pub(super) name: Option<String>,
    pub(super) weight: u32,
    pub(super) credential: Option<Credential>,
}

/// By provider.
pub(super) type Authorisations = HashMap<String, Vec<Authorisation>>;

/// A secret as the file or the environment gives it.
enum Given<'a> {
    /// One text.
    Key(&'a str),
    /// AWS's access key and what belongs to it.
    Aws(AwsKey<'a>),
}

impl Authorisation {
    /// Requests that need none.
    pub(super) const OPEN: Self = Self { name: None, weight: 1, credential: None };
}

impl Checker<'_> {
    /// What authorises requests, for every provider that has something.
    pub(super) fn authorisations(
        &mut self,
        raw: &RawConfig,
        catalog: &Catalog,
        places: &HashMap<&str, Places>,
    ) -> Authorisations {
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
                    let at = credential.name.as_ref().or(credential.key.as_ref()).unwrap_or(id);
                    self.problem(at, format!("provider `{}` has two credentials `{name}`", provider.id));
                }
                let named = several || credential.name.is_some();
                let name = named.then_some(name);
                list.extend(self.authorisation((provider, &places[&*provider.id]), id, credential, name));
            }
            all.insert(provider.id.clone(), list);
        }
        for provider in catalog.providers().filter(|provider| raw.credentials.get(&provider.id).is_none()) {
            if let Some(found) = self.found_in_environment(provider, &places[&*provider.id], raw) {
                all.insert(provider.id.clone(), vec![found]);
            }
        }
        all
    }

    fn authorisation(
        &mut self,
        (provider, places): (&Provider, &Places),
        at: &Located<String>,
        raw: &RawCredential,
        name: Option<String>,
    ) -> Option<Authorisation> {
        let id = match &name {
            Some(name) => format!("{}/{name}", provider.id),
            None => provider.id.clone(),
        };
        let (secret, given) = match (&raw.key, &raw.access_key_id, &raw.secret_access_key) {
            (Some(key), None, None) if raw.session_token.is_none() => (key, Given::Key(key)),
            (None, Some(access), Some(secret)) => {
                let session_token = raw.session_token.as_ref().map(|token| token.value.as_str());
                let key = AwsKey { access_key_id: access, secret_access_key: secret, session_token };
                (secret, Given::Aws(key))
            }
            // What was cut out of it was wrong, and said to be so.
            _ if self.read.spoiled.iter().any(|entry| *entry == format!("credentials.{}", at.value)) => {
                return None;
            }
            (key, access, secret) => {
                let written = [raw.name.as_ref(), key.as_ref(), access.as_ref(), secret.as_ref()];
                let at = written.into_iter().flatten().next().unwrap_or(at);
                let wrong = self.problem(at, "this is no whole credential");
                wrong.hint =
                    Some("give `key:` alone, or `access_key_id:` and `secret_access_key:` for AWS".into());
                return None;
            }
        };
        self.warn_if_written_out(secret);
        match credential((provider, places), &id, given) {
            Ok(credential) => Some(Authorisation { name, weight: raw.weight.unwrap_or(1), credential }),
            Err(error) => {
                let wrong = self.problem(secret, String::new());
                set(wrong, &error);
                None
            }
        }
    }

    /// The credential that the environment holds. A provider that the file adds and that has no way to get
    /// a credential is asked without one.
    fn found_in_environment(
        &mut self,
        provider: &Provider,
        places: &Places,
        raw: &RawConfig,
    ) -> Option<Authorisation> {
        if needs_none(provider) {
            return raw.providers.get(&provider.id).is_some().then_some(Authorisation::OPEN);
        }
        let found = provider.credential_env.iter().find_map(|name| Some((name, self.env.variable(name)?)));
        let (variable, made) = match found {
            Some((name, secret)) => {
                (name.as_str(), credential((provider, places), &provider.id, Given::Key(&secret)))
            }
            None => self.of_the_cloud(provider, places)?,
        };
        match made {
            Ok(credential) => Some(Authorisation { credential, ..Authorisation::OPEN }),
            Err(error) => {
                let place = Located::unknown(());
                let wrong = self.problem(&place, String::new());
                set(wrong, &format!("the environment variable `{variable}` cannot be used: {error}"));
                None
            }
        }
    }

    /// What the clouds' own tools keep in the environment. It may be there for another purpose, so it
    /// counts only where the environment also says what the provider's address needs.
    fn of_the_cloud(
        &self,
        provider: &Provider,
        places: &Places,
    ) -> Option<(&'static str, Result<Option<Credential>, String>)> {
        if places.missing(provider, None).is_some() {
            return None;
        }
        match &provider.auth {
            Auth::AwsSigv4(_) => {
                let Some(access) = self.env.variable("AWS_ACCESS_KEY_ID") else {
                    return self.of_aws_profile(provider, places);
                };
                let secret = self.env.variable("AWS_SECRET_ACCESS_KEY")?;
                let session = self.env.variable("AWS_SESSION_TOKEN");
                let key = AwsKey {
                    access_key_id: &access,
                    secret_access_key: &secret,
                    session_token: session.as_deref(),
                };
                Some(("AWS_SECRET_ACCESS_KEY", credential((provider, places), &provider.id, Given::Aws(key))))
            }
            Auth::GoogleOauth => {
                let path = self.env.variable("GOOGLE_APPLICATION_CREDENTIALS")?;
                let made = match self.env.file(Path::new(&path)) {
                    Ok(text) => credential((provider, places), &provider.id, Given::Key(text.trim())),
                    Err(error) => Err(format!("its file cannot be read: {error}")),
                };
                Some(("GOOGLE_APPLICATION_CREDENTIALS", made))
            }
            Auth::Bearer | Auth::Header(_) | Auth::None => None,
        }
    }
}

impl Checker<'_> {
    /// The key in AWS's credentials file, for who names a profile. One without a key (a role, a login by SSO) may be
    /// meant for other programs, and is no fault.
    fn of_aws_profile(
        &self,
        provider: &Provider,
        places: &Places,
    ) -> Option<(&'static str, Result<Option<Credential>, String>)> {
        let profile = self.env.variable("AWS_PROFILE")?;
        let path = self.env.variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let path = path.or_else(|| Some(Path::new(&self.env.variable("HOME")?).join(".aws/credentials")))?;
        let text = self.env.file(&path).ok()?;
        let key = aws_profile::key(&text, &profile)?;
        Some(("AWS_PROFILE", credential((provider, places), &provider.id, Given::Aws(key))))
    }
}

/// Whether requests go out without a credential unless the file names one.
pub(super) fn needs_none(provider: &Provider) -> bool {
    provider.auth == Auth::None || provider.credential_env.is_empty()
}

/// A secret in the form in which a provider wants it.
fn credential(
    (provider, places): (&Provider, &Places),
    id: &str,
    given: Given<'_>,
) -> Result<Option<Credential>, String> {
    let id = CredentialId::new(id);
    let made = match (&provider.auth, given) {
        (Auth::None, _) => return Ok(None),
        (Auth::AwsSigv4(service), Given::Aws(key)) => {
            let region = places.value("region").ok_or("the region is missing\nhint: set `AWS_REGION`")?;
            Credential::aws(id, key, service, region)
        }
        (_, Given::Aws(_)) => {
            return Err(format!("provider `{}` takes no key of AWS\nhint: give `key:`", provider.id));
        }
        (Auth::GoogleOauth, Given::Key(secret)) if secret.starts_with('{') => Credential::google(id, secret),
        (Auth::Bearer | Auth::AwsSigv4(_) | Auth::GoogleOauth, Given::Key(secret)) => {
            Credential::bearer(id, secret)
        }
        (Auth::Header(name), Given::Key(secret)) => {
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| format!("provider `{}`: `{name}` is not the name of a header", provider.id))?;
            Credential::header(id, name, secret)
        }
    };
    made.map(Some).map_err(|error| error.to_string())
}

/// Puts an error's text into a problem, its hint apart.
pub(super) fn set(problem: &mut Problem, text: &str) {
    match text.split_once("\nhint: ") {
        Some((message, hint)) => {
            problem.message = message.to_owned();
            problem.hint = Some(hint.to_owned());
        }
        None => problem.message = text.to_owned(),
    }
}
