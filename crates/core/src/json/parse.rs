//! The reader: strict RFC 8259 into a [`Value`], without recursion.
//!
//! Open containers are frames on a stack of our own. The finished items of all open arrays stand on one shared stack,
//! the members of all open objects on another, and a container takes its own from the top when it closes, in one
//! allocation of the right size. The stacks also say the path of a fault, so that nothing is spent on paths before there is one.

use std::borrow::Cow;

use super::cursor::{Cursor, Fault};
use super::error::Pointer;
use super::text::written_string;
use super::{JsonError, JsonErrorKind, Object, Value};
use crate::limits::JSON_DEPTH_MAX;

/// Reads one JSON text as RFC 8259 has it: UTF-8 without byte order mark, the whole input, no extensions.
///
/// It refuses duplicate names, lone surrogates, numbers beyond the range of a double, and containers that nest deeper
/// than [`JSON_DEPTH_MAX`]. Of several faults the first in reading order is told, where a duplicate counts at the end
/// of its object and bytes that are not UTF-8 come before all else. Time O(n log n) in the length of the text; the tree
/// takes up to some 32 bytes of memory for each byte of text, at worst (`[0,0,…]`).
pub fn parse(text: &[u8]) -> Result<Value<'_>, JsonError> {
    match std::str::from_utf8(text) {
        Ok(text) => parse_str(text, JSON_DEPTH_MAX),
        Err(error) => Err(invalid_utf8(text, error.valid_up_to())),
    }
}

/// As [`parse`], for a text that holds texts of the record `levels` deep inside its own containers: a batch of ops, a
/// page of items. What stands inside may then nest as deep as it may alone.
pub fn parse_around(text: &[u8], levels: u32) -> Result<Value<'_>, JsonError> {
    match std::str::from_utf8(text) {
        Ok(text) => parse_str(text, JSON_DEPTH_MAX + levels),
        Err(error) => Err(invalid_utf8(text, error.valid_up_to())),
    }
}

/// The canonical form in `tk-jcs-1` of a whole JSON text, under the rules of [`parse`].
pub fn canonical_json(text: &[u8]) -> Result<String, JsonError> {
    let value = parse(text)?;
    let mut out = Vec::with_capacity(text.len());
    value.write_canonical(&mut out);
    Ok(written_string(out))
}

pub(super) fn parse_str(text: &str, depth_max: u32) -> Result<Value<'_>, JsonError> {
    let parser =
        Parser { cursor: Cursor::new(text, 0), depth_max, frames: Vec::new(), items: Vec::new(), members: Vec::new() };
    parser.document()
}

/// Reads what comes before the bad byte: where that breaks off is the path.
#[cold]
fn invalid_utf8(text: &[u8], valid_up_to: usize) -> JsonError {
    let path = match parse(&text[..valid_up_to]) {
        Err(error) if error.kind() == JsonErrorKind::Malformed => Pointer::from_error(error),
        _ => Pointer::default(),
    };
    JsonError::new(JsonErrorKind::InvalidUtf8, path, valid_up_to)
}

/// Where in the innermost open container a fault is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the value that is being read.
    Value,
    /// In a name, or between values.
    Container,
}

