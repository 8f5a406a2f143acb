//! How bodies are stored. The number beside a body says which way, so that others can be added.

use std::borrow::Cow;

use tracekeep_core::body::Body;
use tracekeep_store::Result;

use crate::error::corrupt;
use crate::frame;

/// Plain UTF-8.
const PLAIN: i64 = 0;
/// A zstd frame over a dictionary that ships with the binary.
const ZSTD: i64 = 1;

/// Bytes of a body below which it stays plain: it would save half a KiB and make reading it a sixth slower.
const PACKED_BYTES_MIN: usize = 1_536;

/// A body's frame, where that is smaller by an eighth at least; else the body is stored plain.
///
/// Takes 16 µs for 4 KiB: done by callers, not while the writer is held.
pub(crate) fn pack(body: &Body) -> Option<Box<[u8]>> {
    let text = body.as_str().as_bytes();
    if text.len() < PACKED_BYTES_MIN {
        return None;
    }
    let frame = frame::compress(text)?;
    (frame.len() <= text.len() - text.len() / 8).then(|| frame.into())
}

/// The codec and the bytes to store for a body.
pub(crate) fn encode<'a>(body: &'a Body, packed: Option<&'a [u8]>) -> (i64, &'a [u8]) {
    match packed {
        Some(frame) => (ZSTD, frame),
        None => (PLAIN, body.as_str().as_bytes()),
    }
}

/// The body of the entry at `log_index`, from what was stored.
pub(crate) fn decode(log_index: u64, codec: i64, bytes: &[u8]) -> Result<Body> {
    Ok(Body::stored(&*text(log_index, codec, bytes)?))
}

/// The text of that body; borrowed where it was stored as it is.
pub(crate) fn text(log_index: u64, codec: i64, bytes: &[u8]) -> Result<Cow<'_, str>> {
    let wrong = |what: &str| corrupt(format!("log index {log_index}: {what}"));
    match codec {
        PLAIN => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| wrong("the body is not UTF-8")),
        ZSTD => {
            let text = frame::decompress(bytes).map_err(wrong)?;
            String::from_utf8(text).map(Cow::Owned).map_err(|_| wrong("the body is not UTF-8"))
        }
        _ => Err(wrong("the body is stored in an unknown way")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored of a body, and that it reads as it was.
    #[track_caller]
    fn stored(text: &str) -> (i64, usize) {
        let body = Body::stored(text);
        let packed = pack(&body);
        let (codec, bytes) = encode(&body, packed.as_deref());
        assert_eq!(decode(7, codec, bytes).unwrap().as_str(), text);
        (codec, bytes.len())
    }

    #[test]
    fn what_shrinks_is_packed_and_all_else_is_plain() {
        let mut state = 1_u64;
        let mut any = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from((state >> 57) as u8)
        };
        let noise: String = (0..4_000).map(|_| any()).collect();
        assert_eq!(stored(&noise), (PLAIN, 4_000), "seven bits of each byte say something: an eighth is not won");
        assert_eq!(stored(&"a".repeat(1_535)), (PLAIN, 1_535), "is small");
        let (codec, length) = stored(&"a".repeat(1_536));
        assert!(codec == ZSTD && length < 40, "{length}");
        let (codec, length) = stored(&noise.repeat(2));
        assert!(codec == ZSTD && length < 4_200, "{length}");
    }

    #[test]
    fn what_cannot_be_read_is_corrupt_and_names_its_place() {
        let frame = frame::compress(&[0xff; 300]).unwrap();
        for (codec, bytes, said) in [
            (PLAIN, &b"\xff"[..], "log index 7: the body is not UTF-8"),
            (ZSTD, &frame, "log index 7: the body is not UTF-8"),
            (ZSTD, b"{}", "log index 7: the body is not a zstd frame that names its dictionary"),
            (2, b"{}", "log index 7: the body is stored in an unknown way"),
        ] {
            let error = decode(7, codec, bytes).unwrap_err();
            assert_eq!((error.code(), error.detail()), ("corrupt", said));
        }
    }
}
