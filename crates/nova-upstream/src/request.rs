//! What goes out, by when, and the head of what comes back.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use http_body_util::Full;

use crate::body::Body;
use crate::credential::Credential;
use crate::endpoint::Endpoint;

/// One request to a provider.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// `POST`, or `GET` for a list of models; no other is supported.
    pub method: Method,
    /// Where it goes.
    pub endpoint: &'a Endpoint,
    /// What it is authenticated with.
    pub credential: Option<&'a Credential>,
    /// Further headers. Those that belong to the connection (`host`, `content-length`,
    /// `transfer-encoding`, `connection`, …) and `accept-encoding` are ours; given here they are
    /// left out.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// The whole body.
    pub body: Bytes,
    /// By when.
    pub deadlines: Deadlines,
}

impl<'a> Request<'a> {
    /// A `POST` with the default deadlines, without a credential and further headers.
    pub fn post(endpoint: &'a Endpoint, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            endpoint,
            credential: None,
            headers: &[],
            body,
            deadlines: Deadlines::default(),
        }
    }

    /// A `GET` with the default deadlines, without a credential and further headers.
    pub fn get(endpoint: &'a Endpoint) -> Self {
        Self { method: Method::GET, ..Self::post(endpoint, Bytes::new()) }
    }

    /// The request as HTTP/2 sends it: the target names the authority, there is no `host`.
    pub(crate) fn http2(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.endpoint.absolute();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.header_map();
        request
    }

    fn header_map(&self) -> HeaderMap {
        // Room for `accept-encoding`, the credential and the library's `content-length`.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 3);
        for (name, value) in self.headers {
            if !is_ours(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        // A compressed stream would have to be inflated to be metered, for nothing: it is small.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((name, value)) = self.credential.and_then(Credential::as_header) {
            headers.insert(name.clone(), value.clone());
        }
        headers
    }
}

/// Whether a header describes the connection or the framing, which no configuration may contradict.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::CONNECTION
            | header::UPGRADE
            | header::TE
            | header::TRAILER
            | header::EXPECT
            | header::ACCEPT_ENCODING
    ) || name.as_str() == "keep-alive"
        || name.as_str() == "proxy-connection"
}

/// How long each part of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To resolve the name, to connect and to agree on TLS. A pooled connection needs none of it.
    pub connect: Duration,
    /// From then until the response head is there. A model that thinks before it answers a request
    /// that is not streamed does so before its head.
    pub first_byte: Duration,
    /// Between two frames of the body.
    pub idle: Duration,
    /// From the call of `send` to the end of the body.
    pub total: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(30 * 60),
        }
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// The head of an answer, whatever its status, and the body to read.
#[derive(Debug)]
pub struct Response {
    /// The status. A redirect is an answer like any other, it is not followed.
    pub status: StatusCode,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The rest, as it arrives.
    pub body: Body,
    /// How long it took to open a connection; `None` when one was open.
    pub connected_in: Option<Duration>,
}
