//! Writing an object in canonical order, whatever order its members come in.

use super::field::Field;
use crate::body::{Body, Span};

/// Members on their way into an object: values as canonical text, names still unsorted.
#[derive(Default, Debug)]
pub struct Draft {
    values: Vec<u8>,
    members: Vec<Drafted>,
}

#[derive(Debug)]
struct Drafted {
    /// The object inside the body that the member stands in, if any: "trace_type".
    group: Option<&'static str>,
    name: &'static str,
    from: usize,
    to: usize,
}

impl Draft {
    /// A draft for an object of about `bytes`.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { values: Vec::with_capacity(bytes), members: Vec::with_capacity(20) }
    }

    /// Adds a member.
    pub fn put<T: Field>(&mut self, name: &'static str, value: &T) {
        value.draft(name, self);
    }

    /// Adds a member if there is one.
    pub fn put_optional<T: Field>(&mut self, name: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Adds a member of the object `group` inside this one.
    pub fn put_in<T: Field>(&mut self, group: Option<&'static str>, name: &'static str, value: &T) {
        let from = self.values.len();
        value.write(&mut self.values);
        self.members.push(Drafted { group, name, from, to: self.values.len() });
    }

    /// Assembles the object in canonical order. Names are plain ASCII, so byte order is the order of UTF-16.
    #[must_use]
    pub fn finish(mut self) -> Body {
        self.members.sort_unstable_by_key(|member| (member.group.unwrap_or(member.name), member.name));
        let mut text = Vec::with_capacity(self.values.len() + self.members.len() * 24 + 2);
        let mut spans = Vec::with_capacity(self.members.len());
        let mut group = None;
        text.push(b'{');
        for member in &self.members {
            if group.is_some() && group != member.group {
                text.push(b'}');
                group = None;
            }
            if text.last().is_some_and(|last| *last != b'{') {
                text.push(b',');
            }
            if let (None, Some(name)) = (group, member.group) {
                write_name(&mut text, name);
                text.push(b'{');
                group = member.group;
            }
            write_name(&mut text, member.name);
            let from = text.len();
            text.extend_from_slice(&self.values[member.from..member.to]);
            spans.push(Span::new(member.group, member.name, from, text.len()));
        }
        if group.is_some() {
            text.push(b'}');
        }
        text.push(b'}');
        Body::assembled(text, spans)
    }
}

fn write_name(text: &mut Vec<u8>, name: &str) {
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
}
