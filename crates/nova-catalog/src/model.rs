//! A model that cannot be wrong any more.

use std::collections::BTreeMap;

use nova_wire::{Dialect, Quirks};
use serde::Serialize;

use crate::date::Date;
use crate::policy::Tags;
use crate::price::Price;
use crate::provider::Endpoint;
pub use crate::raw::Thinking;

/// A name that clients ask for, and who answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Its id: how answers and records call it.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// The line of models that it belongs to.
    pub family: Option<String>,
    /// Other names that clients may use, spelled as in the catalogue.
    pub aliases: Vec<String>,
    /// The most tokens that a prompt may have (where prompt and answer share one window, that window);
    /// unknown for a model that a configuration adds without saying it.
    pub context: Option<u64>,
    /// The most tokens that an answer may have.
    pub max_output: Option<u64>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How good it is at kinds of tasks.
    pub quality: Option<Quality>,
    /// When its maker retires it.
    pub deprecated: Option<Date>,
    /// Who serves it, the preferred one first. Never empty.
    pub offers: Vec<Offer>,
    /// The page that these facts are from.
    pub source: String,
    /// When they were compared with it; absent for entries of a configuration.
    pub checked: Option<Date>,
}

/// What a model can do besides reading and writing text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Reads images.
    pub images: bool,
    /// Reads PDF documents.
    pub pdf: bool,
    /// Calls tools.
    pub tools: bool,
    /// Can be made to call a tool.
    pub forced_tools: bool,
    /// Calls several tools in one turn.
    pub parallel_tools: bool,
    /// Answers in JSON that fits a schema, by the provider's own enforcement.
    pub json_schema: bool,
    /// Whether it thinks before it answers.
    pub thinking: Thinking,
}

/// Measured quality: an expectation to start from, not a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quality {
    /// Who measured, on what.
    pub source: String,
    /// Points out of 100 by task.
    pub scores: BTreeMap<String, u8>,
}

/// One provider's offer of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offer {
    /// The provider's id.
    pub provider: String,
    /// What the provider calls the model.
    pub upstream_model: String,
    /// What it charges; unknown if absent.
    pub price: Option<Price>,
    /// The most tokens that an answer may have there.
    pub max_output: Option<u64>,
    /// The wire schemas in which the provider serves this model; all that it speaks if absent.
    pub dialects: Option<Vec<Dialect>>,
    /// In what the model differs from the provider's other models, on every dialect.
    pub quirks: Quirks,
    /// The same, for one dialect alone.
    pub dialect_quirks: BTreeMap<Dialect, Quirks>,
    /// Where it runs, and in what form.
    pub tags: Tags,
}

impl Model {
    /// The offer of a provider.
    pub fn offer(&self, provider: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.provider.eq_ignore_ascii_case(provider))
    }

    /// All names: the id, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Whether its maker has retired it by this day.
    pub fn is_retired(&self, today: Date) -> bool {
        self.deprecated.is_some_and(|day| day <= today)
    }
}

impl Offer {
    /// Whether the provider serves this model in a schema that it speaks.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects.as_ref().is_none_or(|dialects| dialects.contains(&dialect))
    }

    /// All that sets this model at this endpoint apart from the plain dialect: the offer's quirks for
    /// the dialect, over its quirks for all dialects, over the endpoint's.
    pub fn quirks_at(&self, endpoint: &Endpoint) -> Quirks {
        let everywhere = self.quirks.over(&endpoint.quirks);
        match self.dialect_quirks.get(&endpoint.dialect) {
            Some(here) => here.over(&everywhere),
            None => everywhere,
        }
    }
}
