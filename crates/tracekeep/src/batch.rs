//! Several ops on one run, all or nothing.

use std::sync::Arc;

use tracekeep_core::id::{Key, RunId, TraceId};
use tracekeep_core::json::Json;
use tracekeep_core::model::{CompleteRun, EndTrace, JsonObject, Op, RecordStep, RecordTrace, TraceType};
use tracekeep_store::{Batch, LedgerStore, Receipt, Result, Source};

use crate::open::{commit, no_answer};

/// Ops on one run that are committed together or not at all. Ids are known before the commit.
#[derive(Clone, Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct BatchBuilder {
    ledger: Arc<dyn LedgerStore>,
    run_id: RunId,
    batch: Batch,
}

impl BatchBuilder {
    pub(crate) fn new(ledger: Arc<dyn LedgerStore>, run_id: RunId) -> Self {
        Self { ledger, run_id, batch: Batch::default() }
    }

    /// The run.
    #[must_use]
    pub const fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// Names the write, so that sending it again is answered as before.
    pub fn under(mut self, key: Key) -> Self {
        self.batch.key = Some(key);
        self
    }

    /// Adds any op.
    pub fn op(&mut self, op: Op) -> &mut Self {
        self.batch.ops.push(op);
        self
    }

    /// Adds a step; its run is this batch's.
    pub fn step(&mut self, mut step: RecordStep) -> &mut Self {
        step.run_id = self.run_id.clone();
        self.op(Op::RecordStep(step))
    }

    /// Adds a trace and gives its id.
    pub fn trace(&mut self, mut trace: RecordTrace) -> TraceId {
        trace.run_id = self.run_id.clone();
        let id = trace.id.get_or_insert_with(|| Source::default().trace_id()).clone();
        self.op(Op::RecordTrace(trace));
        id
    }

    /// Adds the end of a trace.
    pub fn end(&mut self, mut end: EndTrace) -> &mut Self {
        end.run_id = self.run_id.clone();
        self.op(Op::EndTrace(end))
    }

    /// Adds the run's completion.
    pub fn complete(&mut self, mut end: CompleteRun) -> &mut Self {
        end.run_id = self.run_id.clone();
        self.op(Op::CompleteRun(end))
    }

    /// Commits on the calling thread; durable when it returns.
    ///
    /// # Errors
    /// Why the batch was refused whole, with the op's path; or what the storage failed with.
    pub fn commit(self) -> Result<Receipt> {
        commit(&self.ledger, self.batch)
    }

    /// Commits without blocking the calling thread; durable when the future is done. Needs no particular runtime.
    ///
    /// # Errors
    /// As [`BatchBuilder::commit`]; `busy` where the ledger's queue is full.
    pub async fn commit_async(self) -> Result<Receipt> {
        self.ledger.commit(vec![self.batch]).await.pop().unwrap_or_else(|| Err(no_answer()))
    }
}

/// Records Custom traces by name in a transaction that holds other things as well.
pub trait TraceStoreExt {
    /// Adds a root trace named `type_name` and gives its id.
    ///
    /// # Errors
    /// Where `metadata` is not an object.
    fn trace_record(&mut self, type_name: &str, metadata: Json) -> Result<TraceId>;

    /// Adds a trace named `type_name` under `parent`, which may be of the same batch, and gives its id.
    ///
    /// # Errors
    /// Where `metadata` is not an object.
    fn trace_record_child(&mut self, parent: &TraceId, type_name: &str, metadata: Json) -> Result<TraceId>;
}

impl TraceStoreExt for BatchBuilder {
    fn trace_record(&mut self, type_name: &str, metadata: Json) -> Result<TraceId> {
        let trace = custom(self.run_id.clone(), type_name, metadata)?;
        Ok(self.trace(trace))
    }

    fn trace_record_child(&mut self, parent: &TraceId, type_name: &str, metadata: Json) -> Result<TraceId> {
        let mut trace = custom(self.run_id.clone(), type_name, metadata)?;
        trace.parent_id = Some(parent.clone());
        Ok(self.trace(trace))
    }
}

fn custom(run_id: RunId, type_name: &str, metadata: Json) -> Result<RecordTrace> {
    let trace_type = TraceType::Custom { name: type_name.to_owned(), data: Json::null() };
    let metadata = JsonObject::new(metadata)?;
    Ok(RecordTrace { metadata, ..RecordTrace::new(run_id, trace_type) })
}
