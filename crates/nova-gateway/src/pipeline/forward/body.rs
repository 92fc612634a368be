//! The one field of a body that is ours: the model's name, in JSON or in a form (RFC 7578).

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use http::HeaderValue;
use memchr::memmem;
use nova_catalog::Service;
use nova_wire::splice;

use crate::error::{Code, GatewayError};

/// A form has a handful of parts; somebody who sends more wants to keep us busy.
const MAX_PARTS: usize = 256;

/// What was found in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The model that the client asks for.
    pub(super) model: String,
    /// Whether it wants to see the answer grow.
    pub(super) stream: bool,
    place: Place,
}

/// Where the model's name stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A JSON string, quotes included.
    Json(Range<usize>),
    /// The content of a part.
    Part(Range<usize>),
    /// Nowhere: the body is JSON, the model the service's default.
    Front,
}

impl Form {
    pub(super) fn read(service: Service, kind: &HeaderValue, body: &[u8]) -> Result<Self, GatewayError> {
        let kind = kind.to_str().unwrap_or_default();
        let (name, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        if !name.trim().eq_ignore_ascii_case("multipart/form-data") {
            return json(service, body);
        }
        match boundary(parameters) {
            Some(boundary) => parts(&boundary, body),
            None => Err(wrong("", "the `content-type` names no boundary of the form's parts")),
        }
    }

    pub(super) const fn is_json(&self) -> bool {
        !matches!(self.place, Place::Part(_))
    }

    /// The body with another name for the model; every other byte stays.
    pub(super) fn with_model(&self, body: &Bytes, model: &str) -> Bytes {
        let quoted = || serde_json::Value::from(model).to_string();
        let (span, name) = match &self.place {
            Place::Part(span) => (span.clone(), model.to_owned()),
            Place::Json(span) => (span.clone(), quoted()),
            Place::Front => {
                // The body is an object, so its first brace is the object's.
                let open = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
                let comma = if body[open..].trim_ascii_start().starts_with(b"}") { "" } else { "," };
                (open..open, format!("\"model\":{}{comma}", quoted()))
            }
        };
        Bytes::from([&body[..span.start], name.as_bytes(), &body[span.end..]].concat())
    }
}

fn json(service: Service, body: &[u8]) -> Result<Form, GatewayError> {
    let fields = splice::fields(body)?;
    let mut models = fields.iter().filter(|field| field.name == "model");
    let (first, second) = (models.next(), models.next());
    let stream = fields.iter().any(|field| field.name == "stream" && &body[field.value.clone()] == b"true");
    match (first, service.default_model()) {
        _ if second.is_some() => Err(wrong("model", "`model` stands twice in the body")),
        (Some(field), _) => {
            let model: String = serde_json::from_slice(&body[field.value.clone()])
                .map_err(|_| wrong("model", "`model` must be a string"))?;
            named(model, stream, Place::Json(field.value.clone()))
        }
        (None, Some(default)) => named(default.to_owned(), stream, Place::Front),
        (None, None) => Err(wrong("model", "`model` is missing")),
    }
}

/// The boundary among the parameters of a `content-type`.
fn boundary(parameters: &str) -> Option<Cow<'_, str>> {
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!value.is_empty() && value.len() <= 70).then(|| format!("--{value}").into())
}

/// Looks through the parts for `model` and `stream`.
fn parts(delimiter: &str, body: &[u8]) -> Result<Form, GatewayError> {
    let finder = memmem::Finder::new(delimiter);
    let mut starts = finder.find_iter(body);
    let mut from =
        starts.next().ok_or_else(|| wrong("", "the body has no part of a form"))? + delimiter.len();
    let (mut model, mut stream) = (None, false);
    for (count, end) in starts.enumerate() {
        if count >= MAX_PARTS {
            return Err(wrong("", "the form has too many parts"));
        }
        // The line break before a delimiter belongs to it.
        let part = from..end.saturating_sub(2).max(from);
        from = end + delimiter.len();
        let Some(length) = memmem::find(&body[part.clone()], b"\r\n\r\n") else { continue };
        let content = part.start + length + 4..part.end.max(part.start + length + 4);
        match field_name(&body[part.start..part.start + length]) {
            Some(b"model") if model.is_some() => {
                return Err(wrong("model", "`model` stands twice in the form"));
            }
            Some(b"model") => model = Some(content),
            Some(b"stream") => stream = body.get(content) == Some(b"true"),
            _ => {}
        }
    }
    let span = model.ok_or_else(|| wrong("model", "`model` is missing"))?;
    let text = body.get(span.clone()).and_then(|text| std::str::from_utf8(text).ok());
    let name = text.ok_or_else(|| wrong("model", "`model` is no text"))?.to_owned();
    named(name, stream, Place::Part(span))
}

