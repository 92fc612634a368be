//! An HTTP/2 connection: many exchanges at once, driven by a task of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use crate::failure::{Failure, causes};
use crate::http1::Broken;
use crate::stats::OpenConnection;
use crate::stream::Stream;
use crate::timer::Timer;

/// The most streams on one connection, whatever the peer allows: a connection that breaks takes all
/// of its streams along. The specification asks peers to allow at least as many (RFC 9113 §6.5.2).
const MAX_STREAMS: usize = 100;

/// How much of one answer may be on its way unread. A token is a hundred bytes; this is a second's
/// worth of the fastest stream, and what a client that does not read costs us in memory.
const STREAM_WINDOW: u32 = 256 << 10;

/// The same for all the streams of a connection together.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A peer that does not answer a ping for so long while streams are open is gone. TCP alone would
/// not notice a vanished NAT entry for minutes.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest response head.
const MAX_HEADER_LIST: u32 = 64 << 10;

/// A handle of a connection. The connection ends when no handle and no stream is left.
#[derive(Clone, Debug)]
pub(crate) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    load: Arc<Load>,
    /// When the last exchange began.
    pub(crate) used: Instant,
}

/// How full a connection is.
#[derive(Debug)]
struct Load {
    streams: AtomicUsize,
    /// What the peer allows at present.
    allowed: AtomicUsize,
}

/// A stream under way, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<Load>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Http2 {
    /// Speaks HTTP/2 on `stream`; the connection is driven by a task on this runtime.
    pub(crate) async fn new(stream: Stream, open: OpenConnection) -> Result<Self, Failure> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::from_hyper(error, false))?;
        let load = Arc::new(Load { streams: AtomicUsize::new(0), allowed: AtomicUsize::new(MAX_STREAMS) });
        let allowing = Arc::clone(&load);
        tokio::spawn(async move {
            let _open = open;
            let mut connection = pin!(connection);
            let driven = poll_fn(|context| {
                let polled = connection.as_mut().poll(context);
                allowing.allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            // An error of the connection reaches each of its streams, and is told there.
            if let Err(error) = driven.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
        });
        Ok(Self { sender, load, used: Instant::now() })
    }

    /// How many streams are open.
    pub(crate) fn streams(&self) -> usize {
        self.load.streams.load(Ordering::Relaxed)
    }

    /// Whether another stream can be opened without waiting for one to end.
    pub(crate) fn has_room(&self) -> bool {
        self.streams() < self.load.allowed.load(Ordering::Relaxed).min(MAX_STREAMS)
    }

    /// Whether the connection is over for new streams.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Takes the place of a stream and sends a request on it; waits for the response head, at most
    /// until the timer's deadline. `None` when that has passed.
    pub(crate) async fn exchange(
        self,
        request: http::Request<Full<Bytes>>,
        timer: &mut Timer,
    ) -> Option<Result<(http::Response<Incoming>, OpenStream), Broken>> {
        let Self { mut sender, load, .. } = self;
        load.streams.fetch_add(1, Ordering::Relaxed);
        let stream = OpenStream(load);
        let mut response = pin!(sender.try_send_request(request));
        let result = poll_fn(|context| match response.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => timer.poll_passed(context).map(|_| None),
        })
        .await?;
        Some(match result {
            Ok(response) => Ok((response, stream)),
            Err(mut error) => {
                let unanswered = error.take_message().is_some() || is_refused(error.error());
                Err(Broken { failure: Failure::from_hyper(error.into_error(), false), unanswered })
            }
        })
    }
}

/// Whether the peer says that it has not touched the request: a refused stream, or one above the last
/// that a graceful GOAWAY promises to finish (RFC 9113 §8.7).
fn is_refused(error: &hyper::Error) -> bool {
    let refused = |error: &h2::Error| match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_remote(),
        Some(h2::Reason::NO_ERROR) => error.is_remote() && error.is_go_away(),
        _ => false,
    };
    causes(error).filter_map(|cause| cause.downcast_ref()).any(refused)
}
