//! A body for an upstream that is being written: what Chat and Responses, both OpenAI's, have in common.

use serde_json::{Map, Value};

use crate::hub::request::Request;
use crate::ids;
use crate::quirks::Quirks;

/// How many names of lost things are kept: a client can think up any number of kinds.
const MAX_DROPPED: usize = 32;

/// The longest `user` that OpenAI takes, in bytes.
const LONGEST_USER: usize = 64;

/// The words for effort, weakest first.
pub(crate) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// How strong an effort is; `None` for a word that is not ours.
pub(crate) fn strength(effort: &str) -> Option<usize> {
    EFFORTS.iter().position(|known| *known == effort)
}

/// A request as it is written.
pub(crate) struct Draft<'a> {
    pub(crate) quirks: &'a Quirks,
    pub(crate) request: &'a Request,
    pub(crate) fields: Map<String, Value>,
    /// Sentences for the instructions, where the upstream has no field for what they say.
    pub(crate) hints: Vec<String>,
    dropped: Vec<String>,
}

impl<'a> Draft<'a> {
    /// A body with these fields so far.
    pub(crate) fn new(request: &'a Request, quirks: &'a Quirks, fields: Map<String, Value>) -> Self {
        Self { quirks, request, fields, hints: Vec::new(), dropped: Vec::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Sets a field of an object of the body, which is made where it is missing.
    pub(crate) fn set_in(&mut self, object: &str, field: &str, value: impl Into<Value>) {
        let object = self.fields.entry(object).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = object {
            fields.insert(field.to_owned(), value.into());
        }
    }

    /// Names something that is lost, once.
    pub(crate) fn drop(&mut self, name: &str) {
        if self.dropped.len() < MAX_DROPPED && !self.dropped.iter().any(|known| known == name) {
            self.dropped.push(name.to_owned());
        }
    }

    /// The accepted effort that is nearest to the wish.
    pub(crate) fn nearest_effort(&self, wish: &str) -> String {
        let default = ["low", "medium", "high"].map(str::to_owned);
        let accepted = self.quirks.efforts.as_deref().unwrap_or(&default);
        let Some(wanted) = strength(wish) else {
            // A word that we do not know may still be the provider's own.
            return accepted.iter().find(|word| *word == wish).map_or("medium", |word| word).to_owned();
        };
        let ranked = accepted.iter().filter(|word| *word != "none");
        ranked
            .filter_map(|word| Some((strength(word)?.abs_diff(wanted), word)))
            .min_by_key(|(distance, _)| *distance)
            .map_or_else(|| wish.to_owned(), |(_, word)| word.clone())
    }

    /// Temperature, `top_p` and `top_k`, as far as they are taken.
    pub(crate) fn sampling(&mut self) {
        let (request, quirks) = (self.request, self.quirks);
        if let Some(asked) = request.temperature {
            let low = quirks.min_temperature.unwrap_or(f64::NEG_INFINITY);
            let high = quirks.max_temperature.unwrap_or(f64::INFINITY);
            let taken = asked.max(low).min(high);
            if (taken - asked).abs() > f64::EPSILON {
                self.drop("temperature");
            }
            self.set("temperature", taken);
        }
        if let Some(top_p) = request.top_p {
            self.set("top_p", top_p);
        }
        if let Some(top_k) = request.top_k {
            // Not part of the dialects: only where the catalogue says how it is spelled there.
            if quirks.rename.as_ref().is_some_and(|names| names.contains_key("top_k")) {
                self.set("top_k", top_k);
            } else {
                self.drop("top_k");
            }
        }
    }

    /// The client's name for its end user; a long one by a stand-in, always the same.
    pub(crate) fn user(&mut self) {
        let Some(user) = &self.request.user else { return };
        let long = user.len() > LONGEST_USER;
        let stand_in = || format!("user_{:016x}{:016x}", ids::hash(user, 0), ids::hash(user, 1));
        self.set("user", if long { stand_in() } else { user.clone() });
    }

    /// The body, with what the quirks forbid, rename, and always want; what is lost is added to `dropped`. A
    /// name with a dot is a field of the object before the dot.
    pub(crate) fn finish(mut self, dropped: &mut Vec<String>) -> Vec<u8> {
        for name in self.quirks.drop.iter().flatten() {
            let removed = match name.split_once('.') {
                None => self.fields.remove(name).is_some(),
                Some((object, field)) => {
                    let object = self.fields.get_mut(object).and_then(Value::as_object_mut);
                    object.is_some_and(|fields| fields.remove(field).is_some())
                }
            };
            if removed {
                self.drop(name);
            }
        }
        for (from, to) in self.quirks.rename.iter().flatten() {
            if let Some(value) = self.fields.remove(from) {
                self.fields.insert(to.clone(), value);
            }
        }
        for (name, value) in self.quirks.set.iter().flatten() {
            self.fields.insert(name.clone(), value.clone());
        }
        for name in self.dropped {
            if !dropped.contains(&name) {
                dropped.push(name);
            }
        }
        Value::Object(self.fields).to_string().into_bytes()
    }
}
