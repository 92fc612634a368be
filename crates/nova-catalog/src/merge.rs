//! Lays the entries of a configuration over a catalogue, and one provider over another (`like`).
//!
//! What an entry gives replaces what was there, field by field. Maps of quirks merge by their own rule
//! ([`nova_wire::Quirks::over`]), aliases are added. Offers and endpoints are replaced as a list, so that
//! one who writes two of them gets two; each keeps what it does not say again.

use nova_wire::Quirks;

use crate::raw::{RawCatalog, RawEndpoint, RawModel, RawOffer, RawParameter, RawProvider};
use crate::yaml::{Entries, Located};

/// Lays `over` over `base`. The places of `base` must be forgotten, so that all that is known are
/// places in `over`.
pub(crate) fn lay(base: &mut RawCatalog, over: &RawCatalog) {
    lay_entries(&mut base.providers, &over.providers, lay_provider);
    for (id, model) in &over.models.0 {
        // A name goes to whoever the operator gives it to.
        let taken = |alias: &str| {
            id.eq_ignore_ascii_case(alias)
                || model.aliases.iter().any(|name| name.eq_ignore_ascii_case(alias))
        };
        for (other, entry) in &mut base.models.0 {
            if !other.eq_ignore_ascii_case(id) {
                entry.aliases.retain(|alias| !taken(alias));
            }
        }
    }
    lay_entries(&mut base.models, &over.models, lay_model);
}

/// Forgets the places of all values.
pub(crate) fn forget_places(raw: &mut RawCatalog) {
    for (id, provider) in &mut raw.providers.0 {
        id.forget();
        let texts =
            [&mut provider.like, &mut provider.base_url, &mut provider.models_of, &mut provider.checked];
        texts.into_iter().flatten().for_each(Located::forget);
        for endpoint in provider.endpoints.iter_mut().flatten() {
            let texts = [&mut endpoint.base_url, &mut endpoint.path, &mut endpoint.stream_path];
            texts.into_iter().flatten().for_each(Located::forget);
        }
    }
    for (id, model) in &mut raw.models.0 {
        id.forget();
        model.aliases.iter_mut().for_each(Located::forget);
        [&mut model.deprecated, &mut model.checked].into_iter().flatten().for_each(Located::forget);
        model.offers.iter_mut().flatten().for_each(|offer| offer.provider.forget());
    }
}

/// What a provider is, with all that it takes from the one that it is like.
pub(crate) fn like(provider: &RawProvider, model: &RawProvider) -> RawProvider {
    let mut taken = RawProvider {
        base_url: model.base_url.clone(),
        endpoints: model.endpoints.clone(),
        auth: model.auth.clone(),
        headers: model.headers.clone(),
        quirks: model.quirks.clone(),
        parameters: model.parameters.clone(),
        services: model.services.clone(),
        ..RawProvider::default()
    };
    lay_provider(&mut taken, provider);
    taken
}

fn lay_entries<T: Clone>(base: &mut Entries<T>, over: &Entries<T>, lay: fn(&mut T, &T)) {
    for (id, entry) in &over.0 {
        match base.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(id)) {
            Some((known, below)) => {
                (known.line, known.column) = (id.line, id.column);
                lay(below, entry);
            }
            None => base.0.push((id.clone(), entry.clone())),
        }
    }
}

fn lay_provider(base: &mut RawProvider, over: &RawProvider) {
    let RawProvider {
        like,
        name,
        aliases,
        base_url,
        base_url_env,
        parameters,
        endpoints,
        auth,
        credential_env,
        headers,
        quirks,
        services,
        models_of,
        data_collection,
        zdr,
        source,
        checked,
    } = over;
    if let Some(endpoints) = endpoints {
        let before = base.endpoints.take().unwrap_or_default();
        base.endpoints = Some(endpoints.iter().map(|endpoint| endpoint_over(endpoint, &before)).collect());
    }
    replace(&mut base.like, like);
    replace(&mut base.name, name);
    replace(&mut base.aliases, aliases);
    replace(&mut base.base_url, base_url);
    replace(&mut base.base_url_env, base_url_env);
    for (name, over) in parameters.iter().flatten() {
        lay_parameter(base.parameters.get_or_insert_default().entry(name.clone()).or_default(), over);
    }
    replace(&mut base.auth, auth);
    replace(&mut base.credential_env, credential_env);
    replace(&mut base.headers, headers);
    replace(&mut base.services, services);
    replace(&mut base.models_of, models_of);
    replace(&mut base.data_collection, data_collection);
    replace(&mut base.zdr, zdr);
    replace(&mut base.source, source);
    replace(&mut base.checked, checked);
    base.quirks = quirks_over(quirks.as_ref(), base.quirks.take());
}

