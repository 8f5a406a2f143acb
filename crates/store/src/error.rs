//! Errors that answer a caller's two questions: may I retry, and did it happen?

use std::fmt;
use std::sync::Arc;

use tracekeep_core::hash::Hash;
use tracekeep_core::view::Erasure;
use tracekeep_core::{Invalid, InvalidCode};

/// What kind of failure this is, by what a caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is wrong: sending it again will not help.
    Invalid,
    /// The input is over a limit of bytes.
    TooLarge,
    /// What was named does not exist.
    NotFound,
    /// The same identity holds other content, or is closed.
    Conflict,
    /// What was named was erased.
    Gone,
    /// A claim or a key does not fit what is recorded.
    Unprocessable,
    /// There is no room just now: send it again later.
    Busy,
    /// The storage could not do it.
    Storage,
    /// The commit's outcome is not known: sending the same again is safe.
    Unknown,
}

/// Whether the write may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It surely did not.
    NotApplied,
    /// It may have. The same batch again gives a duplicate if it did.
    Unknown,
}

impl Outcome {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotApplied => "not_applied",
            Self::Unknown => "unknown",
        }
    }
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $kind:ident;)*) => {
        /// The stable codes that the store adds to those of refused input ([`InvalidCode`]). Each has a page under
        /// docs/errors/.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$meta])* $name),* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The snake_case code.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            const fn kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind),* }
            }
        }
    };
}

codes! {
    /// A query parameter is not one that the query knows, or not of its form.
    InvalidParameter = "invalid_parameter", Invalid;
    /// A cursor was not made by this query.
    InvalidCursor = "invalid_cursor", Invalid;
    /// A batch has no op, or too many.
    InvalidBatch = "invalid_batch", Invalid;
    /// No run of that id.
    RunNotFound = "run_not_found", NotFound;
    /// No step at that index.
    StepNotFound = "step_not_found", NotFound;
    /// No trace of that id in the run.
    TraceNotFound = "trace_not_found", NotFound;
    /// Nothing is expected of the action, or nothing at all of the run.
    ExpectationNotFound = "expectation_not_found", NotFound;
    /// The name stands for no run.
    BaselineNotFound = "baseline_not_found", NotFound;
    /// No incident of that id.
    IncidentNotFound = "incident_not_found", NotFound;
    /// The parent that a trace names does not exist in the run.
    ParentNotFound = "parent_not_found", NotFound;
    /// No entry at that log index, or no tree of that size.
    EntryNotFound = "entry_not_found", NotFound;
    /// The same identity holds other content.
    Conflict = "conflict", Conflict;
    /// The run is sealed.
    Sealed = "sealed", Conflict;
    /// The run has not ended.
    RunRunning = "run_running", Conflict;
    /// A legal hold keeps the run.
    Held = "held", Conflict;
    /// An incident of the run is open.
    IncidentOpen = "incident_open", Conflict;
    /// What is to be let go of was never held.
    NotHeld = "not_held", NotFound;
    /// The run was erased: nothing of it can be read.
    RunErased = "run_erased", Gone;
    /// A write under an erased id.
    Erased = "erased", Conflict;
    /// No key of that name at the gate.
    KeyNotFound = "key_not_found", NotFound;
    /// Somebody else holds the lease of a key at the gate, or it was ended.
    LeaseLost = "lease_lost", Conflict;
    /// Somebody holds the lease of a key at the gate.
    InProgress = "in_progress", Conflict;
    /// What stands under a key at the gate failed for good.
    EffectFailed = "effect_failed", Unprocessable;
    /// An effect was done, and the gate could not be told.
    EffectUnrecorded = "effect_unrecorded", Unknown;
    /// An id names a run and an incident, and which one is meant is not said.
    AmbiguousTarget = "ambiguous_target", Invalid;
    /// A bundle lacks what its kind requires.
    BundleIncomplete = "bundle_incomplete", Unprocessable;
    /// An idempotency key was used with another request.
    KeyReused = "key_reused", Unprocessable;
    /// The queue is full.
    Busy = "busy", Busy;
    /// What stands under a key at the gate failed, and may be tried again.
    EffectRetry = "effect_retry", Busy;
    /// The gate knows as many keys as it may.
    GateFull = "gate_full", Busy;
    /// The ledger is being closed.
    Closed = "closed", Busy;
    /// The outcome of a commit is not known.
    CommitUnknown = "commit_unknown", Unknown;
    /// The disk is full.
    StorageFull = "storage_full", Storage;
    /// The ledger cannot be written to.
    ReadOnly = "read_only", Storage;
    /// The storage failed.
    StorageFailed = "storage_failed", Storage;
    /// What is stored contradicts itself.
    Corrupt = "corrupt", Storage;
    /// The file is not a ledger.
    NotALedger = "not_a_ledger", Storage;
    /// A store cannot be relied on as it is configured.
    UnsafeStore = "unsafe_store", Storage;
    /// The gate of this ledger is kept elsewhere.
    GateElsewhere = "gate_elsewhere", Storage;
    /// The file was written by a newer version.
    NewerFormat = "newer_format", Storage;
    /// The log does not extend what was signed last.
    CheckpointFork = "checkpoint_fork", Conflict;
    /// The key that is to sign is not here.
    KeyMissing = "key_missing", Conflict;
    /// The keys beside the ledger are another ledger's.
    ForeignKey = "foreign_key", Conflict;
    /// Others could read the private key.
    KeysUnsafe = "keys_unsafe", Storage;
    /// What lies beside the ledger for signing is not what was put there.
    KeysDamaged = "keys_damaged", Storage;
    /// This server signs nothing.
    NotSigning = "not_signing", NotFound;
    /// Only the process that writes to the ledger may say it.
    LocalOnly = "local_only", Invalid;
    /// Another process writes to the ledger.
    LedgerLocked = "ledger_locked", Storage;
    /// A server could not be reached, or answered something else.
    Unreachable = "unreachable", Storage;
}

