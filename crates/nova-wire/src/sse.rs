//! Frames of server-sent events: an incremental decoder and an encoder, without IO.
//!
//! The decoder is lenient, because providers are: LF, CR and CRLF line ends (mixed too), a byte order
//! mark, comments, blank lines, `data:` with or without a space, several `data:` lines in one event, a
//! last event without its blank line, and a plain JSON body where a stream was asked for. It never
//! looks at text as characters, so a code point may be split anywhere.
//!
//! Invariants: the raw bytes of all events, in order, are the bytes that were pushed; an event that
//! lies in one chunk is not copied; memory is bounded by [`MAX_EVENT`] and one chunk.
//!
//! Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use serde::Serialize;

#[cfg(test)]
mod tests;

/// The longest event that is accepted, in bytes.
pub const MAX_EVENT: usize = 16 << 20;

/// An event was longer than [`MAX_EVENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT} bytes")]
pub struct TooLong;

/// An event that cannot be read: its data is no JSON, or not the dialect's. The caller skips it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream cannot be read")]
pub struct BadEvent;

/// One event, or one block of comments and blank lines.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// The value of the last `event:` line.
    pub name: Option<&'a [u8]>,
    /// The values of the `data:` lines, joined with LF. Empty for comments and blank lines.
    pub data: &'a [u8],
    /// The exact bytes, terminator included.
    pub raw: &'a [u8],
    /// Where `raw` lies in [`Decoder::block`].
    pub span: Range<usize>,
}

impl Event<'_> {
    /// Whether this carries no data: comments (a keep-alive) or blank lines.
    pub const fn is_blank(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether the data is OpenAI's end mark.
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }
}

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Whole events, waiting to be taken.
    block: Bytes,
    /// How much of `block` was taken.
    at: usize,
    /// The beginning of an event whose end has not come yet.
    tail: BytesMut,
    /// Joined data lines of the event that was given last.
    joined: Vec<u8>,
    /// Whether anything was taken yet: only the very first line may start with a byte order mark.
    begun: bool,
    /// Whether the block is a JSON body and no stream.
    bare: bool,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes. All events of earlier bytes must have been taken by [`Self::next_event`].
    ///
    /// # Errors
    /// The event under way is longer than [`MAX_EVENT`]. The stream cannot be read any further.
    pub fn push(&mut self, chunk: &Bytes) -> Result<(), TooLong> {
        debug_assert_eq!(self.at, self.block.len(), "events were left in the decoder");
        self.at = 0;
        self.block = Bytes::new();
        if self.tail.is_empty() {
            let end = last_boundary(chunk, 0);
            self.block = chunk.slice(..end);
            self.tail.extend_from_slice(&chunk[end..]);
        } else {
            // A boundary is at most four bytes long, so it cannot start further back than that.
            let known = self.tail.len().saturating_sub(4);
            self.tail.extend_from_slice(chunk);
            let end = last_boundary(&self.tail, known);
            if end > 0 {
                self.block = self.tail.split_to(end).freeze();
            }
        }
        if self.tail.len() > MAX_EVENT { Err(TooLong) } else { Ok(()) }
    }

    /// The next whole event.
    pub fn next_event(&mut self) -> Option<Event<'_>> {
        if self.at == self.block.len() {
            return None;
        }
        let start = self.at;
        let mut lines = Lines { bytes: &self.block, at: start };
        if !std::mem::replace(&mut self.begun, true) && self.block.starts_with(b"\xEF\xBB\xBF") {
            lines.at += 3;
        }
        let fields = if std::mem::take(&mut self.bare) {
            lines.at = self.block.len();
            Fields { name: None, data: Data::InBlock(start..lines.at) }
        } else {
            read_fields(&mut lines, &mut self.joined)
        };
        self.at = lines.at;
        let span = start..self.at;
        Some(fields.event(&self.block, &self.joined, span))
    }

    /// The bytes that the events since the last push lie in.
    pub const fn block(&self) -> &Bytes {
        &self.block
    }

    /// The body has ended: what is left becomes an event, although its blank line is missing.
    ///
    /// Some providers end so after `data: [DONE]`, and an answer that is no stream at all (a bare JSON
    /// body, such as MiniMax sends with an error inside a success) is given as one event as well.
    pub fn finish(&mut self) {
        self.block = self.tail.split().freeze();
        self.at = 0;
        self.bare = matches!(self.block.trim_ascii_start(), [b'{' | b'[', ..]);
    }
}

