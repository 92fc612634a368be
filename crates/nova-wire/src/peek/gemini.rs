//! A Gemini body: neither the model nor whether to stream stands in it, the path says both.
//!
//! Google takes every name in two spellings, `generationConfig` and `generation_config`; either is read,
//! and both together are a duplicate.

use crate::controls::is_control;

use super::{Fault, Kind, Peek, Scan, Scanner, count, want};

/// The fields that may stand only once, with their other spelling.
const ONCE: [(&str, &str); 4] = [
    ("contents", "contents"),
    ("systemInstruction", "system_instruction"),
    ("tools", "tools"),
    ("generationConfig", "generation_config"),
];

/// Reads the fields of a body.
pub(super) fn read(scan: &mut Scanner<'_>) -> Scan<Peek> {
    let mut peek = Peek::default();
    let mut seen = [false; ONCE.len()];
    scan.object(|scan, key, _| {
        let known = ONCE.iter().position(|(name, other)| *name == key || *other == key);
        if let Some(at) = known
            && std::mem::replace(&mut seen[at], true)
        {
            return Err(Fault::new("duplicate_field", "stands twice in the body"));
        }
        match (known.map(|at| ONCE[at].0), scan.kind()?) {
            (Some("contents"), _) => contents(scan, &mut peek),
            (Some("tools"), Kind::Array) => {
                peek.has_tools = scan.array(|scan, _| scan.skip().map(drop))? > 0;
                Ok(())
            }
            (Some("tools"), Kind::Object) => {
                peek.has_tools = true;
                scan.skip().map(drop)
            }
            (Some("generationConfig"), Kind::Object) => config(scan, &mut peek),
            (None, _) if is_control(key) => {
                peek.has_controls = true;
                scan.skip().map(drop)
            }
            _ => scan.skip().map(drop),
        }
    })?;
    if seen[0] { Ok(peek) } else { Err(Fault::new("missing_field", "is missing").in_field("contents")) }
}

/// A list of contents, or one by itself.
fn contents(scan: &mut Scanner<'_>, peek: &mut Peek) -> Scan<()> {
    if scan.kind()? == Kind::Object {
        peek.messages = 1;
        return content(scan, peek);
    }
    want(scan, Kind::Array)?;
    let count = scan.array(|scan, _| content(scan, peek))?;
    if count == 0 {
        return Err(Fault::new("invalid_value", "must not be empty"));
    }
    peek.messages = u32::try_from(count).unwrap_or(u32::MAX);
    Ok(())
}

fn content(scan: &mut Scanner<'_>, peek: &mut Peek) -> Scan<()> {
    want(scan, Kind::Object)?;
    scan.object(|scan, key, _| match (key, scan.kind()?) {
        ("parts", Kind::Array) => scan.array(|scan, _| part(scan, peek)).map(drop),
        ("parts", Kind::Object) => part(scan, peek),
        _ => scan.skip().map(drop),
    })
    .map(drop)
}

/// A part, of which only the media matter. A result of a function may hold parts of its own.
fn part(scan: &mut Scanner<'_>, peek: &mut Peek) -> Scan<()> {
    if scan.kind()? != Kind::Object {
        return scan.skip().map(drop);
    }
    scan.object(|scan, key, _| match (key, scan.kind()?) {
        ("inlineData" | "inline_data" | "fileData" | "file_data", Kind::Object) => media(scan, peek),
        ("functionResponse" | "function_response", Kind::Object) => {
            let before = peek.has_images;
            content(scan, peek)?;
            peek.in_result(before);
            Ok(())
        }
        _ => scan.skip().map(drop),
    })
    .map(drop)
}

fn media(scan: &mut Scanner<'_>, peek: &mut Peek) -> Scan<()> {
    scan.object(|scan, key, _| match (key, scan.kind()?) {
        ("mimeType" | "mime_type", Kind::String) => {
            peek.has_images |= scan.string()?.raw.starts_with(b"image");
            Ok(())
        }
        _ => scan.skip().map(drop),
    })
    .map(drop)
}

fn config(scan: &mut Scanner<'_>, peek: &mut Peek) -> Scan<()> {
    scan.object(|scan, key, _| match (key, scan.kind()?) {
        (_, Kind::Null) => scan.skip().map(drop),
        ("maxOutputTokens" | "max_output_tokens", _) => {
            peek.max_tokens = Some(count(scan)?);
            Ok(())
        }
        ("responseMimeType" | "response_mime_type", Kind::String) => {
            peek.has_schema |= scan.string()?.decode().is_some_and(|kind| kind == "application/json");
            Ok(())
        }
        (
            "responseSchema" | "response_schema" | "responseJsonSchema" | "response_json_schema",
            Kind::Object,
        ) => {
            peek.has_schema = true;
            scan.skip().map(drop)
        }
        ("thinkingConfig" | "thinking_config", Kind::Object) => scan
            .object(|scan, key, _| match (key, scan.kind()?) {
                ("includeThoughts" | "include_thoughts", Kind::Bool) => {
                    peek.wants_thinking = super::boolean(scan)?;
                    Ok(())
                }
                _ => scan.skip().map(drop),
            })
            .map(drop),
        _ => scan.skip().map(drop),
    })
    .map(drop)
}
