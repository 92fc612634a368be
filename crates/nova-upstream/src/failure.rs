//! What went wrong with one attempt: whose fault it was, and whether and when to try again.
//!
//! A failure is data for the caller's decision, and is logged by the caller, once, with its whole
//! chain of causes (`Display` is one sentence and does not repeat its causes).

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use nova_wire::{Dialect, ErrorClass, UpstreamError};

use crate::retry_after;

/// Why an attempt has no answer, or an answer has no end.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub source: Source,
    /// What happened.
    pub kind: Kind,
    /// Whether another attempt can help.
    pub retry: Retry,
    /// How long the provider asks us not to come back, at most [`retry_after::MAX`].
    pub after: Option<Duration>,
    /// The status that the provider answered with, if it came to that.
    pub status: Option<u16>,
    /// What the provider itself reported.
    pub error: Option<Box<UpstreamError>>,
    /// The error underneath, for the log.
    pub cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Ours.
    Gateway,
    /// Nobody's that we can name: the way between us and the provider.
    Network,
    /// The provider's.
    Upstream,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The host name has no address.
    Dns,
    /// No address accepted a connection.
    Connect,
    /// No agreement on TLS, or a certificate that is not trusted.
    Tls,
    /// No connection within `connect`.
    ConnectTimeout,
    /// No response head within `first_byte`.
    FirstByteTimeout,
    /// Nothing for the time of `idle` in the middle of the body.
    IdleTimeout,
    /// Not finished within `total`.
    TotalTimeout,
    /// The connection broke.
    Reset,
    /// The body ended before its end.
    Cut,
    /// What came is no HTTP that we can read.
    Protocol,
    /// The body is longer than we read.
    TooLarge,
    /// The provider reported an error, by its status or in its body.
    Status,
}

impl Kind {
    /// Every kind, in the order of an exchange.
    pub const ALL: [Self; 12] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::ConnectTimeout,
        Self::FirstByteTimeout,
        Self::IdleTimeout,
        Self::TotalTimeout,
        Self::Reset,
        Self::Cut,
        Self::Protocol,
        Self::TooLarge,
        Self::Status,
    ];

    /// The word for this kind in records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectTimeout => "connect_timeout",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::TotalTimeout => "total_timeout",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Status => "status",
        }
    }

    /// Whether a deadline of ours ended the attempt.
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::FirstByteTimeout | Self::IdleTimeout | Self::TotalTimeout)
    }

    /// Whose fault it is, unless more is known.
    pub(crate) const fn source(self) -> Source {
        match self {
            Self::Dns | Self::Connect | Self::Tls | Self::ConnectTimeout | Self::Reset => Source::Network,
            Self::TotalTimeout => Source::Gateway,
            Self::FirstByteTimeout
            | Self::IdleTimeout
            | Self::Cut
            | Self::Protocol
            | Self::TooLarge
            | Self::Status => Source::Upstream,
        }
    }

    /// Whether another attempt can help, unless more is known.
    ///
    /// A timeout has used up time that another deployment can use better, and what cannot be read
    /// will look the same again; a broken connection is worth a second try on the spot.
    const fn retry(self) -> Retry {
        match self {
            Self::Dns | Self::Connect | Self::Reset | Self::Cut | Self::Status => Retry::SameAllowed,
            Self::Tls
            | Self::ConnectTimeout
            | Self::FirstByteTimeout
            | Self::IdleTimeout
            | Self::Protocol
            | Self::TooLarge => Retry::ElsewhereOnly,
            Self::TotalTimeout => Retry::Never,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Dns => "the provider's host name could not be resolved",
            Self::Connect => "the provider could not be connected to",
            Self::Tls => "no secure connection to the provider could be made",
            Self::ConnectTimeout => "the connection to the provider was not made in time",
            Self::FirstByteTimeout => "the provider did not begin to answer in time",
            Self::IdleTimeout => "the provider fell silent in the middle of its answer",
            Self::TotalTimeout => "the request was not finished in the time that it may take",
            Self::Reset => "the connection to the provider broke",
            Self::Cut => "the provider's answer ended before its end",
            Self::Protocol => "the provider's answer could not be read",
            Self::TooLarge => "the provider's answer is longer than the gateway reads",
            Self::Status => "the provider reported an error",
        }
    }
}

