//! The few fields that the gateway acts on, read in one pass without building a tree.
//!
//! Invariant: a body that is accepted here is JSON that every later reader accepts too, and no field
//! that the gateway acts on stands in it twice, so that gateway and provider cannot read two things.

use std::ops::Range;

use crate::controls::is_control;
use crate::dialect::Dialect;
use crate::error::BadRequest;
use crate::scan::{Fault, Kind, Scan, Scanner, Tally};

mod gemini;
mod shape;
#[cfg(test)]
pub(crate) mod tests;

/// What the gateway needs to know of a request before it chooses where to send it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peek {
    /// The model that the client asks for.
    pub model: String,
    /// Where the model's JSON value stands in the body, quotes included.
    pub model_span: Range<usize>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a streamed chat answer shall report usage.
    pub include_usage: bool,
    /// Where the value of `stream_options` stands, if there is one.
    pub stream_options_span: Option<Range<usize>>,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// How many messages there are.
    pub messages: u32,
    /// Whether tools are offered.
    pub has_tools: bool,
    /// Whether an image stands in the messages.
    pub has_images: bool,
    /// Whether an image stands in the result of a tool. A model that reads text only may go on without it.
    pub has_result_images: bool,
    /// Whether a form for the answer is asked for (`response_format`, `output_config.format`).
    pub has_schema: bool,
    /// Whether the client asks for thinking.
    pub wants_thinking: bool,
    /// The id of the last call in an assistant's message of a chat request that calls tools and says nothing of
    /// its thinking.
    pub bare_call: Option<String>,
    /// Whether a word stands in it that another dialect uses: the body may be written in that one
    /// ([`Peek::read_any`]).
    pub is_foreign: bool,
    /// Whether a field stands in it that is for the gateway's own routing ([`crate::controls`]).
    pub has_controls: bool,
    /// What the model's name asks of thinking (`:thinking`, `:nothink`), whatever the body says. The gateway
    /// sets it.
    pub thinking: Option<bool>,
    /// A first estimate of the prompt's tokens.
    pub prompt_estimate: u64,
}

impl Peek {
    /// Reads a body.
    ///
    /// # Errors
    /// Malformed JSON, a missing or mistyped `model`, `messages` or `stream`, a duplicate of a field
    /// that the gateway acts on, or nesting deeper than the bound.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, BadRequest> {
        Ok(Pass::read(dialect, body)?)
    }

    /// The same, with what the model's name asks of thinking.
    #[must_use]
    pub fn thinking_as(mut self, thinking: Option<bool>) -> Self {
        self.thinking = thinking;
        self.wants_thinking = thinking.unwrap_or(self.wants_thinking);
        self
    }

    /// What was seen since `has_images` was `before` stands in the result of a tool.
    fn in_result(&mut self, before: bool) {
        self.has_result_images |= self.has_images && !before;
        self.has_images = before;
    }
}

/// What each message costs beside its text: role and separators.
const MESSAGE_TOKENS: u64 = 4;

/// The fields that may stand only once, as bits.
const ONCE: [&str; 9] = [
    "model",
    "stream",
    "messages",
    "input",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "tools",
];

/// The state of one reading.
struct Pass {
    dialect: Dialect,
    peek: Peek,
    seen: u16,
    /// Images in the messages, inline or not.
    images: u64,
    /// Whether a Responses request refers to what is stored.
    stored: bool,
}

