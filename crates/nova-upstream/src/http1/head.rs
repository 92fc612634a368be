//! Writes the head of a request, reads the head of a response. No IO.

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use super::framing::{Framing, Malformed};
use crate::request::{Head, Request, is_ours};

/// The longest response head: twice what any server sends by default.
pub(crate) const MAX_HEAD: usize = 64 << 10;

/// The most header lines; no provider sends half as many.
const MAX_HEADERS: usize = 100;

/// Writes the request up to its body.
///
/// The parts cannot hold a line break: they are of types, and an [`Endpoint`](crate::Endpoint), that
/// refuse one.
pub(crate) fn write(out: &mut Vec<u8>, request: &Request<'_>) {
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    let endpoint = request.endpoint;
    put(&[request.method.as_str().as_bytes(), b" ", endpoint.path().as_bytes(), b" HTTP/1.1\r\nhost: "]);
    put(&[endpoint.host_header().as_bytes(), b"\r\naccept-encoding: identity\r\n"]);
    let ours = request.credential.and_then(crate::Credential::as_header);
    let theirs = request.headers.iter().map(|(name, value)| (name, value)).filter(|(name, _)| {
        // The credential replaces a header of the same name.
        !is_ours(name) && ours.is_none_or(|(our, _)| our != *name)
    });
    for (name, value) in ours.into_iter().chain(theirs) {
        put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    // A request of a kind that has a body says how long it is, even when it is empty (RFC 9110 §8.6).
    if !request.body.is_empty() || request.method == Method::POST {
        let mut digits = [0; 20];
        put(&[b"content-length: ", decimal(request.body.len(), &mut digits), b"\r\n"]);
    }
    put(&[b"\r\n"]);
}

/// The number in decimal, without the formatter's detour.
fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

/// A response head and what it says about the rest.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) head: Head,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
}

impl Parsed {
    /// `None` for an interim response, after which another one comes (RFC 9110 §15.2).
    ///
    /// The exception is 101: we never ask for another protocol.
    pub(crate) fn unless_interim(self) -> Result<Option<Self>, Malformed> {
        match self.head.status {
            StatusCode::SWITCHING_PROTOCOLS => Err(Malformed("a switch of protocols that was not asked for")),
            status if status.is_informational() => Ok(None),
            _ => Ok(Some(self)),
        }
    }
}

/// Takes the response head off `unread`; `None` when it is not complete.
pub(crate) fn parse(unread: &mut BytesMut) -> Result<Option<Parsed>, Malformed> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        unread,
        &mut lines,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if unread.len() <= MAX_HEAD => return Ok(None),
        Ok(_) => return Err(Malformed("a head that is too long")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("a head of too many lines")),
        Err(_) => return Err(Malformed("a head that is no HTTP")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("a status that is none"))?;
    let is_http11 = response.version == Some(1);

    // Values are slices of what was read, not copies. Their places are noted first, because the parser
    // borrows the buffer that they are to be cut from.
    let start = unread.as_ptr() as usize;
    let place = |part: &[u8]| {
        let from = part.as_ptr() as usize - start;
        from..from + part.len()
    };
    let lines = response.headers.iter();
    let places: Vec<_> = lines.map(|line| (place(line.name.as_bytes()), place(line.value))).collect();
    let bytes = unread.split_to(length).freeze();
    let mut headers = HeaderMap::with_capacity(places.len());
    for (name, value) in places {
        let name = HeaderName::from_bytes(&bytes[name])
            .map_err(|_| Malformed("a header with an impossible name"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(value));
        headers.append(name, value.map_err(|_| Malformed("a header with an impossible value"))?);
    }
    let framing = Framing::of(status, &headers)?;
    let keep_alive = is_http11 && framing.is_unambiguous(&headers) && !says_close(&headers);
    Ok(Some(Parsed { head: Head { status, headers }, framing, keep_alive }))
}

/// Whether the peer closes after this response (RFC 9112 §9.6).
fn says_close(headers: &HeaderMap) -> bool {
    let mut options =
        headers.get_all(header::CONNECTION).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests;
