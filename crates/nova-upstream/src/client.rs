//! The one way out: [`Client::send`].
//!
//! A client makes one attempt. It does not retry, with one exception: a request on a pooled HTTP/1.1
//! connection that the peer closed before a single byte of an answer is sent once more, on a fresh
//! connection, and an HTTP/2 request likewise when the peer says that it has not touched it. Servers
//! close idle connections whenever they like, and a request that meets such a close on its way was
//! in all likelihood not read; a caller could not tell this from a real failure, and every caller
//! would do the same. Strictly, HTTP/1.1 leaves open whether the request was begun (RFC 9112 §9.3.1
//! restricts automatic retries to requests that are safe to repeat): a generation is. The worst case
//! is a provider that dies between reading and answering and still charges, the same as in any retry.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use tokio::time::Instant;

use crate::body::{Body, Carrier, Clock};
use crate::credential::Credential;
use crate::dial::dial;
use crate::failure::{Failure, Kind};
use crate::http1::{Broken, Http1};
use crate::http2::Http2;
use crate::pool::{Key, Limits, Pool, Taken};
use crate::request::{Head, Request, Response};
use crate::stats::{Counters, InFlight, OpenConnection, Stats};
use crate::timer::Timer;
use crate::tls::Tls;

/// The limits of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The most idle connections to one origin with one credential.
    pub idle_per_key: usize,
    /// The most idle connections in all.
    pub idle_total: usize,
    /// How long a connection may lie idle.
    ///
    /// 55 s: just below the shortest time after which the common front ends close from their side
    /// (60 s for AWS load balancers, 75 s for nginx). The servers that close after 5 s (Node, uvicorn)
    /// are noticed when a connection is taken.
    pub idle_for: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { idle_per_key: 256, idle_total: 1024, idle_for: Duration::from_secs(55) }
    }
}

/// Opens, pools and uses connections to providers. Cheap to clone.
///
/// Each worker thread should have its own: its connections then live on the runtime that opened them,
/// and no lock and no wake crosses threads. Sharing one is correct too.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Arc<Pool>,
    counters: Arc<Counters>,
    tls: Tls,
}

impl Client {
    /// A client with nothing open.
    pub fn new(options: ClientOptions, tls: Tls) -> Self {
        let limits = Limits {
            idle_per_key: options.idle_per_key,
            idle_total: options.idle_total,
            idle_for: options.idle_for,
        };
        Self { pool: Arc::new(Pool::new(limits)), counters: Arc::default(), tls }
    }

    /// What it has done and holds.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Sends a request and returns when the head of the answer is there, whatever its status.
    ///
    /// Dropping the future, or the response before its end, cancels the request at the provider: an
    /// HTTP/1.1 connection is closed, an HTTP/2 stream is reset.
    pub async fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        match request.credential.and_then(Credential::signer) {
            None => self.exchange(&request).await,
            // Boxed: it is large, rare, and would be a part of every request's future.
            Some(signer) => Box::pin(signer.send(self, request)).await,
        }
    }

    /// The same, for a request whose headers are complete.
    pub(crate) async fn exchange(&self, request: &Request<'_>) -> Result<Response, Failure> {
        let now = Instant::now();
        let exchange = Exchange {
            client: self,
            request,
            key: Key {
                origin: request.endpoint.shared_origin(),
                credential: request.credential.map(|credential| credential.id().clone()),
            },
            total: now + request.deadlines.total,
            in_flight: InFlight::new(&self.counters),
        };
        exchange.run(now).await
    }
}

/// One call of `send`.
struct Exchange<'a> {
    client: &'a Client,
    request: &'a Request<'a>,
    key: Key,
    total: Instant,
    in_flight: InFlight,
}

impl Exchange<'_> {
    async fn run(self, started: Instant) -> Result<Response, Failure> {
        if let Some(taken) = self.client.pool.take(&self.key, started) {
            self.client.counters.count_reused();
            match self.attempt(taken, started).await {
                Err(broken) if broken.unanswered => self.client.counters.count_resent(),
                Err(broken) => return Err(broken.failure),
                Ok(answer) => return self.respond(answer, None),
            }
        }
        let dialled = Instant::now();
        let fresh = self.dial(dialled).await?;
        let connected = Instant::now();
        let answer = self.attempt(fresh, connected).await.map_err(|broken| broken.failure)?;
        self.respond(answer, Some(connected - dialled))
    }

    /// Opens a connection and speaks the protocol that the peer chose.
    async fn dial(&self, now: Instant) -> Result<Taken, Failure> {
        let deadline = now + self.request.deadlines.connect;
        // Boxed: it is large, rare, and would be a part of every request's future.
        let dialling = Box::pin(dial(self.request.endpoint, &self.client.tls, deadline.min(self.total)));
        let stream = dialling.await.map_err(|failure| match failure.kind {
            Kind::ConnectTimeout if self.total <= deadline => Failure::new(Kind::TotalTimeout),
            _ => failure,
        })?;
        let open = OpenConnection::new(&self.client.counters);
        if !stream.is_http2() {
            return Ok(Taken::Http1(Http1::new(stream, open)));
        }
        let connection = Http2::new(stream, open).await?;
        self.client.pool.share(self.key.clone(), connection.clone());
        Ok(Taken::Http2(connection))
    }

    /// One request on one connection, up to the response head.
    async fn attempt(&self, taken: Taken, now: Instant) -> Result<(Head, Carrier), Broken> {
        let deadline = self.total.min(now + self.request.deadlines.first_byte);
        match taken {
            Taken::Http1(mut connection) => {
                connection.timer.set(deadline);
                let exchanged = connection.exchange(self.request).await;
                let head = exchanged.unwrap_or_else(|| Err(self.silent(deadline)))?;
                Ok((head, Carrier::Http1(connection)))
            }
            Taken::Http2(connection) => {
                let mut timer = Timer::default();
                timer.set(deadline);
                let exchanged = connection.exchange(self.request.http2(), &mut timer).await;
                let (response, stream) = exchanged.unwrap_or_else(|| Err(self.silent(deadline)))?;
                let (parts, incoming) = response.into_parts();
                let head = Head { status: parts.status, headers: parts.headers };
                Ok((head, Carrier::Http2 { timer, incoming, _stream: stream }))
            }
        }
    }

    fn silent(&self, deadline: Instant) -> Broken {
        let kind = if deadline < self.total { Kind::FirstByteTimeout } else { Kind::TotalTimeout };
        Broken { failure: Failure::new(kind), unanswered: false }
    }

    fn respond(
        self,
        (head, carrier): (Head, Carrier),
        connected_in: Option<Duration>,
    ) -> Result<Response, Failure> {
        check(&head)?;
        let clock = Clock { idle: self.request.deadlines.idle, total: self.total };
        let body = Body::new(carrier, Arc::clone(&self.client.pool), self.key, clock, self.in_flight);
        Ok(Response { status: head.status, headers: head.headers, body, connected_in })
    }
}

/// Refuses a head that announces a body which is not the plain bytes that were asked for.
fn check(head: &Head) -> Result<(), Failure> {
    let refuse = |why: String| {
        Err(Failure { status: Some(head.status.as_u16()), ..Failure::new(Kind::Protocol) }.caused_by(why))
    };
    if head.status.is_informational() {
        return refuse(format!("the answer is an interim one (status {})", head.status.as_u16()));
    }
    match head.headers.get(CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            refuse(format!("the answer is compressed ({coding:?}), although `identity` was asked for"))
        }
        _ => Ok(()),
    }
}
