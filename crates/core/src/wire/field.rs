//! Types that members can have, and objects made of them.

use std::borrow::Cow;

use super::draft::Draft;
use super::path::Path;
use super::shape::{Member, Shape};
use crate::amount::{Cost, DurationMs};
use crate::hash::Hash;
use crate::id::{AckId, BaselineName, CorrelationId, ExpectationId, ExportId, IncidentId, ItemId, Key, RunId, TraceId};
use crate::invalid::{Invalid, InvalidCode};
use crate::json::{self, Json, Object, Recorded, Value};
use crate::time::Timestamp;

/// A type that a member of the record can have.
pub trait Field: Sized {
    /// Reads the value that stands at a place.
    ///
    /// # Errors
    /// Where it has another type or a value that its meaning excludes.
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid>;
    /// Reads the value that is next in recorded text; `None` where it is not in canonical form or [`read`](Self::read)
    /// would refuse it.
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        Self::read(json::parse(text.value()?.as_bytes()).ok()?, &Path::ROOT).ok()
    }
    /// Writes canonical JSON.
    fn write(&self, out: &mut Vec<u8>);
    /// What it looks like on the wire.
    fn shape() -> Shape;
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
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        text.string().map(Cow::into_owned)
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_string(out, self);
    }
    fn shape() -> Shape {
        Shape::Text("")
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
    fn shape() -> Shape {
        Shape::Boolean
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
    fn shape() -> Shape {
        Shape::Integer
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
    fn shape() -> Shape {
        Shape::Integer
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
    fn shape() -> Shape {
        Shape::Integer
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
    fn shape() -> Shape {
        Shape::Number
    }
}

impl Field for DurationMs {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        Self::new(f64::read(value, at)?).map_err(|error| at.place(&error))
    }
    fn write(&self, out: &mut Vec<u8>) {
        json::write_f64(out, self.as_ms());
    }
    fn shape() -> Shape {
        Shape::Number
    }
}

impl Field for Json {
    fn read(value: Value<'_>, _: &Path<'_>) -> Result<Self, Invalid> {
        Ok(value.to_json())
    }
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        text.json()
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
    fn shape() -> Shape {
        Shape::Any
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
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        text.json_object().map(Self::trusted)
    }
    fn write(&self, out: &mut Vec<u8>) {
        self.json().write(out);
    }
    fn shape() -> Shape {
        Shape::FreeObject
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
    fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
        let mut items = Vec::new();
        text.items(|text| {
            items.push(T::recorded(text)?);
            Some(())
        })?;
        Some(items)
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
    fn shape() -> Shape {
        Shape::Array(Box::new(T::shape()))
    }
}

macro_rules! text_field {
    ($($type:ty = $format:literal),*) => {$(
        impl Field for $type {
            fn shape() -> Shape {
                Shape::Text($format)
            }
            fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
                match value {
                    Value::String(text) => text.parse().map_err(|error| at.place(&Invalid::from(error))),
                    other => Err(at.wrong_type("a string", &other)),
                }
            }
            fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
                text.string()?.parse().ok()
            }
            fn write(&self, out: &mut Vec<u8>) {
                json::write_string(out, &self.to_string());
            }
        }
    )*};
}
text_field!(Cost = "decimal", Timestamp = "date-time", Hash = "sha256-hex");

macro_rules! id_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn shape() -> Shape {
                Shape::Text("id")
            }
            fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
                match value {
                    Value::String(text) => Self::new(text).map_err(|error| at.place(&error)),
                    other => Err(at.wrong_type("a string", &other)),
                }
            }
            fn recorded(text: &mut Recorded<'_>) -> Option<Self> {
                Self::new(text.string()?).ok()
            }
            fn write(&self, out: &mut Vec<u8>) {
                json::write_string(out, self.as_str());
            }
        }
    )*};
}
id_field!(RunId, TraceId, CorrelationId, ExpectationId, AckId, ItemId, Key, BaselineName, ExportId, IncidentId);

impl From<crate::hash::NotAHash> for Invalid {
    fn from(error: crate::hash::NotAHash) -> Self {
        Self::new(InvalidCode::InvalidMember, "", error.to_string())
    }
}

/// An object whose members are known by name.
pub trait Fields: Sized {
    /// Takes the members that are its own out of `object`.
    ///
    /// # Errors
    /// Where one of them is missing or wrong.
    fn take(object: &mut Object<'_>, at: &Path<'_>) -> Result<Self, Invalid>;
    /// Reads an object of recorded text: its own members, and by `other` those that are not; `None` where anything is
    /// not in canonical form, or [`take`](Self::take) would refuse it.
    fn recorded(text: &mut Recorded<'_>, other: impl FnMut(&mut Recorded<'_>, &str) -> Option<()>) -> Option<Self>;
    /// Adds its members, in any order.
    fn put(&self, out: &mut Draft);
    /// Its name in the API's document.
    const NAME: &'static str;
    /// What its members look like on the wire.
    fn members() -> Vec<Member>;
}

/// Reads a whole object: nothing may be left over.
///
/// # Errors
/// Where a member is missing, wrong or unknown.
pub fn read_whole<T: Fields>(value: Value<'_>, at: &Path<'_>) -> Result<T, Invalid> {
    match value {
        Value::Object(mut object) => {
            let read = T::take(&mut object, at).map_err(|error| misspelt::<T>(error, &object, at))?;
            refuse_rest(&object, at)?;
            Ok(read)
        }
        other => Err(at.wrong_type("an object", &other)),
    }
}

/// Where a member is missing and another stands there that no member is called, that one is named too: it may be the one
/// that was meant.
fn misspelt<T: Fields>(error: Invalid, object: &Object<'_>, at: &Path<'_>) -> Invalid {
    let known = T::members();
    let is_own = |name| at.name(name).refuse(error.code(), "").path() == error.path();
    if error.code() != InvalidCode::MissingMember || !known.iter().any(|member| is_own(member.name)) {
        return error;
    }
    let other = object.iter().map(|(name, _)| name).find(|name| known.iter().all(|member| member.name != *name));
    match other.filter(|name| name.len() <= MISSPELT_BYTES_MAX) {
        Some(other) => {
            let detail = format!("{}, and {other:?} is not a member here", error.detail());
            Invalid::new(error.code(), error.path(), detail)
        }
        None => error,
    }
}

/// Bytes of a name that a misspelt member may have.
const MISSPELT_BYTES_MAX: usize = 64;

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
