//! Providers: ids, addresses, headers, and whom they are like.

use nova_wire::Quirks;

use super::{Documents, Scope, did_you_mean};
use crate::error::Problem;
use crate::merge;
use crate::policy::Tags;
use crate::provider::{Auth, Endpoint, Parameter, Provider};
use crate::raw::{RawCatalog, RawEndpoint, RawParameter, RawProvider};
use crate::service::Service;
use crate::template;
use crate::yaml::Located;

/// Headers that belong to the connection or to the credential.
const RESERVED_HEADERS: [&str; 6] =
    ["authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"];

pub(super) fn check(
    raw: &RawCatalog,
    documents: Documents<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Provider> {
    let mut providers = Vec::with_capacity(raw.providers.0.len());
    for (id, entry) in &raw.providers.0 {
        let mut scope = Scope::new(documents.providers, "providers", id, problems);
        providers.push(provider(raw, id, entry, documents.strict, &mut scope));
    }
    providers
}

fn provider(
    raw: &RawCatalog,
    id: &Located<String>,
    entry: &RawProvider,
    strict: bool,
    scope: &mut Scope<'_>,
) -> Provider {
    check_id(id, scope);
    let resolved = resolve_like(raw, id, entry, scope);
    check_models_of(raw, id, entry, scope);
    let base_url = resolved.base_url.as_ref().and_then(|url| check_url("base_url", url, scope));
    let quirks = resolved.quirks.clone().unwrap_or_default();
    let endpoints = endpoints(&resolved, base_url.as_deref(), &quirks, scope);
    check_places(&endpoints, &resolved, scope);
    let (source, checked) = scope.provenance(entry.source.as_ref(), entry.checked.as_ref(), strict);
    Provider {
        id: id.value.clone(),
        name: entry.name.clone().unwrap_or_else(|| id.value.clone()),
        aliases: entry.aliases.clone().unwrap_or_default(),
        credential_env: variables("credential_env", entry.credential_env.as_deref(), scope),
        base_url_env: variables("base_url_env", entry.base_url_env.as_deref(), scope),
        parameters: parameters(entry, &resolved, scope),
        endpoints,
        auth: auth(&resolved, scope),
        headers: headers(&resolved, scope),
        services: services(&resolved, scope),
        // Never those of the provider that it is like: they are another company's word.
        tags: Tags { data_collection: entry.data_collection, zdr: entry.zdr, ..Tags::default() },
        source,
        checked,
    }
}

fn check_id(id: &Located<String>, scope: &mut Scope<'_>) {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if id.is_empty() || !id.bytes().all(plain) {
        scope.report("", "an id of a provider is made of lower-case letters, digits, `-`, `_` and `.`");
    }
}

/// Follows `like` to its end.
fn resolve_like(
    raw: &RawCatalog,
    id: &Located<String>,
    entry: &RawProvider,
    scope: &mut Scope<'_>,
) -> RawProvider {
    let mut resolved = entry.clone();
    let mut seen = vec![id.value.as_str()];
    let mut next = entry.like.as_ref();
    while let Some(name) = next {
        if seen.contains(&name.as_str()) {
            scope.report_at("like", name, format!("`{}` is like itself", name.value), None);
            break;
        }
        let Some(model) = raw.providers.get(name) else {
            unknown_provider(raw, "like", name, scope);
            break;
        };
        resolved = merge::like(&resolved, model);
        seen.push(name);
        next = model.like.as_ref();
    }
    resolved
}

fn check_models_of(raw: &RawCatalog, id: &Located<String>, entry: &RawProvider, scope: &mut Scope<'_>) {
    let Some(name) = &entry.models_of else { return };
    match raw.providers.get(name) {
        None => unknown_provider(raw, "models_of", name, scope),
        Some(_) if name.eq_ignore_ascii_case(id) => {
            scope.report_at("models_of", name, "names the provider itself", None);
        }
        Some(other) => {
            if let Some(third) = &other.models_of {
                let hint = format!("name `{}`, which `{}` has its models of", third.value, name.value);
                let message = format!("`{}` has no models of its own", name.value);
                scope.report_at("models_of", name, message, Some(hint));
            }
        }
    }
}

