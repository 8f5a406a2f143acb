//! Numbers as validated tokens.

use super::write::{f64_text, write_f64};

/// The decimal digits of the largest double; a longer integer is out of range.
const INTEGER_DIGITS_MAX: usize = 309;
/// An integer of at most this many digits is below 10^308 and in range.
const INTEGER_DIGITS_SAFE: usize = 308;
/// Up to this length `str::parse` is exact whatever the exponent.
const TOKEN_BYTES_EXACT: usize = 1_000;
/// Two doubles have a midpoint of at most 767 significant digits: beyond them only zero or not matters.
const DIGITS_DECISIVE: usize = 800;
/// An exponent that no text in memory has the digits to make up for.
const EXPONENT_ENOUGH: i64 = 1 << 50;

/// A JSON number: a validated token within the range of a double, and how the profile reads it.
///
/// Two numbers are equal when their canonical texts are: `1`, `1.0` and `1e0` are equal, `9007199254740993` and
/// `9007199254740992` are not.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a> {
    token: &'a str,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    /// Neither fraction nor exponent: the digits are the value.
    Integer,
    /// The nearest double is the value; finite, never minus zero.
    Double(f64),
}

impl<'a> Number<'a> {
    /// Takes a token that follows the grammar of RFC 8259; None if it is beyond the range of a double.
    pub(super) fn from_token(token: &'a str, is_integer: bool) -> Option<Self> {
        if !is_integer {
            let value = parse_f64(token);
            return value.is_finite().then_some(Self { token, form: Form::Double(value) });
        }
        let digit_count = token.len() - usize::from(token.starts_with('-'));
        let in_range =
            digit_count <= INTEGER_DIGITS_SAFE || digit_count <= INTEGER_DIGITS_MAX && parse_f64(token).is_finite();
        in_range.then_some(Self { token, form: Form::Integer })
    }

    /// The token as it stood in the text.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token
    }

    /// The nearest double; finite, and never minus zero.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self.form {
            Form::Integer => parse_f64(self.token),
            Form::Double(value) => value,
        }
    }

    /// The value as an `i64` if it is a whole number in its range, however it is spelt (`1000`, `1000.0`, `1e3`).
    ///
    /// It is the number that the canonical text states: an integer token is exact from its digits, any other is the
    /// nearest double.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.with_canonical(|text| text.parse().ok())
    }

    /// The value as a `u64` under the same rules as [`as_i64`](Self::as_i64).
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.with_canonical(|text| text.parse().ok())
    }

    /// Appends the canonical text.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        match self.form {
            Form::Integer => out.extend_from_slice(self.integer_text().as_bytes()),
            Form::Double(value) => write_f64(out, value),
        }
    }

    fn integer_text(&self) -> &'a str {
        if self.token == "-0" { "0" } else { self.token }
    }

    fn with_canonical<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self.form {
            Form::Integer => read(self.integer_text()),
            Form::Double(value) => read(f64_text(value, &mut ryu_js::Buffer::new())),
        }
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.form, other.form) {
            (Form::Integer, Form::Integer) => self.integer_text() == other.integer_text(),
            (Form::Double(a), Form::Double(b)) => a == b,
            _ => self.with_canonical(|a| other.with_canonical(|b| a == b)),
        }
    }
}

impl Eq for Number<'_> {}

/// Significant digits that every double tells apart: a decimal of no more is the shortest that names its double.
const DIGITS_EXACT: usize = 15;

/// Whether a token is a number in canonical form. It may be any text of digits, signs, points and `e`.
pub(super) fn is_canonical_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, part)| (whole, Some(part)));
    let is_whole = digits(whole) && (whole == "0" || !whole.starts_with('0'));
    match fraction {
        None if is_whole => token != "-0" && Number::from_token(token, true).is_some(),
        // Not below 10^-6, where the exponent begins; and no digit is there for nothing.
        Some(part) if is_whole && digits(part) && whole.len() + part.len() <= DIGITS_EXACT => {
            !part.ends_with('0') && (whole != "0" || !part.starts_with("000000"))
        }
        _ => is_canonical_double(token),
    }
}

/// Of any other token: whether it is what would be written for the double that it names.
#[cold]
fn is_canonical_double(token: &str) -> bool {
    let value = token.parse::<f64>().ok().filter(|value| value.is_finite());
    value.is_some_and(|value| f64_text(value, &mut ryu_js::Buffer::new()) == token)
}

/// The nearest double of a number token, infinite beyond the range, never minus zero.
fn parse_f64(token: &str) -> f64 {
    let shortened;
    let literal = if token.len() > TOKEN_BYTES_EXACT {
        shortened = shorten(token);
        &shortened
    } else {
        token
    };
    let value: f64 = literal.parse().expect("invariant: a JSON number token is a Rust float literal");
    // Adding zero turns minus zero into zero and changes nothing else.
    value + 0.0
}

/// A literal of the same nearest double as a long token, as a fraction below one with an exponent.
///
/// `str::parse` stops counting an exponent near 65,536, so that it misreads a token whose digits make up for such an
/// exponent: `0.` and 70,000 zeros and `1e70001` is one, and it says zero.
#[cold]
fn shorten(token: &str) -> String {
    let unsigned = token.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut point = whole.len() as i64;
    let mut digits = [whole, fraction].concat();
    let zero_count = digits.len() - digits.trim_start_matches('0').len();
    digits.drain(..zero_count);
    point -= zero_count as i64;
    if digits.len() > DIGITS_DECISIVE {
        // Of what is cut off it only matters whether it is zero.
        let is_cut_zero = digits[DIGITS_DECISIVE..].bytes().all(|digit| digit == b'0');
        digits.truncate(DIGITS_DECISIVE);
        digits.push(if is_cut_zero { '0' } else { '1' });
    }
    let exponent_sign = if exponent.starts_with('-') { -1 } else { 1 };
    let magnitude = exponent
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(EXPONENT_ENOUGH));
    let scale = (point + exponent_sign * magnitude).clamp(-9_999, 9_999);
    let sign = if token.starts_with('-') { "-" } else { "" };
    format!("{sign}0.{digits}e{scale}")
}
