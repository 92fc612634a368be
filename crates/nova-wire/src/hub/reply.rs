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
    /// Where the text before it has something from.
    Citation(Citation),
    /// An image that the model made.
    Image(Image),
}

/// A page that an answer refers to. Files and the client's own documents, which some dialects cite, have no
/// name that means anything in another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation {
    /// The page's address.
    pub url: String,
    /// Its title; empty where the provider gave none.
    pub title: String,
    /// The words of the page, where the provider quotes them.
    pub quote: Option<String>,
    /// What it stands for, where the provider says: from and to which character of all the answer's text.
    pub span: Option<(usize, usize)>,
}

/// An image, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The media type, such as `image/png`.
    pub media_type: String,
    /// The data, in base64, unchecked.
    pub data: String,
}

impl Image {
    /// What a client is told of an image for which its dialect has no place.
    pub const UNSHOWN: &str = "[an image, which answers in this dialect cannot hold]";

    /// The image of a `data:` address.
    pub fn of_data_url(url: &str) -> Option<Self> {
        let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
        Some(Self { media_type: media_type.to_owned(), data: data.to_owned() })
    }

    /// It as a `data:` address.
    pub fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.media_type, self.data)
    }
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
