//! An answer is kept before its last byte goes out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use memchr::memmem;
use nova_ledger::StoredResponse;
use nova_wire::splice::{self, Edit};
use nova_wire::sse::Decoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::task::JoinHandle;

use super::rename::Rename;
use super::{KEPT, Keep, LARGEST, MOST_BYTES};
use crate::pipeline::relay::Outgoing;
use crate::state::{Shared, Worker};

/// Keeps the answer in this response: a whole one now, a streamed one when its last event comes.
pub(crate) async fn keep(
    worker: &Worker,
    keep: Box<Keep>,
    response: Response<Outgoing>,
) -> Response<Outgoing> {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (head, body) = response.into_parts();
    let mut rename = Rename::new(format!("resp_{}", worker.next_id().as_str()));
    let body = match body {
        Outgoing::Whole(Some(body)) => {
            if let Ok(Named { id }) = serde_json::from_slice(&body) {
                rename.learn(&id);
            }
            let body = stored_here(&body, &keep, &rename);
            if let Some(saving) = save(&worker.shared, &keep, &body) {
                // A failure was logged; the answer is good without it.
                let _ = saving.await;
            }
            Outgoing::whole(body)
        }
        other => Outgoing::Router(axum::body::Body::new(Keeping {
            inner: other,
            decoder: Some(Decoder::new()),
            saving: None,
            held: None,
            rename,
            ended: false,
            shared: Arc::clone(&worker.shared),
            keep,
        })),
    };
    Response::from_parts(head, body)
}

/// The answer, saying what its client asked for and not what the provider was told.
fn stored_here(body: &Bytes, keep: &Keep, rename: &Rename) -> Bytes {
    let Ok(fields) = splice::fields(body) else { return body.clone() };
    let mut edits = vec![Edit::Set("store", b"true".to_vec())];
    if let Some(previous) = &keep.previous {
        let previous = serde_json::Value::from(previous.as_str()).to_string();
        edits.push(Edit::Set("previous_response_id", previous.into_bytes()));
    }
    edits.extend(rename.json().map(|id| Edit::Set("id", id)));
    Bytes::from(splice::apply(body, &fields, &edits))
}

/// The same for the events of a stream that repeat the request. A text cannot hold these words as they stand
/// here: its own quotes are escaped. An event that is cut in two keeps what its provider said.
fn said_here(chunk: Bytes, keep: &Keep) -> Bytes {
    const PREVIOUS: &[u8] = b"\"previous_response_id\":";
    const STORE: &[u8] = b"\"store\":";
    let Some(previous) = &keep.previous else { return chunk };
    if memmem::find(&chunk, PREVIOUS).is_none() {
        return chunk;
    }
    let previous = serde_json::Value::from(previous.as_str()).to_string();
    let chunk = replaced(&chunk, (PREVIOUS, b"null"), previous.as_bytes());
    Bytes::from(replaced(&chunk, (STORE, b"false"), b"true"))
}

