//! Facts of an audit that were held in front of the ledger before they became entries.

use super::Op;
use crate::invalid::{Invalid, InvalidCode};
use crate::time::Timestamp;
use crate::wire::Path;

impl Op {
    /// When the hot path in front of the ledger received it; `None` of what came to the ledger itself.
    #[must_use]
    pub const fn received_at(&self) -> Option<Timestamp> {
        match self {
            Self::Expect(op) => op.received_at,
            Self::Ack(op) => op.received_at,
            Self::SetExpectationStatus(op) => op.received_at,
            Self::ClearAudit(op) => op.received_at,
            _ => None,
        }
    }

    /// Whether it was moved in from the hot path in front of the ledger.
    #[must_use]
    pub const fn is_moved(&self) -> bool {
        self.received_at().is_some()
    }

    /// States when the hot path received it: for whoever moves it into the ledger. Other ops have no such member.
    #[must_use]
    pub const fn received(mut self, at: Timestamp) -> Self {
        match &mut self {
            Self::Expect(op) => op.received_at = Some(at),
            Self::Ack(op) => op.received_at = Some(at),
            Self::SetExpectationStatus(op) => op.received_at = Some(at),
            Self::ClearAudit(op) => op.received_at = Some(at),
            _ => {}
        }
        self
    }

    /// The op as it comes in at a door, where nobody may say when it was received.
    ///
    /// # Errors
    /// `unknown_member` where it says so.
    pub fn unreceived(self) -> Result<Self, Invalid> {
        if self.received_at().is_none() {
            return Ok(self);
        }
        Err(Path::ROOT
            .name("received_at")
            .refuse(InvalidCode::UnknownMember, "is not a member here: the mover says it"))
    }
}
