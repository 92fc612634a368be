//! The way of a request, one file a stage. [`answer`] reads in the order of the drawing in
//! `ARCHITECTURE.md`; the stages are plain functions, and one context value travels: [`Call`].
//!
//! ```text
//! authenticate → admit → read → route → reserve → attempt ⇄ upstream → relay → settle
//! ```
//!
//! Beside the stages: `asked` is what a path says before the body is read, `decode` undoes a body's
//! compression, `controls` is what a body asks of routing, [`facts`] finds out what a plan depends on (`outline` reads
//! the body for it, `said` and `task` say what the request is about, `session` whose it is, [`demands`] what of it
//! would be lost where), [`form`] judges answers in JSON, and `forward` is the same way for services that are passed
//! on untranslated.
//!
//! Invariant: from [`reserve`] on, the call holds a receipt that its `Drop` settles, so that a client
//! that leaves, a panic and a shutdown are all recorded.

pub mod admit;
mod asked;
pub mod attempt;
pub mod authenticate;
pub mod controls;
mod decode;
pub mod demands;
pub mod facts;
pub mod form;
pub(crate) mod forward;
pub(crate) mod outline;
pub mod read;
pub mod relay;
pub mod reserve;
pub mod route;
pub(crate) mod said;
mod session;
pub mod settle;
mod task;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use nova_ledger::Key;
use nova_limit::Permit;
use nova_route::Plan;
use nova_wire::hub::past::Thought;
use nova_wire::hub::structured::Check;
use nova_wire::{Dialect, Peek};

pub use self::asked::{Asked, Framing};
use self::controls::Controlled;
use self::facts::Asking;
use self::relay::Outgoing;
use self::reserve::Receipt;
use self::route::Routed;
pub(crate) use self::task::Heard;
use crate::budgets::Hold;
use crate::compare;
use crate::config::Preset;
use crate::conversation::{self, Keep, Resumed};
use crate::error::{GatewayError, Upstream};
use crate::shadow::{self, Drawn, Mirror};
use crate::snapshot::Snapshot;
use crate::state::{RequestId, Worker};

/// The context of one request, from its routing to its settlement. It is large and goes from hand to hand, so it
/// travels in a box.
#[derive(Debug)]
pub struct Call {
    /// The request's id, as in its response headers and its usage record.
    pub id: RequestId,
    /// The client's dialect.
    pub dialect: Dialect,
    /// When the request's headers had been read.
    pub started: Instant,
    /// The configuration that this request lives under.
    pub snapshot: Arc<Snapshot>,
    /// The client's body.
    pub body: Bytes,
    /// What the gateway read of it.
    pub peek: Peek,
    /// Judges the answer's form, where the client asks for one.
    pub check: Option<Check>,
    /// Whether a field that a target cannot carry is an error rather than named as dropped.
    pub strict: bool,
    /// What a Messages client switches on by `anthropic-beta`.
    pub beta: Option<HeaderValue>,
    /// Where to send it, in order.
    pub plan: Plan,
    /// The preset that it was made with.
    pub preset: Option<Arc<Preset>>,
    /// What it is about, where rules asked that.
    pub task: Option<Arc<str>>,
    /// The promise to settle.
    pub receipt: Receipt,
    /// The key's permit to be in flight.
    _permit: Option<Permit>,
}

impl Call {
    /// Keeps the thinking before calls of tools, for when the client comes back without it.
    fn keep(&self, thought: Option<Box<Thought>>) {
        if let Some(thought) = thought.filter(|_| !self.receipt.shadows) {
            self.receipt.shared.recall.keep(self.receipt.key.id, *thought);
        }
    }

    /// Who answers this call, for messages about what went wrong on the way.
    fn answerer(&self) -> Upstream<'_> {
        let deployment = self.receipt.answered_by.and_then(|id| self.snapshot.deployment(id));
        let provider = deployment.map_or("the provider", |deployment| &deployment.provider);
        Upstream { provider, model: &self.peek.model }
    }
}

