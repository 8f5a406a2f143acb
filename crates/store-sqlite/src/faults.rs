//! Faults that tests ask for, where the real ones cannot be had without a disk that fails on command.

use std::sync::{Mutex, PoisonError};

/// What happens instead of the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The storage fails before COMMIT: nothing is applied.
    BeforeCommit,
    /// COMMIT reports a failure, and did nothing.
    CommitLost,
    /// COMMIT reports a failure, and was done.
    CommitDone,
    /// The writer panics before COMMIT.
    Panic,
}

/// The next fault, if a test asked for one.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Option<Fault>>);

impl Faults {
    pub(crate) fn set(&self, fault: Fault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    pub(crate) fn take(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
