//! Standard Base64 with padding (RFC 4648 §4), read strictly: one text for each value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tracekeep_core::hash::Hash;

/// A hash as C2SP formats write it.
#[must_use]
pub fn of(hash: &Hash) -> String {
    write(hash.as_bytes())
}

pub(crate) fn write(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

pub(crate) fn read_hash(text: &str) -> Option<Hash> {
    Some(Hash::from_bytes(read(text)?.try_into().ok()?))
}
