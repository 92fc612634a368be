//! Bodies that a client sends compressed (`content-encoding`, RFC 9110 §8.4.1, RFC 8878 for `zstd`).
//!
//! Invariant: no more than the limit of a plain body is ever unpacked, whatever the packed bytes promise,
//! so that a bomb costs what an honest body of that size costs.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::StreamingDecoder;

use super::read::too_large;
use crate::error::{Code, GatewayError};

/// Every decoder should take windows of 8 MiB (RFC 8878 §3.1.1.1.2), what `zstd` uses up to its level 19.
const MOST_WINDOW: u64 = 8 << 20;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Deflate,
    Zstd,
}

/// The encoding that the headers name; `None` for a plain body.
///
/// # Errors
/// 400 for one that is not known, or several.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, GatewayError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match name.as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some(Encoding::Gzip)),
        "deflate" => Ok(Some(Encoding::Deflate)),
        "zstd" => Ok(Some(Encoding::Zstd)),
        _ => {
            let message = format!(
                "a body with `content-encoding: {name}` is not accepted\nhint: `gzip`, `deflate` and `zstd` are"
            );
            let error = GatewayError::new(Code::BadRequest, message);
            Err(GatewayError { detail: Some("request_body_encoding_unsupported".into()), ..error })
        }
    }
}

/// Unpacks a body, on a thread that may take its time.
///
/// # Errors
/// 413 where more comes out than `limit`, 400 where the bytes are not what the encoding says.
pub(super) async fn decode(encoding: Encoding, body: Bytes, limit: usize) -> Result<Bytes, GatewayError> {
    let unpacking = tokio::task::spawn_blocking(move || unpack(encoding, &body, limit));
    unpacking
        .await
        .unwrap_or_else(|_| Err(GatewayError::new(Code::Internal, "the body could not be unpacked")))
}

fn unpack(encoding: Encoding, body: &[u8], limit: usize) -> Result<Bytes, GatewayError> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(4).min(limit));
    let done = match encoding {
        Encoding::Gzip => fill(MultiGzDecoder::new(body), &mut out, limit),
        Encoding::Deflate => fill(ZlibDecoder::new(body), &mut out, limit),
        Encoding::Zstd => frames(body, &mut out, limit),
    };
    match done {
        Err(error) => {
            let message = format!("the body cannot be unpacked: {error}");
            let error = GatewayError::new(Code::BadRequest, message);
            Err(GatewayError { detail: Some("invalid_encoding".into()), ..error })
        }
        Ok(()) if out.len() > limit => Err(too_large(limit)),
        Ok(()) => Ok(Bytes::from(out)),
    }
}

/// Reads to the end, or to one byte more than the limit.
fn fill(from: impl Read, out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let room = (limit - out.len().min(limit)) as u64 + 1;
    from.take(room).read_to_end(out).map(drop)
}

/// The frames of a `zstd` body one after the other, skippable ones left out (RFC 8878 §3.1.2).
fn frames(mut body: &[u8], out: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let most_window = MOST_WINDOW.max(limit as u64);
    loop {
        if let Some((magic, rest)) = body.split_first_chunk::<4>()
            && (0x184D_2A50..=0x184D_2A5F).contains(&u32::from_le_bytes(*magic))
        {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            body = rest.get(length..).ok_or(io::ErrorKind::UnexpectedEof)?;
        } else {
            if window(body).ok_or(io::ErrorKind::UnexpectedEof)? > most_window {
                return Err(io::Error::other("a `zstd` frame asks for too large a window"));
            }
            let frame = StreamingDecoder::new(&mut body).map_err(io::Error::other)?;
            fill(frame, out, limit)?;
        }
        if !body.has_remaining() || out.len() > limit {
            return Ok(());
        }
    }
}