pub(super) fn unknown_provider(raw: &RawCatalog, field: &str, name: &Located<String>, scope: &mut Scope<'_>) {
    let known = raw.providers.0.iter().map(|(id, _)| id.as_str());
    let hint = did_you_mean(name, known).or_else(|| Some("add it under `providers:`".to_owned()));
    scope.report_at(field, name, format!("there is no provider `{}`", name.value), hint);
}

fn endpoints(
    provider: &RawProvider,
    base_url: Option<&str>,
    quirks: &Quirks,
    scope: &mut Scope<'_>,
) -> Vec<Endpoint> {
    let raw = provider.endpoints.as_deref().unwrap_or_default();
    if raw.is_empty() {
        let hint = "give `endpoints:` with `dialect: chat` or `dialect: messages`, or `like:`".to_owned();
        scope.report_with("endpoints", "there is none that requests can be sent to", hint);
    }
    for (index, endpoint) in raw.iter().enumerate() {
        if raw[..index].iter().any(|before| before.dialect == endpoint.dialect) {
            scope.report(&format!("endpoints[{index}]"), format!("`{}` is there twice", endpoint.dialect));
        }
    }
    // One without a place is the catalogue's own, and may well stand unused behind given endpoints.
    if let Some(url) = &provider.base_url
        && url.line > 0
        && !raw.is_empty()
        && raw.iter().all(|endpoint| endpoint.base_url.is_some())
    {
        let hint = "give `endpoints:` too, without their `base_url`".to_owned();
        scope.report_at("base_url", url, "has no effect: every endpoint has its own", Some(hint));
    }
    let checked = raw.iter().enumerate().map(|(index, endpoint)| {
        let own = endpoint.base_url.as_ref();
        let own = own.and_then(|url| check_url(&format!("endpoints[{index}].base_url"), url, scope));
        let (path, stream_path) = paths(index, endpoint, scope);
        Endpoint {
            dialect: endpoint.dialect,
            base_url: own.or_else(|| base_url.map(str::to_owned)),
            path,
            stream_path,
            quirks: endpoint.quirks.clone().unwrap_or_default().over(quirks),
        }
    });
    checked.collect()
}

/// The path, and the one for streamed answers.
fn paths(index: usize, endpoint: &RawEndpoint, scope: &mut Scope<'_>) -> (String, Option<String>) {
    let given = [("path", &endpoint.path), ("stream_path", &endpoint.stream_path)];
    for (field, path) in given.iter().filter_map(|(field, path)| Some((field, path.as_ref()?))) {
        if !path.starts_with('/') || !is_url_text(path) {
            let message = format!("`{}` is no path: it begins with `/` and has no spaces", path.value);
            scope.report_at(&format!("endpoints[{index}].{field}"), path, message, None);
        }
    }
    let own = endpoint.stream_path.as_ref().map(|path| path.value.clone());
    match &endpoint.path {
        None => {
            let stream_path = own.or_else(|| endpoint.dialect.stream_path().map(str::to_owned));
            (endpoint.dialect.path().to_owned(), stream_path)
        }
        Some(path) => {
            if own.is_none() && endpoint.dialect.stream_path().is_some() {
                let message = format!("`{}` streams at another path, which is missing", endpoint.dialect);
                let hint = Some("give `stream_path:` beside `path:`".to_owned());
                scope.report_at(&format!("endpoints[{index}].path"), path, message, hint);
            }
            (path.value.clone(), own)
        }
    }
}

/// Every place in an address is filled by a parameter, or by the model.
fn check_places(endpoints: &[Endpoint], provider: &RawProvider, scope: &mut Scope<'_>) {
    let mut unknown: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        let paths = [Some(&endpoint.path), endpoint.stream_path.as_ref()].into_iter().flatten();
        let in_paths = paths.flat_map(|path| template::places(path)).filter(|name| *name != template::MODEL);
        let in_base = endpoint.base_url.iter().flat_map(|url| template::places(url));
        for name in in_paths.chain(in_base) {
            let known = provider.parameters.as_ref().is_some_and(|known| known.contains_key(name));
            if !known && !unknown.contains(&name) {
                unknown.push(name);
            }
        }
    }
    for name in unknown {
        let hint = format!("add `{name}:` to `parameters:`");
        scope.report_with("endpoints", format!("nothing fills `{{{name}}}` in its address"), hint);
    }
}

