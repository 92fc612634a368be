//! AWS's binary frames (`application/vnd.amazon.eventstream`), taken apart into server-sent events.
//!
//! A frame is a length of the whole, a length of its headers, a CRC-32 of these two, the headers, the
//! payload, and a CRC-32 of everything before. Behind this module a stream of Bedrock looks like any other:
//! the frame's event type is the event's name and the payload its data. Frames of the type `chunk`, which
//! InvokeModel sends, hold an event of the model's own dialect in base64. An exception becomes an event
//! `error` in Anthropic's form.
//!
//! Invariants: nothing of a frame is given out before both of its checksums were right; memory is bounded
//! by [`MAX_EVENT`] and one chunk.
//!
//! Source: AWS, "Event stream encoding" (Amazon Transcribe developer guide), and recorded streams.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde_json::{Value, json};

use crate::sse::{self, MAX_EVENT};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The two lengths and their checksum.
const PRELUDE: usize = 12;

/// The checksum at the end.
const TRAILER: usize = 4;

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// A checksum is wrong.
    #[error("a frame of the provider's stream is damaged: its checksum is wrong")]
    Checksum,
    /// The lengths contradict each other, or the frame is longer than [`MAX_EVENT`].
    #[error("a frame of the provider's stream has an impossible length")]
    Length,
    /// The headers cannot be read.
    #[error("a frame of the provider's stream has unreadable headers")]
    Headers,
}

/// Takes frames apart.
#[derive(Debug, Default)]
pub struct Unframer {
    /// The beginning of a frame whose end has not come yet.
    tail: BytesMut,
}

/// What the headers of a frame say.
#[derive(Debug, Default)]
struct Headers<'a> {
    message: &'a str,
    event: &'a str,
    exception: &'a str,
    code: &'a str,
    error: &'a str,
}

impl Unframer {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes, and appends the events of all frames that are whole now.
    ///
    /// # Errors
    /// Where a frame is damaged; what came before it was appended. The stream cannot be read any further.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), BadFrame> {
        self.tail.extend_from_slice(chunk);
        while let Some(length) = whole(&self.tail)? {
            let frame = self.tail.split_to(length);
            event(&frame, out)?;
        }
        Ok(())
    }
}

/// The length of the frame that the bytes begin with, if they hold all of it.
fn whole(bytes: &[u8]) -> Result<Option<usize>, BadFrame> {
    let Some(mut prelude) = bytes.get(..PRELUDE) else { return Ok(None) };
    let sum = CRC.checksum(&prelude[..8]);
    let (total, headers) = (prelude.get_u32() as usize, prelude.get_u32() as usize);
    if prelude.get_u32() != sum {
        return Err(BadFrame::Checksum);
    }
    if total > MAX_EVENT || headers > total.saturating_sub(PRELUDE + TRAILER) || total < PRELUDE + TRAILER {
        return Err(BadFrame::Length);
    }
    Ok((bytes.len() >= total).then_some(total))
}

/// Appends the event of a whole frame whose lengths are right.
fn event(frame: &[u8], out: &mut Vec<u8>) -> Result<(), BadFrame> {
    let (checked, mut trailer) = frame.split_at(frame.len() - TRAILER);
    if trailer.get_u32() != CRC.checksum(checked) {
        return Err(BadFrame::Checksum);
    }
    let mut lengths = &checked[4..8];
    let (headers, payload) = checked[PRELUDE..].split_at(lengths.get_u32() as usize);
    let headers = Headers::read(headers)?;
    match headers.message {
        "exception" | "error" => sse::write(out, Some("error"), &headers.failure(payload)),
        _ if headers.event == "chunk" => {
            // One that holds nothing readable becomes an event without data, which says nothing.
            let inner = inner(payload).unwrap_or_default();
            let kind = serde_json::from_slice::<Value>(&inner).ok();
            let kind = kind.as_ref().and_then(|event| event.get("type")?.as_str());
            write(out, kind.unwrap_or("message"), &inner);
        }
        _ => write(out, headers.event, payload),
    }
    Ok(())
}

/// The event inside a frame of InvokeModel.
fn inner(payload: &[u8]) -> Option<Vec<u8>> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    STANDARD.decode(payload.get("bytes")?.as_str()?).ok()
}

/// JSON may be spread over lines; between its tokens a space means the same.
fn write(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.extend_from_slice(b"event: ");
    out.extend(name.bytes().map(one_line));
    out.extend_from_slice(b"\ndata: ");
    out.extend(json.iter().copied().map(one_line));
    out.extend_from_slice(b"\n\n");
}

const fn one_line(byte: u8) -> u8 {
    if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }
}

impl<'a> Headers<'a> {
    /// A name with a length of one byte, a type, and a value. Texts alone matter here.
    fn read(mut bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let mut headers = Self::default();
        while !bytes.is_empty() {
            let name = take(&mut bytes, 1)?[0];
            let name = take(&mut bytes, usize::from(name))?;
            let kind = take(&mut bytes, 1)?[0];
            let length = match kind {
                // True, false.
                0 | 1 => 0,
                // Numbers of 1, 2, 4, 8 bytes, an instant, a UUID.
                2 => 1,
                3 => 2,
                4 => 4,
                5 | 8 => 8,
                9 => 16,
                // Bytes and text have a length of their own.
                6 | 7 => usize::from(take(&mut bytes, 2)?.get_u16()),
                _ => return Err(BadFrame::Headers),
            };
            let value = take(&mut bytes, length)?;
            if kind == 7 {
                let value = std::str::from_utf8(value).map_err(|_| BadFrame::Headers)?;
                match name {
                    b":message-type" => headers.message = value,
                    b":event-type" => headers.event = value,
                    b":exception-type" => headers.exception = value,
                    b":error-code" => headers.code = value,
                    b":error-message" => headers.error = value,
                    _ => {}
                }
            }
        }
        Ok(headers)
    }

