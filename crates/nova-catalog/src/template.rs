//! Places in an address that are filled when a configuration is loaded:
//! `https://bedrock-runtime.{region}.amazonaws.com/model/{model}/converse`.
//!
//! `{name}` stands for a value. `{name-}` stands for the value and a hyphen, and for nothing where the
//! value is `global`: Google's hosts are `us-east5-aiplatform.googleapis.com` and
//! `aiplatform.googleapis.com`.

use std::fmt::Write as _;

/// The name of the place that the upstream's own name of a model fills. Paths alone may have it.
pub const MODEL: &str = "model";

/// A piece of a template.
enum Piece<'t> {
    Text(&'t str),
    /// A place, and whether a hyphen belongs to it.
    Place(&'t str, bool),
}

/// The names of a template's places, in order.
pub fn places(template: &str) -> impl Iterator<Item = &str> {
    pieces(template).filter_map(|piece| match piece {
        Piece::Place(name, _) => Some(name),
        Piece::Text(_) => None,
    })
}

/// The template with its places filled.
///
/// # Errors
/// The name of the first place that has no value.
pub fn fill<V: AsRef<str>>(template: &str, mut value: impl FnMut(&str) -> Option<V>) -> Result<String, &str> {
    let mut filled = String::with_capacity(template.len() + 32);
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Place(name, hyphen) => {
                let value = value(name).ok_or(name)?;
                if !hyphen {
                    filled.push_str(value.as_ref());
                } else if value.as_ref() != "global" {
                    filled.push_str(value.as_ref());
                    filled.push('-');
                }
            }
        }
    }
    Ok(filled)
}

/// Whether a value can stand in a host and in a path as it is.
pub fn is_value(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| is_unreserved(byte) && byte != b'~')
}

/// A name of a model as one segment of a path: all but the unreserved letters of RFC 3986 is
/// percent-encoded, because AWS signs what it decodes from it (`:` and `/` stand in its model ids).
pub fn segment(model: &str) -> String {
    let mut segment = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        if is_unreserved(byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A brace that opens no place stays what it is.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, hyphen, after)) = place(rest) {
            rest = after;
            return Some(Piece::Place(name, hyphen));
        }
        let next = rest.char_indices().skip(1).find(|(at, _)| place(&rest[*at..]).is_some());
        let (text, after) = rest.split_at(next.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Piece::Text(text))
    })
}

/// The place that a text begins with, and what follows it.
fn place(text: &str) -> Option<(&str, bool, &str)> {
    let (inner, after) = text.strip_prefix('{')?.split_once('}')?;
    let name = inner.strip_suffix('-').unwrap_or(inner);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(plain)).then_some((name, name.len() < inner.len(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_a_missing_value_is_named() {
        let check = |template: &str, expected: Result<&str, &str>| {
            let value = |name: &str| match name {
                "region" => Some("eu-west-1".to_owned()),
                "location" => Some("global".to_owned()),
                MODEL => Some(segment("anthropic.claude-v2:1")),
                _ => None,
            };
            assert_eq!(fill(template, value), expected.map(str::to_owned), "{template}");
        };
        check("https://api.example.com/v1", Ok("https://api.example.com/v1"));
        check("https://b.{region}.amazonaws.com", Ok("https://b.eu-west-1.amazonaws.com"));
        check("https://{location-}ai.com/{location}", Ok("https://ai.com/global"));
        check("https://{region-}ai.com", Ok("https://eu-west-1-ai.com"));
        check("/model/{model}/converse", Ok("/model/anthropic.claude-v2%3A1/converse"));
        check("/{project}/{model}", Err("project"));
        check("/{", Ok("/{"));
        check("/{A b}/{}/{-}", Ok("/{A b}/{}/{-}"));
        check("", Ok(""));
        assert_eq!(places("/{a}/x{b-}{c").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_value_cannot_leave_its_place() {
        for value in ["eu-west-1", "2025-04-01-preview", "my_project.1"] {
            assert!(is_value(value), "{value}");
        }
        for value in ["", "a/b", "a.com/", "x?y", "x#", "a b", "{x}", "é", "a@b", "a:1"] {
            assert!(!is_value(value), "{value}");
        }
        assert_eq!(segment("arn:aws:x/y é"), "arn%3Aaws%3Ax%2Fy%20%C3%A9");
        assert_eq!(segment("gemini-3.1-pro_x~"), "gemini-3.1-pro_x~");
    }
}
