//! A destination, parsed and checked once when the configuration is loaded.
//!
//! Everything that a request needs of it is kept in the form in which it is sent, so that the cost
//! per request is a few reference counts.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::uri::{PathAndQuery, Uri};
use rustls::pki_types::ServerName;

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plaintext, always HTTP/1.1.
    Http,
    /// TLS, HTTP/2 where the provider offers it and HTTP/1.1 otherwise.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// One URL of a provider.
#[derive(Clone)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host,
    port: u16,
    origin: Arc<str>,
    host_header: HeaderValue,
    target: PathAndQuery,
    absolute: Uri,
}

/// Where to connect.
#[derive(Clone, Debug)]
pub(crate) enum Host {
    /// An address, no lookup needed.
    Address(IpAddr),
    /// A name for the resolver.
    Name(Arc<str>),
}

/// Why a base URL or a path cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No URL at all.
    #[error("`{url}` is not a URL\nhint: write it as `https://api.example.com/v1`")]
    Invalid {
        /// What was given.
        url: String,
    },
    /// Another scheme than ours, or none.
    #[error("`{url}` does not begin with `http://` or `https://`")]
    Scheme {
        /// What was given.
        url: String,
    },
    /// A user or password inside the URL. The URL is not repeated, it may hold a secret.
    #[error("the URL holds a user name or password\nhint: configure it as a credential")]
    UserInfo,
    /// A part of the URL that has no meaning here.
    #[error("`{url}` holds a {what}\nhint: leave it out")]
    Part {
        /// What was given.
        url: String,
        /// `fragment`, or `query` in a base URL (the path may have one).
        what: &'static str,
    },
    /// A path that cannot be appended.
    #[error("`{path}` is not a path\nhint: it begins with `/` and has neither spaces nor `#`")]
    Path {
        /// What was given.
        path: String,
    },
}

impl Endpoint {
    /// The URL `base_url` followed by `path`, which begins with `/` (and may have a query) or is empty.
    ///
    /// A slash at the end of `base_url` is ignored.
    pub fn parse(base_url: &str, path: &str) -> Result<Self, EndpointError> {
        let (scheme, authority, base_path) = split(base_url)?;
        let invalid = || EndpointError::Invalid { url: base_url.to_owned() };
        let target = target(base_path, path)?;
        let authority: http::uri::Authority = authority.parse().map_err(|_| invalid())?;
        // `http` takes a port that it cannot read for none.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => scheme.default_port(),
            Some(rest) => port(rest).ok_or_else(invalid)?,
            None => return Err(invalid()),
        };
        let host = host(authority.host()).ok_or_else(invalid)?;
        let named = if port == scheme.default_port() { host.to_string() } else { format!("{host}:{port}") };
        let absolute = Uri::builder()
            .scheme(scheme.as_str())
            .authority(named.as_str())
            .path_and_query(target.clone())
            .build()
            .map_err(|_| invalid())?;
        Ok(Self {
            scheme,
            port,
            origin: Arc::from(format!("{}://{host}:{port}", scheme.as_str())),
            host,
            host_header: HeaderValue::try_from(named).map_err(|_| invalid())?,
            target,
            absolute,
        })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as in the URL: a name in lower case or an address, IPv6 in brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The port, written or implied.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, beginning with `/`.
    pub fn path(&self) -> &str {
        self.target.as_str()
    }

    /// `https://api.example.com:443`: scheme, host and port, what connections are pooled by.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn shared_origin(&self) -> Arc<str> {
        Arc::clone(&self.origin)
    }

    pub(crate) fn address(&self) -> &Host {
        &self.host
    }

    pub(crate) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// The target with scheme and authority, from which HTTP/2 makes its pseudo-headers.
    pub(crate) fn absolute(&self) -> Uri {
        self.absolute.clone()
    }

    /// The name that the certificate must carry.
    pub(crate) fn server_name(&self) -> Option<ServerName<'static>> {
        match &self.host {
            Host::Address(address) => Some(ServerName::from(*address)),
            Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.absolute, f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Scheme, authority and path of a base URL; its path has no slash at its end.
fn split(url: &str) -> Result<(Scheme, &str, &str), EndpointError> {
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| EndpointError::Scheme { url: url.to_owned() })?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        _ => return Err(EndpointError::Scheme { url: url.to_owned() }),
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    if path.contains('#') {
        return Err(EndpointError::Part { url: url.to_owned(), what: "fragment" });
    }
    if path.contains('?') {
        return Err(EndpointError::Part { url: url.to_owned(), what: "query" });
    }
    Ok((scheme, authority, path.trim_end_matches('/')))
}

/// The base URL's path and the endpoint's, as one request target.
fn target(base: &str, path: &str) -> Result<PathAndQuery, EndpointError> {
    let whole = format!("{base}{path}");
    let wrong = || EndpointError::Path { path: whole.clone() };
    if !(path.is_empty() || path.starts_with('/')) || !(base.is_empty() || base.starts_with('/')) {
        return Err(wrong());
    }
    // Only what a request line can carry. `http` would cut a fragment off and accept more.
    if whole.bytes().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'#' | b'\\')) {
        return Err(wrong());
    }
    let whole = if whole.is_empty() { "/" } else { whole.as_str() };
    PathAndQuery::try_from(whole).map_err(|_| wrong())
}

/// The number in `:443`.
fn port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|port| *port != 0)
}

/// A host that can be connected to: an address, or a name of letters, digits, `-`, `.` and `_`.
///
/// A name of digits and dots that is no address (`127.1`, `0x7f.1`) would be read as one by some
/// resolvers, so its last label must hold something else.
fn host(text: &str) -> Option<Host> {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']')?.parse().ok().map(IpAddr::V6).map(Host::Address);
    }
    if let Ok(address) = text.parse() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let labels = name.split('.').all(|label| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(known) && !label.starts_with('-')
    });
    let last = name.rsplit('.').next()?;
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (labels && !numeric && name.len() <= 253).then(|| Host::Name(Arc::from(name.to_ascii_lowercase())))
}

#[cfg(test)]
mod tests;
