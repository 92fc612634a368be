//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! A gateway's cost is mostly this: a request out, and many small pieces of an answer back. The
//! library that we use for HTTP/2 drives each connection from a task of its own, with channels between
//! that task and the caller; measured per piece, the channels and the second trip through the scheduler
//! cost several times the work itself. A client needs little of HTTP/1.1, so it is here: [`head`] writes
//! requests and reads response heads, [`framing`] finds the body in what follows, both without IO, and
//! this module moves the bytes. The connection belongs to the exchange, and the caller's own task polls
//! it. Two things follow: to drop an exchange is to close its connection, and an idle connection is
//! polled by nobody, so that the peer's close is found out at the next look.

pub(crate) mod framing;
pub(crate) mod head;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use self::framing::{Framing, Malformed, Piece};
use crate::failure::{Failure, Kind};
use crate::request::{Head, Request};
use crate::stats::OpenConnection;
use crate::stream::Stream;
use crate::timer::Timer;

/// How much room is made for a read, and when that is not enough.
const READ: usize = 8 << 10;
const READ_MORE: usize = 64 << 10;

/// With less room than this, a read is not worth its system call.
const READ_LEAST: usize = 2 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Http1 {
    stream: Stream,
    /// What was read and not yet understood.
    unread: BytesMut,
    /// Whether the last read took all the room that it had: there is probably more.
    eager: bool,
    outgoing: Outgoing,
    framing: Framing,
    /// Whether both sides mean to go on after this exchange.
    keep_alive: bool,
    /// The deadline of the exchange under way. It stays armed between requests, see [`Timer`].
    pub(crate) timer: Timer,
    /// When the last exchange ended.
    pub(crate) idle_since: Instant,
    _open: OpenConnection,
}

/// The request, as far as it was not written yet.
#[derive(Debug, Default)]
struct Outgoing {
    head: Vec<u8>,
    body: Bytes,
    /// Of head and body together.
    written: usize,
    flushed: bool,
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
    pub(crate) fn new(stream: Stream, open: OpenConnection) -> Box<Self> {
        Box::new(Self {
            stream,
            unread: BytesMut::new(),
            eager: false,
            outgoing: Outgoing::default(),
            framing: Framing::None,
            keep_alive: false,
            timer: Timer::default(),
            idle_since: Instant::now(),
            _open: open,
        })
    }

    /// Sends a request and waits for the response head, at most until the timer's deadline.
    ///
    /// `None` when the deadline has passed.
    pub(crate) async fn exchange(&mut self, request: &Request<'_>) -> Option<Result<Head, Broken>> {
        self.outgoing.start(request);
        self.keep_alive = false;
        let mut reading = Reading::default();
        poll_fn(|context| {
            if let Poll::Ready(result) = self.poll_head(&mut reading, context) {
                let broken = |failure| Broken { failure, unanswered: !reading.heard };
                return Poll::Ready(Some(result.map_err(broken)));
            }
            self.timer.poll_passed(context).map(|_| None)
        })
        .await
    }

