//! The conversation, read.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use crate::error::BadRequest;
use crate::gemini::fields::{Object, wrong_type, wrong_value};
use crate::gemini::unarmoured;
use crate::hub::request::{Mark, Part, Role, Source, ToolCall, Turn};

/// Reads `systemInstruction` and `contents`.
pub(super) fn read(
    body: &mut Object,
    turns: &mut Vec<Turn>,
    extra: &mut Map<String, Value>,
) -> Result<(), BadRequest> {
    let mut reader = Reader { calls: Calls::default(), extra };
    if let Some((place, system)) = body.take("systemInstruction") {
        let parts = match system {
            Value::String(text) => vec![Part::Text { text, cache: None }],
            other => reader.parts(&mut Object::new(place, other)?, 0)?,
        };
        if !parts.is_empty() {
            turns.push(Turn::new(Role::System, parts));
        }
    }
    let (place, contents) = body.list("contents").ok_or_else(|| body.missing("contents"))?;
    for (index, content) in contents.into_iter().enumerate() {
        let mut content = Object::new(format!("{place}[{index}]"), content)?;
        let role = role(&mut content)?;
        let parts = reader.parts(&mut content, index)?;
        turns.push(Turn::new(role, parts));
    }
    Ok(())
}

fn role(content: &mut Object) -> Result<Role, BadRequest> {
    let place = content.place("role");
    match content.string("role")?.as_deref() {
        // A single question may leave it out. `function` is how results of tools were sent once.
        None | Some("" | "user" | "function" | "tool") => Ok(Role::User),
        Some("model" | "assistant") => Ok(Role::Assistant),
        Some("system") => Ok(Role::System),
        Some(other) => Err(wrong_value(place, "`user` or `model`", other)),
    }
}

/// The calls so far, to find the one that a result answers.
#[derive(Default)]
struct Calls {
    ids: HashSet<String>,
    /// By the function's name, the calls that wait for a result, first one first.
    waiting: HashMap<String, VecDeque<String>>,
    answered: HashSet<String>,
}

impl Calls {
    /// The call's id; one without gets one from its place, so that the same conversation has the same
    /// ids each time that it is sent.
    fn call(&mut self, id: Option<String>, name: &str, (content, part): (usize, usize)) -> String {
        let id = id.unwrap_or_else(|| {
            let mut id = format!("call_{content}_{part}");
            while self.ids.contains(&id) {
                id.push('x');
            }
            id
        });
        self.ids.insert(id.clone());
        self.waiting.entry(name.to_owned()).or_default().push_back(id.clone());
        id
    }

    /// The id of the call that a result answers: the one that it names, else the first call of the
    /// function that still waits.
    fn answer(&mut self, id: Option<String>, name: &str, (content, part): (usize, usize)) -> String {
        if let Some(id) = id.as_ref().filter(|id| self.ids.contains(*id)) {
            self.answered.insert(id.clone());
            return id.clone();
        }
        let waiting = self.waiting.get_mut(name);
        let answered = &self.answered;
        let mut next = waiting.and_then(|queue| {
            while queue.front().is_some_and(|id| answered.contains(id)) {
                queue.pop_front();
            }
            queue.pop_front()
        });
        next.take().or(id).unwrap_or_else(|| format!("result_{content}_{part}"))
    }
}

struct Reader<'a> {
    calls: Calls,
    extra: &'a mut Map<String, Value>,
}

impl Reader<'_> {
    fn parts(&mut self, content: &mut Object, index: usize) -> Result<Vec<Part>, BadRequest> {
        let Some((place, list)) = content.list("parts") else { return Ok(Vec::new()) };
        let mut parts = Vec::with_capacity(list.len());
        for (at, part) in list.into_iter().enumerate() {
            let place = format!("{place}[{at}]");
            match part {
                // The SDKs take plain text for a part; a body made by hand may, too.
                Value::String(text) => parts.push(Part::Text { text, cache: None }),
                part => self.part(Object::new(place, part)?, (index, at), &mut parts)?,
            }
        }
        Ok(parts)
    }

    fn part(
        &mut self,
        mut part: Object,
        at: (usize, usize),
        parts: &mut Vec<Part>,
    ) -> Result<(), BadRequest> {
        let thought = part.flag("thought")?.unwrap_or(false);
        let signature = part.string("thoughtSignature")?.filter(|signature| !signature.is_empty());
        let signature = signature.map(unarmoured);
        if let Some(text) = part.string("text")? {
            // The signature on plain text is of use to Gemini alone, which does not insist on it.
            parts.push(match thought {
                true => Part::Thinking { text, signature },
                false => Part::Text { text, cache: None },
            });
        } else if let Some(call) = part.object("functionCall")? {
            parts.push(Part::ToolCall(self.call(call, signature, at)?));
        } else if let Some(result) = part.object("functionResponse")? {
            parts.push(self.result(result, at)?);
        } else if let Some(blob) = part.object("inlineData")? {
            parts.push(inline(blob)?);
        } else if let Some(file) = part.object("fileData")? {
            parts.push(stored(file)?);
        } else if let Some(kind) = part.fields.keys().next().cloned() {
            // `executableCode`, `codeExecutionResult`, and what else Google's own tools leave behind.
            parts.push(Part::Foreign { kind, value: Value::Object(part.fields) });
            return Ok(());
        }
        part.keep("contents.parts", self.extra);
        Ok(())
    }

    fn call(
        &mut self,
        mut call: Object,
        signature: Option<String>,
        at: (usize, usize),
    ) -> Result<ToolCall, BadRequest> {
        let id = call.string("id")?;
        let name = call.need_string("name")?;
        let id = own_id(id, &name);
        let arguments = call.object("args")?.map(|args| args.fields).unwrap_or_default();
        call.keep("contents.parts.functionCall", self.extra);
        Ok(ToolCall {
            id: self.calls.call(id, &name, at),
            name,
            arguments: Value::Object(arguments).to_string(),
            mark: Mark { signature, ..Mark::default() },
        })
    }

    fn result(&mut self, mut result: Object, at: (usize, usize)) -> Result<Part, BadRequest> {
        let id = result.string("id")?;
        let name = result.need_string("name")?;
        let id = own_id(id, &name);
        let response = result.object("response")?.map(|response| response.fields).unwrap_or_default();
        let (text, is_error) = said(response);
        let mut parts = Vec::new();
        parts.extend(text.map(|text| Part::Text { text, cache: None }));
        if let Some((place, list)) = result.list("parts") {
            for (index, part) in list.into_iter().enumerate() {
                let mut part = Object::new(format!("{place}[{index}]"), part)?;
                if let Some(blob) = part.object("inlineData")? {
                    parts.push(inline(blob)?);
                } else if let Some(file) = part.object("fileData")? {
                    parts.push(stored(file)?);
                }
            }
        }
        result.keep("contents.parts.functionResponse", self.extra);
        let id = self.calls.answer(id, &name, at);
        Ok(Part::ToolResult { id, parts, is_error, cache: None })
    }
}

