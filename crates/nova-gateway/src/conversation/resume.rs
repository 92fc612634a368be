//! A request that goes on with an earlier answer, put together again.

use std::collections::HashMap;

use bytes::Bytes;
use memchr::memmem;
use nova_ledger::{Key, StoredResponse};
use nova_wire::splice::{self, Edit, Field};
use nova_wire::{Dialect, Peek};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Keep, LARGEST, items, not_found};
use crate::error::{Code, GatewayError};
use crate::snapshot::Snapshot;
use crate::state::Shared;

/// The most answers that one request's references may name.
const MOST_ANSWERS: usize = 256;

/// A request with its whole conversation.
#[derive(Debug)]
pub(crate) struct Resumed {
    /// The body.
    pub(crate) body: Bytes,
    /// What the gateway reads of it.
    pub(crate) peek: Peek,
    /// What keeping the answer takes; `None` where it is not kept.
    pub(crate) keep: Option<Box<Keep>>,
}

/// A request as it is to be planned: in the Responses dialect with the items of earlier turns in front of its own, in
/// any other as it came.
///
/// # Errors
/// 400 where the earlier answer is not there, or nothing is kept here; 413 where the conversation is larger
/// than a body may be; 503 while the store is away.
pub(crate) async fn resume(
    shared: &Shared,
    snapshot: &Snapshot,
    key: &Key,
    (dialect, body, peek): (Dialect, Bytes, Peek),
) -> Result<Resumed, GatewayError> {
    if dialect != Dialect::Responses {
        return Ok(Resumed { body, peek, keep: None });
    }
    // Boxed: it is large, for one dialect, and would be a part of every request's future.
    Box::pin(continued(shared, snapshot, key, (body, peek))).await
}

/// The same, of a request in the Responses dialect.
async fn continued(
    shared: &Shared,
    snapshot: &Snapshot,
    key: &Key,
    (body, peek): (Bytes, Peek),
) -> Result<Resumed, GatewayError> {
    let fields = splice::fields(&body)?;
    let raw = |name: &str| text_of(&body, &fields, name);
    let previous = previous(raw("previous_response_id"))?;
    let store = raw("store").is_none_or(|value| value != "false");
    let kept = store && stores(snapshot, key);
    if previous.is_none() && !kept && memmem::find(&body, b"item_reference").is_none() {
        return Ok(Resumed { body, peek, keep: None });
    }
    let input = items::own(raw("input"))?;
    let resolved = resolve(shared, snapshot, key, &input).await?;
    let is_resolved = resolved.is_some();
    let input = resolved.unwrap_or(input);
    let own = (kept && input.get().len() <= LARGEST).then(|| Keep {
        key: key.id,
        previous: None,
        input: input.clone(),
    });
    if previous.is_none() && is_resolved {
        let edit = Edit::Set("input", input.get().as_bytes().to_vec());
        let body = Bytes::from(splice::apply(&body, &fields, &[edit]));
        let peek = Peek::read(Dialect::Responses, &body)?;
        return Ok(Resumed { body, peek, keep: own.map(Box::new) });
    }
    let Some(previous) = previous else {
        // It goes out as it came: clients that send their history themselves may count on the provider to
        // know its own items again.
        return Ok(Resumed { body, peek, keep: own.map(Box::new) });
    };
    let history = history(shared, snapshot, key, &previous).await?;
    let lists = history.iter().map(String::as_str).chain([items::inside(input.get())]);
    let edits = [
        Edit::Remove("previous_response_id"),
        Edit::Set("input", items::joined(lists).into_bytes()),
        // It is kept here: the next turn may go to another provider.
        Edit::Set("store", b"false".to_vec()),
    ];
    let resumed = Bytes::from(splice::apply(&body, &fields, &edits));
    let limit = snapshot.limits.body_bytes;
    if resumed.len() > limit {
        let message = format!("the conversation is larger than {limit} bytes\nhint: begin a new one");
        return Err(GatewayError::new(Code::BodyTooLarge, message));
    }
    let keep = own.map(|own| Box::new(Keep { previous: Some(previous), ..own }));
    let peek = Peek::read(Dialect::Responses, &resumed)?;
    Ok(Resumed { body: resumed, peek, keep })
}