#[derive(Clone, Copy)]
struct Frame {
    is_object: bool,
    /// Where its own items or members start on their stack.
    start: usize,
    /// The offset of its opening bracket.
    offset: usize,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    depth_max: u32,
    frames: Vec<Frame>,
    items: Vec<Value<'a>>,
    /// The last member of an open object has a placeholder for its value until that is read.
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Parser<'a> {
    fn document(mut self) -> Result<Value<'a>, JsonError> {
        loop {
            self.cursor.skip_space();
            let mut value = match self.cursor.peek() {
                Some(b'"') => {
                    self.cursor.string().map(Value::String).map_err(|fault| self.error(fault, Place::Value))?
                }
                Some(b'{') => {
                    self.open(true)?;
                    if !self.cursor.eats(b'}') {
                        self.name()?;
                        continue;
                    }
                    self.frames.pop();
                    Value::Object(Object::default())
                }
                Some(b'[') => {
                    self.open(false)?;
                    if !self.cursor.eats(b']') {
                        continue;
                    }
                    self.frames.pop();
                    Value::Array(Vec::new())
                }
                _ => self.cursor.scalar().map_err(|fault| self.error(fault, Place::Value))?,
            };
            // The value is whole: it goes to its container, and closes all containers that end here.
            loop {
                self.cursor.skip_space();
                let Some(frame) = self.frames.last() else {
                    if self.cursor.peek().is_some() {
                        return Err(self.error_here());
                    }
                    return Ok(value);
                };
                let is_object = frame.is_object;
                if is_object {
                    let member = self.members.last_mut().expect("invariant: a value in an object follows its name");
                    member.1 = value;
                } else {
                    self.items.push(value);
                }
                match (self.cursor.peek(), is_object) {
                    (Some(b','), true) => {
                        self.cursor.at += 1;
                        self.cursor.skip_space();
                        self.name()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.cursor.at += 1;
                        break;
                    }
                    (Some(b'}'), true) => value = self.close_object()?,
                    (Some(b']'), false) => value = self.close_array(),
                    _ => return Err(self.error_here()),
                }
            }
        }
    }

    fn open(&mut self, is_object: bool) -> Result<(), JsonError> {
        if self.frames.len() as u64 >= u64::from(self.depth_max) {
            return Err(self.error(Fault { kind: JsonErrorKind::TooDeep, at: self.cursor.at }, Place::Value));
        }
        let start = if is_object { self.members.len() } else { self.items.len() };
        self.frames.push(Frame { is_object, start, offset: self.cursor.at });
        self.cursor.at += 1;
        self.cursor.skip_space();
        Ok(())
    }

    fn close_array(&mut self) -> Value<'a> {
        self.cursor.at += 1;
        let frame = self.frames.pop().expect("invariant: the array is open");
        Value::Array(self.items.drain(frame.start..).collect())
    }

    fn close_object(&mut self) -> Result<Value<'a>, JsonError> {
        self.cursor.at += 1;
        let frame = *self.frames.last().expect("invariant: the object is open");
        match Object::from_members(self.members.drain(frame.start..).collect()) {
            Ok(object) => {
                self.frames.pop();
                Ok(Value::Object(object))
            }
            Err(name) => Err(self.duplicate(frame.offset, &name)),
        }
    }

    /// Reads a name and its colon, and puts them on the stack with a placeholder.
    fn name(&mut self) -> Result<(), JsonError> {
        if self.cursor.peek() != Some(b'"') {
            return Err(self.error_here());
        }
        let name = self.cursor.string().map_err(|fault| self.error(fault, Place::Container))?;
        self.cursor.skip_space();
        if !self.cursor.eats(b':') {
            return Err(self.error_here());
        }
        self.members.push((name, Value::Null));
        Ok(())
    }

    #[cold]
    fn error(&self, fault: Fault, place: Place) -> JsonError {
        JsonError::new(fault.kind, self.path(place), fault.at)
    }

    /// Something else was expected in the innermost container.
    #[cold]
    fn error_here(&self) -> JsonError {
        self.error(Fault { kind: JsonErrorKind::Malformed, at: self.cursor.at }, Place::Container)
    }

    #[cold]
    fn duplicate(&self, object_offset: usize, name: &str) -> JsonError {
        let mut path = self.path(Place::Container);
        path.push_name(name);
        JsonError::new(JsonErrorKind::DuplicateName, path, second_name(self.cursor.text(), object_offset, name))
    }

    fn path(&self, place: Place) -> Pointer {
        let (mut items_end, mut members_end) = (self.items.len(), self.members.len());
        let mut segments = Vec::with_capacity(self.frames.len());
        for (height, frame) in self.frames.iter().rev().enumerate() {
            let is_inside = height > 0 || place == Place::Value;
            if frame.is_object {
                segments.extend(is_inside.then(|| Ok(&*self.members[members_end - 1].0)));
                members_end = frame.start;
            } else {
                segments.extend(is_inside.then_some(Err(items_end - frame.start)));
                items_end = frame.start;
            }
        }
        let mut path = Pointer::default();
        for segment in segments.into_iter().rev() {
            match segment {
                Ok(name) => path.push_name(name),
                Err(index) => path.push_index(index),
            }
        }
        path
    }
}

/// The offset of the second name that equals `name` in the object at `object_offset`, whose text is known to be good.
fn second_name(text: &str, object_offset: usize, name: &str) -> usize {
    let mut cursor = Cursor::new(text, object_offset);
    let (mut depth, mut seen) = (0, 0);
    while let Some(byte) = cursor.peek() {
        let at = cursor.at;
        match byte {
            b'"' => {
                let is_same = cursor.string().is_ok_and(|string| string == name);
                cursor.skip_space();
                seen += u32::from(is_same && depth == 1 && cursor.peek() == Some(b':'));
                if seen == 2 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        cursor.at += 1;
    }
    object_offset
}