impl Pass {
    fn read(dialect: Dialect, body: &[u8]) -> Scan<Peek> {
        let mut scan = Scanner::new(body)?;
        if scan.kind()? != Kind::Object {
            return Err(Fault::new("invalid_type", "must be a JSON object"));
        }
        let mut pass = Self { dialect, peek: Peek::default(), seen: 0, images: 0, stored: false };
        scan.tally = Some(Tally::default());
        if dialect == Dialect::Gemini {
            pass.peek = gemini::read(&mut scan)?;
        } else {
            scan.object(|scan, key, _| pass.field(scan, key))?;
        }
        scan.end()?;
        match dialect {
            // The path says which model.
            Dialect::Gemini | Dialect::Converse => {}
            // `models` or `preset` may say it.
            _ if pass.peek.has_controls => {}
            _ => pass.require("model")?,
        }
        match dialect {
            Dialect::Chat | Dialect::Messages | Dialect::Converse => pass.require("messages")?,
            // What was said may be stored with the provider instead.
            Dialect::Responses if !pass.stored => {
                pass.require("input")?;
                if pass.peek.messages == 0 {
                    return Err(Fault::new("invalid_value", "must not be empty").in_field("input"));
                }
            }
            Dialect::Responses | Dialect::Gemini => {}
        }
        let tokens = scan.tally.map_or(0, |tally| tally.tokens(pass.images));
        pass.peek.prompt_estimate = tokens + u64::from(pass.peek.messages) * MESSAGE_TOKENS;
        Ok(pass.peek)
    }

    fn require(&self, name: &str) -> Scan<()> {
        let found = ONCE.iter().position(|known| *known == name);
        if found.is_some_and(|bit| self.seen & (1 << bit) != 0) {
            return Ok(());
        }
        Err(Fault::new("missing_field", "is missing").in_field(name))
    }

