//! What a table keeps of a deployment, for the preferences of requests.

use nova_catalog::Tags;

use super::Offered;
use crate::router::SharedPrice;
use crate::table::Candidate;

/// What is known of a deployment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) name: Box<str>,
    /// The model that it serves, by its place.
    pub(crate) model: u32,
    provider: Box<str>,
    provider_name: Box<str>,
    provider_aliases: Box<[String]>,
    pub(crate) price: SharedPrice,
    tags: Tags,
}

impl Known {
    pub(crate) fn of(candidate: &Candidate, model: u32) -> Self {
        Self {
            name: candidate.name.as_str().into(),
            model,
            provider: candidate.provider.as_str().into(),
            provider_name: candidate.provider_name.as_str().into(),
            provider_aliases: candidate.provider_aliases.clone().into(),
            price: candidate.price.clone(),
            tags: candidate.tags.clone(),
        }
    }

    pub(crate) fn offered(&self) -> Offered<'_> {
        Offered {
            name: &self.name,
            provider: &self.provider,
            provider_name: &self.provider_name,
            provider_aliases: &self.provider_aliases,
            price: self.price.as_deref(),
            tags: &self.tags,
        }
    }
}
