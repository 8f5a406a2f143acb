//! Amounts: costs in cents as exact decimals, durations in milliseconds.

use std::fmt;
use std::str::FromStr;

use crate::invalid::{Invalid, InvalidCode};

/// A cost in cents, exact to a millionth: i64 micro-cents inside, never negative.
///
/// On the wire a string `(0|[1-9][0-9]*)(\.[0-9]{1,6})?`, recorded without trailing zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cost(i64);

impl Cost {
    /// Wraps millionths of a cent; `None` where negative.
    #[must_use]
    pub const fn from_micro_cents(micro_cents: i64) -> Option<Self> {
        if micro_cents < 0 { None } else { Some(Self(micro_cents)) }
    }

    /// Millionths of a cent.
    #[must_use]
    pub const fn as_micro_cents(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{part:06}").trim_end_matches('0'))
    }
}

impl FromStr for Cost {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(InvalidCode::InvalidMember, "", "a cost is a decimal string with at most six fraction digits")
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let padded = digits(whole) && digits(part) && part.len() <= 6 && (whole.len() == 1 || !whole.starts_with('0'));
        if !padded {
            return Err(refused());
        }
        let overflow =
            || Invalid::new(InvalidCode::NumberOutOfRange, "", "a cost is at most 9223372036854.775807 cents");
        let part: i64 = format!("{part:0<6}").parse().map_err(|_| refused())?;
        let whole: i64 = whole.parse().map_err(|_| overflow())?;
        whole.checked_mul(1_000_000).and_then(|micro| micro.checked_add(part)).map(Self).ok_or_else(overflow)
    }
}

/// A length of time in milliseconds: a finite JSON number ≥ 0 on the wire and in the record, i64 nanoseconds inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct DurationMs(f64);

impl DurationMs {
    /// The longest: 292 years.
    pub const MAX: Self = Self(9_223_372_036_854.773);

    /// Wraps milliseconds.
    ///
    /// # Errors
    /// `number_out_of_range` where negative, not finite, or beyond i64 nanoseconds (292 years).
    pub fn new(milliseconds: f64) -> Result<Self, Invalid> {
        if milliseconds >= 0.0 && milliseconds * 1e6 < 9.223_372_036_854_775e18 {
            // −0 is 0, here as in canonical JSON.
            return Ok(Self(milliseconds + 0.0));
        }
        Err(Invalid::new(
            InvalidCode::NumberOutOfRange,
            "",
            "a duration is a number of milliseconds from 0 to 292 years",
        ))
    }

    /// The length of so many nanoseconds: the nearest double of them, divided by 10^6; 0 where negative.
    ///
    /// Exact to 2^53 nanoseconds (104 days); at most [`DurationMs::MAX`].
    #[must_use]
    pub fn from_nanos(nanos: i64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a duration is a JSON number, exact to 2^53 nanoseconds")]
        Self::new(nanos.max(0) as f64 / 1e6).unwrap_or(Self::MAX)
    }

    /// The length between two moments, 0 where the second is earlier.
    #[must_use]
    pub fn between(from: crate::time::Timestamp, to: crate::time::Timestamp) -> Self {
        Self::from_nanos(to.as_nanos().saturating_sub(from.as_nanos()))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> f64 {
        self.0
    }

    /// Nanoseconds, rounded to the nearest.
    #[must_use]
    pub fn as_nanos(self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "new() keeps the value inside i64")]
        {
            (self.0 * 1e6).round() as i64
        }
    }
}

impl TryFrom<f64> for DurationMs {
    type Error = Invalid;
    fn try_from(milliseconds: f64) -> Result<Self, Invalid> {
        Self::new(milliseconds)
    }
}

/// A decimal number of milliseconds.
impl FromStr for DurationMs {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // What is no number is none that is allowed.
        Self::new(text.parse().unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: Option<&str>) {
        assert_eq!(text.parse::<Cost>().ok().map(|cost| cost.to_string()).as_deref(), canonical, "{text}");
    }

    #[test]
    fn costs_are_exact_decimals() {
        check("0", Some("0"));
        check("0.250", Some("0.25"));
        check("10.000001", Some("10.000001"));
        check("0.0", Some("0"));
        check("9223372036854.775807", Some("9223372036854.775807"));
        for bad in [
            "",
            ".5",
            "1.",
            "-1",
            "+1",
            "01",
            "1e3",
            "0.1234567",
            "9223372036854.775808",
            "99999999999999999999",
            "1.2.3",
            " 1",
            "١",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn durations_are_bounded() {
        assert_eq!(DurationMs::new(12.5).map(DurationMs::as_nanos), Ok(12_500_000));
        assert_eq!(DurationMs::new(-0.0).map(|ms| ms.as_ms().to_bits()), Ok(0));
        assert_eq!(DurationMs::new(DurationMs::MAX.as_ms()), Ok(DurationMs::MAX));
        assert_eq!("12.5".parse::<DurationMs>().map(DurationMs::as_nanos), Ok(12_500_000));
        for bad in ["", "1s", "-1", "inf", "NaN", "1e13"] {
            assert!(bad.parse::<DurationMs>().is_err(), "{bad}");
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, DurationMs::MAX.as_ms().next_up(), 1e13] {
            assert!(DurationMs::new(bad).is_err(), "{bad}");
        }
    }

    /// A sum of durations, or the distance between two times, may come within a double's step of i64::MAX. It was
    /// then beyond the bound of `new`, and read as 0.
    #[test]
    fn the_longest_lengths_are_not_read_as_nothing() {
        for nanos in [i64::MAX, i64::MAX - 2_047] {
            assert_eq!(DurationMs::from_nanos(nanos), DurationMs::MAX);
        }
        assert_eq!(DurationMs::from_nanos(12_500_000).as_ms(), 12.5);
        assert_eq!(DurationMs::from_nanos(-1).as_ms(), 0.0);
        let (first, last) = (crate::Timestamp::MIN, crate::Timestamp::MAX);
        assert_eq!(DurationMs::between(first, last), DurationMs::MAX);
        assert_eq!(DurationMs::between(last, first).as_ms(), 0.0);
    }
}
