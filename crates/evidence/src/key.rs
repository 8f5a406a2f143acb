//! Keys of signed notes: Ed25519, signature type 0x01 of c2sp.org/signed-note.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use tracekeep_core::hash::sha256;

use crate::base64;
use crate::error::{Code, Error, Result};

/// The signature type of plain Ed25519.
const ED25519: u8 = 1;
/// What a private key begins with.
const SECRET: &str = "PRIVATE+KEY+";
/// Bytes of a key's name.
const NAME_BYTES_MAX: usize = 255;

/// A public key under a name: what a verifier brings.
///
/// As text `NAME+ID+BASE64`: the id 8 hex digits, the base64 over 0x01 and the key's 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl NoteKey {
    /// Those of `keys` that are of the log `origin`, which have it for a name.
    pub(crate) fn of_log(keys: &[Self], origin: &str) -> Vec<Self> {
        keys.iter().filter(|key| key.name() == origin).cloned().collect()
    }

    /// The key of these 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// `malformed_key` where the name or the bytes are none; `weak_key` where the key is of small order.
    pub fn new(name: impl Into<String>, bytes: &[u8; 32]) -> Result<Self> {
        let name = name.into();
        if !is_name(&name) {
            return Err(Error::new(
                Code::MalformedKey,
                "a key's name is 1 to 255 bytes without spaces, controls and +",
            ));
        }
        let key = VerifyingKey::from_bytes(bytes).ok().filter(|_| is_canonical(bytes));
        let key = key.ok_or_else(|| Error::new(Code::MalformedKey, "the bytes are no point of the curve"))?;
        if key.is_weak() {
            return Err(Error::new(Code::WeakKey, "the key is of small order"));
        }
        let id = id_of(&name, bytes);
        Ok(Self { name, id, key })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key), big-endian.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether a signature is this key's over `text`. Strict: every signature has one form.
    pub(crate) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(text, &signature).is_ok())
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[ED25519][..], self.as_bytes()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64::write(&typed))
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NoteKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = || Error::new(Code::MalformedKey, "a key is NAME+ID+BASE64 of an Ed25519 key");
        let (name, rest) = text.split_once('+').ok_or_else(malformed)?;
        let (id, typed) = rest.split_once('+').ok_or_else(malformed)?;
        let typed = base64::read(typed).ok_or_else(malformed)?;
        let bytes: &[u8; 32] = match typed.split_first() {
            Some((&ED25519, bytes)) => bytes.try_into().map_err(|_| malformed())?,
            _ => return Err(malformed()),
        };
        let key = Self::new(name, bytes)?;
        if format!("{:08x}", key.id) != id {
            return Err(Error::new(Code::MalformedKey, "the id is not that of the key's name and bytes"));
        }
        Ok(key)
    }
}

/// A private key under a name. It is wiped from memory when dropped, and never shown.
pub struct SigningKey {
    public: NoteKey,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 §5.1.5), which must come from a good source of randomness.
    ///
    /// # Errors
    /// `malformed_key` where the name is none.
    pub fn from_seed(name: impl Into<String>, seed: [u8; 32]) -> Result<Self> {
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Ok(Self { public: NoteKey::new(name, key.verifying_key().as_bytes())?, key })
    }

    /// Reads what [`SigningKey::to_secret`] wrote, one line, its newline included or not.
    ///
    /// # Errors
    /// `malformed_key`, which says nothing of what was read.
    pub fn from_secret(text: &str) -> Result<Self> {
        let malformed = || Error::new(Code::MalformedKey, "a private key is PRIVATE+KEY+NAME+ID+BASE64");
        let text = text.strip_suffix('\n').unwrap_or(text).strip_prefix(SECRET).ok_or_else(malformed)?;
        let (name, rest) = text.split_once('+').ok_or_else(malformed)?;
        let (id, typed) = rest.split_once('+').ok_or_else(malformed)?;
        let seed = match base64::read(typed).ok_or_else(malformed)?.split_first() {
            Some((&ED25519, seed)) => seed.try_into().map_err(|_| malformed())?,
            _ => return Err(malformed()),
        };
        let key = Self::from_seed(name, seed)?;
        if format!("{:08x}", key.public.id) == id { Ok(key) } else { Err(malformed()) }
    }

    /// The key with its secret, as one line of text without a newline: `PRIVATE+KEY+NAME+ID+BASE64`, the base64 over 0x01
    /// and the seed, as the Go package golang.org/x/mod/sumdb/note writes it. Whoever reads it can sign.
    #[must_use]
    pub fn to_secret(&self) -> String {
        let typed = [&[ED25519][..], &self.key.to_bytes()].concat();
        format!("{SECRET}{}+{:08x}+{}", self.public.name, self.public.id, base64::write(&typed))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &NoteKey {
        &self.public
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.key.sign(text).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Whether the coordinate is below the field's prime, 2^255 − 19: each key has one form.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    bytes[31] & 0x7f != 0x7f || bytes[1..31].iter().any(|byte| *byte != 0xff) || bytes[0] < 0xed
}

fn id_of(name: &str, key: &[u8; 32]) -> u32 {
    let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519], key]);
    let first: &[u8; 4] = hash.as_bytes().first_chunk().expect("invariant: a hash has 32 bytes");
    u32::from_be_bytes(*first)
}
