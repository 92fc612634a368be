//! Stage 1: who asks.

use std::sync::Arc;

use http::HeaderMap;
use nova_ledger::{Key, KeyError};

use crate::error::{Code, GatewayError};
use crate::state::Shared;

/// The headers in which clients of any dialect send their key, besides `authorization: Bearer`.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// The key that the headers carry, or else the query (`?key=`, as Google's clients may send it).
///
/// # Errors
/// 401 where it is missing, malformed, unknown, revoked or expired. While the store of keys cannot be
/// reached, a key that this process has not seen gives 503: it may well be good.
pub fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Arc<Key>, GatewayError> {
    let presented = presented(headers, query)?;
    shared.ledger.authenticate(presented, shared.now_ms()).map_err(|error| {
        let code = if error == KeyError::StoreAway { Code::StoreUnavailable } else { Code::InvalidKey };
        GatewayError::new(code, refusal(error))
    })
}

/// The key as the client sent it.
fn presented<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<&'a str, GatewayError> {
    let bearer = headers.get(http::header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let key = match bearer {
        Some(value) => match value.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
            _ => "",
        },
        None => KEY_HEADERS
            .iter()
            .find_map(|name| headers.get(*name))
            .map(|value| value.to_str().unwrap_or_default().trim())
            .or(query)
            .unwrap_or_default(),
    };
    if !key.is_empty() {
        return Ok(key);
    }
    let message = if bearer.is_some() {
        "the `authorization` header is not of the form `Bearer nsk_…`"
    } else {
        "no key was sent\nhint: send `authorization: Bearer nsk_…` or `x-api-key: nsk_…`"
    };
    Err(GatewayError::new(Code::InvalidKey, message))
}

const fn refusal(error: KeyError) -> &'static str {
    match error {
        KeyError::StoreAway => {
            "the store of keys cannot be reached, and this key is not known here; try again shortly"
        }
        KeyError::Malformed => {
            "this is no key of this gateway\nhint: keys begin with `nsk_`; `novastack keys create` makes one"
        }
        KeyError::Revoked => "this key was revoked",
        KeyError::Expired => "this key has expired",
        KeyError::Unknown => {
            "this key is not known here\nhint: `novastack keys list` shows the keys that are"
        }
    }
}
