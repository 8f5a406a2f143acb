//! Canonical JSON in the profile `tk-jcs-1`, the only JSON that Tracekeep hashes, stores and compares.
//!
//! The profile is RFC 8785 (JSON Canonicalization Scheme) over strict RFC 8259 text, and beyond it:
//!
//! - An integer token (one without fraction or exponent) outside ±(2^53−1) keeps its exact digits, where RFC 8785
//!   would round it, so that different integers never share a hash. One beyond the range of an IEEE 754 double is
//!   refused.
//! - Minus zero, in any spelling, is `0`; a number too small for a double is `0`.
//! - Duplicate names, lone surrogates and numbers beyond the range of a double are refused, with the JSON Pointer
//!   (RFC 6901) of the place.
//! - Containers nest at most [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX) deep.
//!
//! Names are sorted by UTF-16 code units. Strings are not normalised; only `"`, `\` and U+0000 to U+001F are escaped.
//!
//! Invariants of this module:
//!
//! - A [`Value`] holds validated tokens only, and the members of an [`Object`] are sorted and unique, so that writing
//!   never fails and never looks back.
//! - A [`Json`] holds canonical text, whole or as a slice of a longer one, so that equal documents are equal bytes.
//! - Canonicalising is idempotent: canonical text is its own canonical form.
//! - A number is read from its own token by `str::parse::<f64>`, correctly rounded whatever its length, never through
//!   another crate's reader whose rounding depends on a feature.
//! - Reading what anybody sent uses no recursion (what was recorded is read in place by [`Recorded`], which recurses no
//!   deeper than the limit) and takes time O(n log n) in the length of the text, whatever it holds.
//!
//! Vectors are in `vectors/json/`.

mod cursor;
mod error;
mod number;
mod object;
mod parse;
mod recorded;
mod scan;
mod text;
mod value;
mod write;

pub(crate) use scan::plain_end;

pub use error::{JsonError, JsonErrorKind};
pub use number::Number;
pub use object::Object;
pub use parse::{canonical_json, parse, parse_around};
pub use recorded::{Members, Recorded};
pub use text::Json;
pub use value::Value;
pub use write::{write_f64, write_i64, write_string, write_u64};
