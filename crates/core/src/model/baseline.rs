//! Naming a run that others are held to.

use crate::id::{BaselineName, RunId};
use crate::model::Redacted;
use crate::wire::object;

object! {
    /// Makes a sealed run the baseline of a name. A later fact takes its place; the same again is a duplicate.
    pub struct SetBaseline {
        /// The name.
        required name: BaselineName,
        /// The run.
        required run_id: RunId,
        /// Why: 1 to 1,024 bytes.
        optional reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}
