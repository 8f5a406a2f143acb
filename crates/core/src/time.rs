//! Times: i64 nanoseconds since 1970 UTC inside, RFC 3339 on the wire.

use std::fmt;
use std::str::FromStr;

use crate::invalid::{Invalid, InvalidCode};

/// A moment in UTC, in nanoseconds since 1970-01-01T00:00:00Z; the whole of i64 (years 1677 to 2262).
///
/// Written as RFC 3339 with nine digits and `Z`; read with up to nine digits and any offset.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest moment.
    pub const MAX: Self = Self(i64::MAX);

    /// Wraps nanoseconds since 1970 UTC.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970 UTC.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The moment `nanos` later, or the latest there is.
    #[must_use]
    pub const fn saturating_add(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
}

const NANOS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NANOS);
        let days = i32::try_from(seconds.div_euclid(DAY_SECONDS)).expect("invariant: i64 nanoseconds are 107,000 days");
        let date = jiff::civil::Date::constant(1970, 1, 1)
            .checked_add(jiff::Span::new().days(days))
            .expect("invariant: i64 nanoseconds end in 2262");
        let second = seconds.rem_euclid(DAY_SECONDS);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
            date.year(),
            date.month(),
            date.day(),
            second / 3_600,
            second / 60 % 60,
            second % 60,
            self.0.rem_euclid(NANOS)
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let nanos = parse(text).and_then(|nanos| i64::try_from(nanos).ok());
        nanos.map(Self).ok_or_else(|| {
            Invalid::new(InvalidCode::InvalidTime, "", "a time is RFC 3339 with at most nine digits, from 1677 to 2262")
        })
    }
}

