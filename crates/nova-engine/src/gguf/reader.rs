//! Bounded reads of the header's primitive types.

use std::io::Read;

use super::Value;

/// The longest text taken: chat templates reach some 10 KB.
const MAX_TEXT: u64 = 1 << 20;
/// The longest array taken: the largest vocabularies hold some 300,000 tokens.
const MAX_ITEMS: u64 = 1 << 22;
/// All of the header together; a 300,000-token vocabulary with merges needs some 15 MB.
const MAX_HEADER: u64 = 128 << 20;
/// How much room is made before the first byte of something has been seen.
const FIRST_ROOM: u64 = 4_096;

/// What is wrong with a header, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderError {
    pub(crate) reason: String,
}

impl HeaderError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Reads little-endian values and knows how many bytes can still follow.
pub(crate) struct Reader<R> {
    source: R,
    position: u64,
    limit: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(source: R, file_len: u64) -> Self {
        Self { source, position: 0, limit: file_len.min(MAX_HEADER) }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things, refused when absurd.
    pub(crate) fn count(&mut self, what: &str, most: u64) -> Result<u64, HeaderError> {
        let count = self.u64()?;
        if count > most {
            return Err(HeaderError::new(format!("it claims `{count}` {what}, at most `{most}` are read")));
        }
        Ok(count)
    }

    /// A length-prefixed UTF-8 text.
    pub(crate) fn text(&mut self) -> Result<String, HeaderError> {
        let len = self.count("bytes in a text", MAX_TEXT)?;
        self.take(len)?;
        let mut bytes = Vec::with_capacity(len.min(FIRST_ROOM) as usize);
        let got = self.source.by_ref().take(len).read_to_end(&mut bytes);
        match got {
            Ok(n) if n as u64 == len => {
                String::from_utf8(bytes).map_err(|_| HeaderError::new("a text in it is not UTF-8"))
            }
            _ => Err(cut_short()),
        }
    }

    /// A value of the given type code.
    pub(crate) fn value(&mut self, kind: u32) -> Result<Value, HeaderError> {
        Ok(match kind {
            0 => Value::Int(i64::from(u8::from_le_bytes(self.array()?))),
            1 => Value::Int(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Int(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Int(i64::from(self.u32()?)),
            5 => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.items()?,
            10 => Value::Int(
                i64::try_from(self.u64()?).map_err(|_| HeaderError::new("a number in it is too large"))?,
            ),
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(HeaderError::new(format!("it uses the unknown value type `{other}`"))),
        })
    }

    /// An array: of texts or of numbers. Arrays in arrays exist in the format's grammar only.
    fn items(&mut self) -> Result<Value, HeaderError> {
        let kind = self.u32()?;
        let count = self.count("items in an array", MAX_ITEMS)?;
        let room = count.min(FIRST_ROOM) as usize;
        if kind == 8 {
            let mut texts = Vec::with_capacity(room);
            for _ in 0..count {
                texts.push(self.text()?);
            }
            return Ok(Value::Texts(texts));
        }
        let mut numbers = Vec::with_capacity(room);
        for _ in 0..count {
            numbers.push(match self.scalar(kind)? {
                Value::Int(n) => n as f64,
                Value::Float(x) => x,
                Value::Bool(b) => f64::from(u8::from(b)),
                _ => return Err(HeaderError::new("an array in it holds a type that it may not")),
            });
        }
        Ok(Value::Numbers(numbers))
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, HeaderError> {
        // Without this, an array of arrays of arrays would recurse as deep as the file likes.
        if kind == 9 {
            return Err(HeaderError::new("it holds an array of arrays"));
        }
        self.value(kind)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|_| cut_short())?;
        Ok(bytes)
    }

    fn take(&mut self, bytes: u64) -> Result<(), HeaderError> {
        self.position = self.position.saturating_add(bytes);
        if self.position > self.limit { Err(cut_short()) } else { Ok(()) }
    }
}

fn cut_short() -> HeaderError {
    HeaderError::new("it ends inside its header (is it cut short?)")
}
