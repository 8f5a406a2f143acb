//! How members of objects are read and written: one table a type, two directions.
//!
//! For the crates on top: what they put on the wire (receipts, pages, views) is declared with the same macro. The
//! `object!` macro turns a struct's fields into a strict reader (unknown and missing members are refused with their
//! path), a writer of canonical JSON, and a description of both, so that what can be recorded, what can be read and what
//! the API's document says cannot drift apart.

mod draft;
mod field;
mod macros;
mod path;
mod shape;

pub use draft::Draft;
pub use field::{Field, Fields, from_text, read_whole, refuse_rest, take_optional, take_required, to_json};
pub use path::Path;
pub use shape::{Member, Shape};

pub use crate::{object, object_field, words};
