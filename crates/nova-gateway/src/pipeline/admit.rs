//! Stage 2: whether this key may ask now.

use std::sync::Arc;
use std::time::Duration;

use nova_ledger::Key;
use nova_limit::Permit;

use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;
use crate::state::Shared;

/// A permit to be in flight, given back when the call ends; `None` where the key has no such bound.
///
/// # Errors
/// 429 with the time after which the next request fits; 503 once the gateway is shutting down.
pub fn admit(shared: &Shared, snapshot: &Snapshot, key: &Arc<Key>) -> Result<Option<Permit>, GatewayError> {
    if shared.is_stopping() {
        return Err(GatewayError::new(
            Code::ShuttingDown,
            "the gateway is shutting down; try again elsewhere",
        ));
    }
    let Some(limits) = shared.key_limits.of(key, &snapshot.limits) else { return Ok(None) };
    let permit = match &limits.in_flight {
        None => None,
        Some(gate) => Some(gate.enter().ok_or_else(|| {
            let message = format!("key `{}` already has {} requests in flight", key.name, gate.bound());
            GatewayError::new(Code::KeyTooManyInFlight, message)
        })?),
    };
    if let Some(rate) = &limits.rate {
        rate.take(1, shared.now_ns()).map_err(|wait_ns| {
            let message = format!("key `{}` has used its requests of this minute", key.name);
            GatewayError::new(Code::KeyRateLimited, message).after(Duration::from_nanos(wait_ns))
        })?;
    }
    Ok(permit)
}
