//! The table of everything that a caller can be told went wrong.
//!
//! One row per [`Code`]: its HTTP status, the words of either dialect, and whether trying again can
//! help. The renderer, `schema/errors.md` and the metric's label all read this table; nothing else in
//! the gateway names a status or a type.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use nova_upstream::{Failure, Kind};
use nova_wire::{BadRequest, Dialect, ErrorClass, ErrorView, UpstreamError};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No key, or none that we know.
    InvalidKey,
    /// The key may not do this.
    Forbidden,
    /// The key's own rate limit.
    KeyRateLimited,
    /// The key's own bound on requests in flight.
    KeyTooManyInFlight,
    /// The key has spent its budget.
    KeyBudgetSpent,
    /// What is left of the key's budget may be needed by its requests under way.
    KeyBudgetHeld,
    /// The store of keys cannot be reached.
    StoreUnavailable,
    /// The body is larger than the limit.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The request is wrong.
    BadRequest,
    /// No such model.
    UnknownModel,
    /// The model is known, but no credential for any of its providers is configured.
    ModelNotConfigured,
    /// No configured model can do what the request asks.
    Incapable,
    /// No configured deployment is as the request wants it.
    Unwanted,
    /// No such path.
    UnknownPath,
    /// The path exists, not with this method.
    MethodNotAllowed,
    /// The prompt does not fit the model.
    ContextTooLong,
    /// A content filter refused.
    ContentFiltered,
    /// The provider found the request wrong.
    UpstreamRejected,
    /// The provider refused our credential.
    UpstreamAuth,
    /// Our account with the provider is empty.
    UpstreamBalance,
    /// The provider limits us.
    UpstreamRateLimited,
    /// The provider has no capacity.
    UpstreamOverloaded,
    /// The provider does not know the model.
    UpstreamModel,
    /// The provider failed.
    UpstreamFailed,
    /// The provider could not be reached.
    UpstreamUnreachable,
    /// The provider's answer could not be read.
    UpstreamGarbage,
    /// The provider's answer ended before it was finished.
    UpstreamCut,
    /// See [`TABLE`].
    SchemaMismatch,
    /// The provider did not answer in time.
    UpstreamTimeout,
    /// Every deployment of the model is resting after failures.
    NoHealthyDeployment,
    /// The gateway is shutting down.
    ShuttingDown,
    /// A fault of ours.
    Internal,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What went wrong.
    pub code: Code,
    /// The stable word for it: metric label, `error.code` of OpenAI's body unless OpenAI has its own.
    pub word: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Whether the same request may succeed later (`x-should-retry`).
    pub retry: bool,
    /// What it means, for the reference.
    pub meaning: &'static str,
}

const fn row(
    code: Code,
    word: &'static str,
    status: u16,
    types: (&'static str, &'static str),
    retry: bool,
    meaning: &'static str,
) -> Row {
    Row { code, word, status, openai_type: types.0, anthropic_type: types.1, retry, meaning }
}

const INVALID: (&str, &str) = ("invalid_request_error", "invalid_request_error");
const AUTH: (&str, &str) = ("authentication_error", "authentication_error");
const PERMISSION: (&str, &str) = ("permission_error", "permission_error");
const RATE: (&str, &str) = ("rate_limit_error", "rate_limit_error");
const NOT_FOUND: (&str, &str) = ("invalid_request_error", "not_found_error");
const SERVER: (&str, &str) = ("server_error", "api_error");
const OVERLOADED: (&str, &str) = ("server_error", "overloaded_error");

