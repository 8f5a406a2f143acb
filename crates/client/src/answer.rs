//! What a server answers: values, pages, problems.

use tracekeep_core::Invalid;
use tracekeep_core::hash::Hash;
use tracekeep_core::json::{self, Object, Value};
use tracekeep_core::view::{LogEntry, LogEvent};
use tracekeep_core::wire::{Field, Fields, Path, read_whole, take_optional, take_required};
use tracekeep_store::{Code, Digests, Error, ErrorKind, Outcome, Page, Result};

/// Levels that a page or a view puts around what was recorded.
const LEVELS_AROUND: u32 = 8;

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// An answer that this client cannot read.
fn strange(detail: impl Into<String>) -> Error {
    Error::new(Code::Unreachable, detail)
}

impl Answer {
    fn value(&self) -> Result<Value<'_>> {
        json::parse_around(&self.body, LEVELS_AROUND)
            .map_err(|error| strange(format!("the server answered no JSON: {error}")))
    }

    /// The one value that the answer is.
    pub(crate) fn read<T: Field>(&self) -> Result<T> {
        T::read(self.value()?, &Path::ROOT).map_err(unreadable)
    }

    /// The object of known members that the answer is.
    pub(crate) fn whole<T: Fields>(&self) -> Result<T> {
        read_whole(self.value()?, &Path::ROOT).map_err(unreadable)
    }

    /// One member of the object that the answer is.
    pub(crate) fn member<T: Field>(&self, name: &str) -> Result<T> {
        let mut object = self.object()?;
        take_required(&mut object, name, &Path::ROOT).map_err(unreadable)
    }

    /// One member of the object that the answer is, if it is there.
    pub(crate) fn optional<T: Field>(&self, name: &str) -> Result<Option<T>> {
        let mut object = self.object()?;
        take_optional(&mut object, name, &Path::ROOT).map_err(unreadable)
    }

    /// The answer where it is 200; else the problem that it states.
    pub(crate) fn accepted(self) -> Result<Self> {
        if self.status == 200 { Ok(self) } else { Err(self.problem()) }
    }

    pub(crate) fn page<T: Field>(&self) -> Result<Page<T>> {
        self.list("items")
    }

    /// A page whose list is named `member`.
    pub(crate) fn list<T: Field>(&self, member: &str) -> Result<Page<T>> {
        let mut object = self.object()?;
        let items = take_required(&mut object, member, &Path::ROOT).map_err(unreadable)?;
        let next_cursor = take_optional(&mut object, "next_cursor", &Path::ROOT).map_err(unreadable)?;
        let complete = take_optional(&mut object, "complete", &Path::ROOT).map_err(unreadable)?;
        Ok(Page { items, next_cursor, complete: complete.unwrap_or(true) })
    }

    fn object(&self) -> Result<Object<'_>> {
        match self.value()? {
            Value::Object(object) => Ok(object),
            _ => Err(strange("the server answered no object")),
        }
    }

    /// The error that a problem states.
    pub(crate) fn problem(&self) -> Error {
        self.read_problem().unwrap_or_else(|_| {
            let error = strange(format!("the server answered with status {} and no problem", self.status));
            if self.status >= 500 { unknown(error) } else { error }
        })
    }

    fn read_problem(&self) -> Result<Error> {
        let mut object = self.object()?;
        let code: String = take_required(&mut object, "code", &Path::ROOT)?;
        let detail: String = take_required(&mut object, "detail", &Path::ROOT)?;
        let path: Option<String> = take_optional(&mut object, "path", &Path::ROOT)?;
        let outcome: Option<String> = take_optional(&mut object, "outcome", &Path::ROOT)?;
        let outcome = match outcome.as_deref() {
            Some("not_applied") => Outcome::NotApplied,
            Some("unknown") => Outcome::Unknown,
            // A server that failed and does not say may have written.
            _ if self.status >= 500 => Outcome::Unknown,
            _ => Outcome::NotApplied,
        };
        let error = Error::from_wire(self.kind(&code), &code, detail, path, outcome);
        let error = match take_optional(&mut object, "redaction", &Path::ROOT)? {
            Some(redaction) => error.with_redaction(redaction),
            None => error,
        };
        match object.take("digests") {
            Some(Value::Object(mut digests)) => {
                let recorded: Hash = take_required(&mut digests, "recorded", &Path::ROOT)?;
                let sent: Hash = take_required(&mut digests, "sent", &Path::ROOT)?;
                Ok(error.with_digests(Digests { recorded, sent }))
            }
            _ => Ok(error),
        }
    }

    fn kind(&self, code: &str) -> ErrorKind {
        match (self.status, code) {
            (404, _) => ErrorKind::NotFound,
            (409, _) => ErrorKind::Conflict,
            (410, _) => ErrorKind::Gone,
            (413, _) => ErrorKind::TooLarge,
            (422, _) => ErrorKind::Unprocessable,
            (408 | 429, _) | (503, "busy" | "closed" | "gate_full") => ErrorKind::Busy,
            (503, "commit_unknown") => ErrorKind::Unknown,
            (500.., _) => ErrorKind::Storage,
            // With them 403, 405 and 415: the same again is refused again.
            _ => ErrorKind::Invalid,
        }
    }
}

/// What the leaf of an entry says of it.
pub(crate) fn event(entry: &LogEntry) -> Result<LogEvent> {
    let Value::Object(mut leaf) = entry.leaf.json().value() else {
        return Err(strange("the server answered a leaf that is no object"));
    };
    let mut read = || -> std::result::Result<LogEvent, Invalid> {
        Ok(LogEvent {
            log_index: entry.log_index,
            run: take_required(&mut leaf, "run", &Path::ROOT)?,
            seq: take_required(&mut leaf, "seq", &Path::ROOT)?,
            kind: take_required(&mut leaf, "kind", &Path::ROOT)?,
            recorded_at: take_required(&mut leaf, "recorded_at", &Path::ROOT)?,
        })
    };
    read().map_err(unreadable)
}

fn unreadable(error: Invalid) -> Error {
    strange(format!("the server answered something else: {error}"))
}

/// A write whose answer did not come.
pub(crate) fn unknown(error: Error) -> Error {
    Error::new(Code::CommitUnknown, format!("no answer came, so the write may have happened: {}", error.detail()))
}