/// The window that a frame asks for: what of its output has to be kept to go on (RFC 8878 §3.1.1.1). The
/// decoder gives nothing out before it has that much, so a frame may not choose it freely.
fn window(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.get(4)?;
    if descriptor & 0x20 == 0 {
        let window = *frame.get(5)?;
        let base = 1_u64 << (10 + (window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: its window is all of its content, whose size follows the dictionary's id.
    let start = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, add) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..length].copy_from_slice(frame.get(start..start + length)?);
    Some(u64::from_le_bytes(size).saturating_add(add))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    #[test]
    fn what_was_packed_comes_out() {
        let check = |encoding, packed: Vec<u8>, text: &[u8]| {
            assert_eq!(unpack(encoding, &packed, LIMIT).unwrap(), text, "{encoding:?}");
        };
        let long = b"{\"model\":\"m\"} ".repeat(10_000);
        for text in [&b"{}"[..], &long] {
            check(Encoding::Gzip, gzip(text), text);
            check(Encoding::Deflate, deflate(text), text);
            check(Encoding::Zstd, zstd(text), text);
        }
        check(Encoding::Gzip, [gzip(b"{"), gzip(b"}")].concat(), b"{}");
        let skippable = [&0x184D_2A53_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
        check(Encoding::Zstd, [zstd(b"{"), skippable, zstd(b"}")].concat(), b"{}");
    }

    #[test]
    fn a_bomb_is_too_large_and_rubbish_is_wrong() {
        let check = |encoding, packed: &[u8], code: Code| {
            assert_eq!(unpack(encoding, packed, LIMIT).unwrap_err().code, code, "{encoding:?}");
        };
        let zeros = vec![0; 64 * LIMIT];
        check(Encoding::Gzip, &gzip(&zeros), Code::BodyTooLarge);
        check(Encoding::Deflate, &deflate(&zeros), Code::BodyTooLarge);
        check(Encoding::Zstd, &zstd(&zeros), Code::BodyTooLarge);
        check(Encoding::Zstd, &zstd(&zeros[..LIMIT]).repeat(3), Code::BodyTooLarge);
        let noise: Vec<u8> = (0..10_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            check(encoding, b"{}", Code::BadRequest);
            check(encoding, &noise, Code::BadRequest);
            check(encoding, b"", Code::BadRequest);
        }
        for (encoding, packed) in [
            (Encoding::Gzip, gzip(&noise)),
            (Encoding::Deflate, deflate(&noise)),
            (Encoding::Zstd, zstd(&noise)),
        ] {
            check(encoding, &packed[..packed.len() / 2], Code::BadRequest);
        }
    }

    #[test]
    fn a_frame_does_not_choose_how_much_memory_it_takes() {
        // Blocks of one byte, repeated 128 KiB times: 4 bytes each.
        let block = |last: u32| ((128 << 10) << 3 | 1 << 1 | last).to_le_bytes()[..3].to_vec();
        let bomb = |header: &[u8], blocks: usize| {
            let mut frame = [&0xFD2F_B528_u32.to_le_bytes()[..], header].concat();
            for place in 0..blocks {
                frame.extend([block(u32::from(place + 1 == blocks)), vec![b' ']].concat());
            }
            frame
        };
        let check = |header: &[u8], blocks, code: Option<Code>| {
            let unpacked = unpack(Encoding::Zstd, &bomb(header, blocks), LIMIT);
            assert_eq!(unpacked.err().map(|error| error.code), code, "{header:?}");
        };
        // 1 MiB, 8 MiB and 2 GiB of window; then a single segment of 512 KiB and one of 1 TiB.
        check(&[0, 80], 4, None);
        check(&[0, 104], 4, None);
        check(&[0, 104], 1000, Some(Code::BodyTooLarge));
        check(&[0, 168], 4, Some(Code::BadRequest));
        check(&[0xA0, 0, 0, 8, 0], 4, None);
        check(&[0xE0, 0, 0, 0, 0, 0, 1, 0, 0], 4, Some(Code::BadRequest));
        check(&[], 0, Some(Code::BadRequest));
    }

    #[test]
    fn a_body_that_is_exactly_as_large_as_the_limit_is_accepted() {
        let text = vec![b' '; LIMIT];
        assert_eq!(unpack(Encoding::Gzip, &gzip(&text), LIMIT).unwrap().len(), LIMIT);
        assert_eq!(unpack(Encoding::Zstd, &zstd(&text), LIMIT).unwrap().len(), LIMIT);
    }
}
