//! One prompt, several models: `POST /v1/compare`, and the model `compare:a+b+c` on the paths of the dialects.
//!
//! Each model answers through the whole pipeline with a plan, a receipt, a usage record and a request id of its
//! own; the key is authenticated and admitted once. Upstream every answer is streamed, so that the time to its first
//! token is known. Invariants: there is no task and no channel, the answers are polled by whoever wants the
//! comparison, so that a client that leaves cancels them all; no model is answered for by another one; the failure
//! of one answer is that answer's alone.
//!
//! Reading order: `asked` reads the question, `panel` puts it to all models, `lane` is the answer of one; `report`
//! and `events` are what `POST /v1/compare` says of them, `judge` asks another model which is the best; `in_one` writes
//! them as one ordinary answer.

mod asked;
mod events;
mod in_one;
mod judge;
mod lane;
mod panel;
mod report;

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use nova_ledger::Key;
use nova_wire::Dialect;

use self::asked::Asked;
use self::events::Events;
pub(crate) use self::in_one::{answer as in_one, is_asked, models_of};
use self::judge::Bench;
pub(crate) use self::judge::{question, scores, seed, shuffle};
use self::panel::{Panel, Question};
use crate::conversation::{self, Resumed};
use crate::error::GatewayError;
use crate::pipeline::relay::{self, Outgoing};
use crate::pipeline::{self, Known, admit, authenticate, read, settle};
use crate::snapshot::Snapshot;
use crate::state::{RequestId, Worker};

/// The most models of one comparison.
const MOST_MODELS: usize = 8;

/// Answers `POST /v1/compare`; `dialect` is that of a body that could be of several.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    dialect: Dialect,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let (id, started) = (worker.next_id(), Instant::now());
    let mut known = Known { model: "compare".to_owned(), ..Known::default() };
    let mut response = match compare(worker, dialect, request, (&id, started), &mut known).await {
        Ok(response) => response,
        Err(error) => {
            settle::refused(&worker.shared, (&id, dialect, started), &known, &error);
            worker.shared.metrics.refused(dialect, &error);
            error.response(dialect, id.as_str()).map(Outgoing::whole)
        }
    };
    pipeline::name(&mut response, &id);
    response
}

async fn compare(
    worker: &Arc<Worker>,
    dialect: Dialect,
    request: Request<Incoming>,
    (id, started): (&RequestId, Instant),
    known: &mut Known,
) -> Result<Response<Outgoing>, GatewayError> {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load_full();
    let (head, incoming) = request.into_parts();
    let key = authenticate::authenticate(shared, &head.headers, None)?;
    known.key = Some(Arc::clone(&key));
    let permit = admit::admit(shared, &snapshot, &key)?;
    let body = read::whole(&head.headers, incoming, &snapshot).await?;
    let asked = Asked::read(&body, dialect, head.headers.contains_key("anthropic-version"))?;
    known.stream = asked.stream;
    let Resumed { body, peek, .. } =
        conversation::resume(shared, &snapshot, &key, (asked.dialect, asked.body, asked.peek)).await?;
    let sender = Sender { key, headers: head.headers };
    let bench = match asked.judge {
        None => None,
        Some(judge) => Some(Bench::new((worker, &snapshot), judge, &sender, (asked.dialect, &body, &peek))?),
    };
    let question = Question {
        dialect: asked.dialect,
        body,
        peek,
        models: asked.models,
        place: |index| format!("models[{index}]"),
    };
    let panel = Panel::open((worker, &snapshot), question, &sender, (id, started))?.holding(permit);
    let events =
        Events::new(panel, bench, (id, shared.now_ms() / 1000), relay::silence(Dialect::Chat, &snapshot));
    if asked.stream {
        let mut response = Response::new(Outgoing::Router(axum::body::Body::new(events)));
        relay::stream_headers(response.headers_mut());
        return Ok(response);
    }
    Ok(crate::api::json(events.whole().await.to_string()))
}

/// Who asks.
#[derive(Clone, Debug)]
struct Sender {
    key: Arc<Key>,
    headers: HeaderMap,
}

/// Where calls are made.
type Here<'a> = (&'a Arc<Worker>, &'a Arc<Snapshot>);
