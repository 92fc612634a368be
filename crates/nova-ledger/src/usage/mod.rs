//! Usage: one record per request, written off the hot path, never lost, never twice.
//!
//! Reading order: the types here, [`decision`] (JSON that is written late), [`writer`] (the queue and the
//! background task), [`journal`] (the files for when the store is away), [`rows`] (the SQL), [`sqlite`] (a
//! shorter way for it), [`query`] (what the admin API asks).

pub(crate) mod decision;
pub(crate) mod journal;
pub(crate) mod query;
pub(crate) mod rows;
pub(crate) mod sqlite;
pub(crate) mod writer;

use std::borrow::Cow;
use std::sync::Arc;

use nova_catalog::NanoUsd;
use nova_wire::{Dialect, Usage};
use serde::{Deserialize, Serialize};

use self::decision::Decision;
use crate::keys::KeyId;

/// What one request did, cost and took.
///
/// The names that many requests share are `Arc<str>` or `&'static str`, so that filling in a record copies no
/// text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The identity of the record: a second one with the same id is ignored. It must come from the gateway,
    /// never from a header of the client, who could otherwise hide requests behind one id.
    pub request_id: String,
    /// When the request arrived, in Unix milliseconds.
    pub at_ms: i64,
    /// The key that pays; `None` when the gateway runs without keys.
    pub key_id: Option<KeyId>,
    /// The client's dialect.
    pub dialect: Dialect,
    /// The path that was called, without its query.
    pub path: Cow<'static, str>,
    /// The model's name as the client wrote it.
    pub model_asked: Arc<str>,
    /// The catalogue's id of the model that answered.
    pub model_answered: Option<Arc<str>>,
    /// The provider that answered.
    pub provider: Option<Arc<str>>,
    /// The deployment that answered.
    pub deployment: Option<Arc<str>>,
    /// Every try, in order.
    pub attempts: Vec<AttemptRecord>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status that the client got.
    pub status: u16,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The tokens: the provider's own count, or ours when `estimated`.
    pub usage: Usage,
    /// Whether `usage` was estimated, because the provider reported none.
    pub estimated: bool,
    /// What the tokens cost.
    pub cost: NanoUsd,
    /// From the request's first byte to the answer's last, in µs.
    pub total_us: u64,
    /// From the request's first byte to the first token sent, in µs.
    pub first_token_us: Option<u64>,
    /// The part of `total_us` that the gateway itself took, in µs.
    pub overhead_us: u64,
    /// The code of the error that the client got.
    pub error_code: Option<Cow<'static, str>>,
    /// Why the answer ended, in the words of `nova_wire::hub::reply::Finish`.
    pub finish: Option<Cow<'static, str>>,
    /// What the request was about, where the gateway knew.
    pub task: Option<Arc<str>>,
    /// A hash of the conversation that the request belongs to; never the client's own id for it.
    pub session: Option<Arc<str>>,
    /// The experiment and the arm that it was in: `name/arm`.
    pub experiment: Option<Arc<str>>,
    /// The preset that it asked for.
    pub preset: Option<Arc<str>>,
    /// How it was routed, where there was something to choose.
    pub decision: Option<Decision>,
}

impl UsageRecord {
    /// A record of a request that has just arrived: rejected until somebody says otherwise, at no cost.
    pub fn new(request_id: impl Into<String>, at_ms: i64, dialect: Dialect, model_asked: Arc<str>) -> Self {
        Self {
            request_id: request_id.into(),
            at_ms,
            key_id: None,
            dialect,
            path: Cow::Borrowed(dialect.path()),
            model_asked,
            model_answered: None,
            provider: None,
            deployment: None,
            attempts: Vec::new(),
            outcome: Outcome::Rejected,
            status: 0,
            stream: false,
            usage: Usage::default(),
            estimated: false,
            cost: NanoUsd::ZERO,
            total_us: 0,
            first_token_us: None,
            overhead_us: 0,
            error_code: None,
            finish: None,
            task: None,
            session: None,
            experiment: None,
            preset: None,
            decision: None,
        }
    }
}

/// One try at one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The deployment.
    pub deployment: Arc<str>,
    /// `ok`, or what went wrong, in the words of the error table.
    pub outcome: Cow<'static, str>,
    /// The upstream's HTTP status, when it gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// A record on its way. Boxed, so that the queue and the batches move a pointer and not 500 bytes.
pub(crate) type Submitted = Box<UsageRecord>;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A whole answer was given.
    Ok,
    /// The client went away before the end.
    ClientGone,
    /// No deployment answered.
    UpstreamError,
    /// Refused before any attempt: a wrong key, a limit, a bad request.
    Rejected,
    /// The answer had begun and broke off; the client was told.
    Cut,
    /// The gateway itself failed or was shut down.
    GatewayError,
}

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Ok, Self::ClientGone, Self::UpstreamError, Self::Rejected, Self::Cut, Self::GatewayError];

    /// The word in the database, in JSON and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientGone => "client_gone",
            Self::UpstreamError => "upstream_error",
            Self::Rejected => "rejected",
            Self::Cut => "cut",
            Self::GatewayError => "gateway_error",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}