fn text_of<'b>(body: &'b Bytes, fields: &[Field], name: &str) -> Option<&'b str> {
    let field = fields.iter().find(|field| field.name == name)?;
    std::str::from_utf8(&body[field.value.clone()]).ok().filter(|text| *text != "null")
}

/// The id in `previous_response_id`.
fn previous(raw: Option<&str>) -> Result<Option<String>, GatewayError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw).map(Some).map_err(|_| {
        let error = GatewayError::new(Code::BadRequest, "`previous_response_id` must be a string");
        GatewayError {
            param: Some("previous_response_id".to_owned()),
            detail: Some("invalid_type".into()),
            ..error
        }
    })
}

/// The input with what it only refers to (`item_reference`) put in its place, where this gateway wrote and kept
/// it; `None` where there is nothing of that. What it did not write, a provider may know.
async fn resolve(
    shared: &Shared,
    snapshot: &Snapshot,
    key: &Key,
    input: &RawValue,
) -> Result<Option<Box<RawValue>>, GatewayError> {
    if !stores(snapshot, key) || memmem::find(input.get().as_bytes(), b"item_reference").is_none() {
        return Ok(None);
    }
    let Ok(items) = serde_json::from_str::<Vec<Value>>(input.get()) else { return Ok(None) };
    let mut answers: HashMap<String, Option<StoredResponse>> = HashMap::new();
    let mut resolved = Vec::with_capacity(items.len());
    for item in items {
        let id = item["id"].as_str().filter(|_| item["type"] == "item_reference").unwrap_or_default();
        let Some(answer) = items::answer_of(id) else {
            resolved.push(item);
            continue;
        };
        if !answers.contains_key(&answer) && answers.len() < MOST_ANSWERS {
            let (ledger, key, now) = (shared.ledger.clone(), key.id, shared.now_ms());
            let name = answer.clone();
            let found = shared.ask(async move { ledger.response(key, &name, now).await }).await?;
            answers.insert(answer.clone(), found);
        }
        match answers.get(&answer) {
            // A thought that nobody can read any more is left out.
            Some(Some(stored)) => resolved.extend(items::one(stored.response.get(), id)),
            _ => resolved.push(item),
        }
    }
    Ok(serde_json::value::to_raw_value(&resolved).ok())
}

/// Whether conversations of this key are kept.
fn stores(snapshot: &Snapshot, key: &Key) -> bool {
    snapshot.store_responses && key.limits.store_prompts != Some(false)
}

/// The items of all earlier turns, as lists without brackets.
async fn history(
    shared: &Shared,
    snapshot: &Snapshot,
    key: &Key,
    previous: &str,
) -> Result<Vec<String>, GatewayError> {
    if !stores(snapshot, key) {
        let message = "`previous_response_id` cannot be used: no conversations of this key are kept\n\
                       hint: send all items in `input`; `responses.store: true` in the configuration keeps them";
        let error = GatewayError::new(Code::BadRequest, message);
        return Err(GatewayError {
            param: Some("previous_response_id".to_owned()),
            detail: Some("store_disabled".into()),
            ..error
        });
    }
    let (ledger, id, key) = (shared.ledger.clone(), previous.to_owned(), key.id);
    // Sealed and in base64 it takes a third more.
    let bounds = (shared.now_ms(), snapshot.limits.body_bytes as u64 * 3);
    let chain = shared.ask(async move { ledger.response_chain(key, &id, bounds).await }).await?;
    let chain = chain.ok_or_else(|| not_found(previous))?;
    let mut lists = Vec::with_capacity(chain.len() * 2);
    for turn in &chain {
        lists.push(items::inside(turn.input.get()).to_owned());
        let said = Value::from(items::said(turn.response.get())).to_string();
        lists.push(items::inside(&said).to_owned());
    }
    Ok(lists)
}