/// What the lines of one event say, as ranges of the block.
struct Fields {
    name: Option<Range<usize>>,
    data: Data,
}

/// Where the data of an event is.
enum Data {
    None,
    InBlock(Range<usize>),
    Joined,
}

impl Fields {
    fn event<'a>(self, block: &'a Bytes, joined: &'a [u8], span: Range<usize>) -> Event<'a> {
        Event {
            name: self.name.map(|range| &block[range]),
            data: match self.data {
                Data::None => &[],
                Data::InBlock(range) => &block[range],
                Data::Joined => joined,
            },
            raw: &block[span.clone()],
            span,
        }
    }
}

/// Reads lines up to and including the blank line that ends an event.
fn read_fields(lines: &mut Lines<'_>, joined: &mut Vec<u8>) -> Fields {
    let mut fields = Fields { name: None, data: Data::None };
    while let Some(line) = lines.next_line() {
        if line.is_empty() {
            break;
        }
        let text = &lines.bytes[line.clone()];
        if let Some(offset) = value_of(text, b"data") {
            let value = line.start + offset..line.end;
            fields.data = match fields.data {
                Data::None => Data::InBlock(value),
                Data::InBlock(first) => {
                    joined.clear();
                    joined.extend_from_slice(&lines.bytes[first]);
                    joined.push(b'\n');
                    joined.extend_from_slice(&lines.bytes[value]);
                    Data::Joined
                }
                Data::Joined => {
                    joined.push(b'\n');
                    joined.extend_from_slice(&lines.bytes[value]);
                    Data::Joined
                }
            };
        } else if let Some(offset) = value_of(text, b"event") {
            fields.name = Some(line.start + offset..line.end);
        }
    }
    fields
}

/// Where the value starts, if the line is of this field.
fn value_of(line: &[u8], field: &[u8]) -> Option<usize> {
    match line.strip_prefix(field)? {
        [] => Some(field.len()),
        [b':', b' ', ..] => Some(field.len() + 2),
        [b':', ..] => Some(field.len() + 1),
        _ => None,
    }
}

/// Lines of a block. CRLF, LF and CR each end one.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn next_line(&mut self) -> Option<Range<usize>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        let Some(length) = memchr2(b'\n', b'\r', &self.bytes[start..]) else {
            self.at = self.bytes.len();
            return Some(start..self.at);
        };
        let end = start + length;
        let crlf = self.bytes[end] == b'\r' && self.bytes.get(end + 1) == Some(&b'\n');
        self.at = end + if crlf { 2 } else { 1 };
        Some(start..end)
    }
}

/// The end of the last blank line in `bytes`, 0 if there is none. Nothing before `from` is looked at,
/// except to see whether a line ends there.
fn last_boundary(bytes: &[u8], from: usize) -> usize {
    let mut end = bytes.len();
    while let Some(found) = memchr::memrchr2(b'\n', b'\r', &bytes[from.min(end)..end]) {
        let at = from + found;
        // CRLF is one line end; a blank line stands between two, or at the very start.
        let start = if bytes[at] == b'\n' && at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
        if start == 0 || matches!(bytes[start - 1], b'\n' | b'\r') {
            return at + 1;
        }
        end = at;
    }
    0
}

/// Appends an event: its name where given, and `json` as one line of data.
pub fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, name: Option<&str>, json: &T) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    let start = out.len();
    if serde_json::to_writer(&mut *out, json).is_err() {
        // Only a map with keys that are no strings can fail here, and no writer builds one.
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    out.extend_from_slice(b"\n\n");
}

/// OpenAI's end of a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";
