//! A whole answer, in neutral form.

use crate::hub::request::ToolCall;
use crate::usage::Usage;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// What the model produced, in order.
    pub parts: Vec<ReplyPart>,
    /// Why it stopped.
    pub finish: Finish,
    /// The tokens, where the provider said.
    pub usage: Option<Usage>,
    /// The model's name, as the provider gave it.
    pub model: Option<String>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyPart {
    /// A thought, with the provider's signature where it gave one.
    Thinking {
        /// The thought.
        text: String,
        /// The signature.
        signature: Option<String>,
    },
    /// Thinking that only its provider can read.
    RedactedThinking {
        /// The provider's opaque data.
        data: String,
    },
    /// Text.
    Text(String),
    /// The model declined; the text says so.
    Refusal(String),
    /// A call of one of the client's tools.
    ToolCall(ToolCall),
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The provider did not say. A whole answer may still be complete; a stream is not.
    #[default]
    Unsaid,
    /// The model was done.
    Stop,
    /// A stop sequence came up; the sequence, where the provider named it.
    StopSequence(Option<String>),
    /// The token limit was reached, or the context window.
    Length,
    /// The model waits for the results of its tool calls.
    ToolCalls,
    /// A filter, or the model itself, withheld the answer.
    Filter,
    /// The provider paused a long turn; sending it back continues it (Anthropic's `pause_turn`).
    Pause,
    /// The provider broke off with a fault of its own.
    Failed(String),
}

impl Finish {
    /// The word for this reason in usage records and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unsaid => "unsaid",
            Self::Stop => "stop",
            Self::StopSequence(_) => "stop_sequence",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Filter => "filter",
            Self::Pause => "pause",
            Self::Failed(_) => "failed",
        }
    }
}
