//! What types look like on the wire: the source of the API's document.

use super::field::Fields;

/// The form of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, of a named form ("" for any): `id`, `date-time`, `decimal`, `sha256-hex`.
    Text(&'static str),
    /// One of some words.
    Words(&'static [&'static str]),
    /// An integer.
    Integer,
    /// A finite number.
    Number,
    /// True or false.
    Boolean,
    /// Any JSON.
    Any,
    /// Any JSON object.
    FreeObject,
    /// An array.
    Array(Box<Shape>),
    /// An object of known members, by name.
    Object(&'static str, Vec<Member>),
    /// An object of one of several kinds, told by its member `type`.
    OneOf(&'static str, Vec<(&'static str, Vec<Member>)>),
}

impl Shape {
    /// The form of a type of known members.
    #[must_use]
    pub fn of<T: Fields>() -> Self {
        Self::Object(T::NAME, T::members())
    }
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Its form.
    pub shape: Shape,
}

impl Member {
    /// Describes a member.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str, required: bool, shape: Shape) -> Self {
        Self { name, doc, required, shape }
    }
}
