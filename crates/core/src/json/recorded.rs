//! Canonical text read in place: how a recorded body comes back.
//!
//! What was recorded is canonical already. So its members are taken out as they stand, and free JSON is handed out as
//! slices that share the body, or copied out of one that is only lent, where the strict reader would build a tree and write it anew.
//!
//! Invariants:
//!
//! - Nothing is trusted: what is passed over is known to be canonical JSON within
//!   [`JSON_DEPTH_MAX`], so that a damaged body can neither make a [`Json`] that does not hold what it promises nor
//!   recurse without bound.
//! - `None` means *not in this form, or not what was asked for*. It is never the last word: the caller then asks the
//!   strict reader, which accepts the text after all (an escape in a name is left to it) or tells what is wrong with it.

use std::borrow::Cow;
use std::sync::Arc;

use super::Json;
use super::number::is_canonical_number;
use super::object::name_order;
use super::scan::plain_end;
use crate::limits::JSON_DEPTH_MAX;

/// Room for a string with escapes, before it is known how long it is.
const STRING_BYTES: usize = 1_024;

/// A place in canonical text, and the reading of what stands there.
#[derive(Debug)]
pub struct Recorded<'a> {
    text: &'a str,
    /// The text's owner, where free JSON is to share it.
    shared: Option<&'a Arc<str>>,
    at: usize,
    /// Containers that are open here.
    depth: u32,
}

impl<'a> Recorded<'a> {
    /// The start of a text that free JSON is to share.
    #[must_use]
    pub fn new(text: &'a Arc<str>) -> Self {
        Self { text, shared: Some(text), at: 0, depth: 0 }
    }

    /// The start of a text that is only lent: free JSON is copied out of it.
    #[must_use]
    pub const fn lent(text: &'a str) -> Self {
        Self { text, shared: None, at: 0, depth: 0 }
    }

    /// Whether all of the text was read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Reads a value and hands out its text.
    pub fn value(&mut self) -> Option<&'a str> {
        let from = self.at;
        self.pass()?;
        Some(&self.text[from..self.at])
    }

    /// Reads a value: shares it, or copies it out of a text that is lent.
    pub fn json(&mut self) -> Option<Json> {
        let from = self.at;
        self.pass()?;
        Some(match self.shared {
            Some(text) => Json::slice(text, from..self.at),
            None => Json::copy(&self.text[from..self.at]),
        })
    }

    /// Reads an object: likewise.
    pub fn json_object(&mut self) -> Option<Json> {
        if self.peek() == Some(b'{') { self.json() } else { None }
    }

    /// Reads a string; it is borrowed unless it holds an escape.
    pub fn string(&mut self) -> Option<Cow<'a, str>> {
        if !self.eats(b'"') {
            return None;
        }
        let (text, bytes, mut from) = (self.text, self.bytes(), self.at);
        let mut end = plain_end(bytes, from);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Some(Cow::Borrowed(&text[from..end]));
        }
        let mut out = String::with_capacity((bytes.len() - from).min(STRING_BYTES));
        while bytes.get(end)? != &b'"' {
            let (char, length) = canonical_escape(&bytes[end..])?;
            out.push_str(&text[from..end]);
            out.push(char);
            from = end + length;
            end = plain_end(bytes, from);
        }
        out.push_str(&text[from..end]);
        self.at = end + 1;
        Some(Cow::Owned(out))
    }

    /// Reads `null`, if it is next.
    pub fn eats_null(&mut self) -> bool {
        let is_next = self.bytes()[self.at..].starts_with(b"null");
        self.at += if is_next { 4 } else { 0 };
        is_next
    }

    /// Reads the items of an array, each by `read`.
    pub fn items(&mut self, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[')?;
        if self.eats(b']') {
            self.depth -= 1;
            return Some(());
        }
        loop {
            read(self)?;
            if !self.eats(b',') {
                self.depth -= 1;
                return self.eats(b']').then_some(());
            }
        }
    }

    /// Begins to read an object.
    pub fn members<'t>(&'t mut self) -> Option<Members<'t, 'a>> {
        self.open(b'{')?;
        let mut members = Members { text: self, name: None };
        if members.text.eats(b'}') {
            members.text.depth -= 1;
        } else {
            members.read_name()?;
        }
        Some(members)
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    fn eats(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.depth += 1;
        (self.depth <= JSON_DEPTH_MAX && self.eats(bracket)).then_some(())
    }

    /// Passes a value. Recurses once for each container, at most [`JSON_DEPTH_MAX`] deep.
    fn pass(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.pass_string().map(|_| ()),
            b'{' => {
                let mut members = self.members()?;
                while members.name().is_some() {
                    members.text.pass()?;
                    members.advance()?;
                }
                Some(())
            }
            b'[' => self.items(Self::pass),
            b'n' => self.pass_word(b"null"),
            b't' => self.pass_word(b"true"),
            b'f' => self.pass_word(b"false"),
            _ => self.pass_number(),
        }
    }

    fn pass_word(&mut self, word: &[u8]) -> Option<()> {
        let is_next = self.bytes()[self.at..].starts_with(word);
        self.at += word.len();
        is_next.then_some(())
    }

    fn pass_number(&mut self) -> Option<()> {
        let rest = &self.bytes()[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let token = &self.text[self.at..self.at + length];
        self.at += length;
        is_canonical_number(token).then_some(())
    }

    /// Passes a string, and says whether it is free of escapes.
    fn pass_string(&mut self) -> Option<bool> {
        if !self.eats(b'"') {
            return None;
        }
        let (bytes, mut at, mut is_plain) = (self.bytes(), self.at, true);
        loop {
            at = plain_end(bytes, at);
            match bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(is_plain);
                }
                b'\\' => {
                    is_plain = false;
                    at += match bytes.get(at + 1)? {
                        b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        _ => canonical_escape(&bytes[at..])?.1,
                    };
                }
                _ => return None,
            }
        }
    }
}

