//! Fields of a body that are for the gateway's own routing, and no provider's: OpenRouter's `models`, `provider`,
//! `route` and `preset`, LiteLLM's `fallbacks` and `disable_fallbacks`.
//!
//! [`crate::Peek`] only notes that there is one ([`crate::Peek::has_controls`]), so that a request without any pays
//! nothing; [`take`] takes them out, in whatever dialect the body is.

use serde_json::{Map, Value};

use crate::error::BadRequest;
use crate::splice::{self, Edit};

/// A body without its controls.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// What is left, every other byte as it was.
    pub body: Vec<u8>,
    /// The controls, those that are `null` left out.
    pub fields: Map<String, Value>,
}

/// Whether a top-level field is for the gateway's routing.
pub fn is_control(field: &str) -> bool {
    matches!(field, "models" | "provider" | "route" | "preset" | "fallbacks" | "disable_fallbacks")
}

/// Takes the controls out of a body that [`crate::Peek`] accepted.
///
/// # Errors
/// Where one stands twice.
pub fn take(body: &[u8]) -> Result<Taken, BadRequest> {
    let places = splice::fields(body)?;
    let mut fields = Map::new();
    let mut edits = Vec::new();
    for place in places.iter().filter(|place| is_control(&place.name)) {
        let name = &place.name;
        if edits.contains(&Edit::Remove(name)) {
            let message = format!("`{name}` stands twice in the body");
            return Err(BadRequest { path: name.clone(), message, code: "duplicate_field" });
        }
        edits.push(Edit::Remove(name));
        let value = body.get(place.value.clone()).and_then(|json| serde_json::from_slice(json).ok());
        fields.extend(value.filter(|value: &Value| !value.is_null()).map(|value| (name.clone(), value)));
    }
    Ok(Taken { body: splice::apply(body, &places, &edits), fields })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Dialect, Peek};

    #[test]
    fn controls_are_taken_out_and_every_other_byte_stays() {
        let check = |body: &str, left: &str, fields: Value| {
            let taken = take(body.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&taken.body).unwrap(), left);
            assert_eq!(Value::Object(taken.fields), fields);
        };
        check(r#"{"model":"m", "x" : 1}"#, r#"{"model":"m", "x" : 1}"#, json!({}));
        check(
            r#"{"models":["a","b"], "model":"m", "provider" : {"sort":"price"},"x" : 1,"fallbacks":null}"#,
            r#"{"model":"m","x" : 1}"#,
            json!({ "models": ["a", "b"], "provider": { "sort": "price" } }),
        );
        check(r#"{"route":"fallback"}"#, "{}", json!({ "route": "fallback" }));
        let twice = take(br#"{"provider":{},"provider":{}}"#).unwrap_err();
        assert_eq!((twice.path.as_str(), twice.code), ("provider", "duplicate_field"));
    }

    #[test]
    fn every_dialect_notes_that_there_are_controls() {
        let check = |dialect: Dialect, rest: &str| {
            for (field, noted) in
                [("\"provider\":{},", true), ("\"preset\":null,", true), ("\"seed\":1,", false)]
            {
                let body = format!("{{{field}{rest}}}");
                assert_eq!(Peek::read(dialect, body.as_bytes()).unwrap().has_controls, noted, "{body}");
            }
        };
        let messages = r#""model":"m","messages":[{"role":"user","content":"Hi"}]"#;
        check(Dialect::Chat, messages);
        check(Dialect::Messages, messages);
        check(Dialect::Responses, r#""model":"m","input":"Hi""#);
        check(Dialect::Gemini, r#""contents":[{"parts":[{"text":"Hi"}]}]"#);
    }

    #[test]
    fn the_model_may_stand_in_a_control() {
        let body = |fields: &str| format!(r#"{{{fields}"messages":[{{"role":"user","content":"Hi"}}]}}"#);
        let read = |fields: &str| Peek::read(Dialect::Chat, body(fields).as_bytes());
        assert_eq!(read(r#""models":["a"],"#).unwrap().model, "");
        assert_eq!(read("").unwrap_err().path, "model");
    }
}
