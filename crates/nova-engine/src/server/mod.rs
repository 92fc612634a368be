//! The engine over HTTP, in the shapes of OpenAI's API.
//!
//! Invariant: handlers only translate. What a request means is decided in `chat.rs`, what an answer is in the engine.
//! The server answers from its first moment: while the model loads, requests for it wait, and if it cannot be loaded they
//! are told why.
//!
//! Reading order: `mod.rs` (routes) → `chat.rs` (request to job) → `reply.rs` (events to JSON and SSE) → `failure.rs`.

mod chat;
mod failure;
mod reply;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Router, serve as serve_http};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::engine::Engine;
use failure::Failure;

/// The largest request body, in bytes: the gateway's own limit.
const MAX_BODY: usize = 32 << 20;

/// The token that clients of a private engine show. It never appears in logs.
#[derive(Clone)]
pub struct AccessToken(String);

impl AccessToken {
    /// Wraps a token; clients send it as `Authorization: Bearer …`.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Compares in a time that does not depend on where the texts differ.
    fn matches(&self, presented: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), presented.as_bytes());
        let differences = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differences) == 0 && ours.len() == theirs.len()
    }
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// Serves `engine` on `listener` until [`Engine::shutdown`], then finishes the answers under way.
///
/// With a `token`, everything but `/health` asks for it.
pub async fn serve(engine: Engine, listener: TcpListener, token: Option<AccessToken>) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Without it a short event of a stream can wait 40 ms for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
    });
    let stop = engine.clone();
    serve_http(listener, router(engine, token))
        .with_graceful_shutdown(async move { stop.stopping().await })
        .await
}

fn router(engine: Engine, token: Option<AccessToken>) -> Router {
    let open = Router::new().route("/health", get(health));
    let guarded = Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/tokenize", post(chat::tokenize))
        .route("/v1/models", get(models))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(token, authorise));
    open.merge(guarded).fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(engine)
}

async fn authorise(State(token): State<Option<AccessToken>>, request: Request, next: Next) -> Response {
    if let Some(token) = token {
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if !shown.is_some_and(|(_, shown)| token.matches(shown.trim())) {
            return Failure::unauthorised().into_response();
        }
    }
    next.run(request).await
}

/// 200 when the model is loaded, 503 before that and if it cannot be.
async fn health(State(engine): State<Engine>) -> Response {
    let (status, text) = match (engine.is_ready(), engine.failure()) {
        (true, _) => (StatusCode::OK, "ready".to_owned()),
        (false, None) => (StatusCode::SERVICE_UNAVAILABLE, "loading".to_owned()),
        (false, Some(reason)) => (StatusCode::SERVICE_UNAVAILABLE, reason.to_string()),
    };
    (status, Json(Health { status: text })).into_response()
}

#[derive(Serialize)]
struct Health {
    status: String,
}

/// The one model, loaded or not.
async fn models(State(engine): State<Engine>) -> Response {
    let model = Model {
        id: engine.name().to_owned(),
        object: "model",
        created: engine.created(),
        owned_by: "novastack",
    };
    Json(Models { object: "list", data: [model] }).into_response()
}

#[derive(Serialize)]
struct Models {
    object: &'static str,
    data: [Model; 1],
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

async fn metrics(State(engine): State<Engine>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], engine.metrics()).into_response()
}

async fn unknown(request: Request) -> Response {
    Failure::unknown_path(request.uri().path()).into_response()
}

async fn wrong_method(request: Request) -> Response {
    Failure::wrong_method(request.method().as_str(), request.uri().path()).into_response()
}
