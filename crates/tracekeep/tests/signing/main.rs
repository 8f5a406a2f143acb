//! The signer, with keys that fail at each step.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod failing;
mod killed;
mod process;
mod refused;
mod succession;

use std::sync::Arc;

use tracekeep::{Checkpoint, LedgerStore, NoteKey, SignedCheckpoint, Signer, StartRun, Tracekeep};

/// A checkpoint as an auditor opens it, with the key that the log declares.
fn opened(signer: &Signer, ledger: &Arc<dyn LedgerStore>, signed: &SignedCheckpoint) -> Checkpoint {
    let key: NoteKey = signer.declared().unwrap().unwrap().key.parse().unwrap();
    Checkpoint::open(signed.note.to_string().as_bytes(), &Checkpoint::origin_of(ledger.ledger()), &[key]).unwrap()
}

fn record(tracekeep: &Tracekeep) {
    tracekeep.runs().start_run(StartRun::default()).unwrap();
}
