//! `POST /v1/feedback`: what a client says of an answer that it got.
//!
//! Invariants: only the key that made a request may speak about it; what is said is in the store before the
//! client is told so; one metric of one answer counts once, however often it is said.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use nova_ledger::Feedback;
use serde::Deserialize;
use serde_json::{Value, json};

use super::generation;
use crate::error::{Code, GatewayError};
use crate::learnt;
use crate::lessons::Judgement;
use crate::pipeline::relay::Outgoing;
use crate::pipeline::{admit, authenticate, read};
use crate::state::Worker;

/// The longest comment, in bytes.
const MOST_COMMENT: usize = 4096;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The answer's `x-request-id`.
    request_id: Option<String>,
    /// The same, or the id of an answer that the gateway wrote.
    generation_id: Option<String>,
    metric: String,
    #[serde(default)]
    value: Value,
    comment: Option<String>,
}

/// A judgement that can be kept.
#[derive(Debug, PartialEq)]
struct Verdict {
    /// From 0 to 1.
    value: Option<f64>,
    comment: Option<String>,
}

/// Answers one request.
pub(super) async fn answer(worker: &Worker, request: Request<Incoming>) -> Response<Outgoing> {
    let dialect = super::caller(request.headers());
    match keep(worker, request).await {
        Ok(body) => super::json(body.to_string()),
        Err(error) => super::refuse(worker, dialect, &error),
    }
}

async fn keep(worker: &Worker, request: Request<Incoming>) -> Result<Value, GatewayError> {
    let shared = &worker.shared;
    let snapshot = shared.snapshot.load_full();
    let (head, incoming) = request.into_parts();
    let key = authenticate::authenticate(shared, &head.headers, None)?;
    let _permit = admit::admit(shared, &snapshot, &key)?;
    let body = read::whole(&head.headers, incoming, &snapshot).await?;
    let said: Said = serde_json::from_slice(&body)
        .map_err(|error| GatewayError::new(Code::BadRequest, format!("the body cannot be read: {error}")))?;
    let id = match (&said.request_id, &said.generation_id) {
        (Some(id), None) | (None, Some(id)) => id.clone(),
        _ => return Err(wrong("request_id", "is needed, or `generation_id` in its place: one of the two")),
    };
    let Verdict { value, comment } = verdict(&said)?;
    let record = generation::record_of(shared, key.id, &id).await?;
    let feedback = Feedback {
        request_id: record.request_id,
        metric: said.metric,
        key_id: key.id,
        at_ms: shared.now_ms(),
        value,
        comment,
        model: record.model_answered,
        task: record.task,
    };
    let (ledger, kept) = (shared.ledger.clone(), feedback.clone());
    let before = shared.ask(async move { ledger.save_feedback(&kept).await }).await?;
    let replaced = before.is_some();
    let before = before.and_then(|before| before.value);
    if let (Some(value), Some(model)) = (feedback.value, &feedback.model)
        && before != Some(value)
    {
        let (model, task) = (Arc::clone(model), feedback.task.clone());
        shared.lessons.judged(Judgement { model, task, value, before });
        learnt::take_lessons(shared);
    }
    Ok(json!({ "data": {
        "request_id": feedback.request_id,
        "metric": feedback.metric,
        "value": feedback.value,
        "comment": feedback.comment,
        "replaced": replaced,
    } }))
}

/// What is kept of what was said.
fn verdict(said: &Said) -> Result<Verdict, GatewayError> {
    let (mut value, mut comment) = (None, said.comment.clone());
    match (said.metric.as_str(), &said.value) {
        ("score" | "thumbs", Value::Null) if comment.is_some() => {}
        ("score" | "thumbs", Value::Bool(good)) => value = Some(f64::from(u8::from(*good))),
        ("thumbs", Value::Number(number))
            if number.as_f64().is_some_and(|it| [-1.0, 0.0, 1.0].contains(&it)) =>
        {
            value = number.as_f64().map(|thumbs| thumbs.max(0.0));
        }
        ("thumbs", Value::String(word)) if matches!(word.as_str(), "up" | "down") => {
            value = Some(f64::from(u8::from(word == "up")));
        }
        ("score", Value::Number(number)) if number.as_f64().is_some_and(|it| (0.0..=1.0).contains(&it)) => {
            value = number.as_f64();
        }
        ("score" | "thumbs", Value::String(words)) if comment.is_none() => comment = Some(words.clone()),
        ("score", _) => return Err(wrong("value", "must be between 0 and 1, `true`, `false` or a comment")),
        ("thumbs", _) => {
            return Err(wrong("value", "must be `true`, `false`, 1, -1, `\"up\"`, `\"down\"` or a comment"));
        }
        _ => return Err(wrong("metric", "is not known\nhint: `score` and `thumbs` are")),
    }
    if comment.as_ref().is_some_and(|comment| comment.len() > MOST_COMMENT) {
        return Err(wrong("comment", &format!("has more than {MOST_COMMENT} bytes")));
    }
    Ok(Verdict { value, comment })
}

fn wrong(param: &str, problem: &str) -> GatewayError {
    let error = GatewayError::new(Code::BadRequest, format!("`{param}` {problem}"));
    GatewayError { param: Some(param.to_owned()), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_have_one_scale_whatever_their_words() {
        let check = |metric: &str, value: Value, kept: Option<(Option<f64>, Option<&str>)>| {
            let said = json!({ "request_id": "r", "metric": metric, "value": value });
            let verdict = verdict(&serde_json::from_value(said).unwrap());
            let found = verdict.ok().map(|verdict| (verdict.value, verdict.comment));
            assert_eq!(
                found,
                kept.map(|(value, comment)| (value, comment.map(str::to_owned))),
                "{metric} {value}"
            );
        };
        let number = |value: f64| Some((Some(value), None));
        check("score", json!(0.25), number(0.25));
        check("score", json!(0), number(0.0));
        check("score", json!(true), number(1.0));
        check("score", json!("quite good"), Some((None, Some("quite good"))));
        check("thumbs", json!(true), number(1.0));
        check("thumbs", json!(false), number(0.0));
        check("thumbs", json!(-1), number(0.0));
        check("thumbs", json!("down"), number(0.0));
        check("thumbs", json!("down, because it is wrong"), Some((None, Some("down, because it is wrong"))));
        for (metric, value) in [
            ("score", json!(1.01)),
            ("score", json!(-0.1)),
            ("score", json!(null)),
            ("score", json!([1])),
            ("thumbs", json!(0.5)),
            ("thumbs", json!(2)),
            ("stars", json!(5)),
            ("", json!(1)),
            ("score", json!("x".repeat(4097))),
        ] {
            check(metric, value, None);
        }
    }
}
