//! The numbers under which words are stored. They can never change; docs/format/sqlite.md lists them.

use tracekeep_audit::Last;
use tracekeep_core::model::{AckStatus, AuditStatus, IncidentStatus, Kind, RunStatus, Severity, Source, TraceStatus};
use tracekeep_store::rows::FactKind;

/// A word that is stored as a number.
pub(crate) trait Numbered: Copy + PartialEq + 'static {
    /// Every word with its number.
    const NUMBERS: &'static [(Self, i64)];

    /// The number.
    fn number(self) -> i64 {
        let found = Self::NUMBERS.iter().find(|(word, _)| *word == self);
        found.expect("invariant: every word has a number").1
    }

    /// The word of a number.
    fn of(number: i64) -> Option<Self> {
        Self::NUMBERS.iter().find(|(_, known)| *known == number).map(|(word, _)| *word)
    }
}

macro_rules! numbered {
    ($name:ty { $($word:path = $number:literal),* $(,)? }) => {
        impl Numbered for $name {
            const NUMBERS: &'static [(Self, i64)] = &[$(($word, $number)),*];
        }

        // A word without a number does not compile.
        const _: fn($name) -> i64 = |word| match word { $($word => $number),* };
    };
}

// The gaps are the kinds of DESIGN §2 that are still to come, in its order.
numbered!(Kind {
    Kind::RunStarted = 1,
    Kind::RunDescribed = 2,
    Kind::Step = 3,
    Kind::Trace = 4,
    Kind::TraceEnded = 5,
    Kind::Key = 6,
    Kind::Expectation = 7,
    Kind::Ack = 8,
    Kind::Status = 9,
    Kind::Verdict = 10,
    Kind::Sealed = 11,
    Kind::Incident = 12,
    Kind::IncidentResolved = 13,
    Kind::Hold = 14,
    Kind::Baseline = 15,
    Kind::Redaction = 16,
    Kind::Export = 17,
    Kind::SigningKey = 18,
    Kind::HoldReleased = 20,
    Kind::AuditCleared = 19,
});

numbered!(Source { Source::Api = 0, Source::Otlp = 1, Source::Import = 2 });

numbered!(RunStatus {
    RunStatus::Running = 0,
    RunStatus::Completed = 1,
    RunStatus::Failed = 2,
    RunStatus::Aborted = 3,
});

numbered!(TraceStatus { TraceStatus::Ok = 0, TraceStatus::Error = 1, TraceStatus::Open = 2 });

numbered!(Severity { Severity::Low = 0, Severity::Medium = 1, Severity::High = 2, Severity::Critical = 3 });

numbered!(IncidentStatus { IncidentStatus::Open = 0, IncidentStatus::Resolved = 1 });

numbered!(FactKind { FactKind::Expectation = 0, FactKind::Ack = 1, FactKind::Status = 2 });

numbered!(AckStatus { AckStatus::Success = 0, AckStatus::Failed = 1, AckStatus::RolledBack = 2 });

numbered!(AuditStatus {
    AuditStatus::Pending = 0,
    AuditStatus::Acked = 1,
    AuditStatus::Failed = 2,
    AuditStatus::Missing = 3,
});

numbered!(Last { Last::Nothing = 0, Last::Failed = 1, Last::RolledBack = 2, Last::Missing = 3 });

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Numbered + std::fmt::Debug + PartialEq>(all: &[T]) {
        for word in all {
            assert_eq!(T::of(word.number()), Some(*word));
        }
        let mut numbers: Vec<_> = T::NUMBERS.iter().map(|(_, number)| number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len(), "each word has a number of its own");
        assert_eq!(T::of(-1), None);
    }

    #[test]
    fn every_word_is_read_back_from_its_own_number() {
        check(Kind::ALL);
        check(Source::ALL);
        check(RunStatus::ALL);
        check(TraceStatus::ALL);
        check(&[FactKind::Expectation, FactKind::Ack, FactKind::Status]);
        check(Severity::ALL);
        check(IncidentStatus::ALL);
        check(AckStatus::ALL);
        check(AuditStatus::ALL);
        check(Last::ALL);
    }
}
