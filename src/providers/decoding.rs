//! Responses that come as gzip although that was not requested.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use hyper::header::{self, HeaderMap};

/// The most that is decoded at once, in bytes: a little gzip can be very much text.
const DECODED_CHUNK: usize = 32 << 10;

/// How the body of a response is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentEncoding {
    Identity,
    Gzip,
    /// An encoding that was not requested and cannot be read.
    Unknown,
}

impl ContentEncoding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let name = name.trim_ascii();
                let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
                found = match found {
                    found if name.is_empty() || is(b"identity") => found,
                    Self::Identity if is(b"gzip") || is(b"x-gzip") => Self::Gzip,
                    Self::Identity | Self::Gzip | Self::Unknown => return Self::Unknown,
                };
            }
        }
        found
    }
}

/// Decodes gzip chunk by chunk, with at most [`DECODED_CHUNK`] in memory besides the chunk that came.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Received>,
    /// Whether anything came: a response without a body is not broken.
    is_empty: bool,
}

/// What came and is not decoded yet.
#[derive(Debug, Default)]
struct Received {
    chunk: Bytes,
    is_complete: bool,
}

/// What a decoder says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Chunk(Bytes),
    /// Everything that came is decoded.
    NeedsMore,
    End,
}

impl Gunzip {
    pub(super) fn new() -> Self {
        Self {
            decoder: MultiGzDecoder::new(Received::default()),
            is_empty: true,
        }
    }

    /// Takes a chunk, once the last one is decoded.
    pub(super) fn receive(&mut self, chunk: Bytes) {
        self.is_empty &= chunk.is_empty();
        self.decoder.get_mut().chunk = chunk;
    }

    /// Takes note that no more chunks come.
    pub(super) fn complete(&mut self) {
        self.decoder.get_mut().is_complete = true;
    }

    /// The next of what is decoded; fails where it is no gzip, or ends early.
    pub(super) fn decode(&mut self) -> io::Result<Decoded> {
        if self.is_empty {
            let is_complete = self.decoder.get_ref().is_complete;
            return Ok(if is_complete { Decoded::End } else { Decoded::NeedsMore });
        }
        let mut decoded = vec![0; DECODED_CHUNK];
        match self.decoder.read(&mut decoded) {
            Ok(0) => Ok(Decoded::End),
            Ok(length) => {
                decoded.truncate(length);
                Ok(Decoded::Chunk(decoded.into()))
            }
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => Ok(Decoded::NeedsMore),
            Err(why) => Err(why),
        }
    }
}

impl std::fmt::Debug for Gunzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gunzip").finish_non_exhaustive()
    }
}

impl Read for Received {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(into.len());
        into[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Received {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() && !self.is_complete {
            // The decoder keeps its state and goes on from here.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, length: usize) {
        self.chunk.advance(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use hyper::header::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn decode(chunks: &[&[u8]]) -> io::Result<Vec<u8>> {
        let mut gunzip = Gunzip::new();
        let mut chunks = chunks.iter();
        let mut text = Vec::new();
        loop {
            match gunzip.decode()? {
                Decoded::Chunk(chunk) => {
                    assert!(!chunk.is_empty() && chunk.len() <= DECODED_CHUNK);
                    text.extend_from_slice(&chunk);
                }
                Decoded::End => return Ok(text),
                Decoded::NeedsMore => match chunks.next() {
                    Some(chunk) => gunzip.receive(Bytes::copy_from_slice(chunk)),
                    None => gunzip.complete(),
                },
            }
        }
    }

    #[test]
    fn gzip_is_decoded_wherever_it_is_cut() {
        let text = b"data: {\"text\": \"hello\"}\n\n".repeat(3);
        let packed = [gzip(&text), gzip(b"second member")].concat();
        let expected = [text.as_slice(), b"second member"].concat();
        for at in 0..=packed.len() {
            let (start, end) = packed.split_at(at);
            assert_eq!(decode(&[start, end]).expect("good"), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = packed.chunks(1).collect();
        assert_eq!(decode(&bytes).expect("good"), expected);
        assert_eq!(decode(&[]).expect("no body"), b"");
    }

    #[test]
    fn a_little_gzip_does_not_become_much_memory() {
        let text = vec![b'a'; 10 << 20];
        let packed = gzip(&text);
        assert!(packed.len() < 16 << 10);
        assert!(decode(&[&packed]).expect("good") == text);
    }

    #[test]
    fn what_is_no_gzip_or_ends_early_is_an_error() {
        let packed = gzip(b"hello, hello, hello");
        for cut in 1..packed.len() {
            assert!(decode(&[&packed[..cut]]).is_err(), "cut at {cut}");
        }
        assert!(decode(&[b"{\"error\": 1}, and no gzip"]).is_err());
    }

    #[test]
    fn an_encoding_is_read_in_every_spelling() {
        for (values, encoding) in [
            (&[][..], ContentEncoding::Identity),
            (&["identity"], ContentEncoding::Identity),
            (&[""], ContentEncoding::Identity),
            (&["gzip"], ContentEncoding::Gzip),
            (&["X-GZip"], ContentEncoding::Gzip),
            (&["identity, gzip"], ContentEncoding::Gzip),
            (&["gzip, gzip"], ContentEncoding::Unknown),
            (&["gzip", "br"], ContentEncoding::Unknown),
            (&["br"], ContentEncoding::Unknown),
            (&["zstd"], ContentEncoding::Unknown),
            (&["deflate"], ContentEncoding::Unknown),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(ContentEncoding::of(&headers), encoding, "{values:?}");
        }
    }
}
