//! What is known of a request before its body is read: what its path and its query say.

use nova_wire::Dialect;

/// A request for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The dialect of the path, until the body's shape shows another one.
    pub dialect: Dialect,
    /// The model, where the path names it (Gemini).
    pub model: Option<String>,
    /// How the answer is framed, where the path says it (Gemini).
    pub framing: Option<Framing>,
    /// The key, where it stands in the query (Gemini).
    pub key: Option<String>,
}

/// How an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON object.
    Whole,
    /// Server-sent events.
    Events,
    /// No answer: the prompt is counted.
    Count,
    /// A JSON array of the chunks. We send one chunk: nobody who wants to see an answer grow asks for this.
    Array,
}

impl Asked {
    /// A request whose body says all the rest.
    pub const fn of(dialect: Dialect) -> Self {
        Self { dialect, model: None, framing: None, key: None }
    }

    /// A request in Gemini's dialect.
    pub fn gemini(model: &str, framing: Framing) -> Self {
        let model = model.strip_prefix("models/").unwrap_or(model);
        Self { model: Some(model.to_owned()), framing: Some(framing), ..Self::of(Dialect::Gemini) }
    }
}