/// The table. Rows stand in the order of [`Code`].
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(Code::InvalidKey, "invalid_api_key", 401, AUTH, false, "The key is missing, malformed, unknown, revoked or expired."),
    row(Code::Forbidden, "forbidden", 403, PERMISSION, false, "The key may not use this model or this endpoint."),
    row(Code::KeyRateLimited, "key_rate_limited", 429, RATE, true, "The key's own limit of requests per minute is reached; `retry-after` says when the next one fits."),
    row(Code::KeyTooManyInFlight, "key_too_many_in_flight", 429, RATE, true, "The key has as many requests under way as it may have."),
    row(Code::KeyBudgetSpent, "key_budget_spent", 402, ("insufficient_quota", "billing_error"), false, "The key has spent its budget of the day, week, month or for all time; `retry-after` says when the next one begins."),
    row(Code::KeyBudgetHeld, "key_budget_held", 429, RATE, true, "The key's requests under way may need all that is left of its budget; what they do not need is free once they end."),
    row(Code::StoreUnavailable, "store_unavailable", 503, SERVER, true, "The key is not known here and the store cannot be asked; never reported as 401."),
    row(Code::BodyTooLarge, "request_too_large", 413, ("invalid_request_error", "request_too_large"), false, "The body is larger than `limits.body_bytes`."),
    row(Code::BodyTimeout, "request_timeout", 408, ("invalid_request_error", "timeout_error"), true, "The body did not arrive in time."),
    row(Code::BadRequest, "invalid_request", 400, INVALID, false, "The request is malformed; the message names the place."),
    row(Code::UnknownModel, "model_not_found", 404, NOT_FOUND, false, "No model of this name; the message lists the nearest ones."),
    row(Code::ModelNotConfigured, "model_not_configured", 404, NOT_FOUND, false, "The model is in the catalogue, but no credential for any of its providers is configured."),
    row(Code::Incapable, "no_capable_model", 422, INVALID, false, "No deployment of the model can do what the request asks, such as reading images."),
    row(Code::Unwanted, "no_wanted_provider", 404, NOT_FOUND, false, "The request's own preferences (`provider`) leave no deployment of the model; the message says what spoke against each."),
    row(Code::UnknownPath, "unknown_path", 404, NOT_FOUND, false, "No such path; the message names the nearest right one."),
    row(Code::MethodNotAllowed, "method_not_allowed", 405, INVALID, false, "The path exists, but not with this method."),
    row(Code::ContextTooLong, "context_length_exceeded", 400, INVALID, false, "The prompt does not fit the context window of any model in the plan."),
    row(Code::ContentFiltered, "content_filter", 400, INVALID, false, "The provider's content filter refused the request."),
    row(Code::UpstreamRejected, "upstream_rejected", 400, INVALID, false, "The provider found the request wrong; its words are in the message."),
    row(Code::UpstreamAuth, "upstream_auth", 502, SERVER, false, "The provider refused the operator's credential."),
    row(Code::UpstreamBalance, "upstream_balance", 502, SERVER, false, "The operator's account with the provider has no balance or quota left."),
    row(Code::UpstreamRateLimited, "upstream_rate_limited", 429, RATE, true, "The provider limits the operator's account; `retry-after` is the provider's where it gave one."),
    row(Code::UpstreamOverloaded, "upstream_overloaded", 503, OVERLOADED, true, "The provider has no capacity."),
    row(Code::UpstreamModel, "upstream_model", 502, SERVER, false, "The provider does not know the model that the operator configured."),
    row(Code::UpstreamFailed, "upstream_failed", 502, SERVER, true, "The provider failed."),
    row(Code::UpstreamUnreachable, "upstream_unreachable", 502, SERVER, true, "The provider could not be reached, or the connection broke."),
    row(Code::UpstreamGarbage, "upstream_garbage", 502, SERVER, true, "The provider's answer could not be read."),
    row(Code::UpstreamCut, "upstream_cut", 502, SERVER, true, "The provider's answer ended before it was finished."),
    row(Code::SchemaMismatch, "schema_mismatch", 502, SERVER, true, "The answer does not meet the JSON schema that the request asks for, also at the second try."),
    row(Code::UpstreamTimeout, "upstream_timeout", 504, ("server_error", "timeout_error"), true, "The provider did not answer within the configured time."),
    row(Code::NoHealthyDeployment, "no_healthy_deployment", 503, OVERLOADED, true, "Every deployment in the plan is resting after repeated failures."),
    row(Code::ShuttingDown, "shutting_down", 503, OVERLOADED, true, "The gateway is shutting down."),
    row(Code::Internal, "internal_error", 500, SERVER, true, "A fault of the gateway."),
];

