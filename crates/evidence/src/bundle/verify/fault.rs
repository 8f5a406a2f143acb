//! Why what follows is not looked at, and the verdicts that it is of.

use super::{Aspect, Reason};

/// What fails, and by what.
pub(crate) struct Fault {
    pub(crate) aspects: &'static [Aspect],
    pub(crate) reason: Reason,
    /// The member that it is found in, and of records the line.
    pub(crate) place: Option<String>,
}

impl Fault {
    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..self }
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self { aspects: &[Aspect::Integrity], reason, place: None }
    }
}

/// What nobody has vouched for, or is of another ledger, is neither whole nor anybody's.
pub(crate) const fn foreign(reason: Reason) -> Fault {
    Fault { aspects: &[Aspect::Integrity, Aspect::Identity], reason, place: None }
}