/// Whether another attempt can help. Only for as long as nothing was sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No: every deployment would say the same.
    Never,
    /// Yes, also at the same deployment, there after [`Failure::after`] or a backoff; elsewhere at once.
    SameAllowed,
    /// Yes, at another deployment, at once.
    ElsewhereOnly,
}

impl Failure {
    /// A failure of this kind, with the source and the retry that it has by itself.
    pub fn new(kind: Kind) -> Self {
        Self {
            source: kind.source(),
            kind,
            retry: kind.retry(),
            after: None,
            status: None,
            error: None,
            cause: None,
        }
    }

    /// The same, with the error underneath.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// What an answer that is no success means.
    ///
    /// `body` may be cut at any length. The class is the wire's judgement
    /// ([`nova_wire::error::classify`]); the wait is the header's, or else the body's.
    pub fn from_status(status: StatusCode, headers: &HeaderMap, body: &[u8], dialect: Dialect) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let error = nova_wire::error::classify(dialect, status.as_u16(), header, body);
        let mut failure = Self::from_upstream(error);
        // A redirect is not followed (it would carry the credential to where the operator did not
        // send it), and the same deployment would only redirect again.
        if status.is_redirection() {
            failure.retry = Retry::ElsewhereOnly;
        }
        failure.after = retry_after::read(headers, SystemTime::now()).or(failure.after);
        failure
    }

    /// What an error means that the provider reported in whatever way, be it inside a 200.
    pub fn from_upstream(error: UpstreamError) -> Self {
        let (kind, retry) = match error.class {
            // Another account may be in order; this one will not be by asking again.
            ErrorClass::Auth | ErrorClass::Balance => (Kind::Status, Retry::ElsewhereOnly),
            ErrorClass::Rate | ErrorClass::Overloaded | ErrorClass::Server => {
                (Kind::Status, Retry::SameAllowed)
            }
            // A larger window, or another name for the model.
            ErrorClass::Context | ErrorClass::Model => (Kind::Status, Retry::ElsewhereOnly),
            ErrorClass::Filter | ErrorClass::BadRequest => (Kind::Status, Retry::Never),
            ErrorClass::Garbage => (Kind::Protocol, Retry::ElsewhereOnly),
            ErrorClass::Cut => (Kind::Cut, Retry::SameAllowed),
            // Another sample may do better.
            ErrorClass::Mismatch => (Kind::Status, Retry::SameAllowed),
        };
        let after = error.retry_after_ms.map(|ms| Duration::from_millis(ms).min(retry_after::MAX));
        Self { retry, after, status: Some(error.status), error: Some(Box::new(error)), ..Self::new(kind) }
    }

    /// What an error of a socket means once the connection stands.
    pub(crate) fn from_io(error: io::Error) -> Self {
        Self::new(io_kind(&error).unwrap_or(Kind::Reset)).caused_by(error)
    }

    /// What an error of the HTTP/2 library means; `head` says whether the response head was read.
    pub(crate) fn from_hyper(error: hyper::Error, head: bool) -> Self {
        Self::new(hyper_kind(&error, head)).caused_by(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.sentence())?;
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

fn hyper_kind(error: &hyper::Error, head: bool) -> Kind {
    if error.is_parse() || error.is_parse_too_large() {
        return Kind::Protocol;
    }
    if error.is_incomplete_message() {
        return if head { Kind::Cut } else { Kind::Reset };
    }
    let kind = causes(error).find_map(|cause| match cause.downcast_ref::<io::Error>() {
        Some(error) => io_kind(error),
        None => cause.downcast_ref::<h2::Error>().map(h2_kind),
    });
    match kind {
        // An end of file before the head is a connection that broke.
        Some(Kind::Cut) if !head => Kind::Reset,
        Some(kind) => kind,
        None => Kind::Reset,
    }
}

fn io_kind(error: &io::Error) -> Option<Kind> {
    let inner = error.get_ref();
    if inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
        return Some(Kind::Tls);
    }
    // HTTP/2 errors come wrapped as well.
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<h2::Error>()) {
        return Some(h2_kind(error));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Some(Kind::Cut),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(Kind::Protocol),
        io::ErrorKind::Other => None,
        _ => Some(Kind::Reset),
    }
}

fn h2_kind(error: &h2::Error) -> Kind {
    match error.get_io().and_then(io_kind) {
        Some(kind) => kind,
        // We found fault with the peer's frames.
        None if error.is_library() => Kind::Protocol,
        None => Kind::Reset,
    }
}

/// The error and all that it was caused by.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests;
