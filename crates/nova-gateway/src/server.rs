//! Sockets, threads, and an end without loss.
//!
//! Each worker is a thread with a runtime of its own: a request, its connection to the client and its
//! connection to the provider never leave it, so no wake-up crosses a core. All workers accept from one
//! listening socket. What is no request (the store, reloads) runs on one more thread, the background.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::api;
use crate::state::{Shared, Worker};

/// How a client's connection is bounded. Sources: Envoy's edge defaults for HTTP/2 streams and windows.
const HEADER_TIME: Duration = Duration::from_secs(30);
const MAX_STREAMS: u32 = 256;
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// How to start.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether an address beyond loopback is allowed.
    pub allow_remote: bool,
    /// Worker threads; by default one for each core.
    pub workers: Option<NonZeroUsize>,
    /// How connections to providers are kept.
    pub client: nova_upstream::ClientOptions,
    /// Whom they trust.
    pub tls: nova_upstream::Tls,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not loopback and nobody allowed that.
    #[error(
        "refusing to listen on `{0}`, which others can reach\nhint: put a TLS proxy in front, or start with `--allow-remote`"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on `{address}`: {error}\nhint: another process may have the port; `--listen 127.0.0.1:0` takes a free one"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// A thread or runtime could not be made.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Duration>>,
    workers: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Listens and answers until [`Gateway::stop`].
    ///
    /// # Errors
    /// Where the address is refused or taken, or threads cannot be made.
    pub fn start(shared: Arc<Shared>, options: &GatewayOptions) -> Result<Self, StartError> {
        if !options.allow_remote && !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        let listener =
            listen(options.listen).map_err(|error| StartError::Listen { address: options.listen, error })?;
        let address = listener.local_addr().map_err(StartError::Worker)?;
        let (stop, stopped) = watch::channel(None);
        let count = options
            .workers
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let client = nova_upstream::Client::new(options.client, options.tls.clone());
            let worker = Arc::new(Worker::new(Arc::clone(&shared), client, seed(index)?));
            let listener = listener.try_clone().map_err(StartError::Worker)?;
            let stopped = stopped.clone();
            let thread = std::thread::Builder::new()
                .name(format!("nova-worker-{index}"))
                .spawn(move || run(&worker, listener, stopped))
                .map_err(StartError::Worker)?;
            workers.push(thread);
        }
        Ok(Self { address, shared, stop, workers })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its workers share.
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Stops accepting, lets requests under way finish for as long as `grace`, then drops the rest, whose
    /// receipts settle as they go. Blocks; usage is flushed by the caller afterwards.
    pub fn stop(self, grace: Duration) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // The workers hold the receivers, so this fails only where none is left.
        let _ = self.stop.send(Some(grace));
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    }
}

fn seed(index: usize) -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| StartError::Worker(io::Error::other(error)))?;
    Ok(u64::from_le_bytes(bytes).wrapping_add(index as u64))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    // A restart must not wait for the old process's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// A worker's thread, from its first connection to its last.
fn run(worker: &Arc<Worker>, listener: TcpListener, stopped: watch::Receiver<Option<Duration>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "a worker could not start"),
    };
    runtime.block_on(accept(worker, listener, stopped));
    // Whatever is still under way is dropped with the runtime, and settles in its `Drop`.
}

async fn accept(worker: &Arc<Worker>, listener: TcpListener, mut stopped: watch::Receiver<Option<Duration>>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a worker could not listen"),
    };
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of descriptors: waiting lets some be given back, spinning does not.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stopped.changed() => break,
        };
        let (worker, watcher, mut stopped) = (Arc::clone(worker), connections.watcher(), stopped.clone());
        tokio::spawn(async move {
            let told = tokio::select! {
                told = tokio::time::timeout(HEADER_TIME, speaks_http2(&stream)) => told,
                // Nothing was asked yet, so nothing is left unanswered.
                _ = stopped.changed() => return,
            };
            drop(stopped);
            match told {
                Ok(Ok(http2)) => serve(worker, stream, http2, watcher).await,
                Ok(Err(error)) => tracing::debug!(%error, "a connection left before it was served"),
                Err(_) => tracing::debug!("a connection was opened and never used"),
            }
        });
    }
    drop(listener);
    let grace = (*stopped.borrow()).unwrap_or_default();
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!(
            grace_s = grace.as_secs(),
            "requests were still under way at the end of the grace period"
        );
    }
}

/// Serves a connection to its end.
async fn serve(worker: Arc<Worker>, stream: TcpStream, http2: bool, watcher: Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a connection left before it was served");
    }
    let io = TokioIo::new(stream);
    let service = service_fn(move |request| {
        let worker = Arc::clone(&worker);
        // The connection keeps room for this future as long as it lives: a pointer's, not that of a request.
        Box::pin(async move { Ok::<_, Infallible>(api::serve(&worker, request).await) })
    });
    let ended = if http2 {
        Box::pin(watcher.watch(http2_builder().serve_connection(io, service))).await
    } else {
        watcher.watch(http1_builder().serve_connection(io, service)).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client's connection ended early");
    }
}

/// Whether the client speaks HTTP/2, told from its first bytes, which stay in the socket: HTTP/2 begins with
/// its preface, which no request of HTTP/1.1 does (RFC 9113 §3.4).
///
/// The HTTP library can tell, too, but what it has read for that makes it double its read buffer, and its
/// connection has room for both protocols: 10 KB for each open stream.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut start).await?;
        if seen == 0 || start[..seen] != PREFACE[..seen] {
            return Ok(false);
        }
        if seen == PREFACE.len() {
            return Ok(true);
        }
        // The bytes that are there would be seen again at once, so this waits for the next ones.
        let mut known = true;
        let next = || if std::mem::take(&mut known) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) };
        stream.async_io(Interest::READABLE, next).await?;
    }
}

fn http1_builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).pipeline_flush(true);
    builder
}

fn http2_builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
