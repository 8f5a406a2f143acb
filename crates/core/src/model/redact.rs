//! Withholding single members of what was recorded.

use crate::id::{RunId, TraceId};
use crate::model::Redacted;
use crate::wire::object;

object! {
    /// Withholds members of one step, or of one trace and its end: what they say goes, the rest stays readable and proven,
    /// and so does that they were there. A step or a trace is named, not both. It stands alone for its run in its batch.
    #[derive(Eq)]
    pub struct Redact {
        /// Names the run. Refused while it is held.
        required run_id: RunId,
        /// The step, by its index.
        optional step: u32,
        /// The trace.
        optional trace: TraceId,
        /// The members, 1 to 64, as they stand in the recorded body: `params`, `trace_type/arguments`.
        required members: Vec<String>,
        /// Why: 1 to 1,024 bytes. It outlives what is withheld.
        required reason: String,
        /// On whose word: 1 to 256 bytes.
        optional by: String,
        /// What rules took out of it at the door.
        door redacted: Redacted,
    }
}
