//! The question of a comparison: a body of any dialect, with `models` in the place of `model`.

use bytes::Bytes;
use nova_wire::splice::{self, Edit, Field};
use nova_wire::{BadRequest, Dialect, Peek};
use serde::Deserialize;
use serde_json::Value;

use super::MOST_MODELS;
use crate::error::GatewayError;

/// The longest criteria, in bytes.
const MOST_CRITERIA: usize = 16 << 10;

/// What a comparison asks.
#[derive(Debug)]
pub(super) struct Asked {
    /// The dialect of the body.
    pub(super) dialect: Dialect,
    /// The models, by the names that the client uses; two at least, all different.
    pub(super) models: Vec<String>,
    /// Who says which answer is the best.
    pub(super) judge: Option<Judge>,
    /// Whether the client wants to see the answers grow.
    pub(super) stream: bool,
    /// What each model is asked, for a streamed answer.
    pub(super) body: Bytes,
    /// What was read of it; its model is the first one.
    pub(super) peek: Peek,
}

/// Who says which answer is the best, and by what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judge {
    pub(super) model: String,
    pub(super) criteria: Option<String>,
}

impl Asked {
    /// Reads a body; `path` is the dialect of one that could be of several.
    ///
    /// # Errors
    /// 400 with the place of what is wrong.
    pub(super) fn read(body: &Bytes, path: Dialect, versioned: bool) -> Result<Self, GatewayError> {
        let fields = splice::fields(body)?;
        if has(&fields, "model") {
            return Err(wrong("model", "stands beside `models`\nhint: name all models in `models`"));
        }
        if has(&fields, "fallbacks") {
            return Err(wrong("fallbacks", "is not for comparisons: each model answers for itself"));
        }
        let models = names(value(body, &fields, "models")?)?;
        let judge = judge(value(body, &fields, "judge")?)?;
        let stream = match value(body, &fields, "stream")? {
            Value::Null => false,
            Value::Bool(stream) => stream,
            _ => return Err(wrong("stream", "must be true or false")),
        };
        let model = Value::from(models[0].as_str()).to_string().into_bytes();
        let (mine, mut edits) = ([Edit::Remove("models"), Edit::Remove("judge")], Vec::new());
        edits.extend(mine.clone());
        edits.extend([Edit::Set("model", model), Edit::Set("stream", b"true".to_vec())]);
        let streamed = splice::apply(body, &fields, &edits);
        let (dialect, peek) = Peek::read_any(path, versioned, &streamed);
        let (body, peek) = match dialect {
            // Gemini says both by its paths.
            Dialect::Gemini => {
                let body = splice::apply(body, &fields, &[&mine[..], &[Edit::Remove("stream")]].concat());
                let peek = Peek::read(dialect, &body)?;
                (body, Peek { model: models[0].clone(), stream: true, ..peek })
            }
            _ => (streamed, peek?),
        };
        Ok(Self { dialect, models, judge, stream, body: Bytes::from(body), peek })
    }
}

/// The models of `compare:a+b+c`, behind the colon.
pub(super) fn listed(list: &str) -> Result<Vec<String>, GatewayError> {
    let models: Vec<String> = list.split('+').map(|name| name.trim().to_owned()).collect();
    if models.iter().any(String::is_empty) {
        return Err(wrong("model", "names no model between two `+`\nhint: write it as `compare:a+b`"));
    }
    several(&models, "model", |_| "model".to_owned())?;
    Ok(models)
}

fn names(value: Value) -> Result<Vec<String>, GatewayError> {
    let items = match value {
        Value::Null => return Err(missing("models")),
        Value::Array(items) => items,
        _ => return Err(wrong("models", "must be an array of names of models")),
    };
    let mut models = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Value::String(name) if !name.trim().is_empty() => models.push(name.trim().to_owned()),
            _ => return Err(wrong(&format!("models[{index}]"), "must be the name of a model")),
        }
    }
    several(&models, "models", |index| format!("models[{index}]"))?;
    Ok(models)
}

/// Checks that there is something to compare.
fn several(models: &[String], param: &str, place: impl Fn(usize) -> String) -> Result<(), GatewayError> {
    if !(2..=MOST_MODELS).contains(&models.len()) {
        return Err(wrong(param, &format!("must name 2 to {MOST_MODELS} models")));
    }
    for (index, name) in models.iter().enumerate() {
        if models[..index].iter().any(|before| before.eq_ignore_ascii_case(name)) {
            return Err(wrong(&place(index), &format!("names `{name}` a second time")));
        }
    }
    Ok(())
}

