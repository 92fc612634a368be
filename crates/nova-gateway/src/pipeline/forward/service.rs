//! What is passed on.

/// A service in OpenAI's shape (reranking: in Cohere's and Jina's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Vectors of texts.
    Embeddings,
    /// Legacy completions of a text.
    Completions,
    /// Documents by how well they answer a query.
    Rerank,
    /// Whether a text is harmful.
    Moderations,
    /// Images of a text.
    Images,
    /// Changed images.
    ImageEdits,
    /// A spoken text.
    Speech,
    /// The text of speech.
    Transcriptions,
    /// The English text of speech.
    Translations,
}

const ALL: [(Service, &str, &str); 9] = [
    (Service::Embeddings, "embeddings", "/embeddings"),
    (Service::Completions, "completions", "/completions"),
    (Service::Rerank, "rerank", "/rerank"),
    (Service::Moderations, "moderations", "/moderations"),
    (Service::Images, "images/generations", "/images/generations"),
    (Service::ImageEdits, "images/edits", "/images/edits"),
    (Service::Speech, "audio/speech", "/audio/speech"),
    (Service::Transcriptions, "audio/transcriptions", "/audio/transcriptions"),
    (Service::Translations, "audio/translations", "/audio/translations"),
];

impl Service {
    /// The service at a path below `/v1/`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        ALL.iter().find(|(_, known, _)| *known == path).map(|(service, ..)| *service)
    }

    /// Its path below `/v1/`.
    pub(super) fn path(self) -> &'static str {
        ALL.iter().find(|(service, ..)| *service == self).map_or("", |(_, path, _)| path)
    }

    /// Its path as usage records have it, and as it is appended to a provider's base URL.
    pub(super) fn record(self) -> &'static str {
        ALL.iter().find(|(service, ..)| *service == self).map_or("", |(_, _, record)| record)
    }

    /// The model of a request that names none, where OpenAI's documentation has one.
    pub(super) const fn default_model(self) -> Option<&'static str> {
        match self {
            Self::Moderations => Some("omni-moderation-latest"),
            _ => None,
        }
    }
}
