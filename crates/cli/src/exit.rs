//! Exit codes: 0 done, 1 findings or not found, 2 usage, 3 could not answer.

use std::fmt;
use std::process::ExitCode;

use tracekeep_core::json::Json;
use tracekeep_core::wire::to_json;
use tracekeep_store::{Code, Error, ErrorKind};

/// How a command ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It did what it was asked.
    Yes,
    /// It found something wrong, or nothing at all.
    Findings,
    /// It could not tell.
    Unverifiable,
    /// What it was given is not what it works on.
    Unreadable,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked wrongly.
    Usage(String),
    /// The ledger refused, or could not answer.
    Store(Error),
    /// The same, at a place outside of what the error's own path names: a line, a file.
    At(String, Error),
    /// The ledger knows nothing of what two sides were to be compared by.
    Unverifiable(Error),
    /// Something around it failed.
    Other(String),
    /// Whoever reads stdout went away.
    Unread,
}

impl Failure {
    /// A store's error at a place: a line, a file.
    pub(crate) fn at(place: impl fmt::Display) -> impl FnOnce(Error) -> Self {
        move |error| Self::At(place.to_string(), error)
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Store(error) | Self::At(_, error) | Self::Unverifiable(error) => error.code(),
            Self::Other(_) | Self::Unread => "failed",
        }
    }

    /// One line: {code, detail, place?, path?}.
    fn json(&self) -> Option<Json> {
        let mut members = vec![("code", Json::from(self.code()))];
        let error = match self {
            Self::Usage(text) | Self::Other(text) => {
                members.push(("detail", Json::from(text.as_str())));
                None
            }
            Self::Unread => None,
            Self::Store(error) | Self::Unverifiable(error) => Some(error),
            Self::At(place, error) => {
                members.push(("place", Json::from(place.as_str())));
                Some(error)
            }
        };
        if let Some(error) = error {
            members.push(("detail", Json::from(error.detail())));
            members.extend(error.path().map(|path| ("path", Json::from(path))));
            members.extend(error.redaction().map(|redaction| ("redaction", to_json(redaction))));
        }
        Json::object(members).ok()
    }

    fn exit(&self) -> u8 {
        let error = match self {
            Self::Usage(_) => return 2,
            Self::Other(_) | Self::Unverifiable(_) | Self::Unread => return 3,
            Self::Store(error) | Self::At(_, error) => error,
        };
        let usage = [Code::InvalidParameter, Code::InvalidCursor, Code::AmbiguousTarget];
        if usage.iter().any(|code| code.as_str() == error.code()) {
            return 2;
        }
        match error.kind() {
            // The server's own refusals concern how it was asked, not what: it gave no answer.
            _ if tracekeep_server::CODES.contains(&error.code()) || error.code() == Code::Unreachable.as_str() => 3,
            ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::Gone
            | ErrorKind::Unprocessable => 1,
            _ => 3,
        }
    }
}

pub(crate) type Outcome = Result<Done, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<tracekeep_core::Invalid> for Failure {
    fn from(error: tracekeep_core::Invalid) -> Self {
        Self::Store(error.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Why what was asked for is gone.
fn why(error: &Error) -> String {
    let Some(redaction) = error.redaction() else { return String::new() };
    let by = redaction.by.as_ref().map(|by| format!(" (by {by})")).unwrap_or_default();
    format!(": {}{by}", redaction.reason)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Other(text) => f.write_str(text),
            Self::Store(error) | Self::Unverifiable(error) => {
                write!(f, "{error}{} ({}: see `tracekeep explain {}`)", why(error), error.code(), error.code())
            }
            Self::At(place, error) => {
                write!(f, "{place}: {error} ({}: see `tracekeep explain {}`)", error.code(), error.code())
            }
            Self::Unread => f.write_str("nobody reads what is written"),
        }
    }
}

/// Says what went wrong on stderr and gives the process's code.
pub(crate) fn code(outcome: Outcome, json: bool) -> ExitCode {
    match outcome {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::Findings) => ExitCode::from(1),
        Ok(Done::Unreadable) => ExitCode::from(2),
        Ok(Done::Unverifiable) => ExitCode::from(3),
        // A reader that went away has had enough. What writes has written by then, or goes on without it.
        Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure, json);
            ExitCode::from(failure.exit())
        }
    }
}

/// A failure on stderr. Its text may be foreign: names and paths of what was sent, a server's words.
pub(crate) fn say(failure: &Failure, json: bool) {
    match failure.json().filter(|_| json) {
        Some(json) => crate::print::talk(json.as_str()),
        None => {
            let text = format!("tracekeep: {failure}");
            let lines: Vec<_> = match failure {
                // What is wrong with the configuration is shown on lines of its own.
                Failure::Usage(_) => text.lines().map(crate::print::plain).collect(),
                _ => vec![crate::print::plain(&text)],
            };
            crate::print::talk(&lines.join("\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    /// The store knows the server's codes by name only, so that it can give back what came over a wire.
    #[test]
    fn the_servers_codes_are_those_that_the_store_knows() {
        assert_eq!(tracekeep_server::CODES, tracekeep_store::SERVER_CODES);
    }
}
