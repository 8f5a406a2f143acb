//! SHA-256 values and the domain-tagged hashes of the record (docs/format/README.md).
//!
//! Every preimage here begins with a versioned domain tag that ends in a newline, so that no two kinds of hash can be
//! mistaken for one another; Merkle nodes follow RFC 6962 instead, and [`hash_request`] is the plain digest on purpose.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::json::write_string;

/// A SHA-256 value, whole: 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The value of 32 zero bytes: a placeholder that no input is known to hash to.
    pub const ZERO: Self = Self([0; 32]);

    /// Wraps 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a value from a slice of exactly 32 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).expect("invariant: hex digits are ASCII"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A text is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hash is 64 lower-case hex digits")
    }
}

impl std::error::Error for NotAHash {}

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        hex_bytes(text).map(Self).ok_or(NotAHash)
    }
}

/// Bytes written as twice as many lower-case hex digits; `None` of any other text.
#[must_use]
pub fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    // Without a branch for each digit: every list reads dozens of these.
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        *byte = high << 4 | low;
        seen |= high | low;
    }
    (seen <= 0xf).then_some(bytes)
}

/// What each byte is worth as a digit; more than 15 where it is none.
const NIBBLES: [u8; 256] = {
    let (mut worth, mut digit) = ([0xff; 256], 0);
    while digit < HEX.len() {
        worth[HEX[digit] as usize] = digit as u8;
        digit += 1;
    }
    worth
};

/// SHA-256 over the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// SHA-256 of canonical JSON alone: the fingerprint of a request, so that `printf '{"task":"X"}' | sha256sum` gives it.
#[must_use]
pub fn hash_request(value: &crate::json::Json) -> Hash {
    sha256(&[value.as_str().as_bytes()])
}

/// The secret of one entry, kept beside its body and erased with it.
///
/// H("tracekeep/entry-salt/1\n" ‖ the batch's random bytes ‖ the op's place in the batch, 8 bytes big-endian).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(Hash);

impl Salt {
    /// Derives the salt of the op at `place` (from 0) of a batch.
    #[must_use]
    pub fn of_entry(batch_random: &[u8; 32], place: u64) -> Self {
        Self(sha256(&[b"tracekeep/entry-salt/1\n", batch_random, &place.to_be_bytes()]))
    }

    /// Wraps a stored salt.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash(bytes))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The salt of one member: H("tracekeep/salt/1\n" ‖ salt ‖ name). It discloses that member and no other.
    #[must_use]
    pub fn of_member(&self, name: &str) -> Hash {
        sha256(&[b"tracekeep/salt/1\n", self.as_bytes(), name.as_bytes()])
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// The commitment to one member: H("tracekeep/member/1\n" ‖ member salt ‖ canonical([name, value])).
///
/// `value` is canonical JSON. `name` holds no character that JSON escapes (the model's names are plain ASCII).
#[must_use]
pub fn member_commitment(member_salt: &Hash, name: &str, value: &[u8]) -> Hash {
    sha256(&[b"tracekeep/member/1\n", member_salt.as_bytes(), b"[\"", name.as_bytes(), b"\",", value, b"]"])
}

/// The commitment to an entry: H("tracekeep/commit/1\n" ‖ canonical(name₁) ‖ m₁ ‖ canonical(name₂) ‖ m₂ ‖ …), members sorted
/// by name.
///
/// A name stands in it as a JSON string, quotes included, so that it is read in one way from left to right: what a member is
/// called is proven, shown or withheld.
#[must_use]
pub fn entry_commitment<N: AsRef<str>>(members: impl IntoIterator<Item = (N, Hash)>) -> Hash {
    let mut preimage = b"tracekeep/commit/1\n".to_vec();
    for (name, member) in members {
        write_string(&mut preimage, name.as_ref());
        preimage.extend_from_slice(member.as_bytes());
    }
    sha256(&[&preimage])
}

/// input_hash of a step: H("tracekeep/input/1\n" ‖ canonical(params)).
#[must_use]
pub fn input_hash(params: &str) -> Hash {
    sha256(&[b"tracekeep/input/1\n", params.as_bytes()])
}

/// output_hash of a step: H("tracekeep/output/1\n" ‖ canonical(outcome_data)).
#[must_use]
pub fn output_hash(outcome_data: &str) -> Hash {
    sha256(&[b"tracekeep/output/1\n", outcome_data.as_bytes()])
}

/// plan_hash of a run: H("tracekeep/plan/1\n" ‖ canonical(plan)).
#[must_use]
pub fn plan_hash(plan: &str) -> Hash {
    sha256(&[b"tracekeep/plan/1\n", plan.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_hash_reads_back() {
        let hash = sha256(&[b"a", b"bc"]);
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("BA".repeat(32).parse::<Hash>(), Err(NotAHash), "upper case is another text");
        assert_eq!("ba".repeat(31).parse::<Hash>(), Err(NotAHash));
    }

    #[test]
    fn a_salt_is_never_printed() {
        assert_eq!(format!("{:?}", Salt::of_entry(&[7; 32], 0)), "Salt(…)");
    }
}
