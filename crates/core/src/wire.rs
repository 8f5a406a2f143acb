//! How members of objects are read and written: one table a type, two directions.
//!
//! For the crates on top: what they put on the wire (receipts, pages, views) is declared with the same macro. The
//! `object!` macro turns a struct's fields into both a strict reader (unknown and missing members are refused with
//! their path) and a writer of canonical JSON, so that what can be recorded and what can be read cannot drift apart.

use std::fmt::Write as _;

use crate::amount::{Cost, DurationMs};
use crate::hash::Hash;
use crate::id::{CorrelationId, Key, RunId, TraceId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{self, Json, Object, Value};
use crate::time::Timestamp;

/// Where a value stands in what was sent: a list on the stack, written out only for a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The whole of what was sent.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The member `name` of the place.
    #[must_use]
    pub const fn name(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    fn pointer(&self) -> String {
        let mut out = self.parent.map_or_else(String::new, Path::pointer);
        match self.step {
            Step::Root => {}
            Step::Index(index) => {
                let _ = write!(out, "/{index}");
            }
            Step::Name(name) => {
                let end = name.char_indices().map(|(at, _)| at).nth(64).unwrap_or(name.len());
                let _ = write!(out, "/{}", name[..end].replace('~', "~0").replace('/', "~1"));
            }
        }
        out
    }

    /// A refusal at this place.
    pub fn refuse(&self, code: InvalidCode, detail: impl Into<String>) -> Invalid {
        Invalid::new(code, self.pointer(), detail)
    }

    /// The refusal of a value of another type.
    #[must_use]
    pub fn wrong_type(&self, wanted: &str, value: &Value<'_>) -> Invalid {
        self.refuse(InvalidCode::InvalidMember, format!("must be {wanted}, is {}", value.type_name()))
    }

    /// The same refusal, placed here.
    #[must_use]
    pub fn place(&self, error: &Invalid) -> Invalid {
        error.clone().under(&self.pointer())
    }
}

/// A type that a member of the record can have.
pub trait Field: Sized {
    /// Reads the value that stands at a place.
    ///
    /// # Errors
    /// Where it has another type or a value that its meaning excludes.
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid>;
    /// Writes canonical JSON.
    fn write(&self, out: &mut Vec<u8>);
    /// Puts the value into a draft: as one member, unless its own members count by themselves.
    fn draft(&self, name: &'static str, out: &mut Draft) {
        out.put_in(None, name, self);
    }
}

impl Field for String {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::String(text) => Ok(text.into_owned()),
            other => Err(at.wrong_type("a string", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_string(out, self);
    }
}

impl Field for bool {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(at.wrong_type("a boolean", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Field for i64 {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Number(number) => {
                number.as_i64().ok_or_else(|| at.refuse(InvalidCode::NumberOutOfRange, "must be an integer of 64 bits"))
            }
            other => Err(at.wrong_type("an integer", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_i64(out, *self);
    }
}

impl Field for u64 {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Number(number) => number
                .as_u64()
                .ok_or_else(|| at.refuse(InvalidCode::NumberOutOfRange, "must be an integer of 64 bits, not negative")),
            other => Err(at.wrong_type("an integer", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_u64(out, *self);
    }
}

impl Field for u32 {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        Self::try_from(u64::read(value, at)?)
            .map_err(|_| at.refuse(InvalidCode::NumberOutOfRange, "must be an integer of 32 bits, not negative"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_u64(out, u64::from(*self));
    }
}

impl Field for f64 {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Number(number) => Ok(number.as_f64()),
            other => Err(at.wrong_type("a number", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_f64(out, *self);
    }
}

impl Field for DurationMs {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        Self::new(f64::read(value, at)?).map_err(|error| at.place(&error))
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_f64(out, self.as_ms());
    }
}

impl Field for Json {
    fn read(value: Value<'_>, _: &Path<'_>) -> Result<Self, Invalid> {
        Ok(value.to_json())
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

/// Free JSON that must be an object.
impl Field for crate::model::JsonObject {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Object(_) => Ok(Self::trusted(value.to_json())),
            other => Err(at.wrong_type("an object", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        self.json().write(out);
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        match value {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(index, item)| T::read(item, &at.index(index))).collect()
            }
            other => Err(at.wrong_type("an array", &other)),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(out);
        }
        out.push(b']');
    }
}

macro_rules! text_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
                match value {
                    Value::String(text) => text.parse().map_err(|error| at.place(&Invalid::from(error))),
                    other => Err(at.wrong_type("a string", &other)),
                }
            }
            fn write(&self, out: &mut Vec<u8>) {
                json::write_string(out, &self.to_string());
            }
        }
    )*};
}
text_field!(Cost, Timestamp, Hash);

macro_rules! id_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
                match value {
                    Value::String(text) => Self::new(text).map_err(|error| at.place(&error)),
                    other => Err(at.wrong_type("a string", &other)),
                }
            }
            fn write(&self, out: &mut Vec<u8>) {
                json::write_string(out, self.as_str());
            }
        }
    )*};
}
id_field!(RunId, TraceId, CorrelationId, Key);

impl From<crate::hash::NotAHash> for Invalid {
    fn from(error: crate::hash::NotAHash) -> Self {
        Self::new(InvalidCode::InvalidMember, "", error.to_string())
    }
}

