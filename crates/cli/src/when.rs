//! A bound in time, as a command line states it: a moment, or how long ago it was.

use std::str::FromStr;

use tracekeep_core::age::Age;
use tracekeep_core::{TimeRange, Timestamp};

/// A moment in RFC 3339, or an age: a whole number and `s`, `m`, `h`, `d` or `w`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// RFC 3339, of any year.
    At(String),
    /// Nanoseconds before now.
    Ago(i64),
}

impl FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(nanos) = age(text) {
            return Ok(Self::Ago(nanos));
        }
        if text.strip_prefix('-').and_then(age).is_some() {
            return Err("an age counts back from now: write it without the minus sign");
        }
        match TimeRange::parse(Some(text), None) {
            Ok(_) => Ok(Self::At(text.to_owned())),
            Err(_) => Err("a time is RFC 3339 with at most nine digits, or an age such as 10m, 2h, 30d"),
        }
    }
}

fn age(text: &str) -> Option<i64> {
    text.parse::<Age>().ok().map(Age::as_nanos)
}

impl When {
    fn text(&self, now: Timestamp) -> String {
        match self {
            Self::At(text) => text.clone(),
            Self::Ago(nanos) => now.saturating_add(-nanos).to_string(),
        }
    }
}

/// The times in [since, until), seen from `now`.
pub(crate) fn range(since: Option<&When>, until: Option<&When>, now: Timestamp) -> TimeRange {
    let text = |when: Option<&When>| when.map(|when| when.text(now));
    TimeRange::parse(text(since).as_deref(), text(until).as_deref()).expect("invariant: each was read as a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[track_caller]
    fn check(text: &str, from: Option<i64>) {
        let now = Timestamp::from_nanos(1_000_000 * SECOND);
        let got = text.parse::<When>().ok().map(|when| range(Some(&when), None, now).first().as_nanos());
        assert_eq!(got, from, "{text}");
    }

    #[test]
    fn a_moment_is_stated_or_some_time_ago() {
        check("1970-01-01T00:00:01Z", Some(SECOND));
        check("1970-01-01T02:00:00.5+02:00", Some(SECOND / 2));
        check("0001-01-01T00:00:00Z", Some(i64::MIN));
        check("0s", Some(1_000_000 * SECOND));
        check("90s", Some(999_910 * SECOND));
        check("10m", Some(999_400 * SECOND));
        check("2h", Some(992_800 * SECOND));
        check("3d", Some(740_800 * SECOND));
        check("1w", Some(395_200 * SECOND));
        check("99999999999999999999w", Some(1_000_000 * SECOND - i64::MAX));
        for text in ["", "m", "10", "-1m", "+1m", "1.5h", "10 m", "10M", "1y", "yesterday", "1970-01-01", "１m", "é"]
        {
            check(text, None);
        }
    }

    #[test]
    fn what_ends_before_it_begins_is_empty() {
        let now = Timestamp::from_nanos(0);
        assert!(range(Some(&When::Ago(1)), Some(&When::Ago(1)), now).is_empty());
        assert!(!range(Some(&When::Ago(2)), Some(&When::Ago(1)), now).is_empty());
        assert_eq!(range(None, None, now), TimeRange::ALL);
    }
}
