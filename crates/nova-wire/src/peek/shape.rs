//! Which dialect a body is written in, whatever path it was sent to.
//!
//! Clients put a Messages body on the chat path, and the reverse. The fields that only one dialect has
//! give it away; a body that could be either is what its path says. An ordinary body costs nothing more
//! than the first pass: only where that one failed, or met a word of another dialect, a second one looks
//! closer.

use crate::dialect::Dialect;
use crate::error::BadRequest;
use crate::scan::{Kind, Scan, Scanner};

use super::Peek;

#[cfg(test)]
mod tests;

impl Peek {
    /// Reads a body in the dialect that it is written in. `path` is the dialect of the path, `versioned`
    /// says whether the client sent an `anthropic-version`.
    ///
    /// # Errors
    /// As [`Peek::read`], in the dialect that is returned beside it.
    pub fn read_any(path: Dialect, versioned: bool, body: &[u8]) -> (Dialect, Result<Self, BadRequest>) {
        let read = Self::read(path, body);
        let plain = match &read {
            _ if path == Dialect::Gemini => true,
            // Anthropic's own clients know where they are.
            Ok(_) if versioned && path == Dialect::Messages => true,
            Ok(peek) => !peek.is_foreign && !versioned,
            Err(_) => false,
        };
        if plain {
            return (path, read);
        }
        let Ok(shape) = Shape::of(body) else { return (path, read) };
        let dialect = shape.dialect(path, versioned);
        if dialect == path {
            return (path, read);
        }
        let mut read = Self::read(dialect, body);
        if let (Dialect::Gemini, Ok(peek)) = (dialect, &mut read) {
            // Its own path would have said it.
            peek.model = shape.model;
        }
        (dialect, read)
    }
}

/// Whether a top-level field belongs to another dialect than this one.
pub(super) fn is_foreign_field(dialect: Dialect, name: &str) -> bool {
    match dialect {
        Dialect::Chat => matches!(of_field(name), Some(Sign::Messages | Sign::Input | Sign::Contents)),
        Dialect::Messages => matches!(of_field(name), Some(Sign::Chat | Sign::Input | Sign::Contents)),
        Dialect::Responses => matches!(name, "messages" | "contents"),
        Dialect::Gemini | Dialect::Converse => false,
    }
}

/// Whether a message's role belongs to another dialect than this one.
pub(super) fn is_foreign_role(dialect: Dialect, role: &[u8]) -> bool {
    dialect == Dialect::Messages && matches!(role, b"system" | b"developer" | b"tool" | b"function")
}

/// Whether a part of content belongs to another dialect than this one.
pub(super) fn is_foreign_part(dialect: Dialect, kind: &str) -> bool {
    match dialect {
        Dialect::Chat => of_part(kind) == Some(Sign::Messages),
        Dialect::Messages => of_part(kind) == Some(Sign::Chat),
        _ => false,
    }
}

/// Whether a field of a tool belongs to another dialect than this one.
pub(super) fn is_foreign_tool(dialect: Dialect, field: &str) -> bool {
    match dialect {
        Dialect::Chat => field == "input_schema",
        Dialect::Messages => field == "function",
        _ => false,
    }
}

/// What a word gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Chat,
    Messages,
    Input,
    Contents,
}

fn of_field(name: &str) -> Option<Sign> {
    match name {
        "frequency_penalty"
        | "function_call"
        | "functions"
        | "logit_bias"
        | "logprobs"
        | "max_completion_tokens"
        | "n"
        | "parallel_tool_calls"
        | "presence_penalty"
        | "reasoning_effort"
        | "response_format"
        | "seed"
        | "stop"
        | "stream_options"
        | "top_logprobs" => Some(Sign::Chat),
        "anthropic_beta" | "anthropic_version" | "context_management" | "mcp_servers" | "output_config"
        | "stop_sequences" | "system" => Some(Sign::Messages),
        "input" | "instructions" => Some(Sign::Input),
        "contents" => Some(Sign::Contents),
        _ => None,
    }
}