    fn field(&mut self, scan: &mut Scanner<'_>, key: &str) -> Scan<()> {
        if let Some(bit) = ONCE.iter().position(|known| *known == key) {
            if self.seen & (1 << bit) != 0 {
                return Err(Fault::new("duplicate_field", "stands twice in the body"));
            }
            self.seen |= 1 << bit;
        }
        let nothing = scan.kind()? == Kind::Null;
        self.peek.is_foreign |= !nothing && shape::is_foreign_field(self.dialect, key);
        if key == "stream_options" && nothing {
            self.peek.stream_options_span = Some(scan.skip()?);
            return Ok(());
        }
        match key {
            "model" => self.model(scan),
            "messages" => self.messages(scan),
            "input" if self.dialect == Dialect::Responses => self.input(scan),
            "previous_response_id" | "prompt" | "conversation" if self.dialect == Dialect::Responses => {
                self.stored |= !nothing;
                scan.skip().map(drop)
            }
            "stream" if !nothing => {
                self.peek.stream = boolean(scan)?;
                Ok(())
            }
            "stream_options" if !nothing => self.stream_options(scan),
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" if !nothing => {
                let count = count(scan)?;
                self.peek.max_tokens = Some(self.peek.max_tokens.map_or(count, |other| other.min(count)));
                Ok(())
            }
            "tools" | "functions" if !nothing => {
                want(scan, Kind::Array)?;
                let tools = scan.array(|scan, _| self.tool(scan))?;
                self.peek.has_tools |= tools > 0;
                Ok(())
            }
            _ if is_control(key) => {
                self.peek.has_controls = true;
                scan.skip().map(drop)
            }
            _ if nothing => scan.skip().map(drop),
            _ => self.hint(scan, key),
        }
    }

    fn model(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        want(scan, Kind::String)?;
        let start = scan.at();
        let raw = scan.string()?;
        let model = raw.decode().ok_or_else(|| Fault::new("invalid_value", "is no text"))?;
        if model.is_empty() {
            return Err(Fault::new("invalid_value", "must not be empty"));
        }
        self.peek.model = model.into_owned();
        self.peek.model_span = start..scan.at();
        Ok(())
    }

    fn stream_options(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        want(scan, Kind::Object)?;
        let start = scan.at();
        let include = &mut self.peek.include_usage;
        scan.object(|scan, key, _| {
            if key == "include_usage" && scan.kind()? != Kind::Null {
                *include = boolean(scan)?;
                return Ok(());
            }
            scan.skip().map(drop)
        })?;
        self.peek.stream_options_span = Some(start..scan.at());
        Ok(())
    }

    /// A Responses conversation. The items are of many shapes, so only images are looked for.
    fn input(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? == Kind::String {
            self.peek.messages = 1;
            return scan.string().map(drop);
        }
        want(scan, Kind::Array)?;
        let count = scan.array(|scan, _| {
            want(scan, Kind::Object)?;
            scan.object(|scan, key, _| match (key, scan.kind()?) {
                ("content", Kind::Array) => scan.array(|scan, _| self.said(scan)).map(drop),
                ("output", Kind::Array) => {
                    let before = self.peek.has_images;
                    scan.array(|scan, _| self.said(scan))?;
                    self.peek.in_result(before);
                    Ok(())
                }
                _ => scan.skip().map(drop),
            })
            .map(drop)
        })?;
        self.peek.messages = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(())
    }

    /// A part of an item.
    fn said(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        let kind = word_in(scan, "type")?;
        self.image(matches!(kind.as_deref(), Some("input_image" | "computer_screenshot")));
        Ok(())
    }

    fn messages(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        want(scan, Kind::Array)?;
        let count = scan.array(|scan, _| self.message(scan))?;
        self.counted(count)
    }

    fn counted(&mut self, count: usize) -> Scan<()> {
        if count == 0 {
            return Err(Fault::new("invalid_value", "must not be empty"));
        }
        self.peek.messages = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(())
    }

    fn message(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        want(scan, Kind::Object)?;
        let (mut role, mut calls, mut thinks, mut result) = (false, None, false, false);
        let before = self.peek.has_images;
        scan.object(|scan, key, _| match key {
            "role" => {
                role = true;
                want(scan, Kind::String)?;
                let name = scan.string()?.raw;
                result = name == b"tool";
                self.peek.is_foreign |= shape::is_foreign_role(self.dialect, name);
                Ok(())
            }
            "content" => self.content(scan),
            "tool_calls" => {
                if scan.kind()? != Kind::Array {
                    return scan.skip().map(drop);
                }
                self.peek.is_foreign |= self.dialect == Dialect::Messages;
                scan.array(|scan, _| {
                    calls = Some(call_id(scan)?);
                    Ok(())
                })
                .map(drop)
            }
            "reasoning_content" | "reasoning" | "reasoning_details" => {
                // Qwen Code and opencode send an empty one in place of what they forgot.
                thinks |= match scan.kind()? {
                    Kind::String => !scan.string()?.raw.is_empty(),
                    kind => scan.skip().map(|_| kind == Kind::Array)?,
                };
                Ok(())
            }
            _ => scan.skip().map(drop),
        })?;
        if result {
            self.peek.in_result(before);
        }
        if calls.is_some() && !thinks {
            self.peek.bare_call = calls;
        }
        if role { Ok(()) } else { Err(Fault::new("missing_field", "is missing").in_field("role")) }
    }

    fn image(&mut self, is_one: bool) {
        self.peek.has_images |= is_one;
        self.images += u64::from(is_one);
    }

    /// Content: text, nothing, or parts, of which a tool's result has its own content.
    fn content(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        match scan.kind()? {
            Kind::Array => scan.array(|scan, _| self.part(scan)).map(drop),
            Kind::String | Kind::Null => scan.skip().map(drop),
            // A search result may have other content, which only its reader knows.
            Kind::Object if self.dialect != Dialect::Chat => scan.skip().map(drop),
            kind => Err(mistyped(kind, "a string or an array")),
        }
    }

    fn part(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? == Kind::String {
            return scan.string().map(drop);
        }
        want(scan, Kind::Object)?;
        let mut typed = false;
        scan.object(|scan, key, _| match key {
            "type" => {
                typed = true;
                want(scan, Kind::String)?;
                let kind = scan.string()?.decode().unwrap_or_default();
                self.image(matches!(&*kind, "image" | "image_url"));
                self.peek.is_foreign |= shape::is_foreign_part(self.dialect, &kind);
                Ok(())
            }
            "content" if self.dialect != Dialect::Chat => {
                let before = self.peek.has_images;
                self.content(scan)?;
                self.peek.in_result(before);
                Ok(())
            }
            _ => scan.skip().map(drop),
        })?;
        if typed { Ok(()) } else { Err(Fault::new("missing_field", "is missing").in_field("type")) }
    }

    /// A tool, which may have any shape: its names tell the dialect.
    fn tool(&mut self, scan: &mut Scanner<'_>) -> Scan<()> {
        if scan.kind()? != Kind::Object {
            return scan.skip().map(drop);
        }
        let dialect = self.dialect;
        let is_foreign = &mut self.peek.is_foreign;
        scan.object(|scan, key, _| {
            *is_foreign |= shape::is_foreign_tool(dialect, key);
            scan.skip().map(drop)
        })
        .map(drop)
    }

    /// Fields that are only hints for routing: any shape is let through, for the provider to judge.
    fn hint(&mut self, scan: &mut Scanner<'_>, key: &str) -> Scan<()> {
        match (key, scan.kind()?) {
            ("reasoning_effort", Kind::String) => {
                self.peek.wants_thinking |= scan.string()?.raw != b"none";
                Ok(())
            }
            ("thinking", Kind::Object) => {
                let thinking = word_in(scan, "type")?;
                self.peek.wants_thinking |= thinking.is_some_and(|word| word != "disabled");
                Ok(())
            }
            ("enable_thinking", Kind::Bool) => {
                self.peek.wants_thinking |= boolean(scan)?;
                Ok(())
            }
            ("reasoning", Kind::Object) => {
                self.peek.wants_thinking |= word_in(scan, "effort")?.as_deref() != Some("none");
                Ok(())
            }
            ("response_format", Kind::Object) => {
                self.peek.has_schema |= word_in(scan, "type")?.is_some_and(|word| word != "text");
                Ok(())
            }
            ("output_format", Kind::Object) => {
                self.peek.has_schema = true;
                scan.skip().map(drop)
            }
            ("output_config" | "text", Kind::Object) => {
                let found = &mut self.peek.has_schema;
                scan.object(|scan, key, _| {
                    if key != "format" || scan.kind()? != Kind::Object {
                        return scan.skip().map(drop);
                    }
                    *found |= word_in(scan, "type")?.as_deref() != Some("text");
                    Ok(())
                })
                .map(drop)
            }
            _ => scan.skip().map(drop),
        }
    }
}

