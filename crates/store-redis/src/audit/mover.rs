//! Audits that are held in Redis until they are entries of a ledger.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::hash::sha256;
use tracekeep_core::id::{AckId, ExpectationId, Key, RunId};
use tracekeep_core::limits::PAGE_ITEMS_MAX;
use tracekeep_core::model::{Ack, AuditStatus, Expect, Op};
use tracekeep_store::{
    AuditStore, Batch, Code, Error, ErrorKind, HeldListener, HeldWord, LedgerAudit, LedgerStore, Noted, Page,
    PageRequest, ParkedFact, Receipt, Result, Source, StoreDurabilityMode,
};

use super::answer::strange;
use super::facts::{Fact, Facts};
use super::store::{Forgotten, RedisAuditStore};

/// Facts that are moved in one transaction: what writers wait for.
const AT_ONCE: u32 = 250;

/// Times that what is said while a run is cleared is moved before its copies are left to their ttl.
const CLEARINGS: u32 = 8;
/// How long one call moves what is held of many runs; what is left is for the next one.
const LOOK_FOR: Duration = Duration::from_secs(2);
/// How far two clocks are apart, in nanoseconds, before times are told by the ledger's.
const NEAR_NS: i64 = 1_000_000_000;

/// Audits that are written to Redis and read from a ledger: what Redis holds of a run is moved before the run is looked at,
/// before a verdict is asked for, and when it is due.
///
/// A fact becomes an entry that states when Redis received it, and leaves Redis after that entry is durable. Where the mover
/// ends in between, the next one finds it recorded: a duplicate by its id, or, of a status, by the key of its batch. A fact
/// under an id that the ledger holds other content under is recorded under an id made of its own and of its place. One
/// that the ledger refuses for good, as it does beyond its limits, is set aside in Redis, where it stays for its ttl.
#[derive(Clone, Debug)]
pub struct MovingAudit {
    hot: Arc<RedisAuditStore>,
    ledger: Arc<dyn LedgerStore>,
    cold: LedgerAudit,
    clock: Source,
    listener: Arc<OnceLock<HeldListener>>,
}

/// What is held of a run.
struct Held {
    /// Each received by the ledger's clock.
    facts: Vec<Fact>,
    /// When the last of them was received, by Redis' clock.
    last: Option<Timestamp>,
    /// The time now, by Redis' clock.
    now: Timestamp,
}

/// What became of a batch of facts.
enum Moved {
    Done,
    /// The run was erased.
    Erased,
}

impl MovingAudit {
    /// Moves what `hot` holds into `ledger`.
    #[must_use]
    pub fn new(hot: Arc<RedisAuditStore>, ledger: Arc<dyn LedgerStore>) -> Self {
        let cold = LedgerAudit::new(Arc::clone(&ledger), StoreDurabilityMode::Redis);
        Self { hot, ledger, cold, clock: Source::default(), listener: Arc::default() }
    }

    /// The same, by a clock other than the machine's: the ledger's.
    #[must_use]
    pub fn by(mut self, clock: Source) -> Self {
        self.clock = clock;
        self
    }

    /// The first of what is held of a run.
    async fn facts(&self, run_id: &RunId, limit: u32) -> Result<Held> {
        let before = self.clock.now();
        let Facts { facts, now } = self.hot.facts(run_id, limit).await?;
        let after = self.clock.now();
        // What the call itself took, and what clocks that are kept together differ by, is no other time.
        let is_near = now >= before.saturating_add(-NEAR_NS) && now <= after.saturating_add(NEAR_NS);
        let ahead = if is_near { 0 } else { now.as_nanos().saturating_sub(after.as_nanos()) };
        let last = facts.last().map(|fact| fact.at);
        let by_ledger = |fact: Fact| Fact { at: fact.at.saturating_add(0_i64.saturating_sub(ahead)), ..fact };
        Ok(Held { facts: facts.into_iter().map(by_ledger).collect(), last, now })
    }

    /// Commits facts, in order, each stating when it was received. What has no id stands in a batch of its own, under a key.
    async fn commit(&self, run_id: &RunId, facts: &[Fact]) -> Result<Moved> {
        let has_id = |fact: &Fact| matches!(fact.op, Op::Expect(_) | Op::Ack(_));
        let groups: Vec<_> = facts.chunk_by(|a, b| has_id(a) && has_id(b)).collect();
        let batches = groups.iter().map(|group| batch(group)).collect::<Result<Vec<_>>>()?;
        let answers = self.ledger.commit(batches).await;
        for (group, answer) in groups.into_iter().zip(answers) {
            let error = match answer {
                Ok(receipt) => {
                    self.moved(&receipt);
                    continue;
                }
                Err(error) => error,
            };
            match error.code() {
                "erased" | "run_erased" => return Ok(Moved::Erased),
                _ if is_of_a_fact(&error) => self.one_by_one(run_id, group).await?,
                _ => return Err(error),
            }
        }
        Ok(Moved::Done)
    }

