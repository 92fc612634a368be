//! `POST /v1/chat/completions`: from a request in OpenAI's shape to a job for the engine.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::MAX_BODY;
use super::failure::Failure;
use super::reply::{self, Answer};
use crate::engine::{Engine, Loaded};
use crate::generate::Sampling;
use crate::runner::{Event, Job};
use crate::template::TemplateMessage;
use crate::tokenizer::Tokenizer;

/// What SmolLM2's authors recommend; a model this small rambles at OpenAI's default of 1.
const TEMPERATURE: f32 = 0.2;
const TOP_P: f32 = 0.9;
/// OpenAI takes four; more cost little here.
const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 512;

/// Tokens of an answer whose request names no bound. Small models ramble, and an answer of a few seconds that says
/// `finish_reason: length` serves a first try better than one of minutes.
const DEFAULT_MAX_TOKENS: u64 = 512;

/// The fields that the engine acts on, or that would be a lie to ignore. Others are ignored.
#[derive(Debug, Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    seed: Option<i64>,
    stop: Option<Stop>,
    ignore_eos: Option<bool>,
    n: Option<u64>,
    logprobs: Option<bool>,
    tools: Option<Vec<IgnoredAny>>,
    functions: Option<Vec<IgnoredAny>>,
    response_format: Option<ResponseFormat>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct ResponseFormat {
    r#type: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    r#type: String,
    text: Option<String>,
}

/// Answers one request. Dropping this future, or the body that it returns, cancels the answer.
pub(super) async fn completions(
    State(engine): State<Engine>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let checked = read(body)?.check(engine.name())?;
    let place = engine.admit()?;
    let loaded = engine.loaded().await?;

    let answer = Answer {
        id: engine.next_id(),
        created: reply::now(),
        model: engine.name().to_owned(),
        fingerprint: loaded.fingerprint.clone(),
        prompt_tokens: 0,
        include_usage: checked.include_usage,
    };
    let stream = checked.stream;
    let (job, events) = prepare(loaded, checked).await?;
    let answer = Answer { prompt_tokens: job.prompt.len(), ..answer };
    engine.submit(job)?;
    if stream { Ok(reply::stream(answer, events, place)) } else { reply::whole(answer, events, place).await }
}

/// `POST /v1/tokenize`: the tokens that a chat's prompt would have, in vLLM's words. Nothing is computed.
pub(super) async fn tokenize(
    State(engine): State<Engine>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let checked = read(body)?.check(engine.name())?;
    let loaded = engine.loaded().await?;
    let (job, _events) = prepare(loaded, checked).await?;
    Ok(Json(Tokens { count: job.prompt.len() }).into_response())
}

#[derive(Serialize)]
struct Tokens {
    count: usize,
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<ChatRequest, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(MAX_BODY),
        _ => Failure::bad_request(None, "the request body ended early"),
    })?;
    serde_json::from_slice(&body)
        .map_err(|e| Failure::bad_request(None, format!("the request body is no chat request: {e}")))
}

/// A request that makes sense, in the engine's words.
struct Checked {
    messages: Vec<TemplateMessage>,
    stream: bool,
    include_usage: bool,
    max_tokens: usize,
    sampling: Sampling,
    stops: Vec<String>,
    ignore_end: bool,
}

impl ChatRequest {
    fn check(self, served: &str) -> Result<Checked, Failure> {
        if !self.model.eq_ignore_ascii_case(served) {
            return Err(Failure::unknown_model(&self.model, served));
        }
        self.check_abilities()?;
        let max_tokens = self.max_completion_tokens.or(self.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
        if max_tokens == 0 {
            return Err(Failure::bad_request(Some("max_tokens"), "`max_tokens` must be at least `1`"));
        }
        let sampling = Sampling {
            temperature: within("temperature", self.temperature, TEMPERATURE, 0.0, 2.0)?,
            top_p: within("top_p", self.top_p, TOP_P, 0.0, 1.0)?,
            // `-1` is how vLLM spells "all".
            top_k: self.top_k.and_then(|k| usize::try_from(k).ok()).unwrap_or(0),
            seed: self.seed.map_or_else(random_seed, i64::cast_unsigned),
        };
        let stops = check_stops(self.stop)?;
        if self.messages.is_empty() {
            return Err(Failure::bad_request(Some("messages"), "`messages` must hold at least one message"));
        }
        Ok(Checked {
            messages: self.messages.into_iter().map(Message::check).collect::<Result<_, _>>()?,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            max_tokens: usize::try_from(max_tokens).unwrap_or(usize::MAX),
            sampling,
            stops,
            ignore_end: self.ignore_eos.unwrap_or(false),
        })
    }

    /// Refuses what this model cannot do and what an answer without it would pretend.
    fn check_abilities(&self) -> Result<(), Failure> {
        let some = |list: &Option<Vec<IgnoredAny>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if some(&self.tools) {
            return Err(Failure::unsupported("tools", "this local model cannot use tools"));
        }
        if some(&self.functions) {
            return Err(Failure::unsupported("functions", "this local model cannot call functions"));
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(Failure::unsupported(
                "n",
                "this engine gives one answer per request: `n` must be `1`",
            ));
        }
        if self.logprobs == Some(true) {
            return Err(Failure::unsupported("logprobs", "this engine does not report log probabilities"));
        }
        match &self.response_format {
            Some(format) if format.r#type != "text" => Err(Failure::unsupported(
                "response_format",
                format!("this engine answers in text, not in `{}`", format.r#type),
            )),
            _ => Ok(()),
        }
    }
}