    /// The next piece of the body of the exchange under way.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if !self.outgoing.flushed {
            // An answer may begin before the request is through. If the rest cannot be written, what the
            // peer has to say is still worth reading.
            let _ = self.outgoing.poll_write(&mut self.stream, context);
        }
        loop {
            match self.framing.next(&mut self.unread) {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::Incomplete) => {}
                Err(malformed) => return Poll::Ready(Some(Err(malformed.into()))),
            }
            match ready!(self.poll_read(context)) {
                Ok(0) if self.framing.ends_with_connection() => self.framing = Framing::None,
                Ok(0) => return Poll::Ready(Some(Err(closed(Kind::Cut)))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Failure::from_io(error)))),
            }
        }
    }

    /// Whether nothing of the body is left to come, as far as can be told without reading.
    pub(crate) fn is_at_end(&self) -> bool {
        self.framing.is_at_end()
    }

    /// How much of the body is left to come, where the head said so.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.framing.remaining()
    }

    /// Whether the connection can take another request right now: the last exchange is complete on both
    /// sides, and the peer has neither closed nor sent what nobody asked for.
    pub(crate) fn is_reusable(&mut self) -> bool {
        let complete = self.keep_alive && self.outgoing.flushed && self.is_at_end() && self.unread.is_empty();
        // This also takes the wakers of the task that was last served out of the socket.
        complete && self.poll_read(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Called when the connection goes into the pool: it may lie there for a while.
    pub(crate) fn rest(&mut self) {
        self.idle_since = Instant::now();
        self.eager = false;
    }

    fn poll_head(&mut self, reading: &mut Reading, context: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        if !reading.started {
            reading.started = true;
            // Nothing can have come before the request: this is the look for the peer's close.
            if let Poll::Ready(result) = self.poll_read(context) {
                return Poll::Ready(Err(match result {
                    Ok(0) => closed(Kind::Reset),
                    Ok(_) => Malformed("bytes that nobody asked for").into(),
                    Err(error) => before_head(Failure::from_io(error)),
                }));
            }
        }
        let written = match self.outgoing.poll_write(&mut self.stream, context) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        };
        loop {
            let read = match self.poll_read(context) {
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(before_head(Failure::from_io(error)))),
                Poll::Pending => {
                    // After a failed write only an answer that came before can help.
                    return match written {
                        Ok(()) => Poll::Pending,
                        Err(error) => Poll::Ready(Err(before_head(Failure::from_io(error)))),
                    };
                }
            };
            reading.heard |= read > 0;
            if let Some(head) = self.take_head(reading, read == 0)? {
                return Poll::Ready(Ok(head));
            }
            if read == 0 {
                return Poll::Ready(Err(closed(Kind::Reset)));
            }
        }
    }

    /// The response head, when it is there; interim ones are passed over.
    fn take_head(&mut self, reading: &mut Reading, ended: bool) -> Result<Option<Head>, Failure> {
        while reading.is_worth_parsing(&self.unread, ended) {
            let Some(parsed) = head::parse(&mut self.unread)? else { return Ok(None) };
            reading.restart();
            if let Some(parsed) = parsed.unless_interim()? {
                self.keep_alive = parsed.keep_alive;
                self.framing = parsed.framing;
                return Ok(Some(parsed.head));
            }
        }
        Ok(None)
    }

    /// Reads once; `Ok(0)` when the peer has closed.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = self.poll_read_into_buffer(context);
        if read.is_pending() && self.unread.is_empty() {
            // A wait may be long, and thousands wait: an empty buffer is not kept for it.
            self.unread = BytesMut::new();
        }
        read
    }

    fn poll_read_into_buffer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_readable(context))?;
        let room = self.unread.capacity() - self.unread.len();
        if self.eager {
            self.unread.reserve(READ_MORE);
        } else if room < READ_LEAST {
            self.unread.reserve(READ);
        }
        let room = self.unread.capacity() - self.unread.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.unread)).poll(context))?;
        self.eager = read == room;
        Poll::Ready(Ok(read))
    }
}

impl Outgoing {
    fn start(&mut self, request: &Request<'_>) {
        self.head.clear();
        head::write(&mut self.head, request);
        self.body = request.body.clone();
        self.written = 0;
        self.flushed = false;
    }

    /// Ready when all is on its way.
    fn poll_write(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushed {
            return Poll::Ready(Ok(()));
        }
        while self.written < self.head.len() + self.body.len() {
            let head = self.head.get(self.written..).unwrap_or_default();
            let body = &self.body[self.written.saturating_sub(self.head.len())..];
            let slices = [IoSlice::new(head), IoSlice::new(body)];
            let slices = if head.is_empty() { &slices[1..] } else { &slices[..] };
            match ready!(Pin::new(&mut *stream).poll_write_vectored(context, slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        ready!(Pin::new(stream).poll_flush(context))?;
        self.flushed = true;
        // The answer may take half an hour; the request's memory is not needed for it.
        self.body = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

/// How far the reading of a response head has come.
#[derive(Debug, Default)]
struct Reading {
    started: bool,
    /// Whether a byte of an answer was read.
    heard: bool,
    tried: bool,
    /// How much was searched for the end of the head.
    searched: usize,
}

impl Reading {
    /// Whether a parse can say something new: the first bytes may be no HTTP, the end of the head may be
    /// there, or nothing more will come. In between it is not tried with every read: a head that
    /// arrives byte by byte would be parsed as often as it is long.
    fn is_worth_parsing(&mut self, unread: &[u8], ended: bool) -> bool {
        if unread.is_empty() {
            return false;
        }
        let first = !std::mem::replace(&mut self.tried, true);
        let from = std::mem::replace(&mut self.searched, unread.len()).saturating_sub(2);
        first || ended || unread.len() > head::MAX_HEAD || has_empty_line(&unread[from..])
    }

    /// An interim head was taken; the next one begins.
    fn restart(&mut self) {
        self.searched = 0;
        self.tried = false;
    }
}

/// Whether a line ends and the next one is empty, with either kind of line break.
fn has_empty_line(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes)
        .any(|at| bytes[at + 1..].starts_with(b"\n") || bytes[at + 1..].starts_with(b"\r\n"))
}

/// The peer closed where something had to follow.
fn closed(kind: Kind) -> Failure {
    Failure::new(kind).caused_by(io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// An end of file before the head is a connection that broke, not an answer that was cut.
fn before_head(failure: Failure) -> Failure {
    match failure.kind {
        Kind::Cut => Failure { kind: Kind::Reset, source: Kind::Reset.source(), ..failure },
        _ => failure,
    }
}