fn of_part(kind: &str) -> Option<Sign> {
    match kind {
        "image_url" | "input_audio" | "file" | "refusal" => Some(Sign::Chat),
        "document" | "image" | "redacted_thinking" | "thinking" | "tool_result" | "tool_use" => {
            Some(Sign::Messages)
        }
        _ => None,
    }
}

/// What stands in a body, without any judgement on whether it is right.
#[derive(Clone, Debug, Default)]
struct Shape {
    model: String,
    messages: bool,
    input: bool,
    contents: bool,
    max_tokens: bool,
    /// Whether the first message is the system's.
    leads_with_system: bool,
    chat: bool,
    anthropic: bool,
}

impl Shape {
    fn of(body: &[u8]) -> Scan<Self> {
        let mut scan = Scanner::new(body)?;
        let mut shape = Self::default();
        scan.object(|scan, key, _| shape.field(scan, key))?;
        scan.end()?;
        Ok(shape)
    }

    /// The dialect of a body of this shape.
    const fn dialect(&self, path: Dialect, versioned: bool) -> Dialect {
        let anthropic = (self.anthropic || versioned) && !self.chat;
        match path {
            Dialect::Gemini | Dialect::Converse => path,
            _ if self.contents && !self.messages && !self.input => Dialect::Gemini,
            _ if self.input && !self.messages => Dialect::Responses,
            Dialect::Chat if anthropic => Dialect::Messages,
            Dialect::Messages if versioned || self.anthropic => path,
            // Messages cannot do without `max_tokens`, and has its system prompt elsewhere.
            Dialect::Messages if self.chat || (self.leads_with_system && !self.max_tokens) => Dialect::Chat,
            Dialect::Responses if self.messages && !self.input => {
                if anthropic {
                    Dialect::Messages
                } else {
                    Dialect::Chat
                }
            }
            _ => path,
        }
    }

    fn sign(&mut self, sign: Option<Sign>) {
        match sign {
            Some(Sign::Chat) => self.chat = true,
            Some(Sign::Messages) => self.anthropic = true,
            Some(Sign::Input | Sign::Contents) | None => {}
        }
    }

    fn field(&mut self, scan: &mut Scanner<'_>, key: &str) -> Scan<()> {
        let kind = scan.kind()?;
        if kind != Kind::Null {
            self.sign(of_field(key));
            self.max_tokens |= key == "max_tokens";
            self.input |= key == "input";
            self.contents |= key == "contents" && kind == Kind::Array;
        }
        match (key, kind) {
            ("model", Kind::String) => {
                self.model = scan.string()?.decode().unwrap_or_default().into_owned();
                Ok(())
            }
            ("messages", Kind::Array) => {
                self.messages = true;
                scan.array(|scan, index| self.message(scan, index)).map(drop)
            }
            ("tools", Kind::Array) => scan.array(|scan, _| self.tool(scan)).map(drop),
            _ => scan.skip().map(drop),
        }
    }

    fn message(&mut self, scan: &mut Scanner<'_>, index: usize) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("role", Kind::String) => {
                let role = scan.string()?.raw;
                self.leads_with_system |= index == 0 && role == b"system";
                self.chat |= matches!(role, b"developer" | b"tool" | b"function");
                Ok(())
            }
            ("tool_calls", Kind::Array) => {
                self.chat = true;
                scan.skip().map(drop)
            }
            ("content", Kind::Array) => scan.array(|scan, _| self.part(scan)).map(drop),
            _ => scan.skip().map(drop),
        })
        .map(drop)
    }

    fn part(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        scan.object(|scan, key, _| match (key, scan.kind()?) {
            ("type", Kind::String) => {
                let kind = scan.string()?.decode().unwrap_or_default();
                self.sign(of_part(&kind));
                Ok(())
            }
            _ => scan.skip().map(drop),
        })
        .map(drop)
    }

    fn tool(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        scan.object(|scan, key, _| {
            let kind = scan.kind()?;
            self.chat |= key == "function" && kind == Kind::Object;
            self.anthropic |= key == "input_schema" && kind == Kind::Object;
            scan.skip().map(drop)
        })
        .map(drop)
    }
}