fn judge(value: Value) -> Result<Option<Judge>, GatewayError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Object {
        model: String,
        criteria: Option<String>,
    }
    let judge = match value {
        Value::Null => return Ok(None),
        Value::String(model) => Judge { model, criteria: None },
        value @ Value::Object(_) => {
            let Object { model, criteria } = serde_json::from_value(value)
                .map_err(|error| wrong("judge", &format!("cannot be read: {error}")))?;
            Judge { model, criteria }
        }
        _ => {
            return Err(wrong(
                "judge",
                "must be the name of a model, or an object with `model` and `criteria`",
            ));
        }
    };
    if judge.model.is_empty() {
        return Err(wrong("judge.model", "must not be empty"));
    }
    if judge.criteria.as_ref().is_some_and(|criteria| criteria.len() > MOST_CRITERIA) {
        return Err(wrong("judge.criteria", &format!("has more than {MOST_CRITERIA} bytes")));
    }
    Ok(Some(judge))
}

fn has(fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

/// The value of a field; `null` where it is not there.
fn value(body: &Bytes, fields: &[Field], name: &str) -> Result<Value, GatewayError> {
    let mut found = fields.iter().filter(|field| field.name == name);
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return Err(wrong(name, "stands twice in the body"));
    }
    let json = first.and_then(|field| body.get(field.value.clone()));
    Ok(json.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default())
}

fn missing(param: &str) -> GatewayError {
    let message = format!("`{param}` is missing\nhint: name the models to compare, as in `[\"a\", \"b\"]`");
    BadRequest { path: param.to_owned(), message, code: "missing_field" }.into()
}

fn wrong(param: &str, problem: &str) -> GatewayError {
    let message = format!("`{param}` {problem}");
    BadRequest { path: param.to_owned(), message, code: "invalid_value" }.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Asked, GatewayError> {
        Asked::read(&Bytes::from(body.to_string()), Dialect::Chat, false)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut body = json!({ "models": ["a", "b"], "messages": [{ "role": "user", "content": "Hi" }] });
        body[name] = value;
        body
    }

    #[test]
    fn a_question_is_the_body_of_a_chat_with_several_models() {
        let asked = read(&with("judge", json!({ "model": "j", "criteria": "short" }))).unwrap();
        assert_eq!((asked.dialect, asked.stream, asked.peek.stream), (Dialect::Chat, false, true));
        assert_eq!(asked.models, ["a", "b"]);
        assert_eq!(asked.judge, Some(Judge { model: "j".into(), criteria: Some("short".into()) }));
        let sent: Value = serde_json::from_slice(&asked.body).unwrap();
        let messages = json!([{ "role": "user", "content": "Hi" }]);
        assert_eq!(sent, json!({ "model": "a", "stream": true, "messages": messages }));
        let short = read(&with("judge", "j".into())).unwrap();
        assert_eq!(short.judge, Some(Judge { model: "j".into(), criteria: None }));
    }

    #[test]
    fn the_body_may_be_in_another_dialect() {
        let check = |body: Value, dialect: Dialect| {
            let asked = read(&body).unwrap();
            assert_eq!((asked.dialect, asked.peek.model.as_str(), asked.peek.stream), (dialect, "a", true));
        };
        let models = json!(["a", "b"]);
        let messages = json!([{ "role": "user", "content": "Hi" }]);
        check(
            json!({ "models": models, "system": "s", "max_tokens": 9, "messages": messages }),
            Dialect::Messages,
        );
        check(json!({ "models": models, "input": "Hi" }), Dialect::Responses);
        let contents = json!([{ "parts": [{ "text": "Hi" }] }]);
        check(json!({ "models": models, "stream": true, "contents": contents }), Dialect::Gemini);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |name: &str, value: Value, place: &str| {
            let error = read(&with(name, value)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(place), "{error}");
        };
        check("models", Value::Null, "models");
        check("models", "a".into(), "models");
        check("models", json!(["a"]), "models");
        check("models", json!(["a", "b", "c", "d", "e", "f", "g", "h", "i"]), "models");
        check("models", json!(["a", "b", "A"]), "models[2]");
        check("models", json!(["a", 1]), "models[1]");
        check("models", json!(["a", " "]), "models[1]");
        check("model", "a".into(), "model");
        check("fallbacks", json!(["c"]), "fallbacks");
        check("stream", "yes".into(), "stream");
        check("judge", json!(1), "judge");
        check("judge", json!({ "criteria": "x" }), "judge");
        check("judge", json!({ "model": "j", "temperature": 0 }), "judge");
        check("judge", "".into(), "judge.model");
        check("judge", json!({ "model": "j", "criteria": "x".repeat(MOST_CRITERIA + 1) }), "judge.criteria");
        check("messages", Value::Null, "messages");
    }

    #[test]
    fn models_are_listed_behind_a_colon() {
        assert_eq!(listed("a+ b+vendor/c").unwrap(), ["a", "b", "vendor/c"]);
        for list in ["", "a", "a+", "+a", "a++b", "a+A", "a+b+c+d+e+f+g+h+i"] {
            assert_eq!(listed(list).unwrap_err().param.as_deref(), Some("model"), "{list}");
        }
    }
}