impl Code {
    /// This code's row of [`TABLE`].
    pub fn row(self) -> &'static Row {
        // `every_code_has_its_own_row_in_order` proves that the index is right.
        TABLE.get(self as usize).unwrap_or(&TABLE[TABLE.len() - 1])
    }
}

/// A failure, as a caller is told of it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct GatewayError {
    /// The row of the table.
    pub code: Code,
    /// What happened, for a person, without secrets.
    pub message: String,
    /// The parameter at fault (`messages[2].content`).
    pub param: Option<String>,
    /// A more precise word than the row's, where there is one (`invalid_json`, or the provider's own code).
    pub detail: Option<Cow<'static, str>>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
}

impl GatewayError {
    /// A failure with a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, detail: None, retry_after: None }
    }

    /// The same, with a time after which trying again makes sense.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// How the error table's renderer sees it.
    pub fn view<'a>(&'a self, request_id: &'a str) -> ErrorView<'a> {
        let row = self.code.row();
        ErrorView {
            status: row.status,
            openai_type: row.openai_type,
            openai_code: Some(self.detail.as_deref().unwrap_or(row.word)),
            anthropic_type: row.anthropic_type,
            message: &self.message,
            param: self.param.as_deref(),
            request_id,
        }
    }

    /// The whole response in the client's dialect.
    pub fn response(&self, dialect: Dialect, request_id: &str) -> http::Response<Bytes> {
        let row = self.code.row();
        let body = nova_wire::error::body(dialect, &self.view(request_id));
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-should-retry", HeaderValue::from_static(if row.retry { "true" } else { "false" }));
        headers.insert("x-novastack-error", HeaderValue::from_static(row.word));
        self.insert_retry_after(headers);
        response
    }

    /// A 429 always says when to come back (RFC 9110 §10.2.3: whole seconds, rounded up).
    fn insert_retry_after(&self, headers: &mut http::HeaderMap) {
        let limited = self.code.row().status == 429;
        let Some(wait) = self.retry_after.or_else(|| limited.then_some(Duration::from_secs(1))) else {
            return;
        };
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        for (name, value) in [("retry-after", seconds), ("retry-after-ms", wait.as_millis().max(1))] {
            if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
                headers.insert(name, value);
            }
        }
    }
}

impl From<BadRequest> for GatewayError {
    fn from(bad: BadRequest) -> Self {
        let param = (!bad.path.is_empty()).then_some(bad.path);
        Self {
            code: Code::BadRequest,
            message: bad.message,
            param,
            detail: Some(bad.code.into()),
            retry_after: None,
        }
    }
}

/// Who answered, so that a message can say it.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// The model that was asked for.
    pub model: &'a str,
}

impl GatewayError {
    /// What a caller is told of a provider's own error.
    pub fn from_upstream(client: Dialect, who: Upstream<'_>, error: &UpstreamError) -> Self {
        let code = match error.class {
            ErrorClass::Auth => Code::UpstreamAuth,
            ErrorClass::Balance => Code::UpstreamBalance,
            ErrorClass::Rate => Code::UpstreamRateLimited,
            ErrorClass::Overloaded => Code::UpstreamOverloaded,
            ErrorClass::Context => Code::ContextTooLong,
            ErrorClass::Filter => Code::ContentFiltered,
            ErrorClass::Model => Code::UpstreamModel,
            ErrorClass::BadRequest => Code::UpstreamRejected,
            ErrorClass::Server => Code::UpstreamFailed,
            ErrorClass::Garbage => Code::UpstreamGarbage,
            ErrorClass::Cut => Code::UpstreamCut,
            ErrorClass::Mismatch => Code::SchemaMismatch,
        };
        let message = match error.class {
            // Clients key on these words to compact their history, so they stand alone.
            ErrorClass::Context => nova_wire::error::context_message(client, &error.message),
            // The caller's own fault: the provider's words are the most useful ones.
            ErrorClass::BadRequest | ErrorClass::Filter => error.message.clone(),
            // The operator's account: its state is nobody else's business.
            ErrorClass::Auth => {
                format!("`{}` refused the gateway's credential for `{}`", who.provider, who.model)
            }
            ErrorClass::Balance => {
                format!("the gateway's account with `{}` has no balance left", who.provider)
            }
            _ => {
                let mut message = format!("`{}` could not answer for `{}`", who.provider, who.model);
                if !error.message.is_empty() {
                    let _ = write!(message, ": {}", error.message);
                }
                message
            }
        };
        let retry_after = error.retry_after_ms.map(Duration::from_millis);
        // Clients tell a provider's reasons apart by its own code; only the caller's mistakes are theirs to know.
        let own = error.code.as_ref().filter(|own| error.class == ErrorClass::BadRequest && is_word(own));
        let detail = own.map(|own| Cow::Owned(own.clone()));
        Self { code, message, param: None, detail, retry_after }
    }

