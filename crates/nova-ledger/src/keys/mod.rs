//! Virtual keys: what we hand to a team's programs, and how one is recognised.
//!
//! Invariant: a key's text exists once, in the [`CreatedKey`] that its creation returns; the store and this
//! process keep only its HMAC. Reading order: the types here, [`token`] (text and hash), [`table`] (the
//! snapshot that requests are checked against), [`admin`] (the calls that change keys), [`budget`] (what keys may spend).

pub(crate) mod admin;
pub(crate) mod budget;
pub(crate) mod table;
pub(crate) mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use nova_catalog::{DataPolicy, NanoUsd};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::budget::{KeyBudget, Period};
use crate::error::LedgerError;
use crate::secret::Secret;

/// The permanent name of a key: a UUID version 7. It may be logged and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(Uuid);

impl KeyId {
    pub(crate) fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as a number, for a map's key or a metric's hash.
    pub const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    /// The id as a shorter number, which two keys share by chance once in 2^64.
    pub const fn number(self) -> u64 {
        let (high, low) = self.0.as_u64_pair();
        high ^ low
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| format!("`{text}` is not a key's id"))
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// What a key opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The model endpoints. The text begins with `nsk_`.
    #[default]
    User,
    /// The admin API. The text begins with `nsa_`, so that neither kind is ever pasted in place of the other.
    Admin,
}

impl Scope {
    /// The word in the database, in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    pub(crate) const fn token_kind(self) -> &'static str {
        match self {
            Self::User => "nsk_",
            Self::Admin => "nsa_",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::Admin].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// What one key may take and leave behind. `None` is no limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests per minute.
    pub requests_per_minute: Option<u32>,
    /// Requests at the same time.
    pub max_in_flight: Option<u32>,
    /// Whether its conversations may be kept; `None` is what the configuration says.
    pub store_prompts: Option<bool>,
}

/// What a key says of routing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyRouting {
    /// Labels that rules read as `tags.*`; at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What one request should cost at most: what rules read as `budget` where the request says none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_budget: Option<NanoUsd>,
    /// What it may spend in a span of time; what is left of that is what rules read as `budget_left`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<KeyBudget>,
    /// Where its prompts may go.
    #[serde(skip_serializing_if = "DataPolicy::is_open")]
    pub data: DataPolicy,
}

/// A key, without its text and without its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Key {
    /// The permanent id.
    pub id: KeyId,
    /// The name that people use; unique among the keys that are not revoked.
    pub name: String,
    /// A label for the account or the person behind it. It grants nothing.
    pub owner: Option<String>,
    /// The first eight characters of the text.
    pub prefix: String,
    /// What it opens.
    pub scope: Scope,
    /// When it was made, in Unix milliseconds.
    pub created_ms: i64,
    /// From when on it is refused.
    pub expires_ms: Option<i64>,
    /// Since when it is revoked.
    pub revoked_ms: Option<i64>,
    /// When it was last used, as the store knows it. Written in batches, so up to a minute behind.
    pub last_used_ms: Option<i64>,
    /// What it may take.
    pub limits: KeyLimits,
    /// The models that it may ask for; `None` is all of them.
    pub models: Option<Vec<String>>,
    /// What it says of routing.
    pub routing: KeyRouting,
}

impl Key {
    /// Whether the key may ask for this model. Letter case does not matter. The caller asks for the
    /// catalogue's id *and* for the spelling that the client used when it wants to accept both in the list.
    pub fn allows_model(&self, model: &str) -> bool {
        self.models
            .as_ref()
            .is_none_or(|models| models.iter().any(|allowed| allowed.eq_ignore_ascii_case(model)))
    }
}

impl KeyRouting {
    fn check(&self) -> Result<(), LedgerError> {
        if self.tags.len() > 32 {
            return Err(invalid("tags", "must not be more than 32"));
        }
        for (name, value) in &self.tags {
            check_text("tags", name, 64)?;
            check_text("tags", value, 128)?;
        }
        if self.request_budget.is_some_and(|budget| budget <= NanoUsd::ZERO) {
            return Err(invalid("request_budget", "must be above 0"));
        }
        if self.budget.is_some_and(|budget| budget.usd <= NanoUsd::ZERO) {
            return Err(invalid("budget", "must be above 0"));
        }
        for region in self.data.regions.iter().flatten() {
            check_text("regions", region, 64)?;
        }
        Ok(())
    }
}

/// What is needed to make a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewKey {
    /// 1 to 64 characters, no control characters, not the shape of a key or of an id.
    pub name: String,
    /// A label of at most 128 characters.
    pub owner: Option<String>,
    /// What it opens.
    pub scope: Scope,
    /// From when on it is refused, in Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// What it may take.
    pub limits: KeyLimits,
    /// The models that it may ask for; `None` is all of them, an empty list is a mistake.
    pub models: Option<Vec<String>>,
    /// What it says of routing.
    pub routing: KeyRouting,
}

impl NewKey {
    /// A key for the model endpoints without limits.
    pub fn user(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A key for the admin API.
    pub fn admin(name: impl Into<String>) -> Self {
        Self { name: name.into(), scope: Scope::Admin, ..Self::default() }
    }

    pub(crate) fn check(&self, now_ms: i64) -> Result<(), LedgerError> {
        check_text("name", &self.name, 64)?;
        // Revoking finds a key by name, id or prefix; and somebody who pastes a key as its own name would
        // store it in the clear.
        if token::looks_like_key(&self.name) || Uuid::parse_str(&self.name).is_ok() {
            return Err(invalid("name", "must not look like a key or an id"));
        }
        if let Some(owner) = &self.owner {
            check_text("owner", owner, 128)?;
        }
        if self.expires_ms.is_some_and(|expires| expires <= now_ms) {
            return Err(invalid("expires_ms", "lies in the past"));
        }
        self.routing.check()?;
        if self.limits.requests_per_minute == Some(0) || self.limits.max_in_flight == Some(0) {
            return Err(invalid(
                "limits",
                "must not be 0\nhint: leave a limit out for no limit, or revoke the key",
            ));
        }
        if let Some(models) = &self.models {
            if models.is_empty() || models.len() > 256 {
                return Err(invalid(
                    "models",
                    "must have 1 to 256 names\nhint: leave it out to allow all models",
                ));
            }
            models.iter().try_for_each(|model| check_text("models", model, 256))?;
        }
        Ok(())
    }
}

/// The answer to [`Ledger::create_key`](crate::Ledger::create_key).
#[derive(Debug)]
pub struct CreatedKey {
    /// What was stored.
    pub key: Arc<Key>,
    /// The text to hand out. It is shown now or never.
    pub secret: Secret,
}

/// Why a presented key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeyError {
    /// It is not the shape of a key, so nothing was looked up.
    #[error("this is not a NovaStack key")]
    Malformed,
    /// No such key.
    #[error("no such key")]
    Unknown,
    /// It was revoked.
    #[error("this key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("this key has expired")]
    Expired,
    /// It is not among the keys known here, and the store is away, so nobody can tell. The answer is 503,
    /// never 401.
    #[error("the key cannot be checked now, because the store is away")]
    StoreAway,
}

fn check_text(field: &'static str, text: &str, most: usize) -> Result<(), LedgerError> {
    let chars = text.chars().count();
    if text.trim().is_empty() || chars > most {
        return Err(invalid(field, &format!("must have 1 to {most} characters, and has {chars}")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "must not contain control characters"));
    }
    Ok(())
}

fn invalid(field: &'static str, problem: &str) -> LedgerError {
    LedgerError::Invalid { field, problem: problem.to_owned() }
}
