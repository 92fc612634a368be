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

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
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
    let http = http();
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
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection left before it was served");
            continue;
        }
        let worker = Arc::clone(worker);
        let service = service_fn(move |request| {
            let worker = Arc::clone(&worker);
            async move { Ok::<_, Infallible>(api::serve(&worker, request).await) }
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a client's connection ended early");
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

fn http() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(Duration::from_secs(30));
    builder
}