/// The codes that a server adds by itself. They come over the wire alone; a test of the command line holds them to the
/// server's own list.
#[doc(hidden)]
pub const SERVER_CODES: &[&str] = &[
    "route_not_found",
    "method_not_allowed",
    "unsupported_media_type",
    "unsupported_encoding",
    "otlp_malformed",
    "request_timeout",
    "forbidden_host",
    "audit_off",
    "contract_not_found",
    "idempotency_key_required",
    "internal",
];

/// A refused or failed call.
///
/// The text is in lower case and holds neither payload nor secrets.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    code: &'static str,
    detail: String,
    path: Option<String>,
    digests: Option<Digests>,
    redaction: Option<Erasure>,
    outcome: Outcome,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The commitments-free fingerprints of two bodies that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256 of what is recorded: its leaf hash.
    pub recorded: Hash,
    /// SHA-256 of the canonical body that was sent.
    pub sent: Hash,
}

impl Error {
    /// Makes an error of `code`.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let outcome = if code.kind() == ErrorKind::Unknown { Outcome::Unknown } else { Outcome::NotApplied };
        Self(Box::new(Inner {
            kind: code.kind(),
            code: code.as_str(),
            detail: detail.into(),
            path: None,
            digests: None,
            redaction: None,
            outcome,
            source: None,
        }))
    }

    /// Rebuilds an error that came over a wire. A code that this version does not know becomes
    /// `unreachable` under the kind of its status, and stands in the detail.
    #[must_use]
    pub fn from_wire(kind: ErrorKind, code: &str, detail: String, path: Option<String>, outcome: Outcome) -> Self {
        let known = Code::ALL
            .iter()
            .map(|code| code.as_str())
            .chain(InvalidCode::ALL.iter().map(|code| code.as_str()))
            .chain(SERVER_CODES.iter().copied())
            .find(|known| *known == code);
        Self(Box::new(Inner {
            kind,
            code: known.unwrap_or(Code::Unreachable.as_str()),
            detail: if known.is_some() { detail } else { format!("{detail} (the server's code is {code})") },
            path,
            digests: None,
            redaction: None,
            outcome,
            source: None,
        }))
    }

    /// The same error with the place in what was sent.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    /// The same error, its path seen from outside.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        let path = self.0.path.take().unwrap_or_default();
        self.0.path = Some(format!("{prefix}{path}"));
        self
    }

    /// The same error without `prefix` before its path.
    #[must_use]
    pub fn strip(mut self, prefix: &str) -> Self {
        if let Some(path) = &mut self.0.path
            && let Some(rest) = path.strip_prefix(prefix)
        {
            *path = rest.to_owned();
        }
        self.0.path = self.0.path.take().filter(|path| !path.is_empty());
        self
    }

    /// The same error with the fingerprints of what contradicts.
    #[must_use]
    pub fn with_digests(mut self, digests: Digests) -> Self {
        self.0.digests = Some(digests);
        self
    }

    /// The same error with the redaction that took what was asked for.
    #[must_use]
    pub fn with_redaction(mut self, redaction: Erasure) -> Self {
        self.0.redaction = Some(redaction);
        self
    }

    /// The same error with its cause.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What a caller does about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code; `tracekeep explain CODE` tells cause and remedy.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.0.code
    }

    /// What went wrong, in words.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Where in what was sent, as a JSON Pointer.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The fingerprints of what contradicts, for a conflict.
    #[must_use]
    pub const fn digests(&self) -> Option<Digests> {
        self.0.digests
    }

    /// The redaction that took what was asked for: when, why and on whose word.
    #[must_use]
    pub const fn redaction(&self) -> Option<&Erasure> {
        self.0.redaction.as_ref()
    }

    /// Whether the write may have happened.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Busy | ErrorKind::Unknown)
            && !matches!(self.0.code.as_bytes(), b"effect_unrecorded")
            || matches!(self.0.code.as_bytes(), b"in_progress")
            || (matches!(self.0.kind, ErrorKind::Storage)
                && matches!(self.0.code.as_bytes(), b"storage_full" | b"storage_failed" | b"unreachable"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.path {
            Some(path) => write!(f, "{path}: {}", self.0.detail),
            None => f.write_str(&self.0.detail),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.code)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let kind = match invalid.code() {
            InvalidCode::TooLarge => ErrorKind::TooLarge,
            InvalidCode::HashMismatch => ErrorKind::Unprocessable,
            _ => ErrorKind::Invalid,
        };
        Self(Box::new(Inner {
            kind,
            code: invalid.code().as_str(),
            detail: invalid.detail().to_owned(),
            path: Some(invalid.path().to_owned()).filter(|path| !path.is_empty()),
            digests: None,
            redaction: None,
            outcome: Outcome::NotApplied,
            source: None,
        }))
    }
}

/// The result of a store call.
pub type Result<T, E = Error> = std::result::Result<T, E>;
