//! Refusals, in the shape of OpenAI's errors: `{"error": {"message", "type", "param", "code"}}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;

use crate::engine::Unavailable;

/// A request that gets no answer, and why.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    detail: Detail,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
struct Detail {
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

/// The body of an error, also sent as an event when a stream breaks.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    error: &'a Detail,
}

impl Failure {
    /// The request itself is wrong; `param` names the field.
    pub(super) fn bad_request(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message.into()).at(param)
    }

    /// The request is fine but this model cannot do it.
    pub(super) fn unsupported(param: &'static str, message: impl Into<String>) -> Self {
        Self::bad_request(Some(param), message).code("unsupported_value")
    }

    pub(super) fn too_long(context: usize, tokens: usize) -> Self {
        let message = format!(
            "this model's maximum context length is `{context}` tokens, and the messages take `{tokens}` or more"
        );
        Self::bad_request(Some("messages"), message).code("context_length_exceeded")
    }

    pub(super) fn unknown_model(asked: &str, served: &str) -> Self {
        let message = format!("the model `{asked}` does not exist here; this engine serves `{served}`");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
            .at(Some("model"))
            .code("model_not_found")
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("the request body is larger than `{limit}` bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", message)
    }

    pub(super) fn unauthorised() -> Self {
        let message = "this engine asks for its access token as `Authorization: Bearer …`".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message).code("invalid_api_key")
    }

    pub(super) fn unknown_path(path: &str) -> Self {
        let message = format!("there is nothing at `{path}`; try `/v1/chat/completions`");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(super) fn wrong_method(method: &str, path: &str) -> Self {
        let message = format!("`{path}` does not take `{method}`");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", message)
    }

    /// Something in the engine broke after the request was taken.
    pub(super) fn broke(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message.into())
    }

    fn new(status: StatusCode, kind: &'static str, message: String) -> Self {
        Self { status, detail: Detail { message, r#type: kind, param: None, code: None }, retry_after: None }
    }

    fn at(mut self, param: Option<&'static str>) -> Self {
        self.detail.param = param;
        self
    }

    fn code(mut self, code: &'static str) -> Self {
        self.detail.code = Some(code);
        self
    }

    pub(super) fn body(&self) -> Body<'_> {
        Body { error: &self.detail }
    }
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        let code = match reason {
            Unavailable::Failed(_) => "model_not_loaded",
            Unavailable::Stopped => "shutting_down",
            Unavailable::Full => "overloaded",
        };
        let failure =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", reason.to_string()).code(code);
        Self { retry_after: (reason == Unavailable::Full).then_some(1), ..failure }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
