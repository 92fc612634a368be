//! A listener on the loopback that plays scripts.
//!
//! It is raw TCP on purpose: a correct HTTP server could not send the broken status lines, wrong
//! lengths and half events that the tests are about.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::record::{RecordedRequest, read_request};
use crate::script::{Script, Step};

/// How a request gets its script.
enum Source {
    /// The next of a queue; a request too many is answered by [`exhausted`].
    Queue(Mutex<VecDeque<Script>>),
    /// Whatever the test's function says.
    Function(Box<dyn Fn(&RecordedRequest) -> Script + Send + Sync>),
}

/// An upstream on a real socket that records requests and writes exact bytes.
///
/// It runs on the runtime that started it, and ends with this value.
pub struct ScriptedUpstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    secure: bool,
    accepting: JoinHandle<()>,
}

struct Shared {
    source: Source,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    requests: Vec<RecordedRequest>,
    connections: usize,
    open: usize,
    departures: usize,
    tasks: Vec<JoinHandle<()>>,
}

impl ScriptedUpstream {
    /// Answers each request with the next of `scripts`, in the order of arrival.
    pub async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let queue = scripts.into_iter().collect();
        Self::listen(Source::Queue(Mutex::new(queue)), None).await
    }

    /// Answers each request with the script that `answer` gives for it.
    pub async fn answering(answer: impl Fn(&RecordedRequest) -> Script + Send + Sync + 'static) -> Self {
        Self::listen(Source::Function(Box::new(answer)), None).await
    }

    /// Like [`start`](Self::start), over TLS with the certificate of [`tls`](crate::tls).
    pub async fn start_tls(scripts: impl IntoIterator<Item = Script>) -> Self {
        let queue = scripts.into_iter().collect();
        let acceptor = TlsAcceptor::from(crate::tls::server_config(&[b"http/1.1"]));
        Self::listen(Source::Queue(Mutex::new(queue)), Some(acceptor)).await
    }

    /// Adds a script to the end of the queue.
    pub fn push(&self, script: Script) {
        match &self.shared.source {
            Source::Queue(queue) => queue.lock().unwrap().push_back(script),
            Source::Function(_) => panic!("this upstream answers by a function, it has no queue"),
        }
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.secure { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request that was read whole, in the order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.records.lock().unwrap().requests.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.shared.records.lock().unwrap().connections
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.records.lock().unwrap().open
    }

    /// How many clients went away before their script was played to the end.
    pub fn departures(&self) -> usize {
        self.shared.records.lock().unwrap().departures
    }

    /// The requests, once there are `count` of them.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<RecordedRequest> {
        let enough = || self.shared.records.lock().unwrap().requests.len() >= count;
        crate::until(enough, "the upstream had its requests").await;
        self.requests()
    }

    /// Returns when `count` clients went away in the middle of their script.
    pub async fn wait_for_departures(&self, count: usize) {
        crate::until(|| self.departures() >= count, "the client went away").await;
    }

    /// Returns when exactly `count` connections are open.
    pub async fn wait_for_open_connections(&self, count: usize) {
        crate::until(|| self.open_connections() == count, "the connections were as expected").await;
    }

    async fn listen(source: Source, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared { source, records: Mutex::default() });
        let secure = acceptor.is_some();
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&shared)));
        Self { shared, address, secure, accepting }
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Ok(records) = self.shared.records.lock() {
            records.tasks.iter().for_each(JoinHandle::abort);
        }
    }
}

impl fmt::Debug for ScriptedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedUpstream").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut records = shared.records.lock().unwrap();
            records.connections += 1;
            records.open += 1;
            records.connections - 1
        };
        let (acceptor, connection) = (acceptor.clone(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let _open = Open(Arc::clone(&connection));
            let _ = stream.set_nodelay(true);
            let wire = match acceptor {
                None => Wire::Plain(stream),
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Wire::Tls(Box::new(stream)),
                    Err(_) => return,
                },
            };
            serve(wire, number, &connection).await;
        });
        shared.records.lock().unwrap().tasks.push(task);
    }
}

/// Counts an open connection, however it ends.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Ok(mut records) = self.0.records.lock() {
            records.open -= 1;
        }
    }
}

async fn serve(mut wire: Wire, number: usize, shared: &Shared) {
    let mut buffer = BytesMut::new();
    while let Ok(Some(request)) = read_request(&mut wire, &mut buffer, number).await {
        let script = match &shared.source {
            Source::Queue(queue) => queue.lock().unwrap().pop_front().unwrap_or_else(exhausted),
            Source::Function(answer) => answer(&request),
        };
        shared.records.lock().unwrap().requests.push(request);
        match play(script, &mut wire, &mut buffer).await {
            Outcome::Next => {}
            Outcome::Ended => return,
            Outcome::ClientLeft => {
                shared.records.lock().unwrap().departures += 1;
                return;
            }
        }
    }
}

/// What a request gets for which the test has no script.
fn exhausted() -> Script {
    Script::json(599, &[], r#"{"error":{"message":"the test has no script for this request"}}"#)
}

enum Outcome {
    Next,
    Ended,
    ClientLeft,
}

async fn play(script: Script, wire: &mut Wire, buffer: &mut BytesMut) -> Outcome {
    for step in script.steps {
        match step {
            Step::Write(bytes) => {
                let written = async {
                    wire.write_all(&bytes).await?;
                    wire.flush().await
                };
                if written.await.is_err() {
                    return Outcome::ClientLeft;
                }
            }
            Step::WaitFor(gate) => {
                tokio::select! {
                    biased;
                    () = gate.pass() => {}
                    () = client_left(wire, buffer) => return Outcome::ClientLeft,
                }
            }
            Step::Stall => {
                client_left(wire, buffer).await;
                return Outcome::ClientLeft;
            }
            Step::Reset => {
                let _ = SockRef::from(wire.tcp()).set_linger(Some(Duration::ZERO));
                return Outcome::Ended;
            }
            Step::Close => {
                let _ = wire.shutdown().await;
                return Outcome::Ended;
            }
        }
    }
    Outcome::Next
}

/// Returns when the client has closed or reset the connection; keeps what it sends meanwhile.
async fn client_left(wire: &mut Wire, buffer: &mut BytesMut) {
    loop {
        buffer.reserve(4 << 10);
        match wire.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// A connection with or without TLS.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
