//! An HTTP/2 upstream over TLS, for what a test of many streams on one connection needs.
//!
//! HTTP/2 framing by hand would be a second implementation to trust, so this one is hyper's; it can
//! stall and break off, but it cannot be malformed.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::record::RecordedRequest;
use crate::script::Gate;

/// What the upstream answers to one request.
#[derive(Clone, Debug)]
pub struct Http2Reply {
    /// The status.
    pub status: u16,
    /// The frames of the body.
    pub frames: Vec<Bytes>,
    /// Where to wait before the head is sent.
    pub before: Option<Gate>,
    /// What comes after the last frame.
    pub end: Http2End,
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2End {
    /// In order.
    Finish,
    /// Never: the stream stays open until the client resets it, which is recorded.
    Stall,
    /// The stream is reset.
    Reset,
}

impl Http2Reply {
    /// A complete answer of one frame.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, frames: vec![body.into()], before: None, end: Http2End::Finish }
    }
}

/// An upstream that speaks HTTP/2 over TLS with the certificate of [`tls`](crate::tls).
pub struct Http2Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    answer: Box<dyn Fn(&RecordedRequest) -> Http2Reply + Send + Sync>,
    max_streams: u32,
    goaway: watch::Sender<usize>,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    requests: Vec<RecordedRequest>,
    connections: usize,
    resets: usize,
}

impl Http2Upstream {
    /// Answers each request with what `answer` says; a connection takes `max_streams` at a time.
    pub async fn start(
        max_streams: u32,
        answer: impl Fn(&RecordedRequest) -> Http2Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            max_streams,
            goaway: watch::Sender::new(0),
            records: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// `https://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// Every request, in the order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records.lock().unwrap().requests.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.records.lock().unwrap().connections
    }

    /// How many answers the client gave up before their end.
    pub fn resets(&self) -> usize {
        self.shared.records.lock().unwrap().resets
    }

    /// Sends GOAWAY on every open connection; streams under way are finished.
    pub fn go_away(&self) {
        self.shared.goaway.send_modify(|count| *count += 1);
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for Http2Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Upstream").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let acceptor = TlsAcceptor::from(crate::tls::server_config(&[b"h2"]));
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut records = shared.records.lock().unwrap();
            records.connections += 1;
            records.connections - 1
        };
        tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared), number));
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>, number: usize) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answering = Arc::clone(&shared);
    let service = service_fn(move |request| answer(request, number, Arc::clone(&answering)));
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(shared.max_streams)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut goaway = shared.goaway.subscribe();
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = goaway.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    shared: Arc<Shared>,
) -> Result<Response<Frames>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let request = RecordedRequest {
        connection,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers.iter().map(header).collect(),
        body,
    };
    let reply = (shared.answer)(&request);
    shared.records.lock().unwrap().requests.push(request);
    if let Some(gate) = &reply.before {
        gate.pass().await;
    }
    let mut frames = reply.frames;
    frames.reverse();
    let mut response = Response::new(Frames { frames, end: reply.end, ended: false, shared });
    *response.status_mut() = http::StatusCode::from_u16(reply.status).expect("a valid status");
    Ok(response)
}

/// The body of an answer; what is left of it when it is dropped was given up by the client.
struct Frames {
    frames: Vec<Bytes>,
    end: Http2End,
    ended: bool,
    shared: Arc<Shared>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(bytes) = self.frames.pop() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.end {
            Http2End::Stall => Poll::Pending,
            Http2End::Finish => {
                self.ended = true;
                Poll::Ready(None)
            }
            Http2End::Reset => {
                self.ended = true;
                Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
            }
        }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if !self.ended
            && let Ok(mut records) = self.shared.records.lock()
        {
            records.resets += 1;
        }
    }
}
