//! Bodies of requests that clients send compressed: Codex sends Zstandard, others gzip or Brotli.

use std::io::Read;

use bytes::Bytes;
use hyper::{HeaderMap, header};

use crate::error::{Code, Error, Result};

/// How often a body may be compressed.
const MAX_ENCODINGS: usize = 2;
/// The buffer of a decoder, in bytes.
const BUFFER: usize = 16 << 10;

/// The body as it was before it was compressed, at most `limit` bytes of it; the header goes that says so.
///
/// Fails where it is compressed in another way, or not as the header says.
pub(in crate::gateway) fn decoded(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes> {
    let encodings: Vec<String> = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    if encodings.len() > MAX_ENCODINGS {
        return Err(Error::new(Code::InvalidArgument, "the body is compressed too often")
            .hint("compress it once, or not at all"));
    }
    let mut body = body;
    // The last one was put on last.
    for encoding in encodings.iter().rev() {
        let read = match encoding.as_str() {
            "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(body.as_ref()), limit),
            "deflate" => bounded(flate2::read::ZlibDecoder::new(body.as_ref()), limit),
            "br" => bounded(brotli_decompressor::Decompressor::new(body.as_ref(), BUFFER), limit),
            "zstd" => match ruzstd::decoding::StreamingDecoder::new(body.as_ref()) {
                Ok(decoder) => bounded(decoder, limit),
                Err(_) => Err(undecodable(encoding)),
            },
            _ => {
                return Err(Error::new(
                    Code::InvalidArgument,
                    "the body has a content encoding that is not supported",
                )
                .hint("send it as zstd, gzip, br or deflate, or not compressed"));
            }
        };
        body = read?;
    }
    if !encodings.is_empty() {
        headers.remove(header::CONTENT_ENCODING);
    }
    Ok(body)
}

fn bounded(decoder: impl Read, limit: usize) -> Result<Bytes> {
    let mut decoded = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    decoder
        .take(most.saturating_add(1))
        .read_to_end(&mut decoded)
        .map_err(|_| undecodable("declared"))?;
    if decoded.len() > limit {
        let limit = limit >> 20;
        return Err(Error::new(
            Code::RequestTooLarge,
            format!("the body is longer than {limit} MiB once it is decoded"),
        )
        .hint("send less at a time, or upload files to the provider itself"));
    }
    Ok(decoded.into())
}

fn undecodable(encoding: &str) -> Error {
    Error::new(
        Code::InvalidArgument,
        format!("the body is not in its {encoding} encoding"),
    )
    .hint("send the request again, not compressed")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use hyper::header::HeaderValue;

    use super::*;

    const MAX_BYTES: usize = 1 << 20;
    /// `hello hello hello hello` as Node writes it.
    const BROTLI: &[u8] = b"\x1b\x16\x00\xf8\x8d\x94\x6e\xde\x44\x55\x86\x96\x6c\x20\x6f\x21\x4f\x1c\xe0\x38";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn decode(encoding: &'static str, body: &[u8]) -> Result<(Bytes, bool)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        let body = decoded(&mut headers, Bytes::copy_from_slice(body), MAX_BYTES)?;
        Ok((body, headers.contains_key(header::CONTENT_ENCODING)))
    }

    #[test]
    fn what_is_compressed_is_read_as_it_was() {
        let text = b"{\"model\":\"m\"}".repeat(100);
        for (encoding, body) in [
            ("gzip", gzip(&text)),
            ("zstd", zstd(&text)),
            ("Zstd", zstd(&text)),
            ("zstd, gzip", gzip(&zstd(&text))),
        ] {
            assert_eq!(
                decode(encoding, &body).expect(encoding),
                (text.clone().into(), false),
                "{encoding}"
            );
        }
        assert_eq!(
            decode("identity", b"as it is").expect("plain"),
            (Bytes::from_static(b"as it is"), true)
        );
    }

    #[test]
    fn little_that_would_become_much_is_refused() {
        let much = vec![b'a'; MAX_BYTES + 1];
        for (encoding, body) in [("gzip", gzip(&much)), ("zstd", zstd(&much))] {
            assert!(body.len() < MAX_BYTES / 10, "{encoding}");
            let why = decode(encoding, &body).expect_err(encoding);
            assert_eq!(why.code(), Code::RequestTooLarge, "{encoding}");
        }
    }

    #[test]
    fn what_is_not_as_it_says_is_refused() {
        for (encoding, body) in [
            ("gzip", &b"{}"[..]),
            ("zstd", b"{}"),
            ("zstd", b"\x28\xb5\x2f\xfd\x00"),
            ("br", b"{}"),
            ("br", &BROTLI[..4]),
            ("compress", b"{}"),
            ("gzip, gzip, gzip", b"{}"),
        ] {
            assert_eq!(
                decode(encoding, body).expect_err(encoding).code(),
                Code::InvalidArgument,
                "{encoding}"
            );
        }
    }
}
