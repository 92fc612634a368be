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
            Err(GatewayError { detail: Some("request_body_encoding_unsupported"), ..error })
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
            Err(GatewayError { detail: Some("invalid_encoding"), ..error })
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
    loop {
        if let Some((magic, rest)) = body.split_first_chunk::<4>()
            && (0x184D_2A50..=0x184D_2A5F).contains(&u32::from_le_bytes(*magic))
        {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            body = rest.get(length..).ok_or(io::ErrorKind::UnexpectedEof)?;
        } else {
            let frame = StreamingDecoder::new(&mut body).map_err(io::Error::other)?;
            fill(frame, out, limit)?;
        }
        if !body.has_remaining() || out.len() > limit {
            return Ok(());
        }
    }
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
    fn a_body_that_is_exactly_as_large_as_the_limit_is_accepted() {
        let text = vec![b' '; LIMIT];
        assert_eq!(unpack(Encoding::Gzip, &gzip(&text), LIMIT).unwrap().len(), LIMIT);
        assert_eq!(unpack(Encoding::Zstd, &zstd(&text), LIMIT).unwrap().len(), LIMIT);
    }
}
