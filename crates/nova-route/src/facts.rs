//! What a decision may look at.

/// What is known of a request when it is routed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The model's name as the client wrote it: any spelling, an alias, or `provider/model`.
    pub model: &'a str,
    /// The prompt's length in tokens, estimated.
    pub prompt_tokens: u64,
    /// Whether the request holds images.
    pub has_images: bool,
    /// Whether the request offers tools.
    pub has_tools: bool,
    /// The models that the caller's key may use, in any spelling; `None` allows all.
    pub allowed_models: Option<&'a [String]>,
}

/// What is known of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    Good,
    /// It rests after repeated failures (its breaker is open).
    Open,
}
