//! The recorded body: the canonical JSON of an op, and where its members stand.
//!
//! Members are the unit of commitment and of redaction: each top-level member, and each inside `trace_type` under the
//! name `trace_type/NAME`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::hash::{Hash, Salt, entry_commitment, member_commitment};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::plain_end;
use crate::limits::{JSON_DEPTH_MAX, OP_BYTES_MAX};

/// Canonical JSON of one op, with the place of each member.
#[derive(Clone)]
pub struct Body {
    text: Arc<str>,
    /// `None` in a stored body: most readers want its text alone.
    spans: Option<Vec<Span>>,
}

/// Where one member's value stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    name: MemberName,
    from: u32,
    to: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum MemberName {
    Known { group: Option<&'static str>, name: &'static str },
    Read(Box<str>),
}

impl Span {
    pub(crate) fn new(group: Option<&'static str>, name: &'static str, from: usize, to: usize) -> Self {
        Self { name: MemberName::Known { group, name }, from: place(from), to: place(to) }
    }
}

/// A body that does not fit u32 is refused by [`Body::check_limits`] before anyone looks at its members.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The one object whose members count by themselves.
const GROUP: &str = "trace_type";

impl Body {
    pub(crate) fn assembled(text: Vec<u8>, spans: Vec<Span>) -> Self {
        let text = String::from_utf8(text).expect("invariant: the writers write UTF-8");
        Self { text: text.into(), spans: Some(spans) }
    }

    /// Reads a recorded body, which is canonical JSON, back.
    ///
    /// # Errors
    /// `malformed_json` where the text is not an object in the form that the record is written in.
    pub fn from_recorded(text: impl Into<Arc<str>>) -> Result<Self, Invalid> {
        let text = text.into();
        let spans = split(&text)
            .ok_or_else(|| Invalid::new(InvalidCode::MalformedJson, "", "a recorded body is not in canonical form"))?;
        Ok(Self { text, spans: Some(spans) })
    }

    /// Takes a stored body as it is, for readers that want its text: members are looked for when asked for. A text
    /// that is not in the form of the record has none, and so never fits its commitment.
    #[must_use]
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), spans: None }
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The canonical text, shared.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The members, sorted by name: (name, canonical value).
    pub fn members(&self) -> impl Iterator<Item = (Cow<'static, str>, &str)> {
        let spans = match &self.spans {
            Some(spans) => Cow::Borrowed(&spans[..]),
            None => Cow::Owned(split(&self.text).unwrap_or_default()),
        };
        (0..spans.len()).map(move |at| {
            let span = &spans[at];
            (span.name.text(), &self.text[span.from as usize..span.to as usize])
        })
    }

    /// The canonical value of one member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The commitment to this body under `salt`: what the leaf states (docs/format/entry.md).
    #[must_use]
    pub fn commitment(&self, salt: &Salt) -> Hash {
        entry_commitment(self.members().map(|(name, value)| {
            let commitment = member_commitment(&salt.of_member(&name), &name, value.as_bytes());
            (name, commitment)
        }))
    }

    /// Checks the limits of one op: its bytes and its depth, so that whatever was recorded can be read back.
    ///
    /// # Errors
    /// `too_large` or `too_deep`.
    pub fn check_limits(&self) -> Result<(), Invalid> {
        if self.text.len() > OP_BYTES_MAX as usize {
            return Err(Invalid::new(InvalidCode::TooLarge, "", format!("an op has at most {OP_BYTES_MAX} bytes")));
        }
        if deeper_than(self.text.as_bytes(), JSON_DEPTH_MAX as usize) {
            return Err(Invalid::new(
                InvalidCode::TooDeep,
                "",
                format!("an op nests at most {JSON_DEPTH_MAX} containers"),
            ));
        }
        Ok(())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Body {}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl MemberName {
    fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Known { group: None, name } => (*name).into(),
            Self::Known { group: Some(group), name } => format!("{group}/{name}").into(),
            Self::Read(name) => name.to_string().into(),
        }
    }
}

/// Whether canonical JSON nests more than `limit` containers. Most bodies hold fewer brackets than the limit at all.
fn deeper_than(text: &[u8], limit: usize) -> bool {
    // `{` is `[` with one bit more. A chunk's count fits a byte, which is what lets this run many bytes at a time.
    let opens = |chunk: &[u8]| usize::from(chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>());
    if text.chunks(128).map(opens).sum::<usize>() <= limit {
        return false;
    }
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at).map_or(text.len(), |end| end - 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

/// The index after the closing quote of the string that opens at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = plain_end(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the members of a recorded body stand; `None` where it is not in the form of the record.
fn split(text: &str) -> Option<Vec<Span>> {
    let mut spans = Vec::with_capacity(20);
    let mut scanner = Scanner { text: text.as_bytes(), at: 0 };
    scanner.members(None, &mut spans)?;
    (scanner.at == text.len()).then_some(spans)
}

/// Splits canonical JSON into members without building values.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.text.get(self.at) == Some(&byte)).then(|| self.at += 1)
    }

    fn members(&mut self, group: Option<&str>, spans: &mut Vec<Span>) -> Option<()> {
        self.eat(b'{')?;
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            let name_from = self.at + 1;
            self.eat(b'"')?;
            self.at = string_end(self.text, self.at - 1)?;
            let name = std::str::from_utf8(&self.text[name_from..self.at - 1]).ok()?.to_owned();
            self.eat(b':')?;
            let from = self.at;
            if group.is_none() && name == GROUP && self.text.get(self.at) == Some(&b'{') {
                self.members(Some(GROUP), spans)?;
            } else {
                self.value()?;
                let name = group.map_or(name.clone(), |group| format!("{group}/{name}"));
                spans.push(Span { name: MemberName::Read(name.into()), from: place(from), to: place(self.at) });
            }
            if self.eat(b'}').is_some() {
                return Some(());
            }
            self.eat(b',')?;
        }
    }

    /// Passes one value, whatever it nests.
    fn value(&mut self) -> Option<()> {
        let from = self.at;
        let mut depth = 0usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => self.at = string_end(self.text, self.at)?,
                b'[' | b'{' => {
                    depth += 1;
                    self.at += 1;
                }
                b']' | b'}' | b',' if depth == 0 => break,
                b']' | b'}' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        (self.at > from).then_some(())
    }
}
