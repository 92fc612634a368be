//! Where in a client's own body something stands that a writer refused.
//!
//! Writers see the hub's turns, which are neither the messages of a chat body nor the items of a Responses body.
//! What they refuse, because leaving it out would change what is asked, are pictures, documents and sound, and
//! these are found again in what the client sent.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::error::BadRequest;

/// The same fault, in the client's words and at the client's place.
pub(super) fn in_words_of(client: Dialect, body: &[u8], mut error: BadRequest) -> BadRequest {
    let list = match client {
        Dialect::Responses => "input",
        Dialect::Gemini => "contents",
        Dialect::Chat | Dialect::Messages | Dialect::Converse => "messages",
    };
    if !error.path.starts_with("messages") {
        return error;
    }
    let media = (error.code == "unsupported").then(|| Media::of(&error.message)).flatten();
    let found = media.and_then(|media| {
        let body: Value = serde_json::from_slice(body).ok()?;
        media.place(list, body.get(list)?)
    });
    let counted_alike = matches!(client, Dialect::Chat | Dialect::Messages);
    let place = match found {
        Some(place) => place,
        None if counted_alike => return error,
        None => list.to_owned(),
    };
    error.message = error.message.replacen(&format!("`{}`", error.path), &format!("`{place}`"), 1);
    error.path = place;
    error
}

/// What was refused.
struct Media {
    kind: &'static str,
    /// Whether it is one that is not sent along.
    elsewhere: bool,
}

impl Media {
    fn of(message: &str) -> Option<Self> {
        let kinds = [
            ("container", "upload"),
            ("image", "image"),
            ("document", "document"),
            ("PDF", "document"),
            ("audio", "audio"),
        ];
        let (_, kind) = kinds.into_iter().find(|(word, _)| message.contains(word))?;
        let elsewhere = ["URL", "file store", "data only"].iter().any(|word| message.contains(word));
        Some(Self { kind, elsewhere })
    }

    /// The place of the first of them, in a list of messages, items or contents.
    fn place(&self, list: &str, items: &Value) -> Option<String> {
        let numbered = |list: &Value| list.as_array().cloned().unwrap_or_default().into_iter().enumerate();
        numbered(items).find_map(|(at, item)| {
            let fields = ["content", "parts", "output"].into_iter();
            fields.filter_map(|field| Some((field, item.get(field)?))).find_map(|(field, parts)| {
                numbered(parts).find_map(|(inner, part)| {
                    let place = format!("{list}[{at}].{field}[{inner}]");
                    if self.is(&part) {
                        return Some(place);
                    }
                    // A tool may have answered with it.
                    let (deepest, _) = numbered(part.get("content")?).find(|(_, part)| self.is(part))?;
                    Some(format!("{place}.content[{deepest}]"))
                })
            })
        })
    }

    fn is(&self, part: &Value) -> bool {
        let data = part.get("inlineData").or_else(|| part.get("inline_data"));
        let file = part.get("fileData").or_else(|| part.get("file_data")).filter(|file| file.is_object());
        let kind = match data.or(file) {
            Some(data) => media_kind(data),
            None => match part.get("type").and_then(Value::as_str).unwrap_or_default() {
                "image" | "image_url" | "input_image" => "image",
                "document" | "file" | "input_file" => "document",
                "input_audio" => "audio",
                "container_upload" => "upload",
                _ => return false,
            },
        };
        kind == self.kind && (!self.elsewhere || is_elsewhere(part))
    }
}

fn media_kind(data: &Value) -> &'static str {
    let kind = data.get("mimeType").or_else(|| data.get("mime_type")).and_then(Value::as_str);
    match kind.unwrap_or_default().split('/').next().unwrap_or_default() {
        "image" => "image",
        "audio" => "audio",
        "video" => "video",
        _ => "document",
    }
}

/// Whether a part names an address or a file instead of holding data.
fn is_elsewhere(part: &Value) -> bool {
    match part {
        Value::String(text) => text.starts_with("http://") || text.starts_with("https://"),
        Value::Array(all) => all.iter().any(is_elsewhere),
        Value::Object(fields) => {
            fields.keys().any(|name| matches!(name.as_str(), "file_id" | "fileUri" | "file_uri"))
                || fields.values().any(is_elsewhere)
        }
        _ => false,
    }
}
