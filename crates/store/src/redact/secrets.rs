//! Secrets that text shows by their form: keys by their prefixes, private keys in PEM, passwords in URLs, JSON Web Tokens,
//! and what follows `Bearer`.
//!
//! A secret is looked for where its anchor stands, a few bytes that all of its kind have; the anchors are looked for all
//! at once. An anchor that is inside a word is none, so that no part of a text is looked at by many of them.

use aho_corasick::packed::{Config, Searcher};

use super::found::{Kind, Span, begins, is_word};

/// A key that begins with a prefix of its issuer's.
struct Prefixed {
    prefix: &'static str,
    body: fn(u8) -> bool,
    /// Bytes after the prefix.
    length: std::ops::RangeInclusive<usize>,
    /// Letters and digits in a row that a random text of this kind has, and a word in prose has not.
    row: usize,
}

const ANY: usize = usize::MAX;

const fn key(
    prefix: &'static str,
    body: fn(u8) -> bool,
    length: std::ops::RangeInclusive<usize>,
    row: usize,
) -> Prefixed {
    Prefixed { prefix, body, length, row }
}

const PREFIXED: &[Prefixed] = &[
    // OpenAI, Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek and others that took the form over.
    key("sk-", is_word, 20..=ANY, 14),
    // Stripe.
    key("sk_live_", letters, 16..=ANY, 16),
    key("sk_test_", letters, 16..=ANY, 16),
    key("rk_live_", letters, 16..=ANY, 16),
    key("rk_test_", letters, 16..=ANY, 16),
    key("whsec_", letters, 24..=ANY, 24),
    // GitHub.
    key("ghp_", letters, 30..=ANY, 30),
    key("gho_", letters, 30..=ANY, 30),
    key("ghu_", letters, 30..=ANY, 30),
    key("ghs_", letters, 30..=ANY, 30),
    key("ghr_", letters, 30..=ANY, 30),
    key("github_pat_", is_word, 36..=ANY, 20),
    // GitLab.
    key("glpat-", is_word, 20..=ANY, 8),
    // Slack.
    key("xoxa-", is_word, 10..=ANY, 8),
    key("xoxb-", is_word, 10..=ANY, 8),
    key("xoxe-", is_word, 10..=ANY, 8),
    key("xoxp-", is_word, 10..=ANY, 8),
    key("xoxr-", is_word, 10..=ANY, 8),
    key("xoxs-", is_word, 10..=ANY, 8),
    key("xapp-", is_word, 10..=ANY, 8),
    // Amazon.
    key("AKIA", capitals, 16..=16, 16),
    key("ASIA", capitals, 16..=16, 16),
    // Google.
    key("AIza", is_word, 35..=35, 8),
    key("ya29.", is_word, 20..=ANY, 8),
    // Hugging Face, Groq, xAI, npm, SendGrid.
    key("hf_", letters, 30..=ANY, 30),
    key("gsk_", letters, 40..=ANY, 40),
    key("xai-", letters, 60..=ANY, 60),
    key("npm_", letters, 36..=36, 36),
    key("SG.", dotted, 60..=80, 8),
];

#[cfg(test)]
pub(super) fn prefixes() -> impl Iterator<Item = &'static str> {
    PREFIXED.iter().map(|key| key.prefix)
}

const PEM: &str = "-----BEGIN ";
const URL: &str = "://";
const JWT: &str = "eyJ";
const BEARER: [&str; 3] = ["Bearer ", "bearer ", "BEARER "];

