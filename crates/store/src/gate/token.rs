//! Who holds a lease.

use std::fmt;
use std::str::FromStr;

use tracekeep_core::hash::hex_bytes;
use tracekeep_core::json::{Value, write_string};
use tracekeep_core::wire::{Field, Path, Shape};
use tracekeep_core::{Invalid, InvalidCode};

use crate::source::Source;

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Proves that its bearer holds a lease: 16 random bytes, written as 32 lower-case hex digits. Not printed by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

impl Token {
    /// A token that nobody can foresee.
    #[must_use]
    pub fn random(source: &Source) -> Self {
        Self(source.bytes())
    }

    /// Wraps the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Token {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new(InvalidCode::InvalidMember, "", "a token is 32 lower-case hex digits");
        hex_bytes(text).map(Self).ok_or_else(refused)
    }
}

impl Field for Token {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::String(text) => text.parse().map_err(|invalid: Invalid| at.refuse(invalid.code(), invalid.detail())),
            other => Err(at.wrong_type("a string", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        write_string(out, &self.to_string());
    }
    fn shape() -> Shape {
        Shape::Text("token")
    }
}
