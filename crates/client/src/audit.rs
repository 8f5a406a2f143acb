//! The audit contract over HTTP, by its own routes: the server says where facts go first.

use std::sync::Arc;

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{BATCH_OPS_MAX, REQUEST_BYTES_MAX};
use tracekeep_core::model::{Ack, AuditStatus, Expect, Op, SetExpectationStatus};
use tracekeep_core::{Invalid, InvalidCode};
use tracekeep_store::{
    AuditStore, Code, Error, LedgerStore, Noted, NotedFact, Page, PageRequest, ParkedFact, Receipt, Result,
    StoreDurabilityMode,
};

use crate::answer::Answer;
use crate::ledger::{HttpLedger, run_path, without};

/// What a server keeps of audits: in front of its ledger, where that server has a Redis there, else in the ledger.
///
/// As a ledger of its own ([`LedgerAudit`](tracekeep_store::LedgerAudit)) a [`HttpLedger`] puts facts into the log itself;
/// here they take the hot path. Facts that are held come back without a `log_index`. What Redis holds of a run, the server
/// moves before each look.
#[derive(Clone, Debug)]
pub struct HttpAudit {
    ledger: Arc<HttpLedger>,
    mode: StoreDurabilityMode,
}

impl HttpAudit {
    /// Over a server, of which the caller knows what its facts survive.
    #[must_use]
    pub fn new(ledger: Arc<HttpLedger>, mode: StoreDurabilityMode) -> Self {
        Self { ledger, mode }
    }

    /// Sends what a route takes, and gives its answer where it is no refusal.
    fn write(&self, run_id: &RunId, rest: &str, body: &[u8]) -> Result<Answer> {
        if body.len() > REQUEST_BYTES_MAX as usize {
            let detail = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            return Err(Invalid::new(InvalidCode::TooLarge, "", detail).into());
        }
        written(self.ledger.post(&run_path(run_id, rest), body)?)
    }
}

fn written(answer: Answer) -> Result<Answer> {
    if matches!(answer.status, 200 | 201) { Ok(answer) } else { Err(answer.problem()) }
}

/// The write happened, but what became of it is not known: the same again says so as a duplicate.
fn unreadable(error: Error) -> Error {
    Error::new(Code::CommitUnknown, format!("what became of it cannot be read: {}", error.detail()))
}

/// An op as its route takes it: without what the path says.
fn form(mut op: Op, out: &mut Vec<u8>) -> Result<()> {
    op.check()?;
    without(&["op", "run_id"], &op.body(), out);
    Ok(())
}

/// A refusal as that of a batch: its path begins with the op's place there.
fn of_a_batch(error: Error) -> Error {
    match error.path() {
        Some(path) if path.starts_with("/expectations/") => error.strip("/expectations").under("/ops"),
        _ => error,
    }
}

/// What became of one fact.
fn one(answer: &Answer) -> Result<Noted> {
    let fact = || {
        let (outcome, id) = (answer.member("outcome")?, answer.optional("id")?);
        Ok(Noted::of(vec![NotedFact { outcome, id, log_index: answer.optional("log_index")? }]))
    };
    fact().map_err(unreadable)
}

#[async_trait]
impl AuditStore for HttpAudit {
    fn durability_mode(&self) -> StoreDurabilityMode {
        self.mode
    }

    async fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted> {
        let count = expectations.len();
        let run_id = expectations.first().map(|first| first.run_id.clone());
        let Some(run_id) = run_id.filter(|_| count <= BATCH_OPS_MAX as usize) else {
            return Err(Error::new(Code::InvalidBatch, format!("expectations are 1 to {BATCH_OPS_MAX}")));
        };
        let mut body = b"{\"expectations\":[".to_vec();
        for (place, mut expect) in expectations.into_iter().enumerate() {
            if expect.run_id != run_id {
                return Err(Error::new(Code::InvalidBatch, "expectations that are declared at once are of one run"));
            }
            expect.id.get_or_insert_with(|| self.ledger.source().expectation_id());
            if place > 0 {
                body.push(b',');
            }
            form(Op::Expect(expect), &mut body).map_err(|error| error.under(&format!("/ops/{place}")))?;
        }
        body.extend_from_slice(b"]}");
        let answer = self.write(&run_id, "/expectations", &body).map_err(of_a_batch)?;
        match answer.whole::<Noted>() {
            Ok(held) => Ok(held),
            Err(_) => answer.whole::<Receipt>().map(Noted::from).map_err(unreadable),
        }
    }

    async fn get_expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.ledger.expectations(run_id, page).await
    }

    async fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        action: &str,
        status: AuditStatus,
    ) -> Result<bool> {
        let op = Op::SetExpectationStatus(SetExpectationStatus::new(run_id.clone(), domain, action, status));
        let mut body = Vec::new();
        form(op, &mut body)?;
        match self.write(run_id, "/expectations/status", &body) {
            Ok(_) => Ok(true),
            Err(none) if none.code() == Code::ExpectationNotFound.as_str() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn add_ack(&self, mut ack: Ack) -> Result<Noted> {
        ack.id.get_or_insert_with(|| self.ledger.source().ack_id());
        let (run_id, mut body) = (ack.run_id.clone(), Vec::new());
        let placed = |error: Error| if error.path().is_some() { error.under("/ops/0") } else { error };
        form(Op::Ack(ack), &mut body).map_err(placed)?;
        one(&self.write(&run_id, "/acks", &body).map_err(placed)?)
    }

    async fn get_acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.ledger.acks(run_id, page).await
    }

    async fn clear_run(&self, run_id: &RunId) -> Result<Noted> {
        one(&written(self.ledger.remove(&run_path(run_id, "/audit"))?)?)
    }

    async fn get_pending_run_ids(&self, page: &PageRequest) -> Result<Page<RunId>> {
        let page = self.ledger.pending_runs(page).await?;
        Ok(Page::of(page.items.into_iter().map(|run| run.run_id).collect(), page.next_cursor))
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        self.ledger.due_runs(before, limit).await
    }

    async fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict> {
        self.write(run_id, "/reconcile", b"{}")?.whole().map_err(unreadable)
    }

    async fn summary(&self, run_id: &RunId) -> Result<AuditSummary> {
        self.ledger.audit(run_id).await
    }

    /// The server moves before each look, and does not say whether there was any: `false`.
    async fn load_from_redis(&self, run_id: &RunId) -> Result<bool> {
        self.ledger.audit(run_id).await.map(|_| false)
    }

    async fn get_parked(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<ParkedFact>> {
        self.ledger.parked(run_id, page)
    }
}
