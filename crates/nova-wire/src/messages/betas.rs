//! Beta features, for hosts that take Anthropic's dialect in an envelope of their own.
//!
//! Bedrock and Vertex want them in the body, and answer a feature that they do not know with a 400, so only those
//! go there that the host is known to take.

use serde_json::Value;

use crate::error::BadRequest;
use crate::splice::{self, Edit};

/// Puts the features of an `anthropic-beta` header into a body, those that are `taken`; returns the others, by the
/// names under which a client is told of them.
///
/// # Errors
/// The body is no JSON object.
pub fn put(body: &mut Vec<u8>, header: &str, taken: &[String]) -> Result<Vec<String>, BadRequest> {
    let fields = splice::fields(body)?;
    let own = fields.iter().find(|field| field.name == "anthropic_beta");
    let own = own.and_then(|field| serde_json::from_slice::<Vec<String>>(&body[field.value.clone()]).ok());
    let asked = header.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let mut kept: Vec<String> = Vec::new();
    let mut dropped = Vec::new();
    for name in own.into_iter().flatten().chain(asked) {
        if !taken.contains(&name) {
            dropped.push(format!("anthropic-beta.{name}"));
        } else if !kept.contains(&name) {
            kept.push(name);
        }
    }
    let edit = match kept.as_slice() {
        [] => Edit::Remove("anthropic_beta"),
        _ => Edit::Set("anthropic_beta", Value::from(kept).to_string().into_bytes()),
    };
    *body = splice::apply(body, &fields, &[edit]);
    dropped.dedup();
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_features_go_into_the_body_and_others_are_named() {
        let check = |body: &str, header: &str, expected: &str, dropped: &[&str]| {
            let taken = ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"].map(str::to_owned);
            let mut made = body.as_bytes().to_vec();
            assert_eq!(put(&mut made, header, &taken).unwrap(), dropped, "{header}");
            assert_eq!(std::str::from_utf8(&made).unwrap(), expected);
        };
        check(r#"{"a": 1.50}"#, "", r#"{"a": 1.50}"#, &[]);
        check(
            r#"{"a": 1.50}"#,
            "claude-code-20250219, interleaved-thinking-2025-05-14,,interleaved-thinking-2025-05-14",
            r#"{"anthropic_beta":["interleaved-thinking-2025-05-14"],"a": 1.50}"#,
            &["anthropic-beta.claude-code-20250219"],
        );
        check(
            r#"{"anthropic_beta":["context-1m-2025-08-07","odd"],"a":1}"#,
            "interleaved-thinking-2025-05-14",
            r#"{"anthropic_beta":["context-1m-2025-08-07","interleaved-thinking-2025-05-14"],"a":1}"#,
            &["anthropic-beta.odd"],
        );
        assert!(put(&mut b"[]".to_vec(), "x", &[]).is_err());
    }
}
