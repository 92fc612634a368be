//! GGUF, the file format of llama.cpp: a header of typed key-value pairs, a table of tensors, then their bytes.
//!
//! Invariant: whatever the file holds, reading it ends in a value or in [`HeaderError`]; no length that the file claims
//! is believed before the bytes are there, so a hostile file costs no more memory than its own size.
//!
//! Reading order: `mod.rs` (what a header is) → `reader.rs` (bounded primitive reads) → `block.rs` (how quantised
//! weights become numbers).
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little endian.

mod block;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(crate) use block::{BLOCK, TensorKind};
pub(crate) use reader::HeaderError;
use reader::Reader;

use crate::error::EngineError;

const MAGIC: u32 = u32::from_le_bytes(*b"GGUF");
/// Far above real files (llama.cpp writes some 30 pairs and a few hundred tensors), far below what would hurt.
const MAX_PAIRS: u64 = 4_096;
const MAX_TENSORS: u64 = 65_536;
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 65_536;

/// One value of the header. Integers of every width become `Int`, floats `Float`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<f64>),
}

/// Where one tensor lies and what it looks like. `shape[0]` is the length of a row, as ggml counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorInfo {
    pub(crate) name: String,
    pub(crate) kind: TensorKind,
    pub(crate) row: usize,
    pub(crate) rows: usize,
    /// Offset from the start of the file, in bytes; checked to lie inside the file together with `bytes`.
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
}

