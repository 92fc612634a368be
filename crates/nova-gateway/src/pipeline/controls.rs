//! What a request asks of routing beside its model: the fields of its body that are for the gateway alone, and the
//! suffixes of the model's name; and the preset that either names, which is put in. They are read and taken away here, before anything is planned, so that no provider
//! sees them and nothing after this stage has to know them.
//!
//! Invariant: a request without any of them passes through untouched, and at no cost but one look at its name.

use std::sync::Arc;

use bytes::Bytes;
use nova_ledger::Key;
use nova_route::{Controls, Preferences, Sorting, Suffixes};
use nova_wire::splice::{self, Edit};
use nova_wire::{BadRequest, Dialect, Peek};
use serde_json::{Map, Value};

use crate::config::Preset;
use crate::config::problem::did_you_mean;
use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;

/// A request has no use for more names than a plan has attempts; this is far above that.
const MOST_NAMES: usize = 32;

/// The fields of `provider`.
const PREFERENCES: [&str; 13] = [
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
    "max_latency",
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
    /// The preset that it was made with.
    pub preset: Option<Arc<Preset>>,
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
    preset: Option<String>,
}

/// Reads the controls of a request and takes them away.
///
/// # Errors
/// 400 for a field that is wrong, with its path; 404 for a preset, or a model to fall back to, that is unknown.
pub fn take(
    (snapshot, key): (&Snapshot, Option<&Key>),
    dialect: Dialect,
    (body, peek): (Bytes, Peek),
) -> Result<Controlled, GatewayError> {
    let is_plain = !peek.model.contains(':') && (snapshot.presets.is_empty() || !peek.model.contains('/'));
    if is_plain && !peek.has_controls {
        return Ok(Controlled { body, peek, controls: None, preset: None, written: None });
    }
    let (body, mut read) = if peek.has_controls {
        let taken = nova_wire::controls::take(&body)?;
        (Bytes::from(taken.body), read(taken.fields)?)
    } else {
        (body, Read::default())
    };
    let mut written = peek.model.clone();
    if written.is_empty() && !read.names.is_empty() {
        written = read.names.remove(0).1;
    }
    let is_known = |name: &str| snapshot.table.has_name(name);
    let (base, mut suffixes) = nova_route::suffixed(&written, is_known);
    let (preset, mut model) = preset(snapshot, base, read.preset.take())?;
    if let Some(preset) = &preset {
        let named = if model.is_empty() { preset.model.as_deref().unwrap_or_default() } else { model };
        let (base, own) = nova_route::suffixed(named, is_known);
        model = base;
        suffixes = suffixes.over(own);
    }
    if model.is_empty() {
        let path = "model".to_owned();
        return Err(BadRequest { path, message: "`model` is missing".into(), code: "missing_field" }.into());
    }
    let mut fallbacks = Vec::with_capacity(read.names.len());
    for (path, name) in &read.names {
        fallbacks.push(fallback((snapshot, key), (path, name), suffixes)?.to_owned());
    }
    let mut controls = read.controls;
    if read.disabled {
        controls.fallbacks = Some(Vec::new());
    } else if !fallbacks.is_empty() {
        controls.fallbacks = Some(fallbacks);
    }
    if let Some(preset) = &preset {
        controls = controls.over(&preset.controls);
    }
    let controls = Some(Box::new(with_suffixes(controls, suffixes))).filter(|it| **it != Controls::default());
    let model = model.to_owned();
    let (body, peek) = remade(dialect, (body, peek), (&model, preset.as_deref()))?;
    let peek = peek.thinking_as(suffixes.thinking);
    let written = (written != model).then_some(written).filter(|written| !written.is_empty());
    Ok(Controlled { body, peek, controls, preset, written })
}

/// The preset that a request names, by its model or by a field, and the model that it names besides; empty where
/// it names none.
fn preset<'n>(
    snapshot: &Snapshot,
    name: &'n str,
    field: Option<String>,
) -> Result<(Option<Arc<Preset>>, &'n str), GatewayError> {
    let in_name = match name.split_once("preset/") {
        _ if snapshot.presets.is_empty() || snapshot.table.has_name(name) => None,
        Some(("" | "@", preset)) => Some((preset, "")),
        Some((model, preset)) => model.strip_suffix('@').map(|model| (preset, model)),
        None => None,
    };
    let (param, asked, model) = match (in_name, &field) {
        (Some((preset, model)), _) => ("model", preset, model),
        (None, Some(field)) => {
            let field = field.strip_prefix('@').unwrap_or(field);
            ("preset", field.strip_prefix("preset/").unwrap_or(field), name)
        }
        (None, None) => return Ok((None, name)),
    };
    if let Some(preset) = snapshot.preset(asked) {
        return Ok((Some(Arc::clone(preset)), model));
    }
    let known = snapshot.presets.values().map(|preset| preset.name.as_str());
    let hint = did_you_mean(asked, known).unwrap_or_else(|| "`presets:` in the configuration has all".into());
    Err(GatewayError {
        param: Some(param.to_owned()),
        ..GatewayError::new(Code::UnknownModel, format!("there is no preset `{asked}`\nhint: {hint}"))
    })
}

/// The body as it goes on: with what the preset adds, and with the model's name where it had none.
fn remade(
    dialect: Dialect,
    (body, peek): (Bytes, Peek),
    (model, preset): (&str, Option<&Preset>),
) -> Result<(Bytes, Peek), GatewayError> {
    if preset.is_none() && !peek.has_controls {
        return Ok((body, Peek { model: model.to_owned(), ..peek }));
    }
    let mut bytes = match preset {
        Some(preset) => Bytes::from(nova_wire::preset::apply(dialect, &body, &preset.additions)?),
        None => body,
    };
    if peek.model.is_empty() && dialect != Dialect::Gemini {
        let edit = Edit::Set("model", Value::from(model).to_string().into_bytes());
        bytes = Bytes::from(splice::apply(&bytes, &splice::fields(&bytes)?, &[edit]));
    }
    let again = Peek::read(dialect, &bytes)?;
    // Gemini's path says both.
    let stream = if dialect == Dialect::Gemini { peek.stream } else { again.stream };
    Ok((bytes, Peek { model: model.to_owned(), stream, ..again }))
}

/// What the name says wins over what the fields say: whoever writes it there often cannot reach the fields.
fn with_suffixes(mut controls: Controls, suffixes: Suffixes) -> Controls {
    if let Some(by) = suffixes.sort {
        controls.provider.sort = Some(Sorting { by, within_model: true });
    }
    controls
}

/// The name of a model to fall back to, without its suffixes, which are those of the model asked for, or none.
fn fallback<'n>(
    (snapshot, key): (&Snapshot, Option<&Key>),
    (path, name): (&str, &'n str),
    asked: Suffixes,
) -> Result<&'n str, GatewayError> {
    let (base, suffixes) = nova_route::suffixed(name, |name| snapshot.table.has_name(name));
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
    match fields.remove("preset") {
        None => {}
        Some(Value::String(preset)) => read.preset = Some(preset),
        Some(_) => return Err(mistyped("preset", "the name of a preset")),
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