fn lay_parameter(base: &mut RawParameter, over: &RawParameter) {
    replace(&mut base.value, &over.value);
    replace(&mut base.default, &over.default);
    if !over.env.is_empty() {
        base.env.clone_from(&over.env);
    }
}

fn endpoint_over(endpoint: &RawEndpoint, before: &[RawEndpoint]) -> RawEndpoint {
    let mut result = endpoint.clone();
    if let Some(before) = before.iter().find(|before| before.dialect == endpoint.dialect) {
        // A base URL that is not given again is the provider's, not the old endpoint's: whoever moves
        // an endpoint must not leave a part of it behind.
        if result.path.is_none() {
            result.path.clone_from(&before.path);
            result.stream_path = result.stream_path.or_else(|| before.stream_path.clone());
        }
        result.quirks = quirks_over(result.quirks.as_ref(), before.quirks.clone());
    }
    result
}

fn lay_model(base: &mut RawModel, over: &RawModel) {
    let RawModel {
        name,
        family,
        aliases,
        context,
        max_output,
        capabilities,
        thinking,
        quality,
        deprecated,
        offers,
        source,
        checked,
    } = over;
    for alias in aliases {
        if !base.aliases.iter().any(|known| known.eq_ignore_ascii_case(alias)) {
            base.aliases.push(alias.clone());
        }
    }
    if let Some(offers) = offers {
        let before = base.offers.take().unwrap_or_default();
        base.offers = Some(offers.iter().map(|offer| offer_over(offer, &before)).collect());
    }
    replace(&mut base.name, name);
    replace(&mut base.family, family);
    replace(&mut base.context, context);
    replace(&mut base.max_output, max_output);
    replace(&mut base.capabilities, capabilities);
    replace(&mut base.thinking, thinking);
    replace(&mut base.quality, quality);
    replace(&mut base.deprecated, deprecated);
    replace(&mut base.source, source);
    replace(&mut base.checked, checked);
}

fn offer_over(offer: &RawOffer, before: &[RawOffer]) -> RawOffer {
    let mut result = offer.clone();
    let same_provider = |before: &&RawOffer| before.provider.eq_ignore_ascii_case(&offer.provider);
    // Another upstream model is another thing: nothing of the old one holds for it.
    let same_model = |before: &&RawOffer| offer.model.is_none() || offer.model == before.model;
    if let Some(before) = before.iter().filter(same_provider).find(same_model) {
        replace_missing(&mut result.model, &before.model);
        replace_missing(&mut result.price, &before.price);
        replace_missing(&mut result.region, &before.region);
        replace_missing(&mut result.quantization, &before.quantization);
        replace_missing(&mut result.max_output, &before.max_output);
        replace_missing(&mut result.dialects, &before.dialects);
        result.quirks = quirks_over(result.quirks.as_ref(), before.quirks.clone());
        for (dialect, quirks) in &before.dialect_quirks {
            let merged = result.dialect_quirks.get(dialect).map(|over| over.over(quirks));
            result.dialect_quirks.insert(*dialect, merged.unwrap_or_else(|| quirks.clone()));
        }
    }
    result
}

fn replace<T: Clone>(base: &mut Option<T>, over: &Option<T>) {
    if over.is_some() {
        base.clone_from(over);
    }
}

fn replace_missing<T: Clone>(over: &mut Option<T>, base: &Option<T>) {
    if over.is_none() {
        over.clone_from(base);
    }
}

fn quirks_over(over: Option<&Quirks>, base: Option<Quirks>) -> Option<Quirks> {
    match (over, base) {
        (Some(over), Some(base)) => Some(over.over(&base)),
        (Some(over), None) => Some(over.clone()),
        (None, base) => base,
    }
}