/// The header of a file: everything but the weights.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Header {
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl Header {
    /// Reads a header from the start of a file that is `file_len` bytes long.
    pub(crate) fn read(source: impl Read, file_len: u64) -> Result<Self, HeaderError> {
        let mut reader = Reader::new(source, file_len);
        if reader.u32()? != MAGIC {
            return Err(HeaderError::new("it does not start with `GGUF`"));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            return Err(HeaderError::new(format!("its version is `{version}`, known are `2` and `3`")));
        }
        let tensor_count = reader.count("tensors", MAX_TENSORS)?;
        let pair_count = reader.count("key-value pairs", MAX_PAIRS)?;

        let mut header = Self::default();
        for _ in 0..pair_count {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind)?;
            if header.values.insert(key.clone(), value).is_some() {
                return Err(HeaderError::new(format!("the key `{key}` stands there twice")));
            }
        }
        let mut raw = Vec::new();
        for _ in 0..tensor_count {
            raw.push(RawTensor::read(&mut reader)?);
        }
        let alignment = header.alignment()?;
        let data_start = reader.position().next_multiple_of(alignment);
        for tensor in raw {
            let info = tensor.check(data_start, alignment, file_len)?;
            if let Some(twice) = header.tensors.insert(info.name.clone(), info) {
                return Err(HeaderError::new(format!("the tensor `{}` stands there twice", twice.name)));
            }
        }
        Ok(header)
    }

    fn alignment(&self) -> Result<u64, HeaderError> {
        match self.values.get("general.alignment") {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(Value::Int(n)) => u64::try_from(*n)
                .ok()
                .filter(|n| n.is_power_of_two() && *n <= MAX_ALIGNMENT)
                .ok_or_else(|| HeaderError::new(format!("its alignment is `{n}`, not a power of two"))),
            Some(_) => Err(HeaderError::new("`general.alignment` is no number")),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Option<&[String]> {
        match self.values.get(key) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub(crate) fn numbers(&self, key: &str) -> Option<&[f64]> {
        match self.values.get(key) {
            Some(Value::Numbers(numbers)) => Some(numbers),
            _ => None,
        }
    }

    /// A count or an index: negative numbers and other types are no such thing.
    pub(crate) fn unsigned(&self, key: &str) -> Option<usize> {
        match self.values.get(key) {
            Some(Value::Int(n)) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        match self.values.get(key) {
            Some(Value::Float(x)) => Some(*x),
            Some(Value::Int(n)) => Some(*n as f64),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key) {
            Some(Value::Bool(b)) => Some(*b),
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }
}

/// A row of the tensor table before anything about it is known to fit.
struct RawTensor {
    name: String,
    shape: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl RawTensor {
    fn read<R: Read>(reader: &mut Reader<R>) -> Result<Self, HeaderError> {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(HeaderError::new(format!("the tensor `{name}` has `{dimensions}` dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(reader.u64()?);
        }
        Ok(Self { name, shape, kind: reader.u32()?, offset: reader.u64()? })
    }

    fn check(self, data_start: u64, alignment: u64, file_len: u64) -> Result<TensorInfo, HeaderError> {
        let Self { name, shape, kind, offset } = self;
        let kind = TensorKind::from_code(kind)
            .ok_or_else(|| HeaderError::new(format!("the tensor `{name}` has the unknown type `{kind}`")))?;
        let wrong = || HeaderError::new(format!("the tensor `{name}` has the impossible shape `{shape:?}`"));
        let row = shape.first().copied().unwrap_or(1);
        let rows =
            shape.iter().skip(1).try_fold(1_u64, |product, n| product.checked_mul(*n)).ok_or_else(wrong)?;
        let row_bytes = kind.row_bytes(row).ok_or_else(wrong)?;
        let bytes = row_bytes.checked_mul(rows).ok_or_else(wrong)?;
        if row == 0 || rows == 0 {
            return Err(wrong());
        }
        let start = data_start.checked_add(offset);
        let end = start.and_then(|start| start.checked_add(bytes));
        match (start, end) {
            (Some(start), Some(end)) if end <= file_len && offset % alignment == 0 => Ok(TensorInfo {
                row: usize::try_from(row).map_err(|_| wrong())?,
                rows: usize::try_from(rows).map_err(|_| wrong())?,
                bytes: usize::try_from(bytes).map_err(|_| wrong())?,
                offset: start,
                kind,
                name,
            }),
            _ => {
                Err(HeaderError::new(format!("the tensor `{name}` lies outside the file (is it cut short?)")))
            }
        }
    }
}

/// An open model file. Tensors are read on demand, by any thread, without a shared position.
#[derive(Debug)]
pub(crate) struct GgufFile {
    file: File,
    path: PathBuf,
    pub(crate) header: Header,
}

impl GgufFile {
    /// Opens the file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = File::open(path).map_err(EngineError::io("open", path))?;
        let file_len = file.metadata().map_err(EngineError::io("read", path))?.len();
        let header = Header::read(BufReader::with_capacity(1 << 16, &file), file_len)
            .map_err(|e| EngineError::Gguf { path: path.to_path_buf(), reason: e.reason })?;
        Ok(Self { file, path: path.to_path_buf(), header })
    }

    /// Finds a tensor, or says which one the file lacks.
    pub(crate) fn require(&self, name: &str) -> Result<&TensorInfo, EngineError> {
        self.header.tensor(name).ok_or_else(|| EngineError::Gguf {
            path: self.path.clone(),
            reason: format!("it lacks the tensor `{name}`"),
        })
    }

    /// Reads the rows `first .. first + count` of a tensor in their stored form.
    pub(crate) fn read_rows(
        &self,
        info: &TensorInfo,
        first: usize,
        count: usize,
    ) -> Result<Vec<u8>, EngineError> {
        let row_bytes = info.bytes / info.rows;
        let mut bytes = vec![0; row_bytes * count];
        self.file
            .read_exact_at(&mut bytes, info.offset + (row_bytes * first) as u64)
            .map_err(EngineError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Reads a whole tensor as numbers: for the small ones, such as norms.
    pub(crate) fn read_f32(&self, info: &TensorInfo) -> Result<Vec<f32>, EngineError> {
        let bytes = self.read_rows(info, 0, info.rows)?;
        let mut values = vec![0.0; info.row * info.rows];
        info.kind.decode(&bytes, &mut values);
        Ok(values)
    }
}
