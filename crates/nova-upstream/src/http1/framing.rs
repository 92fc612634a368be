//! Finds the body in the bytes after a head (RFC 9112 §6 and §7). No IO.
//!
//! Whoever sends to us was chosen by the operator, but may be broken, or a proxy with another idea of
//! where a message ends. Where the RFC lets a recipient be lenient, this is not: a length that can be
//! read in two ways is an error.

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http::header::{self, HeaderMap};

use crate::failure::{Failure, Kind};

/// The longest line of a chunk's size with its extensions, and of a trailer.
const MAX_LINE: usize = 4 << 10;

/// The most trailer lines that are passed over.
const MAX_TRAILERS: usize = 100;

/// What is wrong with an answer, completing "the provider sent …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider sent {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::new(Kind::Protocol).caused_by(malformed)
    }
}

/// Where the body ends, and how much of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is nothing, or nothing more.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// All until the connection is closed.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// The line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line break after a chunk.
    Break,
    /// A trailer, so many of which were passed over, or the empty line that ends the body.
    Trailer(usize),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A piece of the body, not empty.
    Data(Bytes),
    /// Nothing before more is read.
    Incomplete,
    /// The end of the body.
    End,
}

impl Framing {
    /// What a head says about the body that follows it.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap) -> Result<Self, Malformed> {
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Self::None);
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => {}
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
                return Ok(Self::Chunked(Chunk::Size));
            }
            _ => return Err(Malformed("a transfer coding other than `chunked`")),
        }
        let mut length = None;
        for value in headers.get_all(header::CONTENT_LENGTH) {
            for text in value.as_bytes().split(|byte| *byte == b',') {
                let number =
                    digits(text.trim_ascii(), 10).ok_or(Malformed("a `content-length` that is no number"))?;
                if length.replace(number).is_some_and(|before| before != number) {
                    return Err(Malformed("two different values of `content-length`"));
                }
            }
        }
        Ok(match length {
            Some(0) => Self::None,
            Some(length) => Self::Length(length),
            None => Self::UntilClose,
        })
    }

    /// Whether no other reader could find another end. A head with both a length and chunks is read as
    /// chunks, and its connection is not used again (RFC 9112 §6.3, item 3).
    pub(crate) fn is_unambiguous(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::None | Self::Length(_) => true,
            Self::Chunked(_) => !headers.contains_key(header::CONTENT_LENGTH),
            Self::UntilClose => false,
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether the close of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilClose)
    }

    /// How many bytes of the body are left, where that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece off `unread`.
    pub(crate) fn next(&mut self, unread: &mut BytesMut) -> Result<Piece, Malformed> {
        loop {
            match self {
                Self::None => return Ok(Piece::End),
                Self::UntilClose if unread.is_empty() => return Ok(Piece::Incomplete),
                Self::UntilClose => return Ok(Piece::Data(unread.split().freeze())),
                Self::Length(left) => {
                    let Some(data) = take(unread, left) else { return Ok(Piece::Incomplete) };
                    if *left == 0 {
                        *self = Self::None;
                    }
                    return Ok(Piece::Data(data));
                }
                Self::Chunked(chunk) => match chunk {
                    Chunk::Data(left) => {
                        let Some(data) = take(unread, left) else { return Ok(Piece::Incomplete) };
                        if *left == 0 {
                            *chunk = Chunk::Break;
                        }
                        return Ok(Piece::Data(data));
                    }
                    Chunk::Size | Chunk::Break | Chunk::Trailer(_) => {
                        let Some(length) = line_length(unread)? else { return Ok(Piece::Incomplete) };
                        let next = chunk.after(&unread[..length])?;
                        unread.advance(length + 2);
                        match next {
                            Some(next) => *chunk = next,
                            None => *self = Self::None,
                        }
                    }
                },
            }
        }
    }
}

impl Chunk {
    /// What follows a line that is not data; `None` after the last one.
    fn after(self, line: &[u8]) -> Result<Option<Self>, Malformed> {
        match self {
            Self::Size => match size(line).ok_or(Malformed("a chunk without a size"))? {
                0 => Ok(Some(Self::Trailer(0))),
                size => Ok(Some(Self::Data(size))),
            },
            Self::Break if line.is_empty() => Ok(Some(Self::Size)),
            Self::Break | Self::Data(_) => Err(Malformed("a chunk that is longer than its size")),
            Self::Trailer(_) if line.is_empty() => Ok(None),
            Self::Trailer(MAX_TRAILERS) => Err(Malformed("too many trailers")),
            Self::Trailer(passed) => Ok(Some(Self::Trailer(passed + 1))),
        }
    }
}

/// As much of the next `left` bytes as is there.
fn take(unread: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(unread.len());
    *left -= count as u64;
    (count > 0).then(|| unread.split_to(count).freeze())
}

/// How long the next line is without its break, which is CR LF and nothing else; `None` where its end is not
/// there yet.
fn line_length(unread: &[u8]) -> Result<Option<usize>, Malformed> {
    let searched = &unread[..unread.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', searched) else {
        return match unread.len() < MAX_LINE {
            true => Ok(None),
            false => Err(Malformed("a line between chunks that is too long")),
        };
    };
    let length = end.checked_sub(1).filter(|before| unread[*before] == b'\r');
    let length = length.ok_or(Malformed("a line between chunks that ends in half a line break"))?;
    if unread[..length].contains(&b'\r') {
        Err(Malformed("a stray carriage return"))
    } else {
        Ok(Some(length))
    }
}

/// The size in `1a ; extension`. What an extension says is nothing to us.
fn size(line: &[u8]) -> Option<u64> {
    match line.iter().position(|byte| *byte == b';') {
        Some(end) => digits(line[..end].trim_ascii_end(), 16),
        None => digits(line, 16),
    }
}

/// A number of nothing but digits.
fn digits(text: &[u8], radix: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        number.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests;
