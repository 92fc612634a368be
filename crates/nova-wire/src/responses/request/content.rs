//! What an item says: text, images, files.

use serde_json::Value;

use crate::error::BadRequest;
use crate::fields::{Object, wrong_type};
use crate::hub::request::{Part, Source};

/// Reads a content: a string, a list of parts, or nothing.
pub(super) fn read(place: &str, content: Option<Value>) -> Result<Vec<Part>, BadRequest> {
    match content {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![plain(text)]),
        Some(Value::Array(parts)) => {
            let part = |(at, part)| read_part(format!("{place}[{at}]"), part);
            parts.into_iter().enumerate().map(part).collect()
        }
        Some(other) => Err(wrong_type(place.to_owned(), "a string or an array of parts", &other)),
    }
}

pub(super) fn plain(text: String) -> Part {
    Part::Text { text, cache: None }
}

fn read_part(place: String, part: Value) -> Result<Part, BadRequest> {
    if let Value::String(text) = part {
        return Ok(plain(text));
    }
    let mut part = Object::new(place, part)?;
    let kind = part.need_string("type")?;
    match kind.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" => {
            let text = part.need_string("text")?;
            Ok(Part::Text { text, cache: part.take("cache_control") })
        }
        "refusal" => Ok(Part::Refusal { text: part.need_string("refusal")? }),
        "input_image" | "computer_screenshot" => {
            let source = image(&mut part)?;
            // OpenAI's SDKs always say it, and `auto` says nothing.
            let detail = part.string("detail")?.filter(|detail| detail != "auto");
            Ok(Part::Image { source, detail, cache: part.take("cache_control") })
        }
        "input_file" => file(part),
        _ => {
            part.fields.insert("type".to_owned(), Value::String(kind.clone()));
            Ok(Part::Foreign { kind, value: Value::Object(part.fields) })
        }
    }
}

fn image(part: &mut Object) -> Result<Source, BadRequest> {
    let url = match part.take("image_url") {
        // The form of a chat message, which some SDKs send here too.
        Some(Value::Object(fields)) => {
            let place = part.place("image_url");
            Some(Object::new(place, Value::Object(fields))?.need_string("url")?)
        }
        Some(Value::String(url)) => Some(url),
        Some(other) => return Err(wrong_type(part.place("image_url"), "a string", &other)),
        None => None,
    };
    match url {
        Some(url) => Ok(source(url)),
        None => Ok(Source::File(part.string("file_id")?.ok_or_else(|| part.missing("image_url"))?)),
    }
}

fn file(mut part: Object) -> Result<Part, BadRequest> {
    let name = part.string("filename")?;
    let source = if let Some(data) = part.string("file_data")? {
        match source(data) {
            // OpenAI wants a data URL; plain base64 is what older clients sent for a PDF.
            Source::Url(data) => Source::Base64 { media_type: "application/pdf".to_owned(), data },
            inline => inline,
        }
    } else if let Some(url) = part.string("file_url")? {
        source(url)
    } else {
        Source::File(part.string("file_id")?.ok_or_else(|| part.missing("file_data"))?)
    };
    Ok(Part::Document { source, name, cache: part.take("cache_control") })
}

/// The bytes of a `data:` URL in base64, or another URL as it stands.
fn source(url: String) -> Source {
    match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => {
            Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => Source::Url(url),
    }
}
