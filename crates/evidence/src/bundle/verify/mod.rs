//! Verifying a bundle, from nothing but its bytes and the keys that the verifier brings.

mod explained;
mod fault;
mod held;
mod read;
mod report;

pub use explained::explained;
pub(crate) use fault::{Fault, foreign};
pub(crate) use read::LINE_LEVELS;
pub use report::{Aspect, Counts, Outcome, Reason, Remark, Report, RunCounts, Verdict, Withheld};
pub(crate) use report::{outcome_of, verdicts_json};

use crate::checkpoint::Checkpoint;
use crate::key::NoteKey;
use read::Shown;
use tracekeep_core::merkle;

/// What is asked of a bundle beyond itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// A checkpoint of the same log that the verifier has from before: the bundle's must extend it.
    pub old_checkpoint: Option<&'a [u8]>,
}

/// Verifies a bundle. Without keys nothing is trusted: what does not fail is then unconfirmed.
///
/// Takes time in proportion to the bytes, and memory for what is deflated and the places of the records, where there are
/// controls or a debrief for the records, too; whatever the bytes are, it neither panics nor reads more than 1 GiB of
/// members.
#[must_use]
pub fn verify(bytes: &[u8], keys: &[NoteKey], options: &Options<'_>) -> Report {
    let mut report = Report::blank();
    match read::read(bytes, keys, &mut report.claims) {
        Ok(shown) => {
            report.shown = Some(shown.counts());
            report.conclude(Aspect::Integrity, extends(&shown, keys, options).map(|()| Vec::new()));
            report.conclude(Aspect::Identity, held::identity(&shown, !keys.is_empty()));
            report.conclude(Aspect::Time, held::time(&shown));
            report.conclude(Aspect::Completeness, held::completeness(&shown));
            report.conclude(Aspect::Redaction, held::redaction(&shown));
        }
        Err(Fault { aspects, reason, place }) => {
            aspects.iter().for_each(|aspect| report.conclude(*aspect, Err(reason)));
            report.verdicts[Aspect::Integrity as usize].place = place;
        }
    }
    if keys.is_empty() {
        without_key(&mut report.verdicts);
    }
    report
}

/// Without a key nothing passes.
pub(crate) fn without_key(verdicts: &mut [Verdict]) {
    let passed = verdicts.iter_mut().filter(|verdict| verdict.outcome == Outcome::Pass);
    passed.for_each(|verdict| *verdict = Verdict::concluded(verdict.aspect, Err(Reason::NoKey)));
}

/// Whether the log extends the checkpoint that the verifier has from before.
fn extends(shown: &Shown<'_>, keys: &[NoteKey], options: &Options<'_>) -> Result<(), Reason> {
    let Some(old) = options.old_checkpoint else { return Ok(()) };
    let now = &shown.checkpoint;
    let old = earlier(old, now, keys)?;
    match merkle::earlier_root(&shown.leaves(), now.size, &shown.nodes, old.size) {
        Some(root) if root == old.root => Ok(()),
        Some(_) => Err(Reason::WrongConsistency),
        None => Err(Reason::NoConsistencyProof),
    }
}

/// The checkpoint that the verifier has from before, where it is one that the log can extend.
pub(crate) fn earlier(old: &[u8], now: &Checkpoint, keys: &[NoteKey]) -> Result<Checkpoint, Reason> {
    let own = NoteKey::of_log(keys, &now.origin);
    match Checkpoint::open(old, &now.origin, &own) {
        Ok(old) if old.size > now.size => Err(Reason::OlderThanKnown),
        Ok(old) if old.size > 0 => Ok(old),
        _ => Err(Reason::UnknownOldCheckpoint),
    }
}