/// The name of a part without a file, from its head.
fn field_name(head: &[u8]) -> Option<&[u8]> {
    // `filename="…"` ends in the same word.
    let start = memmem::find_iter(head, b"name=\"").find(|at| *at == 0 || head[at - 1] != b'e')? + 6;
    let length = memchr::memchr(b'"', &head[start..])?;
    Some(&head[start..start + length])
}

fn named(model: String, stream: bool, place: Place) -> Result<Form, GatewayError> {
    if model.is_empty() {
        return Err(wrong("model", "`model` must not be empty"));
    }
    Ok(Form { model, stream, place })
}

fn wrong(param: &str, message: &str) -> GatewayError {
    let param = (!param.is_empty()).then(|| param.to_owned());
    GatewayError { param, ..GatewayError::new(Code::BadRequest, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"x y\"";

    fn form(parts: &[(&str, &str)]) -> String {
        let part = |(head, content): &(&str, &str)| {
            format!("--x y\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
        };
        parts.iter().map(part).collect::<String>() + "--x y--\r\n"
    }

    #[test]
    fn the_model_is_found_and_replaced_and_nothing_else_changes() {
        let check = |kind: &str, body: &str, replaced: &str, stream: bool| {
            let kind = HeaderValue::from_str(kind).unwrap();
            let found = Form::read(Service::Embeddings, &kind, body.as_bytes()).unwrap();
            assert_eq!((found.model.as_str(), found.stream), ("m", stream), "{body}");
            let bytes = found.with_model(&Bytes::from(body.to_owned()), "up/m2");
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), replaced);
        };
        check(
            "application/json",
            r#"{"input":"a", "model" : "m"}"#,
            r#"{"input":"a", "model" : "up/m2"}"#,
            false,
        );
        check("", r#"{"model":"m","stream":true}"#, r#"{"model":"up/m2","stream":true}"#, true);
        let file = ("name=\"file\"; filename=\"model\"", "RIFF\r\n\r\nname=\"model\"\r\n--x");
        let body = form(&[file, ("name=\"model\"", "m"), ("name=\"stream\"", "true")]);
        check(KIND, &body, &body.replace("\r\n\r\nm\r\n", "\r\n\r\nup/m2\r\n"), true);
        let body = form(&[("filename=\"a\"; name=\"model\"", "m")]);
        check(KIND, &body, &body.replace("\r\n\r\nm\r\n", "\r\n\r\nup/m2\r\n"), false);
    }

    #[test]
    fn moderations_have_a_default_model() {
        let check = |body: &str, replaced: &str| {
            let kind = HeaderValue::from_static("application/json");
            let found = Form::read(Service::Moderations, &kind, body.as_bytes()).unwrap();
            assert_eq!(found.model, "omni-moderation-latest");
            assert_eq!(found.with_model(&Bytes::from(body.to_owned()), "m"), replaced);
        };
        check(r#" {"input":"a"}"#, r#" {"model":"m","input":"a"}"#);
        check("{}", r#"{"model":"m"}"#);
    }

    #[test]
    fn bodies_without_one_model_are_refused() {
        let check = |kind: &str, body: &str, message: &str| {
            let kind = HeaderValue::from_str(kind).unwrap();
            let error = Form::read(Service::Embeddings, &kind, body.as_bytes()).unwrap_err();
            assert!(error.message.contains(message), "{body}: {error}");
        };
        check("application/json", "{}", "missing");
        check("application/json", "[]", "object");
        check("application/json", r#"{"model":7}"#, "string");
        check("application/json", r#"{"model":""}"#, "empty");
        check("application/json", r#"{"model":"a","model":"b"}"#, "twice");
        check("multipart/form-data", &form(&[("name=\"model\"", "m")]), "boundary");
        check(KIND, "", "no part");
        check(KIND, "--x y", "missing");
        check(KIND, "--x y--x y--x y\r\n\r\n\r\n\r\n--x y", "missing");
        check(KIND, &form(&[("name=\"file\"; filename=\"model\"", "m")]), "missing");
        check(KIND, &form(&[("name=\"model\"", "a"), ("name=\"model\"", "b")]), "twice");
        check(KIND, &form(&[("name=\"x\"", "a"); 300]), "too many");
    }
}
