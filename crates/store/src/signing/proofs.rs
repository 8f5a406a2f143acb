//! Proofs that carry a signature: of an entry, a step, a trace, a run; and what a witness asks for.

use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::view::{Run, SignedProof};
use tracekeep_evidence::{TlogProof, WitnessRequest};

use super::Signer;
use crate::block_on;
use crate::error::{Code, Error, Result};

impl Signer {
    /// The proof of one entry under the checkpoint at the head (c2sp.org/tlog-proof): what a receipt's log index becomes.
    ///
    /// # Errors
    /// As [`Signer::checkpoint`]; `entry_not_found`.
    pub fn tlog_proof(&self, log_index: u64, size: Option<u64>) -> Result<TlogProof> {
        let signed = size.map_or_else(|| self.checkpoint(), |size| self.checkpoint_at(size))?;
        let proof = block_on(self.ledger().inclusion(log_index, Some(signed.checkpoint.size)))?;
        Ok(TlogProof { extra: None, log_index, hashes: proof.hashes, checkpoint: signed.note })
    }

    /// An entry with its proof.
    ///
    /// # Errors
    /// As [`Signer::checkpoint`]; `entry_not_found`.
    pub fn prove(&self, log_index: u64) -> Result<SignedProof> {
        let signed = self.checkpoint()?;
        let size = signed.checkpoint.size;
        let proof = block_on(self.ledger().inclusion(log_index, Some(size)))?;
        let entry = block_on(self.ledger().entries(log_index, 1))?.pop();
        let entry = entry.ok_or_else(|| Error::new(Code::EntryNotFound, format!("no entry {log_index}")))?;
        Ok(SignedProof { entry, tree_size: size, hashes: proof.hashes, checkpoint: signed.note.to_string() })
    }

    /// A step with its proof.
    ///
    /// # Errors
    /// As [`Signer::prove`]; `run_not_found`, `step_not_found`.
    pub fn prove_step(&self, run_id: &RunId, index: u32) -> Result<SignedProof> {
        self.known(run_id)?;
        let none = || Error::new(Code::StepNotFound, format!("the run has no step {index}"));
        self.prove(block_on(self.ledger().step(run_id, index))?.ok_or_else(none)?.log_index)
    }

    /// A trace with its proof, as it was first recorded: its end is an entry of its own.
    ///
    /// # Errors
    /// As [`Signer::prove`]; `run_not_found`, `trace_not_found`.
    pub fn prove_trace(&self, run_id: &RunId, id: &TraceId) -> Result<SignedProof> {
        self.known(run_id)?;
        let none = || Error::new(Code::TraceNotFound, "the run has no such trace");
        self.prove(block_on(self.ledger().trace(run_id, id))?.ok_or_else(none)?.log_index)
    }

    /// A run's seal with its proof: `run_root` in its body is the root over the leaf hashes of the run's entries in front of
    /// it ([`LedgerStore::run_entries`](crate::LedgerStore::run_entries) gives them), so it vouches for all of them.
    ///
    /// # Errors
    /// As [`Signer::prove`]; `run_not_found`; `run_running` where no seal closes it.
    pub fn prove_run(&self, run_id: &RunId) -> Result<SignedProof> {
        let unsealed = || Error::new(Code::RunRunning, "no seal closes the run: complete it first");
        self.prove(self.known(run_id)?.sealed_log_index.ok_or_else(unsealed)?)
    }

    /// What a witness that has seen the log at `from` entries is sent (c2sp.org/tlog-witness, add-checkpoint).
    ///
    /// # Errors
    /// As [`Signer::checkpoint`]; `invalid_parameter` where the log never had that size.
    pub fn witness_request(&self, from: u64) -> Result<WitnessRequest> {
        let signed = self.checkpoint()?;
        let proof = block_on(self.ledger().consistency(from, Some(signed.checkpoint.size)))?;
        Ok(WitnessRequest { from, hashes: proof.hashes, checkpoint: signed.note })
    }

    fn known(&self, run_id: &RunId) -> Result<Run> {
        let none = || Error::new(Code::RunNotFound, format!("no run {run_id} is recorded"));
        block_on(self.ledger().run(run_id))?.ok_or_else(none)
    }
}