    /// An exception in Anthropic's form, which every reader of this crate knows.
    fn failure(&self, payload: &[u8]) -> Value {
        let kind = if self.exception.is_empty() { self.code } else { self.exception };
        let payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        let said = payload.get("message").or_else(|| payload.get("Message")).and_then(Value::as_str);
        let said = said.or((!self.error.is_empty()).then_some(self.error));
        let message = said.unwrap_or("the provider broke the stream off");
        json!({ "type": "error", "error": { "type": kind, "message": message } })
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], BadFrame> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(BadFrame::Headers)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as AWS builds it.
    fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let mut named = Vec::new();
        for (name, value) in headers {
            named.push(name.len() as u8);
            named.extend_from_slice(name.as_bytes());
            named.push(7);
            named.extend_from_slice(&(value.len() as u16).to_be_bytes());
            named.extend_from_slice(value.as_bytes());
        }
        let total = PRELUDE + named.len() + payload.len() + TRAILER;
        let mut frame = Vec::with_capacity(total);
        frame.extend_from_slice(&(total as u32).to_be_bytes());
        frame.extend_from_slice(&(named.len() as u32).to_be_bytes());
        frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
        frame.extend_from_slice(&named);
        frame.extend_from_slice(payload.as_bytes());
        frame.extend_from_slice(&CRC.checksum(&frame).to_be_bytes());
        frame
    }

    fn plain(event: &str, payload: &str) -> Vec<u8> {
        frame(&[(":event-type", event), (":message-type", "event")], payload)
    }

    /// What comes out, in pieces of every size, which must all come to the same.
    fn unframed(bytes: &[u8]) -> Result<String, BadFrame> {
        let in_pieces = |size: usize| {
            let (mut unframer, mut out) = (Unframer::new(), Vec::new());
            let done = bytes.chunks(size).try_for_each(|piece| unframer.push(piece, &mut out));
            done.map(|()| String::from_utf8(out).unwrap())
        };
        let whole = in_pieces(bytes.len().max(1));
        for size in 1..bytes.len().min(40) {
            assert_eq!(in_pieces(size), whole, "pieces of {size}");
        }
        whole
    }

    #[test]
    fn frames_become_events() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(unframed(bytes).unwrap(), expected);
        check(&plain("messageStop", "{\"a\":1}"), "event: messageStop\ndata: {\"a\":1}\n\n");
        let two = [plain("a", "{}"), plain("b", "{\n}")].concat();
        check(&two, "event: a\ndata: {}\n\nevent: b\ndata: { }\n\n");
        let inner = STANDARD.encode("{\"type\":\"ping\"}");
        let chunk = plain("chunk", &format!("{{\"bytes\":\"{inner}\",\"p\":\"abc\"}}"));
        check(&chunk, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
        check(&plain("chunk", "{}"), "event: message\ndata: \n\n");
        let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
        check(
            &frame(&exception, "{\"message\":\"slow down\"}"),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"throttlingException\",\"message\":\"slow down\"}}\n\n",
        );
        let error = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "no")];
        check(
            &frame(&error, ""),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"InternalError\",\"message\":\"no\"}}\n\n",
        );
        check(&plain("a\nb", "{}"), "event: a b\ndata: {}\n\n");
        check(&plain("x", "{}")[..20], "");
        check(b"", "");
    }

    #[test]
    fn a_damaged_frame_is_never_given_out() {
        let good = plain("messageStop", "{\"a\":1}");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let expected = unframed(&bad);
            // A damaged length may ask for more bytes than there are, but its checksum tells first.
            assert_eq!(expected, Err(BadFrame::Checksum), "byte {at}");
        }
        let prelude = |total: u32, headers: u32| {
            let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend_from_slice(&CRC.checksum(&bytes).to_be_bytes());
            bytes
        };
        for (total, headers) in [(0, 0), (15, 0), (16, 1), (u32::MAX, 0), (100, u32::MAX)] {
            assert_eq!(unframed(&prelude(total, headers)), Err(BadFrame::Length), "{total} {headers}");
        }
        for headers in [&[1_u8][..], &[0, 10], &[0, 7, 0, 9, b'x'], &[200, b'x'], &[0, 7, 0, 1, 0xFF]] {
            let mut bytes = prelude((PRELUDE + headers.len() + TRAILER) as u32, headers.len() as u32);
            bytes.extend_from_slice(headers);
            bytes.extend_from_slice(&CRC.checksum(&bytes).to_be_bytes());
            assert_eq!(unframed(&bytes), Err(BadFrame::Headers), "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unframed(&bytes);
            // With the right checksums, the rest is read as well.
            let headers = bytes.len() / 3;
            let mut framed = ((PRELUDE + bytes.len() + TRAILER) as u32).to_be_bytes().to_vec();
            framed.extend_from_slice(&(headers as u32).to_be_bytes());
            framed.extend_from_slice(&CRC.checksum(&framed).to_be_bytes());
            framed.extend_from_slice(&bytes);
            framed.extend_from_slice(&CRC.checksum(&framed).to_be_bytes());
            let _ = Unframer::new().push(&framed, &mut Vec::new());
        }
    }

    #[test]
    fn headers_of_every_kind_are_passed_over() {
        let mut headers = Vec::new();
        for (kind, length) in [(0_u8, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend_from_slice(&[1, b'x', kind]);
            headers.extend(std::iter::repeat_n(0, length));
        }
        headers.extend_from_slice(&[1, b'y', 6, 0, 2, 0, 0]);
        assert!(Headers::read(&headers).is_ok());
    }
}
