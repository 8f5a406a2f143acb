//! Names of fields that hold secrets.
//!
//! A name is compared by its letters and digits alone, in any case, and counts where it ends in the words of a rule:
//! `DB_PASSWORD`, `dbPassword` and `http.request.header.x-api-key` do, `passwords_seen` and `keypassword` do not.

use std::collections::HashSet;

/// The well-known names, which take out what stands under them unless told otherwise.
pub(super) const WELL_KNOWN: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secret_key",
    "secret_access_key",
    "client_secret",
    "api_key",
    "access_key",
    "private_key",
    "signing_key",
    "encryption_key",
    "authorization",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "session_token",
    "bearer_token",
    "api_token",
    "security_token",
    "cookie",
    "set_cookie",
    "pgpassword",
];

/// The well-known names that count alone: the same words end the names of much that is no secret, such as `page_token`.
pub(super) const WHOLE: &[&str] = &["token"];

/// Bytes of a name that are looked at, from its end.
const NAME_BYTES_MAX: usize = 64;

/// The letters and digits of a name, in lower case.
pub(super) fn joined(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

pub(super) fn is_well_known(name: &str) -> bool {
    WELL_KNOWN.iter().chain(WHOLE).any(|known| joined(known) == joined(name))
}

/// The names of a set of rules.
pub(super) struct Names {
    rules: HashSet<Box<[u8]>>,
    /// Names that count alone.
    whole: HashSet<Box<[u8]>>,
    /// By the last two bytes of a name, how many the shortest rule with that ending has; 0 where there is none.
    endings: Box<[u8; 1 << 10]>,
}

fn ending(a: u8, b: u8) -> usize {
    usize::from(a & 31) << 5 | usize::from(b & 31)
}

impl Names {
    pub(super) fn new(fields: &[String], keep: &[String]) -> Self {
        let kept: HashSet<_> = keep.iter().map(|name| joined(name)).collect();
        let known = WELL_KNOWN.iter().map(|name| joined(name)).filter(|name| !kept.contains(name));
        let rules: HashSet<Box<[u8]>> =
            known.chain(fields.iter().map(|name| joined(name))).map(|name| name.into_bytes().into()).collect();
        let whole = WHOLE.iter().map(|name| joined(name)).filter(|name| !kept.contains(name));
        let whole: HashSet<Box<[u8]>> =
            whole.map(|name| name.into_bytes().into()).filter(|name| !rules.contains(name)).collect();
        let mut endings = Box::new([0u8; 1 << 10]);
        let mut note = |at: usize, length: usize| {
            let length = u8::try_from(length).unwrap_or(u8::MAX);
            let shortest = &mut endings[at];
            *shortest = if *shortest == 0 { length } else { length.min(*shortest) };
        };
        for rule in rules.iter().chain(&whole) {
            match rule[..] {
                [.., a, b] => note(ending(a, b), rule.len()),
                // A name of one letter: whatever stands before it.
                [only] => (0..32).for_each(|a| note(ending(a, only), 1)),
                [] => {}
            }
        }
        // The last word of a name may be one letter, with anything before it.
        for field in fields {
            if let [.., a, b] = field.as_bytes()[..]
                && !a.is_ascii_alphanumeric()
            {
                b"_-. /:".iter().for_each(|a| note(ending(*a, b), 1));
            }
        }
        Self { rules, whole, endings }
    }

    /// Whether `name` ends in the words of a rule.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let shortest = match name {
            [.., a, b] => self.endings[ending(*a, *b)],
            [only] => self.endings[ending(0, *only)],
            [] => 0,
        };
        shortest > 0 && name.len() >= usize::from(shortest) && self.ends_in_a_rule(name)
    }

    /// Whether `name` counts only because it stands alone.
    pub(super) fn is_whole(&self, name: &[u8]) -> bool {
        self.whole.iter().any(|whole| whole.eq_ignore_ascii_case(name))
    }

    /// Whether the text before `end` could end in a name of a rule.
    #[inline]
    pub(super) fn may_end(&self, text: &[u8], end: usize) -> bool {
        let Some([a, b]) = end.checked_sub(2).and_then(|from| text.get(from..end)) else { return end == 1 };
        let shortest = usize::from(self.endings[ending(*a, *b)]);
        // Most names are shorter than any rule with their ending.
        shortest > 0 && end >= shortest && !text[end - shortest..end].iter().any(|byte| matches!(byte, b'"' | b'\\'))
    }

    /// Whether the text before `end` ends as a name of a rule does.
    #[inline]
    pub(super) fn has_ending(&self, text: &[u8], end: usize) -> bool {
        matches!(text[..end], [.., a, b] if self.endings[ending(a, b)] > 0)
    }

    fn ends_in_a_rule(&self, name: &[u8]) -> bool {
        let name = &name[name.len().saturating_sub(2 * NAME_BYTES_MAX)..];
        let (mut word, mut length) = ([0u8; 2 * NAME_BYTES_MAX], 0);
        let mut starts = 0u128;
        let (mut before, mut is_start) = (0u8, true);
        for byte in name {
            let is_part = byte.is_ascii_alphanumeric() || !byte.is_ascii();
            if is_part {
                let is_hump = byte.is_ascii_uppercase() && before.is_ascii() && !before.is_ascii_uppercase();
                if is_start || is_hump {
                    starts |= 1 << length;
                }
                word[length] = byte.to_ascii_lowercase();
                length += 1;
            }
            is_start = !is_part;
            before = *byte;
        }
        let from = length.saturating_sub(NAME_BYTES_MAX);
        self.whole.contains(&word[..length])
            || (from..length).any(|at| starts >> at & 1 == 1 && self.rules.contains(&word[at..length]))
    }
}
