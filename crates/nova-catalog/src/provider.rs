//! A provider that cannot be wrong any more.

use nova_wire::{Dialect, Quirks};
use serde::Serialize;

use crate::date::Date;
use crate::policy::Tags;
pub use crate::raw::Auth;
use crate::service::Service;

/// A company or server family that answers requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Provider {
    /// Its id in configuration, metrics and headers: lower-case letters, digits, `-`, `.` and `_`.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// Further names, by which requests may ask for it.
    pub aliases: Vec<String>,
    /// Environment variables that may hold its credential; the first that is set wins. Empty where no
    /// credential is needed, or where only a configuration can name one.
    pub credential_env: Vec<String>,
    /// Environment variables that may hold the base URL of all endpoints.
    pub base_url_env: Vec<String>,
    /// What fills the places in the endpoints' addresses.
    pub parameters: Vec<Parameter>,
    /// The wire schemas that it speaks, one endpoint each, the preferred one first.
    pub endpoints: Vec<Endpoint>,
    /// How requests are authorised.
    pub auth: Auth,
    /// Headers that every request carries, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What it serves beside conversation; `None` where nobody said.
    pub services: Option<Vec<Service>>,
    /// How it treats what it is sent.
    pub tags: Tags,
    /// The page that these facts are from.
    pub source: String,
    /// When they were compared with it; absent for entries of a configuration.
    pub checked: Option<Date>,
}

/// What fills a place in a provider's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The name of the place: `region` for `{region}`.
    pub name: String,
    /// The value; it wins over the environment.
    pub value: Option<String>,
    /// Environment variables that may hold it; the first that is set wins.
    pub env: Vec<String>,
    /// The value where no variable is set.
    pub default: Option<String>,
}

/// One wire schema that a provider speaks, and where. Address and paths may hold places
/// ([`crate::template`]).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// The schema.
    pub dialect: Dialect,
    /// `http://` or `https://`, without a slash at the end. Absent where only the operator knows it (a
    /// server of their own) or only the program does (the local engine).
    pub base_url: Option<String>,
    /// What is appended to the base URL; begins with a slash.
    pub path: String,
    /// The same for streamed answers, where that is another one.
    pub stream_path: Option<String>,
    /// In what the provider differs from the dialect here.
    pub quirks: Quirks,
}

impl Provider {
    /// The endpoint of a dialect.
    pub fn endpoint(&self, dialect: Dialect) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.dialect == dialect)
    }

    /// Whether it is known to have a service.
    pub fn has(&self, service: Service) -> bool {
        self.services.as_ref().is_some_and(|all| all.contains(&service))
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