/// The id of a call; empty where it has none, or is no object, which is for its reader to judge.
fn call_id(scan: &mut Scanner<'_>) -> Scan<String> {
    if scan.kind()? != Kind::Object {
        scan.skip()?;
        return Ok(String::new());
    }
    word_in(scan, "id").map(Option::unwrap_or_default)
}

/// The text of one field of an object.
fn word_in(scan: &mut Scanner<'_>, name: &str) -> Scan<Option<String>> {
    let mut word = None;
    scan.object(|scan, key, _| {
        if key == name && scan.kind()? == Kind::String {
            word = scan.string()?.decode().map(std::borrow::Cow::into_owned);
            return Ok(());
        }
        scan.skip().map(drop)
    })?;
    Ok(word)
}

fn boolean(scan: &mut Scanner<'_>) -> Scan<bool> {
    want(scan, Kind::Bool)?;
    // `true` has four letters, `false` five.
    Ok(scan.skip()?.len() == 4)
}

fn count(scan: &mut Scanner<'_>) -> Scan<u64> {
    want(scan, Kind::Number)?;
    let number = scan.number_text()?;
    number
        .parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Fault::new("invalid_value", "must be a whole number above zero"))
}

fn want(scan: &mut Scanner<'_>, wanted: Kind) -> Scan<()> {
    let kind = scan.kind()?;
    if kind == wanted { Ok(()) } else { Err(mistyped(kind, wanted.as_str())) }
}

fn mistyped(found: Kind, wanted: &str) -> Box<Fault> {
    Fault::new("invalid_type", format!("must be {wanted}, not {}", found.as_str()))
}
