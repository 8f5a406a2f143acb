//! Signed notes (c2sp.org/signed-note): a text, an empty line, signatures.

use std::fmt;

use crate::base64;
use crate::error::{Code, Error, Result};
use crate::key::{NoteKey, SigningKey, is_name};

/// Bytes that a note may have (64 KiB): ours have some 300.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// Signatures that a note may have.
pub const SIGNATURES_MAX: usize = 100;

const DASH: &str = "\u{2014} ";

/// A text with signatures, verified or not: its text says nothing before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    id: u32,
    signature: Vec<u8>,
}

impl Note {
    /// Signs a text, which ends in a newline.
    ///
    /// # Errors
    /// `malformed_note` where the text cannot stand in a note.
    pub fn sign(text: impl Into<String>, key: &SigningKey) -> Result<Self> {
        let text = text.into();
        if text.len() > NOTE_BYTES_MAX / 2 || !is_text(&text) {
            return Err(Error::new(Code::MalformedNote, "a note's text ends in a newline and has no other controls"));
        }
        let mut note = Self { text, signatures: Vec::new() };
        note.sign_also(key);
        Ok(note)
    }

    /// Adds the signature of another key, on a line after the others.
    pub fn sign_also(&mut self, key: &SigningKey) {
        let public = key.public();
        let signature = key.sign(self.text.as_bytes()).to_vec();
        self.signatures.push(NoteSignature { name: public.name().to_owned(), id: public.id(), signature });
    }

    /// Reads a note, all of it: 64 KiB and 100 signatures at most.
    ///
    /// # Errors
    /// `malformed_note`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |detail| Error::new(Code::MalformedNote, detail);
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(malformed("the note has more than 64 KiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("the note is not UTF-8"))?;
        let at = note.rfind("\n\n").ok_or_else(|| malformed("no empty line parts text and signatures"))?;
        let (text, lines) = (&note[..=at], &note[at + 2..]);
        if !is_text(text) {
            return Err(malformed("the text has controls, or is none"));
        }
        let lines = lines.strip_suffix('\n').ok_or_else(|| malformed("the last signature ends in no newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(malformed("the note has more than 100 signatures"));
            }
            signatures.push(NoteSignature::parse(line).ok_or_else(|| malformed("a signature line is none"))?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, whoever has signed it: nothing is known of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text, once one of `keys` is seen to have signed it. Signatures of other keys are passed over, as the
    /// specification asks; one by a key of these that is wrong refuses the note.
    ///
    /// # Errors
    /// `bad_signature`, `unknown_signer`.
    pub fn verify(&self, keys: &[NoteKey]) -> Result<&str> {
        let mut is_signed = false;
        for line in &self.signatures {
            for key in keys.iter().filter(|key| key.name() == line.name && key.id() == line.id) {
                if !key.has_signed(self.text.as_bytes(), &line.signature) {
                    return Err(Error::new(Code::BadSignature, "the signature is not the key's over this text"));
                }
                is_signed = true;
            }
        }
        if is_signed {
            return Ok(&self.text);
        }
        Err(Error::new(Code::UnknownSigner, "none of the given keys has signed this"))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, id, signature } in &self.signatures {
            let bytes = [&id.to_be_bytes()[..], signature].concat();
            writeln!(f, "{DASH}{name} {}", base64::write(&bytes))?;
        }
        Ok(())
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = base64::read(signature)?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let parsed = Self { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() };
        (is_name(name) && !signature.is_empty()).then_some(parsed)
    }
}

/// Whether a text can stand in a note: ends in a newline, no other controls below U+0020.
fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}
