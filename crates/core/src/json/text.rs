//! `Json`: canonical text as a value.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::error::Pointer;
use super::object::name_order;
use super::parse::parse_str;
use super::scan::plain_end;
use super::{JsonError, JsonErrorKind, Value, canonical_json, write_f64, write_i64, write_string, write_u64};
use crate::limits::JSON_DEPTH_MAX;

/// A JSON document as its canonical text in `tk-jcs-1`: validated once, cheap to clone, equal when the bytes are equal.
///
/// The default is `null`. `Debug` and `Display` print the text. What was read from a recorded body is a slice of it and
/// keeps all of it in memory.
#[derive(Clone)]
pub struct Json {
    /// The text, or a longer one that it is a slice of.
    text: Arc<str>,
    from: usize,
    to: usize,
}

impl Json {
    /// Reads any JSON text and keeps its canonical form.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        canonical_json(text.as_bytes()).map(Self::whole)
    }

    /// Takes text that this module wrote before, for example when it comes back from storage.
    ///
    /// It is trusted, and checked in debug builds only: handing in text that is not canonical breaks equality and
    /// hashes, and text that is not JSON makes [`value`](Self::value) panic. For anybody else's text there is
    /// [`parse`](Self::parse).
    #[must_use]
    pub fn from_canonical(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        debug_assert!(is_canonical(&text), "invariant: trusted text is canonical JSON");
        Self::whole(text)
    }

    /// A part of a text; the caller has read it and found it canonical.
    pub(super) fn slice(text: &Arc<str>, part: Range<usize>) -> Self {
        Self { text: Arc::clone(text), from: part.start, to: part.end }
    }

    /// The same of a text that is not shared.
    pub(super) fn copy(text: &str) -> Self {
        Self::whole(text)
    }

    fn whole(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { from: 0, to: text.len(), text }
    }

    /// Takes bytes that the canonical writer has just written.
    pub(super) fn from_written(bytes: Vec<u8>) -> Self {
        Self::whole(written_string(bytes))
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::whole("null")
    }

    /// `{}`.
    #[must_use]
    pub fn empty_object() -> Self {
        Self::whole("{}")
    }

    /// `[]`.
    #[must_use]
    pub fn empty_array() -> Self {
        Self::whole("[]")
    }

    /// Composes an object from members in any order.
    ///
    /// It refuses a duplicated name, and a member that would take the object beyond
    /// [`JSON_DEPTH_MAX`]; the error's path is the member's.
    pub fn object(members: impl IntoIterator<Item = (impl Into<String>, Json)>) -> Result<Self, JsonError> {
        let mut members: Vec<(String, Json)> = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        members.sort_unstable_by(|a, b| name_order(&a.0, &b.0));
        if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(member_error(JsonErrorKind::DuplicateName, &pair[0].0));
        }
        if let Some((name, _)) = members.iter().find(|(_, value)| value.depth() >= JSON_DEPTH_MAX) {
            return Err(member_error(JsonErrorKind::TooDeep, name));
        }
        let mut out = vec![b'{'];
        for (place, (name, value)) in members.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            write_string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value.as_str().as_bytes());
        }
        out.push(b'}');
        Ok(Self::from_written(out))
    }

    /// Composes an array.
    ///
    /// The depth is not checked here: an array of items that are at the limit is one level too deep, and is refused as
    /// a member of [`object`](Self::object) and by [`parse`](Self::parse), while [`value`](Self::value) still reads it.
    /// Where the items are somebody else's, look at [`depth`](Self::depth).
    #[must_use]
    pub fn array(items: impl IntoIterator<Item = Json>) -> Self {
        let mut out = vec![b'['];
        for item in items {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(item.as_str().as_bytes());
        }
        out.push(b']');
        Self::from_written(out)
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text[self.from..self.to]
    }

    /// The tree, read anew from the text at each call.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        parse_str(self.as_str(), u32::MAX).expect("invariant: canonical text is JSON")
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// How deep containers nest: 0 for a scalar, 1 for `{}`. Time O(n) in the length of the text.
    #[must_use]
    pub fn depth(&self) -> u32 {
        let bytes = self.as_str().as_bytes();
        let (mut at, mut depth, mut deepest) = (0, 0u32, 0);
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'[' | b'{' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'"' => at = string_end(bytes, at),
                _ => {}
            }
        }
        deepest
    }
}

/// The place after the closing quote of a string whose content starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            _ => return at + 1,
        }
    }
}

fn member_error(kind: JsonErrorKind, name: &str) -> JsonError {
    let mut path = Pointer::default();
    path.push_name(name);
    JsonError::new(kind, path, 0)
}

fn is_canonical(text: &str) -> bool {
    let mut out = Vec::with_capacity(text.len());
    parse_str(text, u32::MAX).is_ok_and(|value| {
        value.write_canonical(&mut out);
        out == text.as_bytes()
    })
}

/// The text of bytes that the canonical writer has written.
pub(super) fn written_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("invariant: the writer copies whole strings")
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Json {
    let mut out = Vec::new();
    write(&mut out);
    Json::from_written(out)
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl Hash for Json {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::null()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A JSON string.
impl From<&str> for Json {
    fn from(string: &str) -> Self {
        written(|out| write_string(out, string))
    }
}

/// A JSON string.
impl From<String> for Json {
    fn from(string: String) -> Self {
        string.as_str().into()
    }
}

impl From<bool> for Json {
    fn from(bool: bool) -> Self {
        Self::whole(if bool { "true" } else { "false" })
    }
}

/// The exact digits.
impl From<i64> for Json {
    fn from(number: i64) -> Self {
        written(|out| write_i64(out, number))
    }
}

/// The exact digits.
impl From<u64> for Json {
    fn from(number: u64) -> Self {
        written(|out| write_u64(out, number))
    }
}

/// A number that is not finite is refused as out of range.
impl TryFrom<f64> for Json {
    type Error = JsonError;

    fn try_from(number: f64) -> Result<Self, JsonError> {
        if !number.is_finite() {
            return Err(JsonError::new(JsonErrorKind::NumberOutOfRange, Pointer::default(), 0));
        }
        Ok(written(|out| write_f64(out, number)))
    }
}
