//! A piece of a streamed answer, in neutral form.
//!
//! A dialect's stream reader turns each upstream event into zero or more deltas; a dialect's stream
//! writer turns each delta into zero or more client events. A reader gives deltas in any order that
//! the upstream sends; keeping the client's grammar (one open block, contiguous indices, one
//! terminator) is the writer's work.

use crate::error::UpstreamError;
use crate::hub::reply::{Citation, Finish, Image};
use crate::hub::request::Mark;
use crate::usage::Usage;

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The answer begins. At most once; a writer also begins by itself at the first other delta.
    Start {
        /// The model's name, as the provider gave it.
        model: Option<String>,
        /// Prompt tokens, where the provider says at the start.
        usage: Option<Usage>,
    },
    /// More of a thought. Never empty.
    Thinking(String),
    /// The signature of the thought that is open.
    Signature(String),
    /// A whole piece of thinking that only its provider can read.
    RedactedThinking(String),
    /// More text. Never empty.
    Text(String),
    /// Where the text so far has something from.
    Citation(Box<Citation>),
    /// A whole image that the model made.
    Image(Image),
    /// More of a refusal's text. Never empty.
    Refusal(String),
    /// A tool call begins. `index` is the upstream's own number for it, unique within the answer.
    ToolStart {
        /// The upstream's number for this call.
        index: u32,
        /// The call's id; empty where the upstream gave none (the writer then makes one).
        id: String,
        /// The tool's name.
        name: String,
        /// What only some dialects say of a call.
        mark: Mark,
    },
    /// More of a tool call's arguments. Never empty.
    ToolArguments {
        /// The number given at [`Delta::ToolStart`].
        index: u32,
        /// A piece of the JSON text.
        json: String,
    },
    /// A tool call is complete.
    ToolEnd {
        /// The number given at [`Delta::ToolStart`].
        index: u32,
    },
    /// Token counts so far. A later one replaces an earlier one.
    Usage(Usage),
    /// Why the answer ended. The stream is not over yet: usage may follow.
    Finish(Finish),
    /// The upstream reports a failure inside the stream. Nothing follows.
    Error(UpstreamError),
    /// The upstream shows that it is alive.
    Ping,
    /// The upstream says that nothing follows (`[DONE]`, `message_stop`).
    End,
}
