//! What a request asks of routing beside its model: the fields of its body that are for the gateway alone, and the
//! suffixes of the model's name. They are read and taken away here, before anything is planned, so that no provider
//! sees them and nothing after this stage has to know them.
//!
//! Invariant: a request without any of them passes through untouched, and at no cost but one look at its name.

use bytes::Bytes;
use nova_ledger::Key;
use nova_route::{Controls, Preferences, Sorting, Suffixes};
use nova_wire::splice::{self, Edit};
use nova_wire::{BadRequest, Dialect, Peek};
use serde_json::{Map, Value};

use crate::config::problem::did_you_mean;
use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;

/// A request has no use for more names than a plan has attempts; this is far above that.
const MOST_NAMES: usize = 32;

/// The fields of `provider`.
const PREFERENCES: [&str; 12] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "require_parameters",
    "sort",
    "max_price",
    "data_collection",
    "zdr",
    "quantizations",
    "preferred_max_latency",
    "preferred_min_throughput",
];

/// A request without its controls, and these.
#[derive(Debug)]
pub struct Controlled {
    /// The body, as providers may see it.
    pub body: Bytes,
    /// What the gateway reads of it; the model's name is without suffixes.
    pub peek: Peek,
    /// What is asked of routing; `None` where that is nothing.
    pub controls: Option<Box<Controls>>,
    /// The model's name as the client wrote it, where that is another one.
    pub written: Option<String>,
}

/// What stands in the fields.
#[derive(Debug, Default)]
struct Read {
    controls: Controls,
    /// The models of `models` and `fallbacks`, each with its place in the body.
    names: Vec<(String, String)>,
    disabled: bool,
}

/// Reads the controls of a request and takes them away.
///
/// # Errors
/// 400 for a field that is wrong, with its path; 404 for a model to fall back to that is unknown.
pub fn take(
    (snapshot, key): (&Snapshot, Option<&Key>),
    dialect: Dialect,
    (body, peek): (Bytes, Peek),
) -> Result<Controlled, GatewayError> {
    if !peek.has_controls && !peek.model.contains(':') {
        return Ok(Controlled { body, peek, controls: None, written: None });
    }
    let is_known = |name: &str| snapshot.table.find(name).is_some();
    if !peek.has_controls {
        let (model, suffixes) = nova_route::suffixed(&peek.model, is_known);
        if suffixes == Suffixes::default() {
            return Ok(Controlled { body, peek, controls: None, written: None });
        }
        let model = model.to_owned();
        let controls = with_suffixes(Controls::default(), suffixes);
        let written = Some(peek.model.clone());
        let peek = Peek { model, ..peek }.thinking_as(suffixes.thinking);
        return Ok(Controlled { body, peek, controls: Some(Box::new(controls)), written });
    }
    let taken = nova_wire::controls::take(&body)?;
    let mut read = read(taken.fields)?;
    let mut named = peek.model.clone();
    if named.is_empty() && !read.names.is_empty() {
        named = read.names.remove(0).1;
    }
    if named.is_empty() {
        let path = "model".to_owned();
        return Err(BadRequest { path, message: "`model` is missing".into(), code: "missing_field" }.into());
    }
    let (model, suffixes) = nova_route::suffixed(&named, is_known);
    let mut fallbacks = Vec::with_capacity(read.names.len());
    for (path, name) in &read.names {
        fallbacks.push(fallback((snapshot, key), (path, name), suffixes)?.to_owned());
    }
    let mut controls = with_suffixes(read.controls, suffixes);
    if read.disabled {
        controls.fallbacks = Some(Vec::new());
    } else if !fallbacks.is_empty() {
        controls.fallbacks = Some(fallbacks);
    }
    let body = named_in(dialect, taken.body, peek.model.is_empty().then_some(model))?;
    let again = Peek::read(dialect, &body)?;
    // Gemini's path says both.
    let stream = if dialect == Dialect::Gemini { peek.stream } else { again.stream };
    let peek = Peek { model: model.to_owned(), stream, ..again }.thinking_as(suffixes.thinking);
    let written = (named != model).then(|| named.clone());
    Ok(Controlled { body: Bytes::from(body), peek, controls: Some(Box::new(controls)), written })
}

/// What the name says wins over what the fields say: whoever writes it there often cannot reach the fields.
fn with_suffixes(mut controls: Controls, suffixes: Suffixes) -> Controls {
    if let Some(by) = suffixes.sort {
        controls.provider.sort = Some(Sorting { by, within_model: true });
    }
    controls
}

/// A body that names its model, where only another field did.
fn named_in(dialect: Dialect, body: Vec<u8>, model: Option<&str>) -> Result<Vec<u8>, GatewayError> {
    let Some(model) = model.filter(|_| dialect != Dialect::Gemini) else { return Ok(body) };
    let fields = splice::fields(&body)?;
    Ok(splice::apply(&body, &fields, &[Edit::Set("model", Value::from(model).to_string().into_bytes())]))
}

