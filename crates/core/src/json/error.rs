//! The one error of the module, and the JSON Pointer it carries.

use std::fmt::{self, Write as _};

/// The most bytes of a path that an error carries, since names are the sender's and may be as long as the text.
const PATH_BYTES_MAX: usize = 256;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text is not JSON as RFC 8259 has it, or starts with a byte order mark.
    Malformed,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// An object has two members of the same name, escapes resolved.
    DuplicateName,
    /// A string holds an escaped surrogate without its other half.
    LoneSurrogate,
    /// A number is beyond the range of an IEEE 754 double, or not finite.
    NumberOutOfRange,
    /// Containers nest deeper than [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX).
    TooDeep,
}

impl JsonErrorKind {
    /// The stable code of the kind on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::DuplicateName => "duplicate_name",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::TooDeep => "too_deep",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Malformed => "malformed json",
            Self::InvalidUtf8 => "invalid utf-8",
            Self::DuplicateName => "duplicate name",
            Self::LoneSurrogate => "lone surrogate",
            Self::NumberOutOfRange => "number out of range",
            Self::TooDeep => "nested too deep",
        }
    }
}

/// Why a JSON text was refused, and where.
///
/// It holds no payload: of the text only the names on the path, at most 256 bytes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    path: Box<str>,
    offset: u64,
}

impl JsonError {
    pub(super) fn new(kind: JsonErrorKind, path: Pointer, offset: usize) -> Self {
        Self { kind, path: path.text.into_boxed_str(), offset: offset as u64 }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }

    /// The JSON Pointer (RFC 6901) of the offending place as far as it is known, cut to 256 bytes.
    ///
    /// Empty for the document itself. A fault in a name or between members has the path of the object or array; a
    /// duplicate has the path of the member.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The offset in bytes at which the fault was seen; 0 where there was no text to read.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind.message(), self.offset)?;
        if self.path.is_empty() {
            return Ok(());
        }
        f.write_str(", path ")?;
        for c in self.path.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for JsonError {}

/// A JSON Pointer under construction that stops growing at [`PATH_BYTES_MAX`].
#[derive(Default)]
pub(super) struct Pointer {
    text: String,
    full: bool,
}

impl Pointer {
    /// Continues the path that another error found.
    pub(super) fn from_error(error: JsonError) -> Self {
        Self { text: error.path.into_string(), full: true }
    }

    /// Appends a member's name.
    pub(super) fn push_name(&mut self, name: &str) {
        self.push_piece("/");
        let mut char_bytes = [0; 4];
        for c in name.chars() {
            if self.full {
                return;
            }
            self.push_piece(match c {
                '~' => "~0",
                '/' => "~1",
                c => c.encode_utf8(&mut char_bytes),
            });
        }
    }

    /// Appends a place in an array.
    pub(super) fn push_index(&mut self, index: usize) {
        self.push_piece("/");
        self.push_piece(&index.to_string());
    }

    fn push_piece(&mut self, piece: &str) {
        self.full |= self.text.len() + piece.len() > PATH_BYTES_MAX;
        if !self.full {
            self.text.push_str(piece);
        }
    }
}
