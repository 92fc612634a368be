//! What load balancers and supervisors ask.
//!
//! `/livez`: the process answers. `/readyz`: it can answer requests (its store is there, it is not
//! stopping). `/health` and `/healthz` are other names for the latter.

use http::{Response, StatusCode};

use crate::pipeline::relay::Outgoing;
use crate::state::Worker;

/// The answer, where the path asks for one.
pub(super) fn answer(worker: &Worker, path: &str) -> Option<Response<Outgoing>> {
    let ready = match path {
        "/livez" => Ok(()),
        "/readyz" | "/health" | "/healthz" => readiness(worker),
        _ => return None,
    };
    let (status, body) = match ready {
        Ok(()) => (StatusCode::OK, r#"{"status":"ok"}"#.to_owned()),
        Err(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!(r#"{{"status":"unavailable","reason":"{why}"}}"#))
        }
    };
    let mut response = super::json(body);
    *response.status_mut() = status;
    Some(response)
}

fn readiness(worker: &Worker) -> Result<(), &'static str> {
    if worker.shared.is_stopping() {
        return Err("shutting down");
    }
    // Known keys go on working without the store; an instance that can answer them is ready.
    if worker.shared.ledger.is_stale() && worker.shared.ledger.key_table().is_empty() {
        return Err("the store cannot be reached and no key is known");
    }
    Ok(())
}