impl Message {
    fn check(self) -> Result<TemplateMessage, Failure> {
        let role = match self.role.as_str() {
            "system" | "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            "tool" | "function" => {
                return Err(Failure::unsupported("messages", "this local model cannot use tools"));
            }
            other => {
                return Err(Failure::bad_request(
                    Some("messages"),
                    format!("`{other}` is no role of a message"),
                ));
            }
        };
        if self.tool_calls.is_some_and(|calls| !calls.is_empty()) {
            return Err(Failure::unsupported("messages", "this local model cannot use tools"));
        }
        let content = match self.content {
            Some(Content::Text(text)) => text,
            Some(Content::Parts(parts)) => join(parts)?,
            None => String::new(),
        };
        Ok(TemplateMessage { role, content })
    }
}

fn join(parts: Vec<Part>) -> Result<String, Failure> {
    let mut joined = String::new();
    for part in parts {
        match (part.r#type.as_str(), part.text) {
            ("text", Some(text)) => joined.push_str(&text),
            ("text", None) => {
                return Err(Failure::bad_request(Some("messages"), "a part of type `text` lacks its `text`"));
            }
            (other, _) => {
                let message = format!("this local model reads text only, not parts of type `{other}`");
                return Err(Failure::unsupported("messages", message));
            }
        }
    }
    Ok(joined)
}

fn within(
    name: &'static str,
    value: Option<f32>,
    default: f32,
    least: f32,
    most: f32,
) -> Result<f32, Failure> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Failure::bad_request(
        Some(name),
        format!("`{name}` is `{value}`, not between `{least}` and `{most}`"),
    ))
}

fn check_stops(stop: Option<Stop>) -> Result<Vec<String>, Failure> {
    let stops = match stop {
        None => Vec::new(),
        Some(Stop::One(stop)) => vec![stop],
        Some(Stop::Many(stops)) => stops,
    };
    if stops.len() > MAX_STOPS || stops.iter().any(|stop| stop.len() > MAX_STOP_BYTES) {
        let message = format!("`stop` takes at most `{MAX_STOPS}` texts of at most `{MAX_STOP_BYTES}` bytes");
        return Err(Failure::bad_request(Some("stop"), message));
    }
    Ok(stops)
}

/// Unpredictable enough for variety; nothing secret hangs on it.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Renders and tokenises the conversation, on a thread where that may take its time.
async fn prepare(loaded: Arc<Loaded>, checked: Checked) -> Result<(Job, UnboundedReceiver<Event>), Failure> {
    let Checked { messages, max_tokens, sampling, stops, ignore_end, .. } = checked;
    let prompt = tokio::task::spawn_blocking(move || prompt(&loaded, messages))
        .await
        .map_err(|_| Failure::broke("the prompt could not be prepared"))??;
    let (sender, events) = unbounded_channel();
    Ok((Job { prompt, max_tokens, sampling, stops, ignore_end, events: sender }, events))
}

fn prompt(loaded: &Loaded, mut messages: Vec<TemplateMessage>) -> Result<Vec<u32>, Failure> {
    let Loaded { tokenizer, template, context, .. } = loaded;
    let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
    let fewest = tokenizer.fewest_tokens(bytes);
    if fewest >= *context {
        return Err(Failure::too_long(*context, fewest));
    }
    let Some(mark) = Tokenizer::mark(messages.iter().map(|message| message.content.as_str())) else {
        let message = "the messages hold every one of the noncharacters `U+FDD0` to `U+FDEF`";
        return Err(Failure::bad_request(Some("messages"), message));
    };
    for message in &mut messages {
        message.content = tokenizer.guard(&message.content, mark);
    }
    let text =
        template.render(&messages).map_err(|e| Failure::bad_request(Some("messages"), e.to_string()))?;
    let prompt = tokenizer.encode_template(&text, mark);
    match prompt.len() {
        0 => Err(Failure::bad_request(Some("messages"), "the messages make an empty prompt")),
        tokens if tokens >= *context => Err(Failure::too_long(*context, tokens)),
        _ => Ok(prompt),
    }
}
