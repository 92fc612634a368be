//! Content blocks, read.

use serde_json::{Map, Value};

use crate::error::BadRequest;
use crate::fields::{Object, wrong_type};
use crate::hub::request::{Part, Source, ToolCall};
use crate::ids;

/// How deep blocks may lie in blocks: a result in a turn, a search result in that, its text.
const MAX_DEPTH: u8 = 4;

/// Reads a content: a string or a list of blocks.
pub(super) fn read(
    place: &str,
    content: Value,
    extra: &mut Map<String, Value>,
) -> Result<Vec<Part>, BadRequest> {
    let mut parts = Vec::new();
    read_content(place, content, &mut parts, extra, 0)?;
    Ok(parts)
}

fn read_content(
    place: &str,
    content: Value,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
    depth: u8,
) -> Result<(), BadRequest> {
    match content {
        Value::String(text) => parts.push(Part::Text { text, cache: None }),
        Value::Array(blocks) if depth < MAX_DEPTH => {
            for (index, block) in blocks.into_iter().enumerate() {
                let block = Object::new(format!("{place}[{index}]"), block)?;
                read_block(block, parts, extra, depth + 1)?;
            }
        }
        Value::Array(_) => {
            return Err(BadRequest {
                path: place.to_owned(),
                message: format!("`{place}` is nested too deeply"),
                code: "invalid_value",
            });
        }
        other => return Err(wrong_type(place.to_owned(), "a string or an array of blocks", &other)),
    }
    Ok(())
}

fn read_block(
    mut block: Object,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
    depth: u8,
) -> Result<(), BadRequest> {
    let kind = block.need_string("type")?;
    match kind.as_str() {
        "text" => {
            let text = block.need_string("text")?;
            parts.push(Part::Text { text, cache: block.take("cache_control") });
        }
        "image" => {
            let source = block.object("source")?.ok_or_else(|| block.missing("source"))?;
            match read_source(source)? {
                Ok(source) => {
                    parts.push(Part::Image { source, detail: None, cache: block.take("cache_control") })
                }
                Err(source) => parts.push(foreign(kind, block, "source", source)),
            }
        }
        "document" => read_document(block, parts, extra, depth)?,
        "tool_use" => {
            let id = ids::from_word(&block.need_string("id")?).into_owned();
            let name = block.need_string("name")?;
            let arguments = block.take("input").map_or_else(|| "{}".to_owned(), |input| input.to_string());
            parts.push(Part::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() }));
        }
        "tool_result" => {
            let id = ids::from_word(&block.need_string("tool_use_id")?).into_owned();
            let is_error = block.flag("is_error")?.unwrap_or(false);
            let cache = block.take("cache_control");
            let mut inner = Vec::new();
            if let Some(content) = block.take("content") {
                read_content(&block.place("content"), content, &mut inner, extra, depth)?;
            }
            parts.push(Part::ToolResult { id, parts: inner, is_error, cache });
        }
        "thinking" => {
            let text = block.string("thinking")?.unwrap_or_default();
            let signature = block.string("signature")?.filter(|signature| !signature.is_empty());
            parts.push(Part::Thinking { text, signature });
        }
        "redacted_thinking" => {
            parts.push(Part::RedactedThinking { data: block.string("data")?.unwrap_or_default() });
        }
        // What a conversation was compacted to is plain text to anybody else.
        "compaction" => {
            if let Some(text) = block.string("content")? {
                parts.push(Part::Text { text, cache: block.take("cache_control") });
            }
        }
        "search_result" => read_search_result(block, parts, extra, depth)?,
        _ => {
            block.fields.insert("type".to_owned(), Value::String(kind.clone()));
            parts.push(Part::Foreign { kind, value: Value::Object(block.fields) });
        }
    }
    Ok(())
}

/// A block put together again, because one of its fields holds what the hub has no room for.
fn foreign(kind: String, mut block: Object, field: &str, value: Object) -> Part {
    block.fields.insert("type".to_owned(), Value::String(kind.clone()));
    block.fields.insert(field.to_owned(), Value::Object(value.fields));
    Part::Foreign { kind, value: Value::Object(block.fields) }
}

/// A source; the object itself where it is of a kind that nobody knows.
fn read_source(mut source: Object) -> Result<Result<Source, Object>, BadRequest> {
    let kind = source.need_string("type")?;
    Ok(Ok(match kind.as_str() {
        "base64" => Source::Base64 {
            media_type: source.need_string("media_type")?,
            data: source.need_string("data")?,
        },
        "url" => Source::Url(source.need_string("url")?),
        "file" => Source::File(source.need_string("file_id")?),
        "text" => Source::Text(source.need_string("data")?),
        _ => {
            source.fields.insert("type".to_owned(), Value::String(kind));
            return Ok(Err(source));
        }
    }))
}

fn read_document(
    mut block: Object,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
    depth: u8,
) -> Result<(), BadRequest> {
    let mut source = block.object("source")?.ok_or_else(|| block.missing("source"))?;
    let name = block.string("title")?;
    if block.take("citations").is_some() {
        extra.insert("document.citations".to_owned(), Value::Bool(true));
    }
    // What the client says about the document is no part of it.
    if let Some(text) = block.string("context")? {
        parts.push(Part::Text { text, cache: None });
    }
    let cache = block.take("cache_control");
    if source.fields.get("type").and_then(Value::as_str) == Some("content") {
        let content = source.take("content").ok_or_else(|| source.missing("content"))?;
        read_content(&source.place("content"), content, parts, extra, depth)?;
        return Ok(());
    }
    match read_source(source)? {
        Ok(source) => parts.push(Part::Document { source, name, cache }),
        Err(source) => parts.push(foreign("document".to_owned(), block, "source", source)),
    }
    Ok(())
}

/// A search result of the client's own is text with a heading.
fn read_search_result(
    mut block: Object,
    parts: &mut Vec<Part>,
    extra: &mut Map<String, Value>,
    depth: u8,
) -> Result<(), BadRequest> {
    let heading: Vec<String> =
        [block.string("title")?, block.string("source")?].into_iter().flatten().collect();
    if !heading.is_empty() {
        parts.push(Part::Text { text: heading.join("\n"), cache: None });
    }
    match block.take("content") {
        Some(content) => read_content(&block.place("content"), content, parts, extra, depth),
        None => Ok(()),
    }
}
