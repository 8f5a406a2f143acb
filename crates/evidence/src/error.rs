//! Why a note, a checkpoint or a proof was refused.

use std::fmt;

use tracekeep_core::wire::words;

words! {
    /// The stable codes of refused evidence.
    #[non_exhaustive]
    pub enum Code {
        /// A key is not in the form of c2sp.org/signed-note, or its id is not that of its name and bytes.
        MalformedKey = "malformed_key",
        /// A key is of small order: with it, a signature would prove nothing.
        WeakKey = "weak_key",
        /// A text is not a signed note.
        MalformedNote = "malformed_note",
        /// No signature is by a key that the verifier brought.
        UnknownSigner = "unknown_signer",
        /// A signature by a key that the verifier brought is wrong.
        BadSignature = "bad_signature",
        /// A note's text is not a checkpoint.
        MalformedCheckpoint = "malformed_checkpoint",
        /// A checkpoint is of another log.
        WrongOrigin = "wrong_origin",
        /// A text is not a tlog-proof.
        MalformedProof = "malformed_proof",
        /// A proof does not lead from the entry to the checkpoint's root.
        WrongProof = "wrong_proof",
    }
}

/// Evidence that was refused. The text holds no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    detail: &'static str,
}

impl Error {
    pub(crate) const fn new(code: Code, detail: &'static str) -> Self {
        Self { code, detail }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code.as_str())
    }
}

impl std::error::Error for Error {}

/// The result of looking at evidence.
pub type Result<T> = std::result::Result<T, Error>;
