//! The body of an answer, frame by frame, under its deadlines.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crate::failure::{Failure, Kind};
use crate::http1::Http1;
use crate::http2::OpenStream;
use crate::pool::{Key, Pool};
use crate::stats::InFlight;
use crate::timer::Timer;

/// The longest answer that is read whole, 32 MiB: as much as a request may have.
pub const MAX_ANSWER: usize = 32 << 20;

/// The most of an error's body that is read, 64 KiB. It is classified and quoted, never passed on.
pub const MAX_ERROR: usize = 64 << 10;

/// How long an error's body may take to arrive. What a provider has to say about an error it knows
/// when it sends the status.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// The body of an answer.
///
/// Read to its end, it gives its connection back to the pool. Dropped before, it cancels the request
/// at the provider.
#[derive(Debug)]
pub struct Body {
    /// `None` once the body has ended, in whatever way.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    carrier: Carrier,
    pool: Arc<Pool>,
    key: Key,
    clock: Clock,
    _in_flight: InFlight,
}

/// What the frames come from.
#[derive(Debug)]
pub(crate) enum Carrier {
    Http1(Box<Http1>),
    Http2 { timer: Timer, incoming: Incoming, _stream: OpenStream },
}

/// The deadlines of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) idle: Duration,
    pub(crate) total: Instant,
}

impl Body {
    pub(crate) fn new(
        carrier: Carrier,
        pool: Arc<Pool>,
        key: Key,
        clock: Clock,
        in_flight: InFlight,
    ) -> Self {
        let mut body = Self { open: Some(Open { carrier, pool, key, clock, _in_flight: in_flight }) };
        body.advance();
        body
    }

    /// The next piece of the body, never empty; `None` at its end, and after a failure.
    pub async fn frame(&mut self) -> Option<Result<Bytes, Failure>> {
        poll_fn(|context| self.poll_frame(context)).await
    }

    /// The same for use inside another body's `poll_frame`.
    pub fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some(open) = &mut self.open else { return Poll::Ready(None) };
        match open.carrier.poll_piece(context) {
            Poll::Ready(Some(Ok(data))) => {
                self.advance();
                Poll::Ready(Some(Ok(data)))
            }
            Poll::Ready(Some(Err(failure))) => {
                self.open = None;
                Poll::Ready(Some(Err(failure)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let deadline = ready!(open.carrier.timer().poll_passed(context));
                let total = deadline >= open.clock.total;
                self.open = None;
                let kind = if total { Kind::TotalTimeout } else { Kind::IdleTimeout };
                Poll::Ready(Some(Err(Failure::new(kind))))
            }
        }
    }

    /// How many bytes are still to come, where the provider said so.
    pub fn remaining(&self) -> Option<u64> {
        match &self.open {
            Some(open) => open.carrier.remaining(),
            None => Some(0),
        }
    }

    /// The whole body; a failure of kind `TooLarge` when it is longer than `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Failure> {
        let too_large = |remaining: u64| usize::try_from(remaining).map_or(true, |length| length > limit);
        if self.remaining().is_some_and(too_large) {
            return Err(Failure::new(Kind::TooLarge));
        }
        let Some(first) = self.frame().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > limit {
            return Err(Failure::new(Kind::TooLarge));
        }
        // An answer in one piece, the usual case, is not copied.
        let Some(second) = self.frame().await.transpose()? else { return Ok(first) };
        let expected = self.remaining().and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + expected.min(limit));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(piece) = next {
            if whole.len() + piece.len() > limit {
                return Err(Failure::new(Kind::TooLarge));
            }
            whole.extend_from_slice(&piece);
            next = self.frame().await.transpose()?;
        }
        Ok(whole.freeze())
    }

    /// What can be had of an error's body: at most `limit` bytes, at most for five seconds, and
    /// without a failure, because the status says enough. The rest is never read.
    pub async fn excerpt(mut self, limit: usize) -> Bytes {
        if let Some(open) = &mut self.open {
            open.clock.total = open.clock.total.min(Instant::now() + ERROR_PATIENCE);
            open.rearm();
        }
        let mut read = BytesMut::new();
        while read.len() < limit
            && let Some(Ok(piece)) = self.frame().await
        {
            read.extend_from_slice(&piece[..piece.len().min(limit - read.len())]);
        }
        read.freeze()
    }

    /// After the head and after each frame: gives the connection back at once where the length says
    /// that nothing follows, else moves the idle deadline.
    fn advance(&mut self) {
        match &mut self.open {
            Some(open) if open.carrier.is_at_end() => self.end(),
            Some(open) => open.rearm(),
            None => {}
        }
    }

    /// The body was read to its end.
    fn end(&mut self) {
        if let Some(Open { carrier: Carrier::Http1(connection), pool, key, .. }) = self.open.take() {
            pool.give_back(key, connection);
        }
    }
}

impl Drop for Body {
    /// A caller that stops at the last event, before the end of the framing, has read everything. If
    /// the end is there already, the connection is as good as read to its end; if it is not, or if
    /// there is more, then this is a cancellation.
    fn drop(&mut self) {
        let quiet = &mut Context::from_waker(Waker::noop());
        if let Some(Open { carrier: carrier @ Carrier::Http1(_), .. }) = &mut self.open
            && let Poll::Ready(None) = carrier.poll_piece(quiet)
        {
            self.end();
        }
    }
}

impl Open {
    fn rearm(&mut self) {
        let deadline = self.clock.total.min(Instant::now() + self.clock.idle);
        self.carrier.timer().set(deadline);
    }
}

impl Carrier {
    /// The next piece, never empty.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let incoming = match self {
            Self::Http1(connection) => return connection.poll_piece(context),
            Self::Http2 { incoming, .. } => incoming,
        };
        loop {
            match ready!(Pin::new(&mut *incoming).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    // Trailers carry nothing that an answer of ours consists of.
                    _ => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(Failure::from_hyper(error, true)))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn timer(&mut self) -> &mut Timer {
        match self {
            Self::Http1(connection) => &mut connection.timer,
            Self::Http2 { timer, .. } => timer,
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_at_end(),
            Self::Http2 { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn remaining(&self) -> Option<u64> {
        match self {
            Self::Http1(connection) => connection.remaining(),
            Self::Http2 { incoming, .. } => incoming.size_hint().exact(),
        }
    }
}