/// An object that is being read: its members in the one order that they can stand in.
#[derive(Debug)]
pub struct Members<'t, 'a> {
    text: &'t mut Recorded<'a>,
    /// The member that is next; `None` after the last.
    name: Option<&'a str>,
}

impl<'a> Members<'_, 'a> {
    /// The name of the member whose value is next; `None` once the object was read to its end.
    #[must_use]
    pub const fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// Reads the value of the next member, and goes on to the one after it.
    pub fn read<T>(&mut self, read: impl FnOnce(&mut Recorded<'a>) -> Option<T>) -> Option<T> {
        let value = read(self.text)?;
        self.advance()?;
        Some(value)
    }

    /// Reads the member `name` if it is next.
    pub fn read_if<T>(&mut self, name: &str, read: impl FnOnce(&mut Recorded<'a>) -> Option<T>) -> Option<Option<T>> {
        if self.name == Some(name) { self.read(read).map(Some) } else { Some(None) }
    }

    /// Goes on after a value.
    fn advance(&mut self) -> Option<()> {
        if self.text.eats(b',') {
            return self.read_name();
        }
        self.name = None;
        self.text.depth -= 1;
        self.text.eats(b'}').then_some(())
    }

    /// Reads a name, which must stand behind the one before it, and its colon.
    fn read_name(&mut self) -> Option<()> {
        let from = self.text.at + 1;
        let is_plain = self.text.pass_string()?;
        let name = &self.text.text[from..self.text.at - 1];
        let before = self.name.replace(name);
        let is_behind = before.is_none_or(|before| name_order(before, name).is_lt());
        (is_plain && is_behind && self.text.eats(b':')).then_some(())
    }
}

/// The character of the canonical escape that `bytes` begin with, and its length. Only what must be escaped is.
fn canonical_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let [b'\\', escape, ..] = bytes else { return None };
    let char = match escape {
        b'"' => '"',
        b'\\' => '\\',
        b'b' => '\u{8}',
        b't' => '\t',
        b'n' => '\n',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'u' => {
            let [b'0', b'0', high @ (b'0' | b'1'), low @ (b'0'..=b'9' | b'a'..=b'f')] = bytes.get(2..6)? else {
                return None;
            };
            let code = (high - b'0') << 4 | char::from(*low).to_digit(16)? as u8;
            return (!matches!(code, 0x08..=0x0a | 0x0c | 0x0d)).then_some((char::from(code), 6));
        }
        _ => return None,
    };
    Some((char, 2))
}
