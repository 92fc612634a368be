//! A body that goes to an upstream of its own dialect, without what other providers signed.
//!
//! Codex can change the model in the middle of a conversation, and a router does so on its own. What one
//! provider encrypted is a 400 for the next, so it is taken out; every other item stays as it is.

use serde_json::Value;

use crate::error::BadRequest;
use crate::hub::past;
use crate::responses::{CALL_SIGNATURE, text};
use crate::splice::{self, Edit};

/// The body as `provider` can read it. `replays` tells whether it takes thoughts that nobody signed.
pub(crate) fn own(body: &[u8], provider: &str, replays: bool) -> Result<Vec<u8>, BadRequest> {
    let fields = splice::fields(body)?;
    let Some(input) = fields.iter().find(|field| field.name == "input") else { return Ok(body.to_vec()) };
    let Ok(Value::Array(mut items)) = serde_json::from_slice(&body[input.value.clone()]) else {
        return Ok(body.to_vec());
    };
    items.retain_mut(|item| stays(item, provider, replays));
    let items = Value::Array(items).to_string().into_bytes();
    Ok(splice::apply(body, &fields, &[Edit::Set("input", items)]))
}

/// Whether an item can be sent, after its signature was looked at.
fn stays(item: &mut Value, provider: &str, replays: bool) -> bool {
    if text(item, "type") != "reasoning" {
        return true;
    }
    let encrypted = text(item, "encrypted_content");
    if encrypted.starts_with(CALL_SIGNATURE) {
        return false;
    }
    if !encrypted.starts_with(past::MARK) {
        return true;
    }
    let own = past::untag(encrypted, provider, true);
    let Value::Object(fields) = item else { return true };
    // The id is one that this gateway made.
    fields.remove("id");
    match own {
        Some(own) => {
            fields.insert("encrypted_content".to_owned(), own.into());
            true
        }
        None => {
            fields.remove("encrypted_content");
            replays
        }
    }
}
