//! What a request is recognised by.

use std::fmt;
use std::str::FromStr;

use tracekeep_core::Invalid;
use tracekeep_core::hash::{Hash, NotAHash, hash_request};
use tracekeep_core::json::{Json, Value, write_string};
use tracekeep_core::wire::{Field, Path, Shape};

/// What a request is recognised by: SHA-256, of its canonical JSON unless the caller has a digest of its own.
///
/// `printf '{"task":"X"}' | sha256sum` gives that of `{"task": "X"}`. Of a request with few possible values it gives the
/// value away: such a request is made unguessable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(Hash);

impl Fingerprint {
    /// The fingerprint of a request: [`hash_request`].
    #[must_use]
    pub fn of(request: &Json) -> Self {
        Self(hash_request(request))
    }

    /// A digest that the caller made.
    #[must_use]
    pub const fn raw(digest: Hash) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn hash(self) -> Hash {
        self.0
    }
}

impl From<&Json> for Fingerprint {
    fn from(request: &Json) -> Self {
        Self::of(request)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        text.parse().map(Self)
    }
}

impl Field for Fingerprint {
    fn read(value: Value<'_>, at: &Path<'_>) -> Result<Self, Invalid> {
        Hash::read(value, at).map(Self)
    }
    fn write(&self, out: &mut Vec<u8>) {
        write_string(out, &self.to_string());
    }
    fn shape() -> Shape {
        Hash::shape()
    }
}
