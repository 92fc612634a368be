//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! The library hands out a connection as a future that has to be polled for anything to happen, and
//! the usual way is to spawn it. Then each part of an answer crosses from that task to the one that
//! wants it: two wakes and two trips through the scheduler per frame. Here the connection belongs to
//! the exchange: its task polls it in place, and between requests it lies in the pool, polled by
//! nobody. Three things follow from that:
//!
//! - The library's channels between connection and handle are polled with a waker that does nothing.
//!   They can only change while the connection is polled, which the same function has just done; a
//!   real waker would make the task wake itself.
//! - To drop an exchange is to close its connection: no drain, no other task to tell.
//! - Whether the peer has closed an idle connection is found out by polling it. The library reads before
//!   it writes, so that a request on a closed connection comes back unsent.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use crate::failure::{Failure, Kind};
use crate::stats::OpenConnection;
use crate::stream::{Heard, Stream};
use crate::timer::Timer;

/// The longest response head: twice what any server sends by default.
const MAX_HEAD: usize = 64 << 10;

/// The most that is read at once. Reached only by a peer that sends faster than we pass on.
const MAX_BUFFER: usize = 64 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Http1 {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended. It has to be dropped then: that gives back a request that was not sent.
    connection: Option<Connection<TokioIo<Stream>, Full<Bytes>>>,
    heard: Heard,
    /// The deadline of the exchange under way. It stays armed between requests, see [`Timer`].
    pub(crate) timer: Timer,
    /// When the last exchange ended.
    pub(crate) idle_since: Instant,
    _open: OpenConnection,
}

/// An exchange without a response head.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What happened.
    pub(crate) failure: Failure,
    /// Whether the connection ended before a single byte of an answer. On a connection that had been
    /// idle that is the mark of a peer that had closed it.
    pub(crate) unanswered: bool,
}

impl Http1 {
    pub(crate) async fn new(stream: Stream, open: OpenConnection) -> Result<Box<Self>, Failure> {
        let heard = stream.heard();
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_BUFFER)
            .max_header_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::from_hyper(error, false))?;
        let (timer, idle_since) = (Timer::default(), Instant::now());
        Ok(Box::new(Self { sender, connection: Some(connection), heard, timer, idle_since, _open: open }))
    }

    /// Sends a request and waits for the response head, at most until the timer's deadline.
    ///
    /// `None` when the deadline has passed.
    pub(crate) async fn exchange(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Option<Result<http::Response<Incoming>, Broken>> {
        self.heard.clear();
        let mut response = pin!(unconstrained(self.sender.try_send_request(request)));
        poll_fn(|context| {
            let quiet = &mut Context::from_waker(Waker::noop());
            self.drive(context);
            match response.as_mut().poll(quiet) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Some(Ok(response))),
                Poll::Ready(Err(mut error)) => {
                    let unsent = error.take_message().is_some();
                    let failure = Failure::from_hyper(error.into_error(), false);
                    let unanswered = unsent || (failure.kind == Kind::Reset && !self.heard.any());
                    return Poll::Ready(Some(Err(Broken { failure, unanswered })));
                }
                Poll::Pending => {}
            }
            self.timer.poll_passed(context).map(|_| None)
        })
        .await
    }

    /// The next frame of the body of the exchange under way.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let quiet = &mut Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut *body).poll_frame(quiet);
        if polled.is_pending() {
            self.drive(context);
            polled = Pin::new(body).poll_frame(quiet);
        }
        polled.map_err(|error| Failure::from_hyper(error, true))
    }

    /// Whether the connection can take another request right now.
    pub(crate) fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Reads and writes what can be read and written.
    fn drive(&mut self, context: &mut Context<'_>) {
        let polled = self.connection.as_mut().map(|connection| Pin::new(connection).poll(context));
        if let Some(Poll::Ready(_)) = polled {
            self.connection = None;
        }
    }
}
