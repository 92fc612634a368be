//! One pass over raw JSON, without a tree: the checks of RFC 8259, and the places of values.
//!
//! [`crate::peek`] and [`crate::splice`] stand on it. Invariant: what the scanner accepts as a whole,
//! `serde_json` accepts too, and with the same keys, so that no two readers of one body disagree.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::BadRequest;

/// How deep arrays and objects may nest. `serde_json`, which reads the same bodies later, stops here too.
pub(crate) const MAX_DEPTH: usize = 127;

/// What went wrong, with the way to it in reverse.
#[derive(Debug)]
pub(crate) struct Fault {
    way: Vec<Step>,
    message: String,
    code: &'static str,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

pub(crate) type Scan<T> = Result<T, Box<Fault>>;

impl Fault {
    /// A fault of meaning; `message` continues a sentence that begins with the place.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { way: Vec::new(), message: message.into(), code })
    }

    /// The same fault, seen from outside the field.
    pub(crate) fn in_field(mut self: Box<Self>, key: &str) -> Box<Self> {
        self.way.push(Step::Key(key.to_owned()));
        self
    }

    fn in_item(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.way.push(Step::Index(index));
        self
    }
}

impl From<Box<Fault>> for BadRequest {
    fn from(fault: Box<Fault>) -> Self {
        let mut path = String::new();
        for step in fault.way.iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => {
                    path.push('.');
                    path.push_str(key);
                }
                Step::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
            }
        }
        let message = if path.is_empty() {
            format!("the request body {}", fault.message)
        } else {
            format!("`{path}` {}", fault.message)
        };
        Self { path, message, code: fault.code }
    }
}

/// A string as it stands in the JSON, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStr<'a> {
    /// The bytes between the quotes.
    pub(crate) raw: &'a [u8],
    /// Whether a backslash is among them.
    pub(crate) escaped: bool,
}

impl<'a> RawStr<'a> {
    /// The string that is meant; `None` for a lone surrogate, which no Rust string can hold.
    pub(crate) fn decode(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let mut quoted = Vec::with_capacity(self.raw.len() + 2);
        quoted.push(b'"');
        quoted.extend_from_slice(self.raw);
        quoted.push(b'"');
        serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
    }
}

/// What kind of value stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

/// The pass.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// Strings that are read while this is `Some` are counted here.
    pub(crate) tally: Option<Tally>,
}

