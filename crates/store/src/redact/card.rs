//! Payment card numbers: digits of an issuer's length and prefix, in the groups in which they are printed, with a right
//! check digit (ISO/IEC 7812-1).

use super::found::{Kind, Span, after_escape, escaped, is_word};

/// Digits of a card number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Groups that a number is printed in, other than as one.
const GROUPINGS: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4]];

/// Calls `found` for each card number, until it says that this is enough.
pub(super) fn each(text: &[u8], mut found: impl FnMut(Span) -> bool) {
    let mut at = 0;
    while let Some(digit) = text.get(at) {
        if !digit.is_ascii_digit() {
            // The digits of an escape are none of a number's.
            at += escaped(text, at).max(1);
            continue;
        }
        let groups = groups(text, at);
        let before = &text[..at];
        let stands_alone =
            before.last().is_none_or(|byte| !is_part(*byte)) && !is_fraction(before) || after_escape(before);
        let mut from = usize::from(!stands_alone);
        while from < groups.len() {
            match card(text, &groups[from..]) {
                Some(count) => {
                    let (first, last) = (&groups[from], &groups[from + count - 1]);
                    if found(Span { from: first.0, to: last.1, kind: Kind::Card }) {
                        return;
                    }
                    from += count;
                }
                None => from += 1,
            }
        }
        at = groups.last().map_or(at + 1, |group| group.1);
    }
}

fn is_part(byte: u8) -> bool {
    is_word(byte) || !byte.is_ascii()
}

/// Whether what comes next is the fraction of a number.
fn is_fraction(before: &[u8]) -> bool {
    matches!(before, [.., digit, b'.'] if digit.is_ascii_digit())
}

/// The groups of digits from `at` on that one space or hyphen stands between.
fn groups(text: &[u8], at: usize) -> Vec<(usize, usize)> {
    let mut groups = Vec::new();
    let mut from = at;
    loop {
        let digits = text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        groups.push((from, from + digits));
        let end = from + digits;
        match text.get(end..end + 2) {
            Some([b' ' | b'-', next]) if next.is_ascii_digit() => from = end + 1,
            _ => return groups,
        }
    }
}

/// How many of the groups, from the first on, are a card number.
fn card(text: &[u8], groups: &[(usize, usize)]) -> Option<usize> {
    let lengths = |count: usize| groups.iter().take(count).map(|(from, to)| to - from);
    let known = GROUPINGS.iter().filter(|grouping| lengths(grouping.len()).eq(grouping.iter().copied()));
    let alone = DIGITS.contains(&(groups[0].1 - groups[0].0)).then_some(1);
    known.map(|grouping| grouping.len()).chain(alone).find(|count| {
        let end = groups[count - 1].1;
        let ends = match text.get(end..) {
            Some([b'.', next, ..]) => !next.is_ascii_digit(),
            Some([b'-', next, ..]) => !is_part(*next),
            Some([next, ..]) => !is_part(*next),
            _ => true,
        };
        let (mut digits, mut length) = ([0u8; 19], 0);
        for byte in text[groups[0].0..end].iter().filter(|byte| byte.is_ascii_digit()) {
            digits[length] = byte - b'0';
            length += 1;
        }
        ends && is_issued(&digits[..length]) && has_right_check_digit(&digits[..length])
    })
}

/// Whether an issuer gives out numbers of this prefix and length.
fn is_issued(digits: &[u8]) -> bool {
    let prefix = |count: usize| digits.iter().take(count).fold(0u32, |number, digit| number * 10 + u32::from(*digit));
    matches!(
        (prefix(1), prefix(2), prefix(4), digits.len()),
        (4, _, _, 13 | 16 | 19)
            | (_, 51..=55, _, 16)
            | (_, _, 2221..=2720, 16)
            | (_, 34 | 37, _, 15)
            | (_, 30 | 36 | 38 | 39, _, 14)
            | (_, _, 3528..=3589 | 6011, 16..=19)
            | (_, 62 | 64 | 65, _, 16..=19)
            | (_, 50 | 56..=58 | 60 | 61 | 63 | 66..=69, _, 13..=19)
    )
}

/// Luhn.
fn has_right_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let digit = u32::from(*digit) << (place % 2);
        sum + if digit > 9 { digit - 9 } else { digit }
    });
    sum.is_multiple_of(10)
}
