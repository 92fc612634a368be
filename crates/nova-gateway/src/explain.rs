//! Where a request would go, in which order, and why: for `/v1/route/explain`, the admin API and the command line.
//!
//! A request for several models (`compare:a+b`) is explained model by model, as each of them would be asked.

use bytes::Bytes;
use http::HeaderMap;
use nova_ledger::Key;
use nova_wire::{Dialect, Peek};
use serde_json::{Value, json};

use crate::budgets::Budgets;
use crate::compare;
use crate::error::{Code, GatewayError};
use crate::pipeline::controls::{self, Controlled};
use crate::pipeline::facts::Asking;
use crate::pipeline::route;
use crate::snapshot::Snapshot;

/// Under what a request is explained.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The configuration.
    pub snapshot: &'a Snapshot,
    /// What keys have spent.
    pub budgets: &'a Budgets,
    /// The monotonic clock in nanoseconds, and Unix time in milliseconds.
    pub at: (u64, i64),
}

/// The whole decision about a request; of several models a list of decisions, `plans`.
///
/// # Errors
/// What the request itself would be told. Of several models only a name that is unknown speaks against all; whatever else
/// speaks against one stands in its place of the list.
pub fn explain(
    now: Now<'_>,
    (dialect, headers): (Dialect, &HeaderMap),
    key: Option<&Key>,
    (body, peek): (Bytes, Peek),
) -> Result<Value, GatewayError> {
    if !compare::is_asked(now.snapshot, &peek.model) {
        return one(now, (dialect, headers), key, (body, peek, false));
    }
    let asked = peek.model.clone();
    let mut plans = Vec::new();
    for name in compare::models_of(&asked)? {
        let peek = Peek { model: name.clone(), ..peek.clone() };
        plans.push(match one(now, (dialect, headers), key, (body.clone(), peek, true)) {
            Ok(plan) => plan,
            Err(error) if error.code == Code::UnknownModel => return Err(error),
            Err(error) => {
                let code = error.code.row().word;
                json!({ "asked": name, "error": { "code": code, "message": error.message } })
            }
        });
    }
    Ok(json!({ "asked": asked, "plans": plans }))
}

fn one(
    now: Now<'_>,
    (dialect, headers): (Dialect, &HeaderMap),
    key: Option<&Key>,
    (body, peek, alone): (Bytes, Peek, bool),
) -> Result<Value, GatewayError> {
    let Controlled { body, peek, mut controls, .. } =
        controls::take((now.snapshot, key), dialect, (body, peek))?;
    if alone {
        controls.get_or_insert_default().fallbacks = Some(Vec::new());
    }
    let controls = controls.as_deref();
    let asking = Asking { dialect, headers, body: &body, peek: &peek, key, controls };
    route::explain(now.snapshot, &asking, now.at, now.budgets)
}