/// Every value of this field that is `old`, made `new`.
pub(super) fn replaced(bytes: &[u8], (field, old): (&[u8], &[u8]), new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for found in memmem::find_iter(bytes, field) {
        let mut start = found + field.len();
        start += usize::from(bytes.get(start) == Some(&b' '));
        if bytes[start..].starts_with(old) {
            out.extend_from_slice(&bytes[at..start]);
            out.extend_from_slice(new);
            at = start + old.len();
        }
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Begins to keep an answer; `None` where it has no id or is too large.
fn save(shared: &Arc<Shared>, keep: &Keep, response: &[u8]) -> Option<JoinHandle<()>> {
    let Named { id } = serde_json::from_slice(response).ok()?;
    if id.is_empty() || id.len() > 256 || response.len() > LARGEST {
        return None;
    }
    let response = RawValue::from_string(String::from_utf8(response.to_vec()).ok()?).ok()?;
    let created_ms = shared.now_ms();
    let kept_ms = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let stored = StoredResponse {
        id,
        previous: keep.previous.clone(),
        created_ms,
        expires_ms: created_ms.saturating_add(kept_ms),
        input: keep.input.clone(),
        response,
    };
    let (ledger, key) = (shared.ledger.clone(), keep.key);
    Some(shared.background.spawn(async move {
        if let Err(error) = ledger.save_response(key, &stored).await {
            tracing::warn!(%error, "an answer could not be kept");
        }
        // Every 64th millisecond, so about every 64th answer; nothing has to be counted for it.
        if created_ms % 64 == 0
            && let Err(error) = ledger.purge_responses(created_ms, MOST_BYTES).await
        {
            tracing::warn!(%error, "old answers could not be forgotten");
        }
    }))
}

/// A stream whose last event holds the whole answer.
struct Keeping {
    inner: Outgoing,
    /// Reads the events beside their passing on; `None` once the answer was seen, or cannot be.
    decoder: Option<Decoder>,
    saving: Option<JoinHandle<()>>,
    /// What goes out once the answer is kept.
    held: Option<Bytes>,
    rename: Rename,
    ended: bool,
    shared: Arc<Shared>,
    keep: Box<Keep>,
}

/// The event that ends an answer.
#[derive(Deserialize)]
struct Ending<'e> {
    #[serde(rename = "type")]
    kind: &'e str,
    #[serde(borrow)]
    response: &'e RawValue,
}

impl Keeping {
    /// Begins to keep the answer, where the chunk ends it.
    fn look(&mut self, chunk: &Bytes) -> Option<JoinHandle<()>> {
        let decoder = self.decoder.as_mut()?;
        if decoder.push(chunk).is_err() {
            self.decoder = None;
            return None;
        }
        let mut saving = None;
        while let Some(event) = decoder.next_event() {
            if !self.rename.is_known()
                && let Ok(Ending { response, .. }) = serde_json::from_slice(event.data)
                && let Ok(Named { id }) = serde_json::from_str(response.get())
            {
                self.rename.learn(&id);
            }
            let ends = match event.name {
                Some(name) => matches!(name, b"response.completed" | b"response.incomplete"),
                // Some providers leave the names out.
                None => memmem::find(event.data, b"\"response.").is_some(),
            };
            if !ends || saving.is_some() {
                continue;
            }
            if let Ok(Ending { kind: "response.completed" | "response.incomplete", response }) =
                serde_json::from_slice(event.data)
            {
                let response = Bytes::copy_from_slice(response.get().as_bytes());
                let response = stored_here(&response, &self.keep, &self.rename);
                saving = save(&self.shared, &self.keep, &response);
            }
        }
        if saving.is_some() {
            self.decoder = None;
        }
        saving
    }
}

impl Body for Keeping {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(saving) = &mut self.saving {
            // Its failure was logged, and the answer is good without it.
            let _ = ready!(Pin::new(saving).poll(context));
            self.saving = None;
        }
        if let Some(held) = self.held.take() {
            return Poll::Ready(Some(Ok(Frame::data(held))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => {
                self.ended = true;
                let rest = self.rename.end();
                return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
            }
        };
        let chunk = match frame.into_data() {
            Ok(chunk) => chunk,
            Err(frame) => return Poll::Ready(Some(Ok(frame))),
        };
        let saving = self.look(&chunk);
        let chunk = said_here(self.rename.events(chunk), &self.keep);
        match saving {
            // An event whose end has not come waits for it.
            None if chunk.is_empty() => self.poll_frame(context),
            None => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            Some(saving) => {
                self.saving = Some(saving);
                self.held = Some(chunk);
                self.poll_frame(context)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nova_ledger::KeyId;

    use super::*;

    #[test]
    fn events_that_repeat_the_request_say_what_the_client_asked_for() {
        let check = |previous: Option<&str>, chunk: &str, said: &str| {
            let id: KeyId = "01a1fee0-e377-703b-81df-4bc43a528964".parse().unwrap();
            let input = RawValue::from_string("[]".to_owned()).unwrap();
            let keep = Keep { key: id, previous: previous.map(str::to_owned), input };
            assert_eq!(said_here(Bytes::from(chunk.to_owned()), &keep), said);
        };
        let event = r#"data: {"response":{"previous_response_id":null,"store":false}}"#;
        let ours = r#"data: {"response":{"previous_response_id":"resp_1","store":true}}"#;
        check(Some("resp_1"), event, ours);
        check(Some("resp_1"), &[event, event].concat(), &[ours, ours].concat());
        check(Some("resp_1"), &event.replace(':', ": "), &ours.replace(':', ": "));
        check(None, event, event);
        check(Some("resp_1"), ours, ours);
        let text = r#"data: {"delta":"\"previous_response_id\":null,\"store\":false"}"#;
        check(Some("resp_1"), text, text);
        let end = r#"data: {"previous_response_id":"#;
        check(Some("resp_1"), end, end);
    }
}
