//! Conversations in OpenAI's Responses dialect that go on by `previous_response_id`.
//!
//! The gateway keeps them itself, so that any upstream can continue any conversation: the items of earlier
//! turns are put in front of a request's own (`resume`), and the answer is kept before its last byte goes
//! out (`keep`), so that the client's next request finds it. A request without history goes out as it came.
//! `stored` answers `GET`, `DELETE` and the rest of `/v1/responses/{id}`.
//!
//! Invariants: an answer is found by the key that it was given to; where nothing is kept, a request that
//! refers to it is refused, and never answered without its history.

mod items;
mod keep;
mod resume;
mod stored;

use std::time::Duration;

use nova_ledger::{KeyId, LedgerError};
use serde_json::value::RawValue;

pub(crate) use self::keep::keep;
pub(crate) use self::resume::{Resumed, resume};
pub(crate) use self::stored::{Stored, answer};
use crate::error::{Code, GatewayError};
use crate::state::Shared;

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

/// Waits for an answer of the store, whose connections live on the background runtime.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl Future<Output = Result<T, LedgerError>> + Send + 'static,
) -> Result<T, GatewayError> {
    match shared.background.spawn(question).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the store of conversations failed");
            let code = if error.is_unavailable() { Code::StoreUnavailable } else { Code::Internal };
            Err(GatewayError::new(code, "the store of conversations cannot be reached; try again shortly"))
        }
        Err(_) => Err(GatewayError::new(Code::Internal, "the store of conversations did not answer")),
    }
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
