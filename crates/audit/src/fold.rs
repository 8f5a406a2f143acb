//! What was said of one action, taken one word at a time.

use tracekeep_core::model::{AckStatus, AuditStatus};
use tracekeep_core::wire::words;

use crate::fact::Said;

words! {
    /// Why an action that is not done is not.
    pub enum Last {
        /// Nothing was said, or not often enough.
        Nothing = "nothing",
        /// The last attempt failed.
        Failed = "failed",
        /// It was undone.
        RolledBack = "rolled_back",
        /// Somebody said by hand that it is missing.
        Missing = "missing",
    }
}

/// Where one action stands. Where it is expected once, the last attempt counts; where it is expected n times, each success
/// counts once, a rollback takes the latest one back, and a failure takes nothing. A status set by hand stands for all that
/// was said before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionFold {
    /// Times that it is expected, of all its expectations together.
    pub wanted: u64,
    /// Successes that count, at most as many.
    pub successes: u64,
    /// Why it is not done, where it is not.
    pub last: Last,
    /// Whether any part of the system acknowledged it, however it went.
    pub is_acknowledged: bool,
}

impl ActionFold {
    /// An action that is expected so many times, and of which nothing was said.
    #[must_use]
    pub const fn expecting(wanted: u64) -> Self {
        Self { wanted, successes: 0, last: Last::Nothing, is_acknowledged: false }
    }

    /// Takes the next word. `false` where it was done already as often as it is expected: the word is a duplicate, or, of an
    /// action that nobody expects, drift.
    pub fn say(&mut self, said: &Said) -> bool {
        match said {
            Said::Ack { status, .. } => {
                self.is_acknowledged = true;
                match status {
                    AckStatus::Success if self.successes >= self.wanted => return false,
                    AckStatus::Success => {
                        self.successes += 1;
                        self.last = Last::Nothing;
                    }
                    AckStatus::Failed => {
                        if self.wanted == 1 {
                            self.successes = 0;
                        }
                        self.last = Last::Failed;
                    }
                    AckStatus::RolledBack => {
                        self.successes = self.successes.saturating_sub(1);
                        self.last = Last::RolledBack;
                    }
                }
            }
            Said::ByHand(status) => {
                (self.successes, self.last) = match status {
                    AuditStatus::Acked => (self.wanted, Last::Nothing),
                    AuditStatus::Failed => (0, Last::Failed),
                    AuditStatus::Missing => (0, Last::Missing),
                    AuditStatus::Pending => (0, Last::Nothing),
                };
            }
        }
        true
    }

    /// Whether it was done as often as it is expected.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.successes >= self.wanted
    }
}