impl<'a> Scanner<'a> {
    /// A pass over bytes that are UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Scan<Self> {
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(Self { bytes, at: 0, depth: 0, tally: None }),
            Err(error) => Err(Fault::new(
                "invalid_json",
                format!("is no UTF-8: the byte at offset {} is wrong", error.valid_up_to()),
            )),
        }
    }

    /// Where the pass stands.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Checks that nothing but whitespace is left.
    pub(crate) fn end(&mut self) -> Scan<()> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.syntax("has more after its end")) }
    }

    /// What stands next.
    pub(crate) fn kind(&mut self) -> Scan<Kind> {
        self.space();
        match self.bytes.get(self.at) {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(_) => Err(self.syntax("has no value where one must stand")),
            None => Err(self.syntax("ends too early")),
        }
    }

    /// Reads an object; `field` must consume each value. Returns how many fields there were.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str, usize) -> Scan<()>,
    ) -> Scan<usize> {
        self.open(b'{')?;
        let mut count = 0;
        if self.take_if(b'}') {
            self.depth -= 1;
            return Ok(0);
        }
        loop {
            self.space();
            let key_at = self.at;
            let raw = self.string()?;
            let key = raw.decode().ok_or_else(|| self.syntax("has a key that is no text"))?;
            self.expect(b':')?;
            field(self, &key, key_at).map_err(|fault| fault.in_field(&key))?;
            count += 1;
            if !self.take_if(b',') {
                break;
            }
        }
        self.expect(b'}')?;
        self.depth -= 1;
        Ok(count)
    }

    /// Reads an array; `item` must consume each value. Returns how many items there were.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self, usize) -> Scan<()>) -> Scan<usize> {
        self.open(b'[')?;
        let mut count = 0;
        if self.take_if(b']') {
            self.depth -= 1;
            return Ok(0);
        }
        loop {
            item(self, count).map_err(|fault| fault.in_item(count))?;
            count += 1;
            if !self.take_if(b',') {
                break;
            }
        }
        self.expect(b']')?;
        self.depth -= 1;
        Ok(count)
    }

    /// Reads any value and returns where it stands.
    pub(crate) fn skip(&mut self) -> Scan<Range<usize>> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => {
                self.object(|scan, _, _| scan.skip().map(drop))?;
            }
            Kind::Array => {
                self.array(|scan, _| scan.skip().map(drop))?;
            }
            Kind::String => {
                self.string()?;
            }
            Kind::Number => self.number()?,
            Kind::Bool | Kind::Null => self.word()?,
        }
        Ok(start..self.at)
    }

    /// Reads a string.
    pub(crate) fn string(&mut self) -> Scan<RawStr<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(length) = memchr::memchr2(b'"', b'\\', &self.bytes[self.at..]) else {
                return Err(self.syntax("has a string without an end"));
            };
            self.at += length;
            if self.bytes[self.at] == b'"' {
                break;
            }
            escaped = true;
            self.escape()?;
        }
        let raw = &self.bytes[start..self.at];
        // Without an early exit the compiler makes vector code of it.
        if raw.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
            return Err(self.syntax("has a raw control character in a string"));
        }
        self.at += 1;
        if let Some(tally) = &mut self.tally {
            tally.add(raw);
        }
        Ok(RawStr { raw, escaped })
    }

    /// Reads a number and returns its text.
    pub(crate) fn number_text(&mut self) -> Scan<&'a str> {
        self.space();
        let start = self.at;
        self.number()?;
        Ok(std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default())
    }

    fn number(&mut self) -> Scan<()> {
        self.take_byte(b'-');
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.syntax("has a malformed number")),
        }
        if self.take_byte(b'.') {
            self.some_digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            let _ = self.take_byte(b'+') || self.take_byte(b'-');
            self.some_digits()?;
        }
        Ok(())
    }

    /// Reads `true`, `false` or `null`.
    fn word(&mut self) -> Scan<()> {
        let rest = &self.bytes[self.at..];
        for word in ["true", "false", "null"] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err(self.syntax("has an unknown word"))
    }

    /// Checks what follows a backslash.
    fn escape(&mut self) -> Scan<()> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.syntax("has a malformed escape in a string"));
                }
                6
            }
            _ => return Err(self.syntax("has a malformed escape in a string")),
        };
        self.at += length;
        Ok(())
    }

    fn open(&mut self, byte: u8) -> Scan<()> {
        self.expect(byte)?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new("too_deep", format!("nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Scan<()> {
        let start = self.at;
        self.digits();
        if self.at > start { Ok(()) } else { Err(self.syntax("has a malformed number")) }
    }

    fn take_byte(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn take_if(&mut self, byte: u8) -> bool {
        self.space();
        self.take_byte(byte)
    }

    fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.take_if(byte) {
            return Ok(());
        }
        let wanted = format!("lacks a `{}`", char::from(byte));
        Err(if self.at == self.bytes.len() { self.syntax("ends too early") } else { self.syntax(&wanted) })
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// A fault of grammar, with its line and column.
    fn syntax(&self, what: &str) -> Box<Fault> {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
        Fault::new("invalid_json", format!("is no JSON: it {what} (line {line}, column {column})"))
    }
}

/// Counts characters by how many of them make a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Bytes of ASCII.
    ascii: u64,
    /// Characters of two bytes: Latin with marks, Greek, Cyrillic, Arabic, Hebrew.
    narrow: u64,
    /// Characters of three and four bytes: Chinese, Japanese, Korean, Indic scripts, emoji.
    wide: u64,
    /// Pieces of inline data, such as images.
    blobs: u64,
}

/// From this length on, a string without any space may be inline data.
const BLOB: usize = 512;
/// What an image costs, about: providers bill between 85 and 1,600 tokens.
const BLOB_TOKENS: u64 = 1_000;

impl Tally {
    fn add(&mut self, text: &[u8]) {
        if text.len() >= BLOB && is_data(&text[..BLOB]) {
            self.blobs += 1;
            return;
        }
        if text.is_ascii() {
            self.ascii += text.len() as u64;
            return;
        }
        for byte in text {
            match byte {
                0..0x80 => self.ascii += 1,
                0xC0..0xE0 => self.narrow += 1,
                0xE0.. => self.wide += 1,
                _ => {}
            }
        }
    }

    /// The tokens that these characters make, roughly: four bytes of ASCII, two narrow characters, one
    /// and a half wide ones make one each. Reported usage corrects it later. An image that is only referred
    /// to costs what an inline one does.
    pub(crate) const fn tokens(&self, images: u64) -> u64 {
        let blobs = if images > self.blobs { images } else { self.blobs };
        self.ascii.div_ceil(4) + self.narrow.div_ceil(2) + (self.wide * 2).div_ceil(3) + blobs * BLOB_TOKENS
    }
}

/// Whether this is the beginning of base64, with or without the head of a `data:` URL.
fn is_data(head: &[u8]) -> bool {
    head.starts_with(b"data:")
        || head
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'='))
}
