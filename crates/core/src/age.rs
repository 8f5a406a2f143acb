//! How long ago: a whole number of seconds, minutes, hours, days or weeks.

use std::fmt;
use std::str::FromStr;

use crate::invalid::{Invalid, InvalidCode};
use crate::json::{Value, write_string};
use crate::time::Timestamp;
use crate::wire::{Field, Path, Shape};

const SECOND: i64 = 1_000_000_000;
/// The units, the longest first.
const UNITS: [(char, i64); 5] =
    [('w', 7 * 86_400 * SECOND), ('d', 86_400 * SECOND), ('h', 3_600 * SECOND), ('m', 60 * SECOND), ('s', SECOND)];

/// An age: digits and `s`, `m`, `h`, `d` or `w`. It reads as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    count: i64,
    unit: char,
}

impl Age {
    /// So many days.
    #[must_use]
    pub const fn days(count: u32) -> Self {
        Self { count: count as i64, unit: 'd' }
    }

    /// Nanoseconds. Longer than time goes back is as long.
    #[must_use]
    pub fn as_nanos(self) -> i64 {
        let unit = UNITS.iter().find(|(unit, _)| *unit == self.unit).map_or(SECOND, |(_, nanos)| *nanos);
        self.count.saturating_mul(unit)
    }

    /// The moment that was so long before `now`.
    #[must_use]
    pub fn before(self, now: Timestamp) -> Timestamp {
        now.saturating_add(-self.as_nanos())
    }
}

impl FromStr for Age {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid::new(InvalidCode::InvalidMember, "", "must be an age such as 90s, 10m, 2h, 30d, 4w");
        let unit = text.chars().last().filter(|unit| UNITS.iter().any(|(known, _)| known == unit));
        let unit = unit.ok_or_else(refuse)?;
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(refuse());
        }
        Ok(Self { count: digits.parse().unwrap_or(i64::MAX), unit })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

impl Field for Age {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        let text: String = Field::read(value, at)?;
        text.parse().map_err(|error: Invalid| at.refuse(error.code(), error.detail()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_string(out, &self.to_string());
    }

    fn shape() -> Shape {
        Shape::Text("")
    }
}