/// A closed set of words, written as strings.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Invalid;
            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::Invalid::new(
                        $crate::InvalidCode::InvalidMember,
                        "",
                        concat!("must be one of" $(, " ", $word)*),
                    )),
                }
            }
        }

        impl $crate::wire::Field for $name {
            fn read(value: $crate::json::Value<'_>, at: &$crate::wire::Path<'_>) -> ::std::result::Result<Self, $crate::Invalid> {
                let text: String = $crate::wire::Field::read(value, at)?;
                text.parse().map_err(|error: $crate::Invalid| at.refuse(error.code(), error.detail()))
            }
            fn write(&self, out: &mut Vec<u8>) {
                $crate::json::write_string(out, self.as_str());
            }
        }
    };
}
pub use words;

/// An object whose members are known by name.
pub trait Fields: Sized {
    /// Takes the members that are its own out of `object`.
    ///
    /// # Errors
    /// Where one of them is missing or wrong.
    fn take(object: &mut Object<'_>, at: &Path<'_>) -> Result<Self, Invalid>;
    /// Adds its members, in any order.
    fn put(&self, out: &mut Draft);
}

/// Reads a whole object: nothing may be left over.
///
/// # Errors
/// Where a member is missing, wrong or unknown.
pub fn read_whole<T: Fields>(value: Value<'_>, at: &Path<'_>) -> Result<T, Invalid> {
    match value {
        Value::Object(mut object) => {
            let read = T::take(&mut object, at)?;
            refuse_rest(&object, at)?;
            Ok(read)
        }
        other => Err(at.wrong_type("an object", &other)),
    }
}

/// Refuses the first member that nobody took.
///
/// # Errors
/// `unknown_member`, if there is one.
pub fn refuse_rest(object: &Object<'_>, at: &Path<'_>) -> Result<(), Invalid> {
    match object.iter().next() {
        Some((name, _)) => Err(at.name(name).refuse(InvalidCode::UnknownMember, "is not a member here")),
        None => Ok(()),
    }
}

/// Takes a member that may be absent or null.
///
/// # Errors
/// Where it is wrong.
pub fn take_optional<T: Field>(object: &mut Object<'_>, name: &str, at: &Path<'_>) -> Result<Option<T>, Invalid> {
    match object.take(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::read(value, &at.name(name)).map(Some),
    }
}

/// Takes a member that must be there.
///
/// # Errors
/// Where it is missing or wrong.
pub fn take_required<T: Field>(object: &mut Object<'_>, name: &str, at: &Path<'_>) -> Result<T, Invalid> {
    take_optional(object, name, at)?.ok_or_else(|| at.name(name).refuse(InvalidCode::MissingMember, "is required"))
}

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
    pub fn finish(mut self) -> crate::body::Body {
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
            spans.push(crate::body::Span::new(member.group, member.name, from, text.len()));
        }
        if group.is_some() {
            text.push(b'}');
        }
        text.push(b'}');
        crate::body::Body::assembled(text, spans)
    }
}

fn write_name(text: &mut Vec<u8>, name: &str) {
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
}

/// Declares a struct of members with its reader and its writer.
///
/// Modes: `required`, `optional` (absent and null are the same), `default` (filled in), `generated` (an absent one is
/// filled in from injected sources before the write, and is taken from the record when the op is compared with it),
/// `aside` (no member: stays where it is).
#[macro_export]
macro_rules! object {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$fmeta:meta])* $mode:ident $field:ident : $type:ty $(= $default:expr)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $crate::object!(@type $mode $type)),* }

        impl $crate::wire::Fields for $name {
            fn take(
                object: &mut $crate::json::Object<'_>,
                at: &$crate::wire::Path<'_>,
            ) -> ::std::result::Result<Self, $crate::Invalid> {
                Ok(Self { $($field: $crate::object!(@take $mode object, stringify!($field), at $(, $default)?)),* })
            }
            fn put(&self, out: &mut $crate::wire::Draft) {
                $($crate::object!(@put $mode out, stringify!($field), self.$field);)*
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type default $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@type generated $type:ty) => { Option<$type> };
    (@type aside $type:ty) => { $type };
    (@take aside $object:ident, $name:expr, $at:ident) => { <_>::default() };
    (@put aside $out:ident, $name:expr, $value:expr) => { };
    (@take required $object:ident, $name:expr, $at:ident) => { $crate::wire::take_required($object, $name, $at)? };
    (@take default $object:ident, $name:expr, $at:ident, $default:expr) => {
        $crate::wire::take_optional($object, $name, $at)?.unwrap_or_else(|| $default)
    };
    (@take $mode:ident $object:ident, $name:expr, $at:ident) => { $crate::wire::take_optional($object, $name, $at)? };
    (@put required $out:ident, $name:expr, $value:expr) => { $out.put($name, &$value) };
    (@put default $out:ident, $name:expr, $value:expr) => { $out.put($name, &$value) };
    (@put $mode:ident $out:ident, $name:expr, $value:expr) => { $out.put_optional($name, $value.as_ref()) };
}
pub use object;

/// Reads a whole text as one object of known members.
///
/// # Errors
/// As [`read_whole`], and where the text is not JSON.
pub fn from_text<T: Fields>(text: &[u8]) -> Result<T, Invalid> {
    read_whole(json::parse(text)?, &Path::ROOT)
}

/// Writes an object of known members as canonical JSON.
pub fn to_json<T: Fields>(value: &T) -> Json {
    let mut draft = Draft::with_capacity(512);
    value.put(&mut draft);
    Json::from_canonical(draft.finish().text().clone())
}

/// Makes a type of known members a [`Field`], to stand inside others.
#[macro_export]
macro_rules! object_field {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::wire::Field for $type {
            fn read(value: $crate::json::Value<'_>, at: &$crate::wire::Path<'_>) -> ::std::result::Result<Self, $crate::Invalid> {
                $crate::wire::read_whole(value, at)
            }
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice($crate::wire::to_json(self).as_str().as_bytes());
            }
        }
    )*};
}
pub use object_field;