/// Answers one request of a model dialect.
pub async fn answer(
    worker: &Arc<Worker>,
    mut asked: Asked,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let started = Instant::now();
    let id = worker.next_id();
    let path = asked.dialect;
    let mut response = match stages(worker, &mut asked, request, &id, started).await {
        Ok(response) => response,
        Err(error) => {
            worker.shared.metrics.refused(asked.dialect, &error);
            error.response(asked.dialect, id.as_str()).map(Outgoing::whole)
        }
    };
    name(&mut response, &id);
    if asked.dialect != path {
        let headers = response.headers_mut();
        headers.insert("x-novastack-dialect", HeaderValue::from_static(asked.dialect.as_str()));
    }
    if asked.framing == Some(Framing::Array) { response.map(Outgoing::in_array) } else { response }
}

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Puts the request's id into its answer, under the names that either SDK reads.
pub(crate) fn name(response: &mut Response<Outgoing>, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(&X_REQUEST_ID, value.clone());
        response.headers_mut().insert(&REQUEST_ID, value);
    }
}

async fn stages(
    worker: &Arc<Worker>,
    asked: &mut Asked,
    request: Request<Incoming>,
    id: &RequestId,
    started: Instant,
) -> Result<Response<Outgoing>, GatewayError> {
    let snapshot = worker.shared.snapshot.load_full();
    let mut known = Known::default();
    let received = receive(worker, asked, request, &snapshot, &mut known).await;
    let at = At { snapshot: &snapshot, started, alone: false, free: false, mirrored: Some(id) };
    let understood = match received {
        Ok(received) if compare::is_asked(&snapshot, &received.peek.model) => {
            let at = (&snapshot, id, started);
            return Box::pin(compare::in_one(worker, asked.dialect, received, at)).await;
        }
        received => received.and_then(|received| place(worker, asked.dialect, received, at, &mut known)),
    };
    let mut understood = match understood {
        Ok(understood) => understood,
        Err(error) => {
            settle::refused(&worker.shared, (id, asked.dialect, started), &known, &error);
            return Err(error);
        }
    };
    let keep = understood.keep.take();
    let call = open(worker, &snapshot, (id, asked.dialect, started), understood);
    let response =
        if call.peek.stream { relay::stream(worker, call).await } else { relay::whole(worker, call).await }?;
    match keep {
        None => Ok(response),
        Some(keep) => Ok(Box::pin(conversation::keep(worker, keep, response)).await),
    }
}

/// What is known of a request that is refused, for its record.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// What its path is called in records, where that is not the dialect's own.
    pub(crate) path: Option<&'static str>,
}

/// A request of somebody whom we know, read.
pub(crate) struct Received {
    pub(crate) key: Arc<Key>,
    pub(crate) permit: Option<Permit>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) peek: Peek,
    /// What keeping the answer takes.
    pub(crate) keep: Option<Box<Keep>>,
}

/// Under what a request is planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) started: Instant,
    /// Whether no other model may answer in the place of the one that is asked for.
    pub(crate) alone: bool,
    /// Whether it costs nothing, so that no budget is asked.
    pub(crate) free: bool,
    /// The id by which shadows are drawn; `None` where none may see it.
    pub(crate) mirrored: Option<&'a RequestId>,
}

/// A request that has a plan.
pub(crate) struct Understood {
    pub(crate) key: Arc<Key>,
    permit: Option<Permit>,
    pub(crate) body: Bytes,
    pub(crate) peek: Peek,
    pub(crate) route: Routed,
    /// The preset that it was made with.
    preset: Option<Arc<Preset>>,
    /// The model's name as the client wrote it, where that is another one.
    written: Option<String>,
    strict: bool,
    pub(crate) beta: Option<HeaderValue>,
    keep: Option<Box<Keep>>,
    /// Who else is to see it.
    drawn: Option<Box<Drawn>>,
    /// What of its key's budget is kept free for it.
    hold: Option<Hold>,
}

impl Understood {
    /// A request of the gateway's own, with a plan.
    pub(crate) fn plain(
        key: Arc<Key>,
        (body, peek): (Bytes, Peek),
        route: Routed,
        beta: Option<HeaderValue>,
    ) -> Self {
        Self {
            key,
            permit: None,
            body,
            peek,
            route,
            preset: None,
            written: None,
            strict: false,
            beta,
            keep: None,
            drawn: None,
            hold: None,
        }
    }
}

/// Stages 1 to 4 of a request that is only looked at, and costs nothing.
pub(crate) async fn understand(
    worker: &Worker,
    asked: &mut Asked,
    request: Request<Incoming>,
    (snapshot, started): (&Snapshot, Instant),
    known: &mut Known,
) -> Result<Understood, GatewayError> {
    let received = receive(worker, asked, request, snapshot, known).await?;
    let at = At { snapshot, started, alone: false, free: true, mirrored: None };
    place(worker, asked.dialect, received, at, known)
}

