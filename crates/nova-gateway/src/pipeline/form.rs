//! The form that a client asks its answer to have: JSON, or JSON that meets a schema.
//!
//! Providers that promise a form do not always keep it, and most can only be asked for it in words, so
//! every whole answer is looked at, and every stream whose provider promises nothing. The schema comes
//! from the client and is hostile: it is compiled without any access to files or addresses, and patterns
//! are matched in linear time.

use std::error::Error;

use boon::{Compiler, SchemaIndex, Schemas, UrlLoader};
use nova_wire::hub::request::Format;
use nova_wire::hub::structured::Check;
use nova_wire::{Dialect, Peek};
use serde_json::Value;

/// A larger schema is not looked at, in bytes of JSON; the provider may still know it.
const LARGEST_SCHEMA: usize = 256 << 10;
/// The most of a reason that is told.
const LONGEST_REASON: usize = 400;
/// The name that a schema is compiled under.
const PLACE: &str = "mem:///schema";

/// The check for an answer to this request; `None` where it asks for no form, or for one that cannot be
/// checked here (a schema that is no schema is for the provider to refuse).
pub fn check(dialect: Dialect, body: &[u8], peek: &Peek) -> Option<Check> {
    if !peek.has_schema {
        return None;
    }
    match nova_wire::translate::wanted_format(dialect, body) {
        Format::Text => None,
        Format::JsonObject => Some(Check::new(|text| object(text).map(drop))),
        Format::JsonSchema { schema, .. } => {
            let (schemas, index) = compile(schema)?;
            Some(Check::new(move |text| judge(text, &schemas, index)))
        }
    }
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("it is JSON, but no object".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

fn judge(text: &str, schemas: &Schemas, index: SchemaIndex) -> Result<(), String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    schemas.validate(&value, index).map_err(|error| {
        // The first line says that the validation failed; the others where and why.
        let told = error.to_string();
        let reasons: Vec<&str> = told.lines().skip(1).map(str::trim).collect();
        let mut reason = if reasons.is_empty() { told.clone() } else { reasons.join("; ") };
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        }
        reason
    })
}

fn compile(schema: Value) -> Option<(Schemas, SchemaIndex)> {
    if schema.to_string().len() > LARGEST_SCHEMA {
        return None;
    }
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(Nowhere));
    compiler.add_resource(PLACE, schema).ok()?;
    let index = compiler.compile(PLACE, &mut schemas).ok()?;
    Some((schemas, index))
}

/// Loads nothing: a `$ref` of a client must reach neither this machine's files nor its network.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("`{url}` is not in the schema itself").into())
    }
}

#[cfg(test)]
mod tests {
    use nova_wire::hub::structured::{Verdict, judge};
    use serde_json::json;

    use super::*;

    fn verdict(schema: &Value, text: &str) -> Option<Verdict> {
        let body = json!({
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        })
        .to_string();
        let peek = Peek::read(Dialect::Chat, body.as_bytes()).expect("a good body");
        check(Dialect::Chat, body.as_bytes(), &peek).map(|check| judge(text, &check))
    }

    #[test]
    fn an_answer_is_held_against_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {"age": {"type": "integer", "minimum": 0}, "name": {"type": "string", "pattern": "^(a+)+$"}},
            "required": ["age"],
        });
        assert_eq!(verdict(&schema, r#"{"age": 3}"#), Some(Verdict::Good));
        assert_eq!(verdict(&schema, "```\n{\"age\": 3}\n```"), Some(Verdict::Mended(r#"{"age": 3}"#.into())));
        for bad in [r#"{"age": "3"}"#, r#"{"age": -1}"#, "{}", "3", "no", ""] {
            assert!(matches!(verdict(&schema, bad), Some(Verdict::Bad(_))), "{bad}");
        }
        let Some(Verdict::Bad(why)) = verdict(&schema, r#"{"age": "3"}"#) else { panic!("a bad answer") };
        assert!(why.contains("age"), "the reason names the place: {why}");
        // A pattern that a backtracking matcher would take years for.
        let text = json!({"age": 1, "name": format!("{}!", "a".repeat(60))}).to_string();
        assert!(matches!(verdict(&schema, &text), Some(Verdict::Bad(_))));
    }

    #[test]
    fn a_schema_reaches_nothing_outside_itself() {
        for target in ["file:///etc/hostname", "http://127.0.0.1:1/x", "other.json"] {
            assert_eq!(verdict(&json!({"$ref": target}), "{}"), None, "{target}");
        }
        let own = json!({"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"});
        assert_eq!(verdict(&own, "3"), Some(Verdict::Good));
        let round = json!({"$ref": "#"});
        assert!(
            verdict(&round, "3").is_none_or(|verdict| verdict != Verdict::Good),
            "an endless schema ends"
        );
    }

    #[test]
    fn a_request_for_any_json_object_is_checked_too() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":"json"}],"response_format":{"type":"json_object"}}"#;
        let peek = Peek::read(Dialect::Chat, body).expect("a good body");
        let check = check(Dialect::Chat, body, &peek).expect("a check");
        assert_eq!(judge("{}", &check), Verdict::Good);
        assert!(matches!(judge("[]", &check), Verdict::Bad(_)));
    }
}