/// The parameters of an entry with those of the one that it is like, which answers for its own.
fn parameters(entry: &RawProvider, resolved: &RawProvider, scope: &mut Scope<'_>) -> Vec<Parameter> {
    for (name, raw) in entry.parameters.iter().flatten() {
        let field = format!("parameters.{name}");
        for value in [&raw.value, &raw.default].into_iter().flatten() {
            if !template::is_value(value) {
                let message =
                    format!("`{value}` cannot stand in an address: letters, digits, `.`, `_` and `-`");
                scope.report(&field, message);
            }
        }
        variables(&field, Some(&raw.env), scope);
    }
    let parameter = |(name, raw): (&String, &RawParameter)| Parameter {
        name: name.clone(),
        value: raw.value.clone(),
        env: raw.env.clone(),
        default: raw.default.clone(),
    };
    resolved.parameters.iter().flatten().map(parameter).collect()
}

/// An `http` or `https` address without its last slash.
///
/// A query or fragment would swallow the path that is appended, and a user name is a secret in a place
/// that is logged.
fn check_url(field: &str, url: &Located<String>, scope: &mut Scope<'_>) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let problem = match rest {
        None => Some("is no address that begins with `http://` or `https://`"),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) => Some("names no host"),
        Some(rest) if rest.contains(['?', '#']) => Some("has a query or fragment, which has no place here"),
        Some(rest) if rest.split('/').next().is_some_and(|host| host.contains('@')) => {
            Some("holds a user name: credentials have their own place in the configuration")
        }
        Some(rest) if !is_url_text(rest) => Some("holds a space or a letter that no address has"),
        Some(_) => None,
    };
    if let Some(problem) = problem {
        // The text is not repeated where it may hold a secret.
        let shown = if url.contains('@') { "it".to_owned() } else { format!("`{}`", url.value) };
        scope.report_at(field, url, format!("{shown} {problem}"), None);
        return None;
    }
    Some(url.trim_end_matches('/').to_owned())
}

/// Whether a text with its places left out is made of what an address may hold.
fn is_url_text(text: &str) -> bool {
    template::fill(text, |_| Some("")).is_ok_and(|text| text.bytes().all(is_url_byte))
}

const fn is_url_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

fn variables(field: &str, names: Option<&[String]>, scope: &mut Scope<'_>) -> Vec<String> {
    let names = names.unwrap_or_default();
    for name in names {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            // Whoever writes the credential itself here must not find it in a log.
            scope.report(field, "names an environment variable: letters, digits and `_`");
        }
    }
    names.to_vec()
}

fn auth(provider: &RawProvider, scope: &mut Scope<'_>) -> Auth {
    match provider.auth.clone().unwrap_or_default() {
        Auth::Header(name) if !is_header_name(&name) => {
            scope.report("auth.header", format!("`{name}` is no name of a header"));
            Auth::None
        }
        Auth::Header(name) => Auth::Header(name.to_ascii_lowercase()),
        Auth::AwsSigv4(_) if !provider.parameters.as_ref().is_some_and(|all| all.contains_key("region")) => {
            let hint = "add `region:` to `parameters:`".to_owned();
            scope.report_with("auth.aws_sigv4", "signing needs the parameter `region`", hint);
            Auth::None
        }
        other => other,
    }
}

fn headers(provider: &RawProvider, scope: &mut Scope<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in provider.headers.iter().flatten() {
        let name = name.to_ascii_lowercase();
        let field = format!("headers.{name}");
        if !is_header_name(&name) {
            scope.report("headers", format!("`{name}` is no name of a header"));
        } else if RESERVED_HEADERS.contains(&name.as_str()) {
            scope.report(&field, "is set by the gateway");
        } else if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            scope.report(&field, "holds characters that no header may have");
        } else {
            headers.push((name, value.clone()));
        }
    }
    headers
}

/// Each service once.
fn services(provider: &RawProvider, scope: &mut Scope<'_>) -> Option<Vec<Service>> {
    let services = provider.services.clone()?;
    for (index, service) in services.iter().enumerate() {
        if services[..index].contains(service) {
            scope.report("services", format!("`{service}` is there twice"));
        }
    }
    Some(services)
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
