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
use crate::config::Metric;
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
    let Verdict { value, comment } = verdict(&said, &snapshot.metrics)?;
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
    shared.hearsay.said(&feedback);
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
fn verdict(said: &Said, metrics: &[Metric]) -> Result<Verdict, GatewayError> {
    let (value, words) = match said.metric.as_str() {
        "score" => judged(&said.value, (0.0, 1.0), "between 0 and 1")?,
        "thumbs" => match &said.value {
            Value::String(word) if matches!(word.as_str(), "up" | "down") => {
                (Some(f64::from(u8::from(word == "up"))), None)
            }
            Value::Number(number) if number.as_f64() == Some(-1.0) => (Some(0.0), None),
            Value::Number(number) if !matches!(number.as_f64(), Some(0.0 | 1.0)) => {
                return Err(wrong("value", "must be 1, -1, `\"up\"`, `\"down\"`, `true` or `false`"));
            }
            other => judged(other, (0.0, 1.0), "1 or -1")?,
        },
        name => {
            let metric = metrics.iter().find(|metric| metric.name == name);
            let metric = metric.ok_or_else(|| {
                let own = metrics.iter().map(|metric| format!(", `{}`", metric.name)).collect::<String>();
                wrong("metric", &format!("is not known\nhint: there are `score`, `thumbs`{own}"))
            })?;
            let scale = format!("between {} and {}", metric.worst, metric.best);
            judged(&said.value, (metric.worst, metric.best), &scale)?
        }
    };
    let comment = match (words, &said.comment) {
        (Some(_), Some(_)) => return Err(wrong("value", "is a comment, and there is another one")),
        (words, comment) => words.or_else(|| comment.clone()),
    };
    if value.is_none() && comment.is_none() {
        return Err(wrong("value", "is missing, and so is `comment`"));
    }
    if comment.as_ref().is_some_and(|comment| comment.len() > MOST_COMMENT) {
        return Err(wrong("comment", &format!("has more than {MOST_COMMENT} bytes")));
    }
    Ok(Verdict { value, comment })
}

/// A value on a scale from its worst to its best, made one from 0 to 1; or a comment.
fn judged(
    value: &Value,
    (worst, best): (f64, f64),
    scale: &str,
) -> Result<(Option<f64>, Option<String>), GatewayError> {
    match value {
        Value::Null => Ok((None, None)),
        Value::Bool(good) => Ok((Some(f64::from(u8::from(*good))), None)),
        Value::String(words) => Ok((None, Some(words.clone()))),
        Value::Number(number) => {
            let share = number.as_f64().map(|number| (number - worst) / (best - worst));
            match share.filter(|share| (0.0..=1.0).contains(share)) {
                Some(share) => Ok((Some(share), None)),
                None => Err(wrong("value", &format!("must be {scale}"))),
            }
        }
        Value::Array(_) | Value::Object(_) => {
            Err(wrong("value", &format!("must be {scale}, `true`, `false` or a comment")))
        }
    }
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
        let scale = |name: &str, worst, best| Metric { name: name.to_owned(), worst, best };
        let metrics = [scale("stars", 1.0, 5.0), scale("edits", 10.0, 0.0)];
        let check = |metric: &str, value: Value, kept: Option<(Option<f64>, Option<&str>)>| {
            let said = json!({ "request_id": "r", "metric": metric, "value": value });
            let verdict = verdict(&serde_json::from_value(said).unwrap(), &metrics);
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
        check("stars", json!(5), number(1.0));
        check("stars", json!(2), number(0.25));
        check("stars", json!(false), number(0.0));
        check("stars", json!("fine"), Some((None, Some("fine"))));
        check("edits", json!(0), number(1.0));
        check("edits", json!(10), number(0.0));
        for (metric, value) in [
            ("score", json!(1.01)),
            ("score", json!(-0.1)),
            ("score", json!(null)),
            ("score", json!([1])),
            ("thumbs", json!(0.5)),
            ("thumbs", json!(2)),
            ("thumbs", json!({})),
            ("stars", json!(0.99)),
            ("stars", json!(6)),
            ("edits", json!(-1)),
            ("Stars", json!(5)),
            ("", json!(1)),
            ("score", json!("x".repeat(4097))),
        ] {
            check(metric, value, None);
        }
    }
}
