//! Conversations in OpenAI's Responses dialect that go on by `previous_response_id`.
//!
//! The gateway keeps them itself, so that any upstream can continue any conversation: the items of earlier
//! turns are put in front of a request's own (`resume`), and the answer is kept before its last byte goes
//! out (`keep`), so that the client's next request finds it. A request without history goes out as it came.
//! `rename` sees to it that no two answers have one id.
//! `stored` answers `GET`, `DELETE` and the rest of `/v1/responses/{id}`.
//!
//! Invariants: an answer is found by the key that it was given to; where nothing is kept, a request that
//! refers to it is refused, and never answered without its history.

mod items;
mod keep;
mod rename;
mod resume;
mod stored;

use std::time::Duration;

use nova_ledger::KeyId;
use serde_json::value::RawValue;

pub(crate) use self::keep::keep;
pub(crate) use self::resume::{Resumed, resume};
pub(crate) use self::stored::{Stored, answer};
use crate::error::{Code, GatewayError};

/// How long an answer is kept: as long as OpenAI does.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What all kept answers may take in the database; beyond it the oldest go.
const MOST_BYTES: u64 = 1 << 30;
/// A larger request or answer is not kept.
const LARGEST: usize = 16 << 20;

/// What is needed to keep an answer that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    key: KeyId,
    previous: Option<String>,
    /// The request's own input: a JSON array of items.
    input: Box<RawValue>,
}

/// What a request is told that refers to an answer which this key does not have.
fn not_found(id: &str) -> GatewayError {
    let message = format!("Previous response with id '{id}' not found.");
    let error = GatewayError::new(Code::BadRequest, message);
    GatewayError {
        param: Some("previous_response_id".to_owned()),
        detail: Some("previous_response_not_found".into()),
        ..error
    }
}