const fn letters(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn capitals(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn dotted(byte: u8) -> bool {
    is_word(byte) || byte == b'.'
}

const fn token68(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/')
}

#[derive(Clone, Copy)]
enum Anchor {
    Prefix(&'static Prefixed),
    Pem,
    Url,
    Jwt,
    Bearer(&'static str),
}

/// What a set of rules looks for by its form.
pub(super) struct Anchors {
    anchors: Vec<Anchor>,
    /// `None` where nothing is looked for.
    searcher: Option<Searcher>,
}

impl Anchors {
    pub(super) fn new(has_keys: bool, has_tokens: bool) -> Self {
        let mut anchors = Vec::new();
        if has_keys {
            anchors.extend(PREFIXED.iter().map(Anchor::Prefix));
            anchors.extend([Anchor::Pem, Anchor::Url]);
        }
        if has_tokens {
            anchors.push(Anchor::Jwt);
            anchors.extend(BEARER.iter().map(|word| Anchor::Bearer(word)));
        }
        let texts = anchors.iter().map(|anchor| match anchor {
            Anchor::Prefix(key) => key.prefix,
            Anchor::Pem => PEM,
            Anchor::Url => URL,
            Anchor::Jwt => JWT,
            Anchor::Bearer(word) => word,
        });
        let searcher = (!anchors.is_empty()).then(|| {
            let build = |config: &mut Config| config.builder().extend(texts.clone()).build();
            // Where the processor has no instructions for it, the same by rolling hashes.
            build(&mut Config::new()).or_else(|| build(Config::new().only_rabin_karp(true)))
        });
        Self { anchors, searcher: searcher.flatten() }
    }

    /// Calls `found` for each secret, until it says that this is enough.
    pub(super) fn each(&self, text: &[u8], mut found: impl FnMut(Span) -> bool) {
        let Some(searcher) = &self.searcher else { return };
        let (mut at, mut ends) = (0, Ends::default());
        while let Some(hit) = searcher.find_in(text, aho_corasick::Span { start: at, end: text.len() }) {
            at = hit.start() + 1;
            let anchor = self.anchors[hit.pattern().as_usize()];
            if let Some(span) = anchor.secret(text, hit.start(), &mut ends) {
                if found(span) {
                    return;
                }
                // What is inside is part of it.
                at = at.max(span.to);
            }
        }
    }
}

/// Where a private key was found to have no end: none is looked for again.
#[derive(Default)]
struct Ends {
    none: bool,
}

impl Anchor {
    fn secret(self, text: &[u8], at: usize, ends: &mut Ends) -> Option<Span> {
        match self {
            Self::Prefix(key) => key.secret(text, at),
            Self::Pem => private_key(text, at, ends),
            Self::Url => password(text, at),
            Self::Jwt => jwt(text, at),
            Self::Bearer(word) => bearer(text, at, word.len()),
        }
    }
}

fn run(text: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    from + text[from..].iter().take_while(|byte| is_part(**byte)).count()
}

impl Prefixed {
    fn secret(&self, text: &[u8], at: usize) -> Option<Span> {
        if !begins(text, at) {
            return None;
        }
        let from = at + self.prefix.len();
        let most = self.length.end().saturating_add(1);
        let to = from + text[from..].iter().take(most).take_while(|byte| (self.body)(**byte)).count();
        let body = &text[from..to];
        let ends = !text.get(to).is_some_and(|byte| is_word(*byte));
        let longest = body.split(|byte| !byte.is_ascii_alphanumeric()).map(<[u8]>::len).max().unwrap_or(0);
        let fits = self.length.contains(&body.len()) && longest >= self.row && body.iter().any(u8::is_ascii_digit);
        (ends && fits).then_some(Span { from: at, to, kind: Kind::Key })
    }
}

/// From `-----BEGIN … PRIVATE KEY-----` to its end, or as far as the key was kept.
fn private_key(text: &[u8], at: usize, ends: &mut Ends) -> Option<Span> {
    let label = at + PEM.len();
    let close = run(text, label, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let is_key = memchr::memmem::find(&text[label..close], b"PRIVATE KEY").is_some();
    if !is_key || !text[close..].starts_with(b"-----") {
        return None;
    }
    let from = close + 5;
    let end = if ends.none { None } else { memchr::memmem::find(&text[from..], b"-----END ") };
    ends.none = end.is_none();
    let to = match end {
        Some(end) => {
            let label = from + end + b"-----END ".len();
            let close = run(text, label, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
            close + text[close..].iter().take(5).take_while(|byte| **byte == b'-').count()
        }
        None => run(text, from, |byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'+' | b'/' | b'=' | b'\\' | b' ' | b'\r' | b'\n' | b':' | b',' | b'-')
        }),
    };
    Some(Span { from: at, to, kind: Kind::Key })
}

/// The password in `scheme://user:password@host`.
fn password(text: &[u8], at: usize) -> Option<Span> {
    let has_scheme = at.checked_sub(1).is_some_and(|before| text[before].is_ascii_alphanumeric());
    let from = at + URL.len();
    let to = run(text, from, |byte| !byte.is_ascii_whitespace() && !b"/?#\"'\\<>()[]{}|`".contains(&byte));
    let end = from + memchr::memrchr(b'@', &text[from..to])?;
    let password = from + memchr::memchr(b':', &text[from..end])? + 1;
    (has_scheme && password < end).then_some(Span { from: password, to: end, kind: Kind::Key })
}

/// Three parts in base64url or more (RFC 7515 and 7516), the first of which is an object of JSON.
fn jwt(text: &[u8], at: usize) -> Option<Span> {
    const PART_BYTES_MIN: usize = 8;
    if !begins(text, at) {
        return None;
    }
    let (mut to, mut parts) = (run(text, at, is_word), 1);
    if to - at < PART_BYTES_MIN {
        return None;
    }
    while text.get(to) == Some(&b'.') {
        let next = run(text, to + 1, is_word);
        // The content of an encrypted token's parts may be empty, and so may the signature of one that has none.
        if next - to <= PART_BYTES_MIN && parts < 2 {
            break;
        }
        (to, parts) = (next, parts + 1);
        if parts == 5 {
            break;
        }
    }
    (parts >= 3).then_some(Span { from: at, to, kind: Kind::Token })
}

/// What follows the word, if it looks like a token.
fn bearer(text: &[u8], at: usize, word: usize) -> Option<Span> {
    const TOKEN_BYTES_MIN: usize = 16;
    let from = at + word;
    let body = run(text, from, token68);
    let to = run(text, body, |byte| byte == b'=');
    let fits = body - from >= TOKEN_BYTES_MIN && text[from..body].iter().any(u8::is_ascii_digit);
    (begins(text, at) && fits).then_some(Span { from, to, kind: Kind::Token })
}