/// The grammar of RFC 3339 §5.6, `T` and `Z` in either case, without leap seconds (no clock here can name one).
fn parse(text: &str) -> Option<i128> {
    let text = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.iter().try_fold(0i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let punctuated = text.len() >= 20
        && (text[4], text[7], text[13], text[16]) == (b'-', b'-', b':', b':')
        && text[10].eq_ignore_ascii_case(&b'T');
    if !punctuated {
        return None;
    }
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = jiff::civil::Date::new(
        i16::try_from(number(0, 4)?).ok()?,
        i8::try_from(number(5, 7)?).ok()?,
        i8::try_from(number(8, 10)?).ok()?,
    )
    .ok()?;
    let (nanos, zone_at) = match text[19] {
        b'.' => {
            let digits = text[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            (number(20, 20 + digits)? * 10i64.pow(9 - u32::try_from(digits).ok()?), 20 + digits)
        }
        _ => (0, 19),
    };
    let offset = match text.get(zone_at..)? {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(zone_at + 1, zone_at + 3)?, number(zone_at + 4, zone_at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3_600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let days = (date - jiff::civil::Date::constant(1970, 1, 1)).get_days();
    let seconds = i64::from(days) * DAY_SECONDS + hour * 3_600 + minute * 60 + second - offset;
    Some(i128::from(seconds) * i128::from(NANOS) + i128::from(nanos))
}

/// The times from one moment up to another, that other excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// Both ends are in it, so that it can hold all of i64; empty where they are crossed.
    first: Timestamp,
    last: Timestamp,
}

impl Default for TimeRange {
    fn default() -> Self {
        Self::ALL
    }
}

impl TimeRange {
    /// Every time.
    pub const ALL: Self = Self { first: Timestamp::MIN, last: Timestamp::MAX };
    /// No time.
    pub const NONE: Self = Self { first: Timestamp::MAX, last: Timestamp::MIN };

    /// The times in [from, to); an absent bound is none.
    #[must_use]
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        Self::clamped(from.map_or(i128::from(i64::MIN), |from| from.0.into()), to.map_or(i128::MAX, |to| to.0.into()))
    }

    /// The same from RFC 3339; bounds beyond what a [`Timestamp`] holds are clamped.
    ///
    /// # Errors
    /// `invalid_time`, at `from` or `to`.
    pub fn parse(from: Option<&str>, to: Option<&str>) -> Result<Self, Invalid> {
        let bound = |text: Option<&str>, name: &str, absent: i128| {
            let wrong = || Invalid::new(InvalidCode::InvalidTime, name, "a time is RFC 3339 with at most nine digits");
            text.map_or(Ok(absent), |text| parse(text).ok_or_else(wrong))
        };
        Ok(Self::clamped(bound(from, "from", i64::MIN.into())?, bound(to, "to", i128::MAX)?))
    }

    fn clamped(from: i128, to: i128) -> Self {
        let first = i64::try_from(from.max(i64::MIN.into()));
        let last = i64::try_from((to - 1).min(i64::MAX.into()));
        match (first, last) {
            (Ok(first), Ok(last)) if first <= last => Self { first: Timestamp(first), last: Timestamp(last) },
            _ => Self::NONE,
        }
    }

    /// The earliest time in it, where it is not empty.
    #[must_use]
    pub const fn first(self) -> Timestamp {
        self.first
    }

    /// The latest time in it, where it is not empty.
    #[must_use]
    pub const fn last(self) -> Timestamp {
        self.last
    }

    /// Where it begins; `None` where every earlier time is in it.
    #[must_use]
    pub fn from(self) -> Option<Timestamp> {
        (self.first != Timestamp::MIN).then_some(self.first)
    }

    /// Where it ends, itself no part of it; `None` where every later time is in it.
    #[must_use]
    pub fn to(self) -> Option<Timestamp> {
        (self.last != Timestamp::MAX).then(|| self.last.saturating_add(1))
    }

    /// Whether no time is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.first > self.last
    }

    /// Whether a time is in it.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        self.first <= time && time <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, nanos: Option<i64>) {
        assert_eq!(text.parse::<Timestamp>().ok().map(Timestamp::as_nanos), nanos, "{text}");
    }

    #[test]
    fn a_range_is_half_open_and_clamped() {
        let at = Timestamp::from_nanos;
        let range = |from: i64, to: i64| TimeRange::new(Some(at(from)), Some(at(to)));
        assert!(range(3, 5).contains(at(3)) && range(3, 5).contains(at(4)) && !range(3, 5).contains(at(5)));
        assert_eq!((range(3, 5).from(), range(3, 5).to()), (Some(at(3)), Some(at(5))));
        assert!(range(3, 3).is_empty() && range(5, 3).is_empty() && range(i64::MIN, i64::MIN).is_empty());
        assert!(!range(i64::MIN, i64::MAX).contains(at(i64::MAX)), "the end is no part of it");
        assert_eq!(TimeRange::new(None, None), TimeRange::ALL);
        assert!(TimeRange::ALL.contains(at(i64::MAX)) && TimeRange::ALL.contains(at(i64::MIN)));
        assert_eq!((TimeRange::ALL.from(), TimeRange::ALL.to()), (None, None));
        for range in [range(3, 5), range(i64::MIN, 0), range(0, i64::MAX), TimeRange::ALL, TimeRange::NONE] {
            assert_eq!(TimeRange::new(range.from(), range.to()), range, "{range:?}");
        }
        let text = |from: &str, to: &str| TimeRange::parse(Some(from), Some(to));
        let (long_ago, far) = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z");
        assert_eq!(text(long_ago, far), Ok(TimeRange::ALL), "years beyond i64 are clamped");
        assert_eq!(text(far, far), Ok(TimeRange::NONE));
        assert_eq!(text(long_ago, long_ago), Ok(TimeRange::NONE));
        assert_eq!(text("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"), Ok(range(0, 1_000_000_000)));
        assert!(text("yesterday", far).is_err_and(|error| error.path() == "from"));
        assert!(text(far, "1970-01-01").is_err_and(|error| error.path() == "to"));
    }

    #[test]
    fn rfc_3339_in_and_nine_digits_out() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01t00:00:00.5z", Some(500_000_000));
        check("2026-11-20T10:00:00.123456789+02:00", Some(1_795_161_600_123_456_789));
        check("1969-12-31T23:59:59.999999999Z", Some(-1));
        check("2024-02-29T00:00:00Z", Some(1_709_164_800_000_000_000));
        check("1677-09-21T00:12:43.145224192Z", Some(i64::MIN));
        check("2262-04-11T23:47:16.854775807Z", Some(i64::MAX));
        for text in
            ["1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z", "1970-01-01T00:00:00.000000000Z"]
        {
            assert_eq!(text.parse::<Timestamp>().map(|time| time.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T24:00:00Z",
            "1970-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1970-01-01T00:00:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.1234567890Z",
            "1677-09-21T00:12:43.145224191Z",
            "2262-04-11T23:47:16.854775808Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0000",
            "1970-01-01T00:00:00Zx",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:0éZ",
        ] {
            check(text, None);
        }
    }
}
