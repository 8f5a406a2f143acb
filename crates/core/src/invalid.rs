//! Why an input was refused: a stable code, the place, and a sentence.

use std::fmt;

/// What is wrong with an input. Each code has a page under docs/errors/.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidCode {
    /// The text is not JSON.
    MalformedJson,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// An object names a member twice.
    DuplicateName,
    /// A string holds half of a surrogate pair.
    LoneSurrogate,
    /// A number is not finite or does not fit where it stands.
    NumberOutOfRange,
    /// Containers are nested deeper than [`crate::limits::JSON_DEPTH_MAX`].
    TooDeep,
    /// A member has the wrong type or a value that its meaning excludes.
    InvalidMember,
    /// A member that nothing knows.
    UnknownMember,
    /// A required member is absent.
    MissingMember,
    /// An id is outside its grammar.
    InvalidId,
    /// A time is not RFC 3339 or outside the range of i64 nanoseconds.
    InvalidTime,
    /// A count is over its limit.
    TooMany,
    /// Bytes are over their limit.
    TooLarge,
    /// A Custom trace is named like a built-in type.
    ReservedName,
    /// A claimed hash is not the computed one.
    HashMismatch,
}

impl InvalidCode {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::MalformedJson,
        Self::InvalidUtf8,
        Self::DuplicateName,
        Self::LoneSurrogate,
        Self::NumberOutOfRange,
        Self::TooDeep,
        Self::InvalidMember,
        Self::UnknownMember,
        Self::MissingMember,
        Self::InvalidId,
        Self::InvalidTime,
        Self::TooMany,
        Self::TooLarge,
        Self::ReservedName,
        Self::HashMismatch,
    ];

    /// The stable snake_case code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::DuplicateName => "duplicate_name",
            Self::LoneSurrogate => "lone_surrogate",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::TooDeep => "too_deep",
            Self::InvalidMember => "invalid_member",
            Self::UnknownMember => "unknown_member",
            Self::MissingMember => "missing_member",
            Self::InvalidId => "invalid_id",
            Self::InvalidTime => "invalid_time",
            Self::TooMany => "too_many",
            Self::TooLarge => "too_large",
            Self::ReservedName => "reserved_name",
            Self::HashMismatch => "hash_mismatch",
        }
    }
}

/// A refused input: nothing of it was written.
///
/// The detail never repeats payload; the path is a JSON Pointer (RFC 6901) into what was sent, "" for the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    code: InvalidCode,
    path: String,
    detail: String,
}

impl Invalid {
    /// Makes a refusal at `path`.
    #[must_use]
    pub fn new(code: InvalidCode, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, path: path.into(), detail: detail.into() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> InvalidCode {
        self.code
    }

    /// Where, as a JSON Pointer into what was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong, in lower case and without payload.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same refusal, seen from outside: `prefix` stands before its path.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.path.insert_str(0, prefix);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.detail) } else { write!(f, "{}: {}", self.path, self.detail) }
    }
}

impl std::error::Error for Invalid {}

impl From<crate::json::JsonError> for Invalid {
    fn from(error: crate::json::JsonError) -> Self {
        use crate::json::JsonErrorKind as Kind;
        let code = match error.kind() {
            Kind::InvalidUtf8 => InvalidCode::InvalidUtf8,
            Kind::DuplicateName => InvalidCode::DuplicateName,
            Kind::LoneSurrogate => InvalidCode::LoneSurrogate,
            Kind::NumberOutOfRange => InvalidCode::NumberOutOfRange,
            Kind::TooDeep => InvalidCode::TooDeep,
            _ => InvalidCode::MalformedJson,
        };
        // The path stands beside the words, not in them.
        let words = code.as_str().replace('_', " ");
        Self::new(code, error.path(), format!("{words} at byte {}", error.offset()))
    }
}
