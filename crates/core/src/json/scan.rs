//! Finding the end of a run of string bytes that need no escape, eight bytes at a time.

const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The place of the first `"`, `\` or byte below 0x20 at or after `from`, else the length of `bytes`.
///
/// These are the bytes that end a plain run when reading and that need an escape when writing.
pub(crate) fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = special_marks(u64::from_le_bytes(*chunk));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte < 0x20 || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// Sets the high bit of each special byte. A borrow may set marks above the first true one, never below it.
///
/// What is zero borrows into its high bit when one is taken from it, and so does what is below 0x20 when that is; a byte
/// that has this bit of its own is beyond ASCII, and no special one.
fn special_marks(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    (quote | backslash | control) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::plain_end;

    #[test]
    fn every_byte_at_every_place_is_classified_like_the_definition() {
        for length in 0..20 {
            for place in 0..length {
                for byte in 0..=255u8 {
                    for filler in [b'a', 0x20, 0x7f, 0x80, 0xff, b'#', b'!', b'[', b']'] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
                        for from in 0..=place {
                            let expected = bytes[from..].iter().position(special).map_or(length, |at| from + at);
                            assert_eq!(plain_end(&bytes, from), expected, "{bytes:x?} from {from}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_several_special_bytes_is_found() {
        assert_eq!(plain_end(b"abc\"\\\n\"\x00", 0), 3);
        assert_eq!(plain_end(b"abcdefgh\x1f\"", 0), 8);
        assert_eq!(plain_end(b"", 0), 0);
    }
}
