//! The tokens of RFC 8259: strings, numbers and literals, read at a cursor.

use std::borrow::Cow;

use super::scan::plain_end;
use super::{JsonErrorKind, Number, Value};

/// A fault before its path is known.
pub(super) struct Fault {
    pub(super) kind: JsonErrorKind,
    pub(super) at: usize,
}

fn malformed<T>(at: usize) -> Result<T, Fault> {
    Err(Fault { kind: JsonErrorKind::Malformed, at })
}

/// A place in a text, and the reading of what stands there.
pub(super) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the place `at` of a text.
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Reads a number, `null`, `true` or `false`.
    pub(super) fn scalar(&mut self) -> Result<Value<'a>, Fault> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            _ => malformed(self.at),
        }
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return malformed(self.at);
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Number<'a>, Fault> {
        let start = self.at;
        self.eats(b'-');
        if !self.eats(b'0') {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.eats(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if self.eats(b'e') || self.eats(b'E') {
            is_integer = false;
            let _ = self.eats(b'+') || self.eats(b'-');
            self.digits()?;
        }
        Number::from_token(&self.text[start..self.at], is_integer)
            .ok_or(Fault { kind: JsonErrorKind::NumberOutOfRange, at: start })
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { malformed(start) } else { Ok(()) }
    }

    /// Reads a string whose opening quote is next; it is borrowed unless it holds an escape.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        let end = plain_end(self.bytes, start);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        self.escaped_string(start, end).map(Cow::Owned)
    }

    fn escaped_string(&mut self, start: usize, first_end: usize) -> Result<String, Fault> {
        let (mut from, mut end) = (start, first_end);
        let mut out = String::new();
        loop {
            out.push_str(&self.text[from..end]);
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    let (char, next) = self.escape(end)?;
                    out.push(char);
                    from = next;
                }
                _ => return malformed(end),
            }
            end = plain_end(self.bytes, from);
        }
    }

    /// The character of the escape at `at`, and the place after it.
    fn escape(&self, at: usize) -> Result<(char, usize), Fault> {
        let char = match self.bytes.get(at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(at),
            _ => return malformed(at),
        };
        Ok((char, at + 2))
    }

    fn unicode_escape(&self, at: usize) -> Result<(char, usize), Fault> {
        let lone = Fault { kind: JsonErrorKind::LoneSurrogate, at };
        let high = self.hex4(at + 2)?;
        if let Some(char) = char::from_u32(high) {
            return Ok((char, at + 6));
        }
        if high >= 0xdc00 || self.bytes.get(at + 6..at + 8) != Some(b"\\u") {
            return Err(lone);
        }
        let low = self.hex4(at + 8)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(lone);
        }
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        Ok((char::from_u32(code).expect("invariant: a surrogate pair is a character"), at + 12))
    }

    fn hex4(&self, at: usize) -> Result<u32, Fault> {
        let mut code = 0;
        for place in at..at + 4 {
            match self.bytes.get(place).and_then(|byte| char::from(*byte).to_digit(16)) {
                Some(digit) => code = code << 4 | digit,
                None => return malformed(place),
            }
        }
        Ok(code)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn eats(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}
