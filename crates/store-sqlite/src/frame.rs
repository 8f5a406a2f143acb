//! Bodies as zstd frames (RFC 8878) over a dictionary that ships with the binary.
//!
//! A frame states its dictionary and the length of what it holds. Each body is a frame by itself, so that one can be
//! erased without another. A shipped dictionary never changes; a better one is another number.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use tracekeep_core::limits::OP_BYTES_MAX;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{compress_bound, get_dict_id_from_frame, get_frame_content_size};

/// The dictionary that frames are written with, made by `cargo xtask dictionary`.
const DICTIONARY: &[u8] = include_bytes!("dictionary/1.zstd-dictionary");
/// Its number, which frames state.
const DICTIONARY_NUMBER: u32 = 1;
/// What pays best (docs/design/0004-compressed-bodies.md).
const LEVEL: i32 = 1;

/// Contexts that wait to be used again, of each kind: more threads than cores gain nothing.
const CONTEXTS_MAX: usize = 8;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

static COMPRESSORS: Contexts<Compressor<'static>> = Contexts(Mutex::new(Vec::new()));
static DECOMPRESSORS: Contexts<Decompressor<'static>> = Contexts(Mutex::new(Vec::new()));

/// Contexts beside their users: hundreds of threads may write, few at once.
struct Contexts<T>(Mutex<Vec<T>>);

impl<T> Contexts<T> {
    fn waiting(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a context that nobody else uses. One whose work failed is not used again.
    fn with<R>(
        &self,
        make: impl FnOnce() -> std::io::Result<T>,
        work: impl FnOnce(&mut T) -> std::io::Result<R>,
    ) -> Option<R> {
        let waiting = self.waiting().pop();
        let mut context = waiting.map_or_else(make, Ok).ok()?;
        let done = work(&mut context).ok()?;
        let mut waiting = self.waiting();
        if waiting.len() < CONTEXTS_MAX {
            waiting.push(context);
        }
        Some(done)
    }
}

/// The frame of a text; `None` where zstd cannot, as without memory.
pub(crate) fn compress(text: &[u8]) -> Option<Vec<u8>> {
    let make = || Compressor::with_prepared_dictionary(&ENCODER);
    COMPRESSORS.with(make, |context| {
        let mut frame = Vec::with_capacity(compress_bound(text.len()));
        context.compress_to_buffer(text, &mut frame)?;
        Ok(frame)
    })
}

/// What a frame holds, or what is wrong with it. Takes as much memory as a body may have, whatever the frame states.
pub(crate) fn decompress(frame: &[u8]) -> Result<Vec<u8>, &'static str> {
    match get_dict_id_from_frame(frame).map(std::num::NonZeroU32::get) {
        Some(DICTIONARY_NUMBER) => {}
        Some(_) => return Err("the body is compressed with an unknown dictionary"),
        None => return Err("the body is not a zstd frame that names its dictionary"),
    }
    let stated = get_frame_content_size(frame).ok().flatten().ok_or("the body's length is not stated")?;
    let length = usize::try_from(stated).ok().filter(|length| *length <= OP_BYTES_MAX as usize);
    let length = length.ok_or("the body is stated to be longer than a body may be")?;
    let make = || Decompressor::with_prepared_dictionary(&DECODER);
    let text = DECOMPRESSORS.with(make, |context| {
        let mut text = Vec::with_capacity(length);
        context.decompress_to_buffer(frame, &mut text)?;
        Ok(text)
    });
    text.filter(|text| text.len() == length).ok_or("the body's zstd frame is damaged")
}
#[cfg(test)]
mod tests {
    use super::*;
    use tracekeep_core::hash::sha256;

    const TEXT: &str =
        r#"{"op":"record_trace","run_id":"run-1","trace_type":{"content":"the cheapest flight","type":"Thought"}}"#;

    #[test]
    fn the_shipped_dictionary_never_changes() {
        // What was written with it is read with it for ever: another dictionary is another number and another file.
        let digest = sha256(&[DICTIONARY]).to_string();
        assert_eq!(digest, "ef3984c003defdbbf7defd488ca9eeaa907fdaf76a026f6b02170ba46ef9bc92");
        assert_eq!(DICTIONARY[4..8], DICTIONARY_NUMBER.to_le_bytes());
        assert!(DICTIONARY.len() <= 112 << 10);
    }

    #[test]
    fn a_frame_gives_its_text_back() {
        for text in ["", "x", TEXT, &TEXT.repeat(1_000), &"\u{0}\u{1F6EB}".repeat(100_000)] {
            let frame = compress(text.as_bytes()).unwrap();
            assert_eq!(decompress(&frame).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_damaged_frame_is_refused_or_gives_as_many_bytes_as_it_states() {
        let frame = compress(TEXT.repeat(3).as_bytes()).unwrap();
        for length in 0..frame.len() {
            assert!(decompress(&frame[..length]).is_err(), "{length} of {} bytes", frame.len());
        }
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(text) = decompress(&damaged) {
                    let stated = get_frame_content_size(&damaged).unwrap().unwrap();
                    assert_eq!(text.len() as u64, stated, "byte {at}, bit {bit}");
                }
            }
        }
        assert_eq!(decompress(&frame), Ok(TEXT.repeat(3).into_bytes()), "a failure leaves nothing behind");
    }

    #[test]
    fn a_frame_that_holds_more_than_it_states_is_refused() {
        // RFC 8878 §3.1.1: a length in one byte, then one block that repeats a byte 100,000 times.
        let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 10];
        bomb.extend_from_slice(&((100_000_u32 << 3) | 0b011).to_le_bytes()[..3]);
        bomb.push(b'a');
        assert_eq!(decompress(&bomb), Err("the body's zstd frame is damaged"));
        bomb[6] = 0;
        bomb[7..10].copy_from_slice(&0b001_u32.to_le_bytes()[..3]);
        bomb.pop();
        assert_eq!(decompress(&bomb), Ok(Vec::new()), "the frame is well formed but for that");
    }
}
