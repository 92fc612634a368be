//! Stage 3: the body, and the few fields of it that the gateway acts on.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use nova_wire::Peek;

use crate::error::{Code, GatewayError};
use crate::pipeline::{Asked, Framing, decode};
use crate::snapshot::Snapshot;

/// Reads the whole body within the configured size and time, and peeks into it.
///
/// # Errors
/// 413 as soon as the size is known to be too large, 408 where it does not arrive in time, 400 where it
/// is not what the dialect asks for.
pub async fn read(
    asked: &mut Asked,
    headers: &HeaderMap,
    body: Incoming,
    snapshot: &Snapshot,
) -> Result<(Bytes, Peek), GatewayError> {
    let body = whole(headers, body, snapshot).await?;
    let body = if asked.framing == Some(Framing::Count) { counted(body)? } else { body };
    let versioned = headers.contains_key("anthropic-version");
    let (dialect, peek) = Peek::read_any(asked.dialect, versioned, &body);
    asked.dialect = dialect;
    let mut peek = peek?;
    if let Some(model) = &asked.model {
        peek.model.clone_from(model);
        // Google's paths say whether the answer is streamed; an array is answered whole.
        peek.stream = asked.framing == Some(Framing::Events);
    }
    // A field for the router may name it instead.
    if peek.model.is_empty() && !peek.has_controls {
        let error = GatewayError::new(Code::BadRequest, "`model` is missing");
        return Err(GatewayError {
            param: Some("model".into()),
            detail: Some("missing_field".into()),
            ..error
        });
    }
    Ok((body, peek))
}

/// What Gemini's counter is asked about, which may stand in a request of its own.
fn counted(body: Bytes) -> Result<Bytes, GatewayError> {
    let fields = nova_wire::splice::fields(&body)?;
    let inner = fields
        .iter()
        .find(|field| matches!(field.name.as_str(), "generateContentRequest" | "generate_content_request"));
    Ok(inner.map_or_else(|| body.clone(), |field| body.slice(field.value.clone())))
}

/// The whole body, decoded, within the configured size and time.
///
/// # Errors
/// 413 as soon as the size is known to be too large, 408 where it does not arrive in time, 400 where its
/// encoding is unknown or broken.
pub async fn whole(headers: &HeaderMap, body: Incoming, snapshot: &Snapshot) -> Result<Bytes, GatewayError> {
    let limit = snapshot.limits.body_bytes;
    let encoding = decode::encoding(headers)?;
    let collected = tokio::time::timeout(snapshot.timeouts.body, collect(body, limit));
    let bytes = collected
        .await
        .map_err(|_| GatewayError::new(Code::BodyTimeout, "the request's body did not arrive in time"))??;
    match encoding {
        None => Ok(bytes),
        Some(encoding) => decode::decode(encoding, bytes, limit).await,
    }
}

/// The body in one piece: without a copy where it arrives in one frame, as small ones do.
async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, GatewayError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| GatewayError::new(Code::BadRequest, "the request's body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let held = first.as_ref().map_or(rest.len(), Bytes::len);
        if held + data.len() > limit {
            return Err(too_large(limit));
        }
        match first.take() {
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(one) => {
                rest.reserve(announced.max(one.len() + data.len()));
                rest.extend_from_slice(&one);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

pub(super) fn too_large(limit: usize) -> GatewayError {
    let message =
        format!("the body is larger than {limit} bytes\nhint: `limits.body_bytes` raises the limit");
    GatewayError::new(Code::BodyTooLarge, message)
}