/// Stages 1 to 3.
async fn receive(
    worker: &Worker,
    asked: &mut Asked,
    request: Request<Incoming>,
    snapshot: &Snapshot,
    known: &mut Known,
) -> Result<Received, GatewayError> {
    let shared = &worker.shared;
    let (head, incoming) = request.into_parts();
    let key = authenticate::authenticate(shared, &head.headers, asked.key.as_deref())?;
    known.key = Some(Arc::clone(&key));
    let permit = admit::admit(shared, snapshot, &key)?;
    let (body, peek) = read::read(asked, &head.headers, incoming, snapshot).await?;
    let Resumed { body, peek, keep } =
        conversation::resume(shared, snapshot, &key, (asked.dialect, body, peek)).await?;
    Ok(Received { key, permit, headers: head.headers, body, peek, keep })
}

/// Stage 4, with what the request says to it.
pub(crate) fn place(
    worker: &Worker,
    dialect: Dialect,
    received: Received,
    at: At<'_>,
    known: &mut Known,
) -> Result<Understood, GatewayError> {
    let At { snapshot, started, alone, free, mirrored } = at;
    let Received { key, permit, headers, body, peek, keep } = received;
    let Controlled { body, peek, mut controls, preset, written } =
        controls::take((snapshot, Some(&key)), dialect, (body, peek))?;
    if alone {
        controls.get_or_insert_default().fallbacks = Some(Vec::new());
    }
    let asking = Asking {
        dialect,
        headers: &headers,
        body: &body,
        peek: &peek,
        key: Some(&key),
        controls: controls.as_deref(),
    };
    let route = route::route(worker, snapshot, &asking, started).inspect_err(|_| {
        known.model.clone_from(&peek.model);
        known.stream = peek.stream;
    })?;
    let may_cost = || (reserve::upper_bound(snapshot, &peek, &route.plan), worker.shared.now_ms());
    let hold = if free { Ok(None) } else { worker.shared.budgets.hold(&key, may_cost) };
    let hold = hold.inspect_err(|_| {
        known.model.clone_from(&peek.model);
        known.stream = peek.stream;
    })?;
    let drawn = match mirrored {
        Some(id) if !snapshot.shadows.is_empty() => shadow::draw(snapshot, id, &asking, &route.plan),
        _ => None,
    };
    let whole = controls.is_some_and(|controls| controls.provider.require_parameters == Some(true));
    let strict = whole || headers.get("x-novastack-strict").is_some_and(|value| value == "true");
    let beta = headers.get("anthropic-beta").cloned();
    let body = detached(body);
    Ok(Understood { key, permit, body, peek, route, preset, written, strict, beta, keep, drawn, hold })
}

/// Stage 5, and the context that travels from there.
pub(crate) fn open(
    worker: &Arc<Worker>,
    snapshot: &Arc<Snapshot>,
    (id, dialect, started): (&RequestId, Dialect, Instant),
    understood: Understood,
) -> Box<Call> {
    let Understood { key, permit, body, peek, route, preset, written, strict, beta, drawn, hold, .. } =
        understood;
    let Routed { plan, task, about, learning } = route;
    let mirror = drawn.map(|drawn| {
        let (worker, snapshot) = (Arc::clone(worker), Arc::clone(snapshot));
        Box::new(Mirror::new((worker, snapshot), id, (Arc::clone(&key), dialect), *drawn))
    });
    let shared = &worker.shared;
    let mut receipt = reserve::reserve(shared, snapshot, (id, dialect, started), key, (&peek, &plan));
    receipt.mirror = mirror;
    receipt.hold = hold;
    if let Some(written) = written {
        receipt.model = Arc::from(written);
    }
    receipt.learning = learning;
    receipt.about = about;
    let check = form::check(dialect, &body, &peek);
    let snapshot = Arc::clone(snapshot);
    Box::new(Call {
        id: id.clone(),
        dialect,
        started,
        snapshot,
        body,
        peek,
        check,
        strict,
        beta,
        plan,
        preset,
        task,
        receipt,
        _permit: permit,
    })
}

/// A small body is a slice of the connection's read buffer, and would keep all of that until the answer
/// begins; a copy of it costs less.
fn detached(body: Bytes) -> Bytes {
    const SMALL: usize = 16 << 10;
    if body.len() <= SMALL { Bytes::copy_from_slice(&body) } else { body }
}