    /// What a caller is told of a failed attempt.
    pub fn from_failure(client: Dialect, who: Upstream<'_>, failure: &Failure) -> Self {
        if let Some(error) = &failure.error {
            return Self::from_upstream(client, who, error);
        }
        let (code, what) = match failure.kind {
            Kind::ConnectTimeout => (Code::UpstreamTimeout, "did not accept a connection in time"),
            Kind::FirstByteTimeout => (Code::UpstreamTimeout, "did not begin to answer in time"),
            Kind::IdleTimeout => (Code::UpstreamTimeout, "fell silent in the middle of its answer"),
            Kind::TotalTimeout => (Code::UpstreamTimeout, "did not finish its answer in time"),
            Kind::Dns | Kind::Connect | Kind::Tls => (Code::UpstreamUnreachable, "could not be reached"),
            Kind::Cut => (Code::UpstreamCut, "ended its answer before it was finished"),
            Kind::Reset => (Code::UpstreamUnreachable, "closed the connection before it had answered"),
            Kind::Protocol | Kind::TooLarge | Kind::Status => {
                (Code::UpstreamGarbage, "sent an answer that cannot be read")
            }
        };
        let message = format!("`{}` {what} (model `{}`)", who.provider, who.model);
        Self { retry_after: failure.after, ..Self::new(code, message) }
    }
}

/// Whether a provider's code is one word that clients may compare.
fn is_word(code: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&code.len()) && code.bytes().all(fits)
}

/// The error reference, as committed in `schema/errors.md`.
pub fn reference() -> String {
    let mut out = String::from(
        "# Errors\n\nGenerated from the gateway's error table by `cargo xtask gen`; do not edit.\n\n\
         The code is `error.code` in OpenAI's body and the `x-novastack-error` header in every dialect. \
         `x-should-retry` says whether the same request may succeed later.\n\n\
         | code | status | OpenAI type | Anthropic type | retry | meaning |\n|---|---|---|---|---|---|\n",
    );
    for row in TABLE {
        let retry = if row.retry { "yes" } else { "no" };
        let _ = writeln!(
            out,
            "| `{}` | {} | `{}` | `{}` | {retry} | {} |",
            row.word, row.status, row.openai_type, row.anthropic_type, row.meaning
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_row_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.code as usize, index, "{}", row.word);
            assert_eq!(row.code.row().word, row.word);
        }
        assert_eq!(Code::Internal as usize, TABLE.len() - 1, "the last code has the last row");
    }

    #[test]
    fn a_429_always_says_when_to_come_back() {
        let error = GatewayError::new(Code::UpstreamRateLimited, "slow down");
        let response = error.response(Dialect::Chat, "r");
        assert_eq!(response.headers()["retry-after"], "1");
        let error = error.after(Duration::from_millis(1500));
        let response = error.response(Dialect::Messages, "r");
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(response.headers()["retry-after-ms"], "1500");
    }
}
