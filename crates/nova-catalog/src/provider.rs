//! A provider that cannot be wrong any more.

use nova_wire::{Dialect, Quirks};
use serde::Serialize;

use crate::date::Date;
pub use crate::raw::Auth;

/// A company or server family that answers requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provider {
    /// Its id in configuration, metrics and headers: lower-case letters, digits, `-`, `.` and `_`.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// Environment variables that may hold its credential; the first that is set wins. Empty where no
    /// credential is needed, or where only a configuration can name one.
    pub credential_env: Vec<String>,
    /// The wire schemas that it speaks, one endpoint each, the preferred one first.
    pub endpoints: Vec<Endpoint>,
    /// How requests are authorised.
    pub auth: Auth,
    /// Headers that every request carries, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The page that these facts are from.
    pub source: String,
    /// When they were compared with it; absent for entries of a configuration.
    pub checked: Option<Date>,
}

/// One wire schema that a provider speaks, and where.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// The schema.
    pub dialect: Dialect,
    /// `http://` or `https://`, without a slash at the end. Absent where only the operator knows it (a
    /// server of their own) or only the program does (the local engine).
    pub base_url: Option<String>,
    /// What is appended to the base URL; begins with a slash.
    pub path: String,
    /// In what the provider differs from the dialect here.
    pub quirks: Quirks,
}

impl Provider {
    /// The endpoint of a dialect.
    pub fn endpoint(&self, dialect: Dialect) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.dialect == dialect)
    }

    /// The endpoint for a client's dialect: the same dialect where the provider speaks it, because
    /// forwarding loses less than translating, else the first one that can be translated to. Every
    /// provider has one of those.
    pub fn endpoint_for(&self, client: Dialect) -> Option<&Endpoint> {
        let translatable = || self.endpoints.iter().find(|endpoint| is_translatable(endpoint.dialect));
        self.endpoint(client).or_else(translatable)
    }

    /// Whether some endpoint lacks a base URL, so that requests need one from elsewhere.
    pub fn needs_base_url(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.base_url.is_none())
    }
}

impl Endpoint {
    /// Base URL and path, if the base URL is known.
    pub fn url(&self) -> Option<String> {
        self.base_url.as_ref().map(|base_url| format!("{base_url}{}", self.path))
    }
}

/// Whether requests of other dialects can be translated to this one.
pub(crate) const fn is_translatable(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Chat | Dialect::Messages)
}