/// The id as it was given out: Gemini CLI puts the function's name before it (`read_file__call_1`), by
/// which nobody would know it again.
fn own_id(id: Option<String>, name: &str) -> Option<String> {
    let id = id.filter(|id| !id.is_empty())?;
    let own = id.strip_prefix(name).and_then(|rest| rest.strip_prefix("__")).filter(|own| !own.is_empty());
    Some(own.map_or(id.clone(), str::to_owned))
}

/// The words of a result, and whether they report a failure: `output` and `error` are Google's names for
/// them, `result` is what its SDK for Python writes, and anything else is all output.
fn said(response: Map<String, Value>) -> (Option<String>, bool) {
    let only = match response.len() {
        0 => return (None, false),
        1 => {
            response.iter().next().filter(|(name, _)| ["output", "error", "result"].contains(&name.as_str()))
        }
        _ => None,
    };
    let Some((name, value)) = only else { return (Some(Value::Object(response).to_string()), false) };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    (Some(text).filter(|text| !text.is_empty()), name == "error")
}

/// Data that stands in the request.
fn inline(mut blob: Object) -> Result<Part, BadRequest> {
    let media_type = blob.string("mimeType")?.unwrap_or_default();
    let data = blob.need_string("data")?;
    let name = blob.string("displayName")?;
    let (family, kind) = media_type.split_once('/').unwrap_or((&media_type, ""));
    Ok(match (family.to_ascii_lowercase().as_str(), kind.to_ascii_lowercase().as_str()) {
        ("image", _) => {
            Part::Image { source: Source::Base64 { media_type, data }, detail: None, cache: None }
        }
        // The two kinds of sound that the chat dialect has words for.
        ("audio", "wav" | "x-wav" | "wave") => sound("wav", &data),
        ("audio", "mp3" | "mpeg") => sound("mp3", &data),
        ("audio" | "video", _) => Part::Foreign {
            kind: "inlineData".to_owned(),
            value: json!({ "inlineData": { "mimeType": media_type, "data": data } }),
        },
        _ => Part::Document { source: Source::Base64 { media_type, data }, name, cache: None },
    })
}

fn sound(format: &str, data: &str) -> Part {
    let value = json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } });
    Part::Foreign { kind: "input_audio".to_owned(), value }
}

/// Data that stands elsewhere: in Google's own store, in a bucket, or on the web.
fn stored(mut file: Object) -> Result<Part, BadRequest> {
    let place = file.place("fileUri");
    let uri = file.need_string("fileUri")?;
    if uri.is_empty() {
        return Err(wrong_type(place, "a URI", &Value::String(uri)));
    }
    let media_type = file.string("mimeType")?.or_else(|| media_type_of(&uri).map(str::to_owned));
    let name = file.string("displayName")?;
    let media_type = media_type.unwrap_or_default();
    let family = media_type.split('/').next().unwrap_or_default().to_ascii_lowercase();
    let on_the_web = uri.starts_with("http://") || uri.starts_with("https://");
    let own = uri.starts_with("https://generativelanguage.googleapis.com/");
    let source = if on_the_web && !own { Source::Url(uri.clone()) } else { Source::File(uri.clone()) };
    Ok(match family.as_str() {
        "image" => Part::Image { source, detail: None, cache: None },
        "application" | "text" => Part::Document { source, name, cache: None },
        // A film, a sound, or a page such as YouTube's, of which nobody says what it is.
        _ => {
            let mut data = Map::new();
            if !media_type.is_empty() {
                data.insert("mimeType".to_owned(), Value::String(media_type));
            }
            data.insert("fileUri".to_owned(), Value::String(uri));
            Part::Foreign { kind: "fileData".to_owned(), value: json!({ "fileData": data }) }
        }
    })
}

/// The media type that the end of a URI says.
pub(super) fn media_type_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "json" => "application/json",
        "mp4" => "video/mp4",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        _ => return None,
    })
}
