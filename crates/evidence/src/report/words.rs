//! How times, lengths and amounts are put into words.

use tracekeep_core::Timestamp;
use tracekeep_core::amount::{Cost, DurationMs};

use crate::quoted::beginning;

/// Characters of a recorded text that stand beside others.
pub(super) const TEXT_MAX: usize = 1_000;

pub(super) const NOT_STATED: &str = "not stated";

/// A time in UTC, cut to milliseconds: `2026-11-20 10:00:02.500Z`.
pub(super) fn time(at: Timestamp) -> String {
    let whole = at.to_string();
    format!("{} {}Z", &whole[..10], &whole[11..23])
}

/// A recorded text, of a long one its beginning.
pub(super) fn or_not_stated(text: Option<&str>) -> String {
    text.map_or_else(|| NOT_STATED.to_owned(), |text| beginning(text, TEXT_MAX))
}

/// What was spent. A record has a cost of 0 where none was stated.
pub(super) fn cost(cost: Cost) -> String {
    match cost.as_micro_cents() {
        0 => NOT_STATED.to_owned(),
        1_000_000 => "1 cent".to_owned(),
        _ => format!("{cost} cents"),
    }
}

const NANOS: i64 = 1_000_000_000;

/// How long something is, in its two largest units: `46 h 47 min`, `2.5 s`, `400 ms`.
pub(super) fn length(nanos: i64) -> String {
    let seconds = nanos / NANOS;
    let two = |unit: i64, name: &str, next: i64, next_name: &str| {
        let (whole, rest) = (seconds / unit, seconds % unit / next);
        if rest == 0 { format!("{whole} {name}") } else { format!("{whole} {name} {rest} {next_name}") }
    };
    match seconds {
        0 if nanos < 1_000_000 => format!("{} ms", fraction(nanos / 1_000, 3)),
        0 => format!("{} ms", nanos / 1_000_000),
        1..60 => format!("{} s", fraction(nanos / 1_000_000, 3)),
        60..3_600 => two(60, "min", 1, "s"),
        3_600..172_800 => two(3_600, "h", 60, "min"),
        _ => two(86_400, "days", 3_600, "h"),
    }
}

/// A number of thousandths, without zeros at its end.
fn fraction(number: i64, digits: usize) -> String {
    let unit = 10_i64.pow(u32::try_from(digits).unwrap_or_default());
    let (whole, part) = (number / unit, number % unit);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{}", format!("{part:0digits$}").trim_end_matches('0'))
}

pub(super) fn lasted(duration: DurationMs) -> String {
    length(duration.as_nanos())
}

/// From one time to another, or back.
pub(super) fn between(from: Timestamp, to: Timestamp) -> String {
    length(to.as_nanos().saturating_sub(from.as_nanos()).saturating_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_in_its_two_largest_units() {
        let check = |nanos: i64, told: &str| assert_eq!(length(nanos), told);
        check(0, "0 ms");
        check(1_500, "0.001 ms");
        check(250_000, "0.25 ms");
        check(400_999_999, "400 ms");
        check(2_500_000_000, "2.5 s");
        check(60 * NANOS, "1 min");
        check(3_599 * NANOS, "59 min 59 s");
        check(168_420 * NANOS, "46 h 47 min");
        check(180_000 * NANOS, "2 days 2 h");
        check(i64::MAX, "106751 days 23 h");
    }

    #[test]
    fn a_time_is_cut_to_milliseconds() {
        let at: Timestamp = "2026-11-20T10:00:02.5006Z".parse().expect("a time");
        assert_eq!(time(at), "2026-11-20 10:00:02.500Z");
    }
}
