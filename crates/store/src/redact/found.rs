//! What was found in a text, and what takes its place.

use tracekeep_core::model::RedactedCounts;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Field,
    Key,
    Token,
    Card,
    Email,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Field, Self::Key, Self::Token, Self::Card, Self::Email];

    /// What stands in its place.
    pub(super) const fn placeholder(self) -> &'static str {
        match self {
            Self::Field => "[redacted:field]",
            Self::Key => "[redacted:key]",
            Self::Token => "[redacted:token]",
            Self::Card => "[redacted:card]",
            Self::Email => "[redacted:email]",
        }
    }

    pub(super) fn count(self, counts: &mut RedactedCounts) {
        let count = match self {
            Self::Field => &mut counts.field,
            Self::Key => &mut counts.key,
            Self::Token => &mut counts.token,
            Self::Card => &mut counts.card,
            Self::Email => &mut counts.email,
        };
        *count = Some(count.unwrap_or(0) + 1);
    }
}

/// Whether a text is what takes the place of something: it is never taken out again.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    Kind::ALL.iter().any(|kind| kind.placeholder().as_bytes() == text)
}

/// Where the first placeholder from `from` on begins, which tells that the text has lost something already; the text's end
/// where there is none.
pub(super) fn next_placeholder(text: &[u8], from: usize) -> usize {
    memchr::memmem::find_iter(&text[from..], b"[redacted:")
        .map(|at| from + at)
        .find(|at| Kind::ALL.iter().any(|kind| text[*at..].starts_with(kind.placeholder().as_bytes())))
        .unwrap_or(text.len())
}

/// A part of a text, in bytes, at character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: Kind,
}

/// The text with its spans replaced. Spans that overlap are one, of the first's kind; an address that begins inside
/// another span is none (it may be the end of a URL's password and its host).
pub(super) fn replaced(text: &str, mut spans: Vec<Span>, counts: &mut RedactedCounts) -> String {
    spans.sort_by_key(|span| (span.from, span.kind == Kind::Email, span.to));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.from < last.to => {
                if span.kind != Kind::Email {
                    last.to = last.to.max(span.to);
                }
            }
            _ => merged.push(span),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for span in merged {
        out.push_str(&text[from..span.from]);
        out.push_str(span.kind.placeholder());
        span.kind.count(counts);
        from = span.to;
    }
    out.push_str(&text[from..]);
    out
}

/// Whether the byte belongs to a word: what stands beside one is part of something longer.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Whether a word can begin at `at`: at the start, after what is no part of a word, or after an escape of JSON, whose
/// letter is none of the word's.
pub(super) fn begins(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    match before {
        [] => true,
        [.., last] if !is_word(*last) => true,
        _ => after_escape(before),
    }
}

/// Whether a text ends in an escape such as `\n` or `\u001b`.
pub(super) fn after_escape(text: &[u8]) -> bool {
    [1, ESCAPED_BYTES_MAX]
        .into_iter()
        .any(|letters| text.len().checked_sub(letters).is_some_and(|from| escaped(text, from) == letters))
}

/// Bytes of an escape after its backslash.
pub(super) const ESCAPED_BYTES_MAX: usize = 5;

/// How many bytes from `from` on belong to an escape of JSON, such as `\n` or `\u001b`, whose backslash stands before them.
pub(super) fn escaped(text: &[u8], from: usize) -> usize {
    match &text[from..] {
        _ if !text[..from].ends_with(b"\\") => 0,
        [b'n' | b'r' | b't' | b'b' | b'f', ..] => 1,
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => ESCAPED_BYTES_MAX,
        _ => 0,
    }
}
