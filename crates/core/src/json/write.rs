//! The canonical writer: strings and numbers as bytes.

use super::scan::plain_end;

/// Appends `s` as a canonical JSON string with its quotes (RFC 8785 section 3.2.2.2).
pub fn write_string(out: &mut Vec<u8>, s: &str) {
    let bytes = s.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    loop {
        let end = plain_end(bytes, from);
        out.extend_from_slice(&bytes[from..end]);
        let Some(&byte) = bytes.get(end) else { break };
        write_escape(out, byte);
        from = end + 1;
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends `x` in the form of ECMAScript's Number::toString (RFC 8785 section 3.2.2.3); minus zero is `0`.
///
/// The caller guarantees that `x` is finite; it panics otherwise.
pub fn write_f64(out: &mut Vec<u8>, x: f64) {
    out.extend_from_slice(f64_text(x, &mut ryu_js::Buffer::new()).as_bytes());
}

pub(super) fn f64_text(x: f64, buffer: &mut ryu_js::Buffer) -> &str {
    assert!(x.is_finite(), "invariant: only finite numbers are written");
    if x == 0.0 { "0" } else { buffer.format_finite(x) }
}

/// Appends `x` with its exact digits.
pub fn write_i64(out: &mut Vec<u8>, x: i64) {
    if x < 0 {
        out.push(b'-');
    }
    write_u64(out, x.unsigned_abs());
}

/// Appends `x` with its exact digits.
pub fn write_u64(out: &mut Vec<u8>, x: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = x;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}
