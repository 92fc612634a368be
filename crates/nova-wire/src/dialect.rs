//! The wire schemas that clients and providers speak.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A wire schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI Chat Completions, `POST /v1/chat/completions`.
    Chat,
    /// OpenAI Responses, `POST /v1/responses`.
    Responses,
    /// Anthropic Messages, `POST /v1/messages`.
    Messages,
    /// Gemini, `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent?alt=sse`.
    Gemini,
    /// AWS Bedrock's Converse, `POST /model/{model}/converse` and `/converse-stream`. Spoken to upstreams only.
    Converse,
}

impl Dialect {
    /// The word for this dialect in configuration, metrics and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
            Self::Converse => "converse",
        }
    }

    /// The path that is appended to a provider's base URL, `{model}` standing for the model's name there.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::Gemini => "/models/{model}:generateContent",
            Self::Converse => "/model/{model}/converse",
        }
    }

    /// The path for a streamed answer, where it is another one.
    pub const fn stream_path(self) -> Option<&'static str> {
        match self {
            Self::Chat | Self::Responses | Self::Messages => None,
            Self::Gemini => Some("/models/{model}:streamGenerateContent?alt=sse"),
            Self::Converse => Some("/model/{model}/converse-stream"),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
