//! What a client asks, in neutral form.

use serde_json::{Map, Value};

/// A request for one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The conversation, oldest first. Instructions are turns with [`Role::System`], wherever they stand.
    pub turns: Vec<Turn>,
    /// The tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it may or must call; `None` where the client did not say.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn; `None` where the client did not say.
    pub parallel_tools: Option<bool>,
    /// Whether the client knows calls only in chat's first form (`functions`, `function_call`).
    pub legacy_functions: bool,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// Sampling temperature, as the client gave it.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling among the k likeliest.
    pub top_k: Option<u64>,
    /// Sequences that end the answer.
    pub stop: Vec<String>,
    /// Whether and how much the model shall think.
    pub thinking: Thinking,
    /// The form of the answer's text.
    pub format: Format,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed answer shall report usage (chat's `stream_options.include_usage`).
    pub include_usage: bool,
    /// The client's own name for its end user.
    pub user: Option<String>,
    /// Fields that belong to the client's dialect alone, or to none that we know. The writer of the
    /// same dialect puts them back; any other writer names them as dropped.
    pub extra: Map<String, Value>,
}

/// One message, or several neighbouring ones of the same role.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. Tool results stand in [`Role::User`] turns.
    pub parts: Vec<Part>,
    /// Fields of the message that only the client's dialect knows (chat's `name`); as [`Request::extra`].
    pub extra: Map<String, Value>,
}

impl Turn {
    /// A turn that says this and nothing else.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, extra: Map::new() }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// The person, or the results of tools.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// The client's `cache_control` mark, verbatim.
        cache: Option<Value>,
    },
    /// An image.
    Image {
        /// Where its bytes are.
        source: Source,
        /// How closely the model shall look (`low`, `high`, …, the client's word).
        detail: Option<String>,
        /// The client's `cache_control` mark, verbatim.
        cache: Option<Value>,
    },
    /// A document, such as a PDF.
    Document {
        /// Where its bytes are.
        source: Source,
        /// Its file name or title.
        name: Option<String>,
        /// The client's `cache_control` mark, verbatim.
        cache: Option<Value>,
    },
    /// What the model thought before it spoke.
    Thinking {
        /// The thought.
        text: String,
        /// The provider's signature over it, where it gave one.
        signature: Option<String>,
    },
    /// Thinking that only its provider can read.
    RedactedThinking {
        /// The provider's opaque data.
        data: String,
    },
    /// The model declined; the text says so.
    Refusal {
        /// The text.
        text: String,
    },
    /// The model called a tool.
    ToolCall(ToolCall),
    /// What a tool answered.
    ToolResult {
        /// The id of the call that this answers.
        id: String,
        /// The answer: text and images.
        parts: Vec<Part>,
        /// Whether the tool failed.
        is_error: bool,
        /// The client's `cache_control` mark, verbatim.
        cache: Option<Value>,
    },
    /// A block that only its own dialect knows (`server_tool_use`, `container_upload`): its type and
    /// the whole JSON. A writer of another dialect refuses it or names it as dropped.
    Foreign {
        /// The block's `type`.
        kind: String,
        /// The block.
        value: Value,
    },
}

/// Where the bytes of an image or a document are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, in base64.
    Base64 {
        /// The media type, such as `image/png`.
        media_type: String,
        /// The data, in base64, unchecked.
        data: String,
    },
    /// At a URL, which the gateway never fetches.
    Url(String),
    /// In the provider's own file store.
    File(String),
    /// Here, as plain text (documents only).
    Text(String),
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's id, as whoever made it spelled it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text, as the model wrote it. It may be empty or cut. Of a call with free
    /// text ([`Mark::custom`]) they are `{"input": "the text"}`.
    pub arguments: String,
    /// What only some dialects say of a call.
    pub mark: Mark,
}

/// What only some dialects say of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The group of tools that the tool's name belongs to (Responses' `namespace`).
    pub namespace: Option<String>,
    /// Whether the tool takes free text (Responses' and chat's `custom` tools).
    pub custom: bool,
    /// The provider's opaque signature on the call, which has to come back (Gemini's `thoughtSignature`).
    pub signature: Option<String>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Option<Value>,
    /// Whether arguments must keep to the schema exactly.
    pub strict: Option<bool>,
    /// The client's `cache_control` mark, verbatim.
    pub cache: Option<Value>,
    /// For a tool that a provider runs itself, or that only its dialect knows: its type and whole JSON.
    pub foreign: Option<Value>,
    /// The group that the name belongs to (Responses' `namespace`).
    pub namespace: Option<String>,
    /// For a tool that takes free text: the form of the text (Responses' `format`), `Null` where unsaid.
    pub custom: Option<Value>,
}

/// Which tools the model may or must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// Whether and how much the model shall think.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// The client did not say.
    #[default]
    Unsaid,
    /// Not at all.
    Off,
    /// As much as the model likes, at this effort where given (`low` … `max`, the client's word).
    Adaptive {
        /// The effort.
        effort: Option<String>,
    },
    /// Up to this many tokens.
    Budget(u64),
}

/// The form of the answer's text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    /// Free text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that meets a schema.
    JsonSchema {
        /// The schema's name.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether it must be met exactly.
        strict: Option<bool>,
    },
}
