//! Exit codes: 0 done, 1 findings or not found, 2 usage, 3 could not answer.

use std::fmt;
use std::process::ExitCode;

use tracekeep_store::{Error, ErrorKind};

/// How a command ended, where it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It did what it was asked.
    Yes,
    /// It found something wrong, or nothing at all.
    Findings,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked wrongly.
    Usage(String),
    /// The ledger refused, or could not answer.
    Store(Error),
    /// Something around it failed.
    Other(String),
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Other(text) => f.write_str(text),
            Self::Store(error) => write!(f, "{error} ({}: see `tracekeep explain {}`)", error.code(), error.code()),
        }
    }
}

/// Says what went wrong on stderr and gives the process's code.
pub(crate) fn code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::Findings) => ExitCode::from(1),
        // A reader that went away has had enough.
        Err(Failure::Other(text)) if text.contains("Broken pipe") => ExitCode::SUCCESS,
        Err(failure) => {
            crate::print::talk(&format!("tracekeep: {failure}"));
            ExitCode::from(match &failure {
                Failure::Usage(_) => 2,
                Failure::Store(error) => match error.kind() {
                    ErrorKind::NotFound
                    | ErrorKind::Conflict
                    | ErrorKind::Invalid
                    | ErrorKind::TooLarge
                    | ErrorKind::Gone
                    | ErrorKind::Unprocessable => 1,
                    _ => 3,
                },
                Failure::Other(_) => 3,
            })
        }
    }
}
