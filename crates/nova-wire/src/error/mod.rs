//! Failures: what a client did wrong, what a provider reports, and how either dialect says it.
//!
//! A provider's status is no class by itself (xAI answers 400 to a bad key, MiniMax 200 to an empty
//! balance), so [`classify`] looks at status, type, code and words together.
//!
//! Reading order: `envelope` finds the words in any provider's error body, `rules` is the table that
//! maps them to a class, `classify` puts both together, `delay` reads how long to wait, `words` keeps
//! secrets and length in bounds, and `render` writes errors in a client's dialect.
//!
//! Invariant: nothing that looks like a key survives into [`UpstreamError::message`].

use std::fmt;

mod classify;
mod delay;
mod envelope;
mod render;
mod rules;
#[cfg(test)]
mod tests;
mod words;

pub use classify::{classify, in_success};
pub use delay::duration_ms;
pub use render::{body, event};
pub use words::context_message;

/// The longest message of a provider that is kept, in bytes.
pub const MAX_MESSAGE: usize = 2048;

/// What is wrong with a client's request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// Where: `messages[2].content[0].type`; empty for the body as a whole.
    pub path: String,
    /// What, in a sentence that names the place.
    pub message: String,
    /// A stable word for it (`invalid_json`, `missing_field`, `invalid_type`, `unsupported`, …).
    pub code: &'static str,
}

/// What kind of failure a provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The credential was refused.
    Auth,
    /// The account has no money or no quota left.
    Balance,
    /// Too many requests or tokens for now.
    Rate,
    /// The provider has no capacity for anybody right now.
    Overloaded,
    /// The prompt does not fit the model's window.
    Context,
    /// A content filter refused the prompt or the answer.
    Filter,
    /// The model does not exist or is not open to this account.
    Model,
    /// The request is wrong in some other way.
    BadRequest,
    /// A fault inside the provider, or one that nobody recognises.
    Server,
    /// The answer could not be read.
    Garbage,
    /// The answer ended before it was finished.
    Cut,
    /// The answer does not have the form that the client asked for.
    Mismatch,
}

impl ErrorClass {
    /// The word for this class in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Balance => "balance",
            Self::Rate => "rate",
            Self::Overloaded => "overloaded",
            Self::Context => "context",
            Self::Filter => "filter",
            Self::Model => "model",
            Self::BadRequest => "bad_request",
            Self::Server => "server",
            Self::Garbage => "garbage",
            Self::Cut => "cut",
            Self::Mismatch => "mismatch",
        }
    }
}

/// A failure as a provider reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    /// What kind of failure.
    pub class: ErrorClass,
    /// The HTTP status, 200 where the failure came inside a success.
    pub status: u16,
    /// The provider's own words, at most [`MAX_MESSAGE`] bytes.
    pub message: String,
    /// The provider's own code or type.
    pub code: Option<String>,
    /// How long the provider asks us to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.class.as_str(), self.status, self.message)
    }
}

/// An error as the gateway's table describes it, ready to be written in a client's dialect.
#[derive(Clone, Copy, Debug)]
pub struct ErrorView<'a> {
    /// The HTTP status.
    pub status: u16,
    /// OpenAI's `error.type`.
    pub openai_type: &'a str,
    /// OpenAI's `error.code`.
    pub openai_code: Option<&'a str>,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'a str,
    /// What happened, for a person.
    pub message: &'a str,
    /// Which parameter is at fault.
    pub param: Option<&'a str>,
    /// The id of the request, as in the response headers.
    pub request_id: &'a str,
}