/// The name of a model to fall back to, without its suffixes, which are those of the model asked for, or none.
fn fallback<'n>(
    (snapshot, key): (&Snapshot, Option<&Key>),
    (path, name): (&str, &'n str),
    asked: Suffixes,
) -> Result<&'n str, GatewayError> {
    let (base, suffixes) = nova_route::suffixed(name, |name| snapshot.table.find(name).is_some());
    if suffixes != Suffixes::default() && suffixes != asked {
        let message = format!(
            "`{path}`: `{name}` has other suffixes than the model that is asked for\nhint: what the model's own name asks for holds for its fallbacks, too"
        );
        return Err(wrong(path, message, "invalid_value"));
    }
    if snapshot.table.find(base).is_some() {
        return Ok(base);
    }
    let allowed = key.and_then(|key| key.models.as_deref());
    let is_allowed = |model: usize| {
        allowed.is_none_or(|names| names.iter().any(|name| snapshot.table.find(name) == Some(model)))
    };
    let near = snapshot.table.nearest(base, 3, is_allowed);
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    let hint = match near.as_slice() {
        [] => "`GET /v1/models` lists all".to_owned(),
        near => format!("did you mean {}?", crate::config::problem::either(near)),
    };
    Err(GatewayError {
        param: Some(path.to_owned()),
        ..GatewayError::new(Code::UnknownModel, format!("`{path}`: there is no model `{base}`\nhint: {hint}"))
    })
}

fn read(mut fields: Map<String, Value>) -> Result<Read, GatewayError> {
    let mut read = Read::default();
    for field in ["models", "fallbacks"] {
        if let Some(value) = fields.remove(field) {
            names(field, value, &mut read.names)?;
        }
    }
    match fields.remove("disable_fallbacks") {
        None => {}
        Some(Value::Bool(disabled)) => read.disabled = disabled,
        Some(_) => return Err(mistyped("disable_fallbacks", "true or false")),
    }
    match fields.remove("route").as_ref().map(Value::as_str) {
        // What OpenRouter calls the only way that there is.
        None | Some(Some("fallback")) => {}
        Some(_) => return Err(mistyped("route", "`fallback`")),
    }
    if let Some(value) = fields.remove("provider") {
        read.controls.provider = preferences(value)?;
    }
    Ok(read)
}

/// The names of a list. LiteLLM's objects may hold a model, and nothing that would change the request.
fn names(field: &str, value: Value, to: &mut Vec<(String, String)>) -> Result<(), GatewayError> {
    let Value::Array(items) = value else { return Err(mistyped(field, "an array")) };
    for (index, item) in items.into_iter().enumerate() {
        let path = format!("{field}[{index}]");
        if to.len() == MOST_NAMES {
            let message = format!("`{path}`: at most {MOST_NAMES} models can be named");
            return Err(wrong(&path, message, "invalid_value"));
        }
        let name = match item {
            Value::Object(mut entry) => {
                let name = entry.remove("model");
                if let Some(other) = entry.keys().next() {
                    let path = format!("{path}.{other}");
                    let message =
                        format!("`{path}` is not supported\nhint: a fallback may only name its `model`");
                    return Err(wrong(&path, message, "unsupported"));
                }
                name.unwrap_or_default()
            }
            item => item,
        };
        match name {
            Value::String(name) if !name.is_empty() => to.push((path, name)),
            _ => return Err(mistyped(&path, "the name of a model")),
        }
    }
    Ok(())
}

/// The preferences; each field is read by itself, so that an error can say which one it is in.
fn preferences(value: Value) -> Result<Preferences, GatewayError> {
    let Value::Object(fields) = value else { return Err(mistyped("provider", "an object")) };
    for (name, value) in &fields {
        let path = format!("provider.{name}");
        if !PREFERENCES.contains(&name.as_str()) {
            let hint = did_you_mean(name, PREFERENCES).unwrap_or_else(|| "leave it out".to_owned());
            let message = format!("`{path}` is no preference that can be kept\nhint: {hint}");
            return Err(wrong(&path, message, "unsupported"));
        }
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        if let Err(error) = serde_json::from_value::<Preferences>(alone) {
            return Err(wrong(&path, format!("`{path}`: {error}"), "invalid_value"));
        }
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| wrong("provider", format!("`provider`: {error}"), "invalid_value"))
}

fn mistyped(path: &str, expected: &str) -> GatewayError {
    wrong(path, format!("`{path}` must be {expected}"), "invalid_type")
}

fn wrong(path: &str, message: String, code: &'static str) -> GatewayError {
    BadRequest { path: path.to_owned(), message, code }.into()
}
