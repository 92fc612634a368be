//! What providers serve beside conversation.
//!
//! These requests are passed on and never translated, so a provider has a service where it takes OpenAI's
//! shape (reranking: Cohere's and Jina's) at the path that OpenAI's SDKs append to its base URL. One that does
//! the same under another path or in a shape of its own does not count.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service, by its path below `/v1/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Service {
    /// Vectors of texts.
    #[serde(rename = "embeddings")]
    Embeddings,
    /// Legacy completions of a text.
    #[serde(rename = "completions")]
    Completions,
    /// Documents by how well they answer a query.
    #[serde(rename = "rerank")]
    Rerank,
    /// Whether a text is harmful.
    #[serde(rename = "moderations")]
    Moderations,
    /// Images of a text.
    #[serde(rename = "images/generations")]
    Images,
    /// Changed images.
    #[serde(rename = "images/edits")]
    ImageEdits,
    /// A spoken text.
    #[serde(rename = "audio/speech")]
    Speech,
    /// The text of speech.
    #[serde(rename = "audio/transcriptions")]
    Transcriptions,
    /// The English text of speech.
    #[serde(rename = "audio/translations")]
    Translations,
}

const ALL: [(Service, &str); 9] = [
    (Service::Embeddings, "/embeddings"),
    (Service::Completions, "/completions"),
    (Service::Rerank, "/rerank"),
    (Service::Moderations, "/moderations"),
    (Service::Images, "/images/generations"),
    (Service::ImageEdits, "/images/edits"),
    (Service::Speech, "/audio/speech"),
    (Service::Transcriptions, "/audio/transcriptions"),
    (Service::Translations, "/audio/translations"),
];

impl Service {
    /// The service at a path below `/v1/`.
    pub fn at(path: &str) -> Option<Self> {
        ALL.iter().find(|(_, known)| known[1..] == *path).map(|(service, _)| *service)
    }

    /// What is appended to a provider's base URL, and how usage records call it: `/audio/speech`.
    pub fn path(self) -> &'static str {
        ALL.iter().find(|(service, _)| *service == self).map_or("", |(_, path)| path)
    }

    /// The model of a request that names none, where OpenAI's documentation has one.
    pub const fn default_model(self) -> Option<&'static str> {
        match self {
            Self::Moderations => Some("omni-moderation-latest"),
            _ => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_by_its_path() {
        for (service, path) in ALL {
            let name = service.to_string();
            assert_eq!(Service::at(&name), Some(service));
            assert_eq!(serde_json::to_value(service).unwrap(), name.as_str());
            assert_eq!(serde_json::from_value::<Service>(name.into()).unwrap(), service);
            assert_eq!(service.path(), path);
        }
        for other in ["", "/embeddings", "audio", "chat/completions"] {
            assert_eq!(Service::at(other), None, "{other}");
        }
    }
}