    /// One after another: what the ledger refuses for good keeps nothing else from being moved.
    async fn one_by_one(&self, run_id: &RunId, facts: &[Fact]) -> Result<()> {
        for fact in facts {
            let mut answer = self.single(batch(std::slice::from_ref(fact))?).await;
            if answer.as_ref().is_err_and(|error| error.code() == Code::Conflict.as_str()) {
                answer = self.single(batch(&[renamed(fact.clone())?])?).await;
            }
            let Err(error) = answer else { continue };
            if !is_of_a_fact(&error) {
                return Err(error);
            }
            if self.hot.park(run_id, &fact.member, error.code()).await? {
                self.tell(&HeldWord::Parked { run_id, member: &fact.member, code: error.code() });
            }
        }
        Ok(())
    }

    async fn single(&self, batch: Batch) -> Result<()> {
        let none = || Err(Error::new(Code::StorageFailed, "the ledger gave no answer for a batch"));
        let receipt = self.ledger.commit(vec![batch]).await.pop().unwrap_or_else(none)?;
        self.moved(&receipt);
        Ok(())
    }

    fn moved(&self, receipt: &Receipt) {
        self.tell(&HeldWord::Moved { ops: &receipt.ops, tree_size: receipt.tree_size });
    }
}

/// Whether an error is about what was sent: it would be the same the next time.
fn is_of_a_fact(error: &Error) -> bool {
    let kinds = [ErrorKind::Invalid, ErrorKind::TooLarge, ErrorKind::Conflict, ErrorKind::Unprocessable];
    // Of what a status was set of nothing is expected, though it was when Redis took it.
    let is_unexpected = error.code() == Code::ExpectationNotFound.as_str();
    (is_unexpected || kinds.contains(&error.kind())) && !error.is_retryable()
}

fn batch(facts: &[Fact]) -> Result<Batch> {
    let batch = Batch::moving(facts.iter().map(|fact| fact.op.clone().received(fact.at)).collect(), facts.len());
    match facts {
        [Fact { op: Op::SetExpectationStatus(_) | Op::ClearAudit(_), member, .. }] => {
            Ok(batch.under(Key::new(format!("moved-{}", &member[2..])).map_err(|_| strange())?))
        }
        _ => Ok(batch),
    }
}

/// The same fact under an id that is made of its own and of when it was received.
fn renamed(mut fact: Fact) -> Result<Fact> {
    let digest = sha256(&[format!("{} {}", fact.seq, fact.member).as_bytes()]).to_string();
    let id = format!("moved-{}", &digest[..32]);
    match &mut fact.op {
        Op::Expect(op) => op.id = Some(ExpectationId::new(id).map_err(|_| strange())?),
        Op::Ack(op) => op.id = Some(AckId::new(id).map_err(|_| strange())?),
        _ => {}
    }
    Ok(fact)
}

fn member(op: &Op) -> Option<String> {
    match op {
        Op::Expect(op) => op.id.as_ref().map(|id| format!("e:{id}")),
        Op::Ack(op) => op.id.as_ref().map(|id| format!("a:{id}")),
        _ => None,
    }
}

#[async_trait]
impl AuditStore for MovingAudit {
    fn durability_mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Redis
    }

    fn is_durable(&self) -> bool {
        self.hot.is_durable()
    }

    async fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted> {
        if let Some(expect) = expectations.first() {
            self.known(&expect.run_id).await?;
        }
        self.hot.add_expectations(expectations).await
    }

    async fn get_expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.load_from_redis(run_id).await?;
        self.cold.get_expectations(run_id, page).await
    }

    async fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        action: &str,
        status: AuditStatus,
    ) -> Result<bool> {
        self.load_from_redis(run_id).await?;
        self.cold.update_expectation_status(run_id, domain, action, status).await
    }

    async fn add_ack(&self, ack: Ack) -> Result<Noted> {
        self.known(&ack.run_id).await?;
        self.hot.add_ack(ack).await
    }

    async fn get_acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.load_from_redis(run_id).await?;
        self.cold.get_acks(run_id, page).await
    }

    async fn clear_run(&self, run_id: &RunId) -> Result<Noted> {
        self.load_from_redis(run_id).await?;
        let noted = self.cold.clear_run(run_id).await?;
        for _ in 0..CLEARINGS {
            if self.hot.forget(run_id, false).await? != Forgotten::Held {
                break;
            }
            // Said meanwhile: it is moved like anything else.
            self.load_from_redis(run_id).await?;
        }
        Ok(noted)
    }

    /// What Redis received is moved first, of a thousand runs at most.
    async fn get_pending_run_ids(&self, page: &PageRequest) -> Result<Page<RunId>> {
        if page.cursor.is_none() {
            self.move_held(Some(Timestamp::MAX)).await?;
        }
        self.cold.get_pending_run_ids(page).await
    }

    /// As [`get_pending_run_ids`](AuditStore::get_pending_run_ids).
    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        self.move_held(Some(Timestamp::MAX)).await?;
        self.cold.due(before, limit).await
    }

    async fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict> {
        self.load_from_redis(run_id).await?;
        self.cold.reconcile(run_id).await
    }

    async fn summary(&self, run_id: &RunId) -> Result<AuditSummary> {
        self.load_from_redis(run_id).await?;
        self.cold.summary(run_id).await
    }

    async fn load_from_redis(&self, run_id: &RunId) -> Result<bool> {
        let (mut any, mut begun) = (false, None);
        loop {
            let held = self.facts(run_id, AT_ONCE).await?;
            let until = *begun.get_or_insert(held.now);
            let Some(last) = held.last else { return Ok(any) };
            any = true;
            // What is said meanwhile is for the next look: writers may be faster.
            let is_all = held.facts.len() < AT_ONCE as usize || last > until;
            match self.commit(run_id, &held.facts).await? {
                Moved::Done => self.hot.let_go(run_id, held.facts.iter().map(|fact| &*fact.member)).await?,
                Moved::Erased => self.hot.forget(run_id, true).await.map(drop)?,
            }
            if is_all {
                return Ok(true);
            }
        }
    }

    async fn held(&self, run_id: &RunId) -> Result<Vec<Op>> {
        let held = self.facts(run_id, AT_ONCE + 1).await?.facts;
        if held.len() > AT_ONCE as usize || held.iter().any(|fact| member(&fact.op).is_none()) {
            self.load_from_redis(run_id).await?;
            return Ok(Vec::new());
        }
        Ok(held.into_iter().map(|fact| fact.op.received(fact.at)).collect())
    }

    async fn release(&self, run_id: &RunId, ops: &[Op]) -> Result<()> {
        let members: Vec<_> = ops.iter().filter_map(member).collect();
        self.hot.let_go(run_id, members.iter().map(String::as_str)).await
    }

    async fn forget(&self, run_id: &RunId) -> Result<()> {
        self.hot.forget(run_id, true).await.map(drop)
    }

    async fn move_held(&self, before: Option<Timestamp>) -> Result<usize> {
        let due = self.hot.to_look_at(before, PAGE_ITEMS_MAX).await?;
        let (begun, mut looked) = (Instant::now(), 0);
        for (run_id, when) in &due {
            let moved = self.load_from_redis(run_id).await;
            // Nobody waits for Redis or the ledger once for each run.
            if let Some(error) = moved.as_ref().err().filter(|error| error.is_retryable()) {
                return Err(error.clone());
            }
            if let Err(error) = &moved {
                self.tell(&HeldWord::Kept { run_id, code: error.code() });
            }
            // What fails of a run by itself is found again by its row, until its ttl is over.
            self.hot.looked_at(run_id, when, moved.is_ok()).await?;
            looked += 1;
            if begun.elapsed() > LOOK_FOR {
                break;
            }
        }
        Ok(looked)
    }

    async fn holding(&self, runs: &[RunId]) -> Result<Vec<RunId>> {
        // The index is in a slot of its own: a replica that was promoted there may lack a run whose own keys have facts.
        if self.hot.fails_over() {
            return Ok(runs.to_vec());
        }
        let mut holding = Vec::new();
        for runs in runs.chunks(PAGE_ITEMS_MAX as usize) {
            holding.extend(self.hot.among(runs).await?);
        }
        Ok(holding)
    }

    async fn get_parked(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<ParkedFact>> {
        self.known(run_id).await?;
        self.load_from_redis(run_id).await?;
        self.hot.get_parked(run_id, page).await
    }

    fn listen(&self, listener: HeldListener) {
        let _ = self.listener.set(listener);
    }

    fn tell(&self, word: &HeldWord<'_>) {
        if let Some(listener) = self.listener.get() {
            listener.tell(word);
        }
    }
}

impl MovingAudit {
    /// Demands that the ledger knows a run: an unknown one is an error here as everywhere.
    async fn known(&self, run_id: &RunId) -> Result<()> {
        let none = || Error::new(Code::RunNotFound, "no run of that id is recorded").at("/run_id");
        self.ledger.run(run_id).await?.map(drop).ok_or_else(none)
    }
}
