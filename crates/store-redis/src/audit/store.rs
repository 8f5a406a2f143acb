//! Audits over the scripts.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, sha256};
use tracekeep_core::id::{ItemId, Key, RunId};
use tracekeep_core::limits::{ACKS_MAX, BATCH_OPS_MAX, EXPECTATIONS_MAX, OP_BYTES_MAX, PAGE_ITEMS_MAX};
use tracekeep_core::model::{Ack, AuditStatus, ClearAudit, Expect, Op, SetExpectationStatus};
use tracekeep_core::{Invalid, InvalidCode, Timestamp};
use tracekeep_store::{
    AuditStore, Code, Digests, DurabilityError, Error, Noted, NotedFact, Outcome, Page, PageRequest, ParkedFact,
    Recorded, Redaction, Result, Source, StoreDurabilityMode,
};

use super::answer::{Answer, strange};
use super::facts::{self, Facts, micros};
use super::scripts;
use crate::connection::Connection;
use crate::options::Durability;
use crate::script::Operation;
use crate::store::{part, text};

/// Bytes of facts that are held of one run.
const HELD_BYTES_MAX: u32 = 4 * OP_BYTES_MAX;
/// Room for what an entry says beside the fact: when it was received, and what was taken out of it.
const MOVED_BYTES: u32 = 1_024;
/// How long a process relies on a run being in the index because it put it there.
const NOTED_FOR: Duration = Duration::from_secs(3);
/// Runs that a process remembers to have put into the index.
const NOTED_MAX: usize = 10_000;
/// How long after it was last written to a run without facts leaves the index: longer than any call takes.
pub(crate) const GRACE: Duration = Duration::from_secs(15);

/// What became of a run that was to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgotten {
    Dropped,
    /// Something is held of it.
    Held,
    /// Something was set aside.
    Parked,
}

/// A failure to read is never an unknown outcome: nothing was to be written.
fn unread(error: Error) -> Error {
    match error.outcome() {
        Outcome::Unknown => {
            Error::new(Code::Unreachable, "Redis did not answer what it holds of the audit").because(error)
        }
        Outcome::NotApplied => error,
    }
}

/// How audits in Redis are opened.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// How long what is held lives after the last deadline, or after the last word where that is later. An hour unless told.
    pub ttl: Duration,
    /// How long after a word somebody who moves is to look at the run; a deadline makes it earlier. 5 s unless told.
    pub look_after: Duration,
    /// How long an answer may take; then its outcome is unknown. 2 s unless told.
    pub timeout: Duration,
    /// Where generated ids come from.
    pub source: Source,
    /// PEM of the CAs that a server's certificate is checked against, for `rediss` addresses; the public ones unless told.
    pub ca: Option<Vec<u8>>,
    /// What is taken out of facts before they are sent: the ledger's rules. Nothing unless told.
    pub redact: Redaction,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3_600),
            look_after: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            source: Source::default(),
            ca: None,
            redact: Redaction::none(),
        }
    }
}

/// Audits in Redis, 6.2 or newer: any number of worker processes open it by address and namespace, with no server between.
///
/// Appends are atomic: nobody rewrites what another has said. What is held lives for the ttl after the last deadline, and is
/// moved into a ledger by whoever has one ([`MovingAudit`](crate::MovingAudit)), as entries that state when Redis received
/// it. Here alone it knows of what is held and not moved yet, takes any run for known, and records no verdict.
///
/// What it promises is the server's to keep: [`is_durable`](AuditStore::is_durable) says whether the append-only file is on.
///
/// ```no_run
/// use tracekeep_core::model::{Ack, AckStatus};
/// use tracekeep_store::{AuditStore, block_on};
/// use tracekeep_store_redis::RedisAuditStore;
///
/// let audit = RedisAuditStore::connect("redis://127.0.0.1:6379", "payments")?;
/// block_on(audit.add_ack(Ack::new("run-7".parse()?, "incidents", "create_incident", AckStatus::Success)))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisAuditStore {
    connection: Connection,
    namespace: String,
    options: AuditOptions,
    shift_ms: AtomicI64,
    /// Until when runs are known to stand in the index, by this process's clock.
    noted: Mutex<HashMap<RunId, Instant>>,
}

impl fmt::Debug for RedisAuditStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAuditStore").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl RedisAuditStore {
    /// Connects as [`RedisIdempotencyStore::connect`](crate::RedisIdempotencyStore::connect) does, with its errors.
    ///
    /// # Errors
    /// `unreachable`, `unsafe_store`, `invalid_parameter`, `invalid_id`.
    pub fn connect(url: &str, namespace: &str) -> Result<Self> {
        Self::connect_with(url, namespace, AuditOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(url: &str, namespace: &str, options: AuditOptions) -> Result<Self> {
        let namespace = Key::new(namespace).map_err(|invalid| Error::from(invalid.under("/namespace")))?;
        Ok(Self {
            connection: Connection::open(
                url,
                options.ca.as_deref(),
                options.timeout,
                "tracekeep-redis-audit",
                scripts::ALL,
            )?,
            namespace: part(namespace.as_str()),
            options,
            shift_ms: AtomicI64::new(0),
            noted: Mutex::default(),
        })
    }

    /// Demands that what is acknowledged survives the server.
    ///
    /// # Errors
    /// Where its append-only file is off; it names that setting.
    pub fn demand_durable(&self) -> std::result::Result<(), DurabilityError> {
        match self.connection.durability() {
            Durability::AppendOnly | Durability::Always => Ok(()),
            Durability::Volatile => Err(DurabilityError { setting: "appendonly yes in that Redis" }),
        }
    }

    /// Shifts the server's clock as this handle sees it, for tests.
    #[doc(hidden)]
    pub fn shift_clock_ms(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
    }

    async fn ask(&self, operation: Operation, run_id: &RunId, given: Vec<Vec<u8>>) -> Result<Answer> {
        let tag = format!("tk:{{{}/{}}}", self.namespace, part(run_id.as_str()));
        let keys = ["expectations", "acks", "statuses", "held", "said", "parked"];
        let keys = keys.iter().map(|name| format!("{tag}:{name}")).collect();
        let mut arguments = vec![
            text(self.shift_ms.load(Ordering::SeqCst)),
            text(self.options.ttl.as_secs().max(1)),
            text(EXPECTATIONS_MAX),
            text(ACKS_MAX),
            text(HELD_BYTES_MAX),
        ];
        arguments.extend(given);
        Answer::read(self.connection.run(operation, keys, arguments).await?)
    }

    pub(crate) async fn index(&self, given: Vec<Vec<u8>>) -> Result<Answer> {
        let tag = format!("tk:{{{}}}", self.namespace);
        let keys = ["due", "touched", "names"].iter().map(|name| format!("{tag}:audit:{name}")).collect();
        let mut arguments = vec![text(self.shift_ms.load(Ordering::SeqCst))];
        arguments.extend(given);
        Answer::read(self.connection.run(scripts::INDEX, keys, arguments).await?)
    }

    /// Appends to a run that stands in the index, so that somebody looks at it soon, by the first of its deadlines (the first
    /// and the last of what is appended) at the latest.
    async fn append(
        &self,
        operation: Operation,
        run_id: &RunId,
        deadlines_ms: Option<(u64, u64)>,
        given: Vec<Vec<u8>>,
    ) -> Result<Answer> {
        let usual = millis(self.options.look_after);
        // The index outlives the keys of the run, whose end may count from a little later and has half a minute to spare.
        let lives_ms = deadlines_ms.map_or(0, |(_, last)| last).saturating_add(millis(self.options.ttl + 4 * GRACE));
        let look_ms = deadlines_ms.map_or(usual, |(first, _)| first.min(usual));
        let begun = Instant::now();
        if deadlines_ms.is_some() || !self.is_noted(run_id, begun) {
            self.note(run_id, look_ms, lives_ms, begun).await?;
        }
        let answer = self.ask(operation, run_id, given).await?;
        if begun.elapsed() > NOTED_FOR {
            self.note(run_id, look_ms, lives_ms, Instant::now()).await?;
        }
        Ok(answer)
    }

    fn is_noted(&self, run_id: &RunId, now: Instant) -> bool {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(run_id).is_some_and(|until| now < *until)
    }

    async fn note(&self, run_id: &RunId, look_ms: u64, lives_ms: u64, begun: Instant) -> Result<()> {
        self.index(vec![text("touch"), text(run_id), text(look_ms), text(lives_ms)]).await?;
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= NOTED_MAX {
            noted.clear();
        }
        noted.insert(run_id.clone(), begun + NOTED_FOR);
        Ok(())
    }

    /// The first `limit` facts that are held of a run.
    pub(crate) async fn facts(&self, run_id: &RunId, limit: u32) -> Result<Facts> {
        Facts::read(&self.ask(scripts::HELD, run_id, vec![text(limit)]).await.map_err(unread)?)
    }

    async fn all(&self, run_id: &RunId) -> Result<Facts> {
        self.facts(run_id, EXPECTATIONS_MAX + ACKS_MAX).await
    }

    /// Lets go of facts by their names.
    pub(crate) async fn let_go(&self, run_id: &RunId, members: impl Iterator<Item = &str>) -> Result<()> {
        let members: Vec<_> = members.map(text).collect();
        if !members.is_empty() {
            self.ask(scripts::RELEASE, run_id, members).await?;
        }
        Ok(())
    }

    /// Forgets a run; with what is held of it, or was set aside, where that goes, `whole`.
    pub(crate) async fn forget(&self, run_id: &RunId, whole: bool) -> Result<Forgotten> {
        match &*self.ask(scripts::DROP, run_id, vec![text(u8::from(whole))]).await?.word {
            "dropped" => Ok(Forgotten::Dropped),
            "held" => Ok(Forgotten::Held),
            "parked" => Ok(Forgotten::Parked),
            _ => Err(strange()),
        }
    }

    /// Sets aside a fact that the ledger refuses for good, with the code of its refusal; whether it was held.
    pub(crate) async fn park(&self, run_id: &RunId, member: &str, code: &str) -> Result<bool> {
        let answer = self.ask(scripts::PARK, run_id, vec![text(member), text(code)]).await?;
        Ok(answer.rest.first().is_some_and(|parked| parked == "1"))
    }

    /// Whether another server may take the place of one that is gone.
    pub(crate) fn fails_over(&self) -> bool {
        self.connection.fails_over()
    }

    /// Which of these runs stand in the index: of no other is anything held.
    pub(crate) async fn among(&self, runs: &[RunId]) -> Result<Vec<RunId>> {
        let given = std::iter::once(text("among")).chain(runs.iter().map(text)).collect();
        let answer = self.index(given).await.map_err(unread)?;
        answer.rest.into_iter().map(|run| RunId::new(run).map_err(|_| strange())).collect()
    }

    /// Runs to look at now, or before a time, the earliest first, each with when.
    pub(crate) async fn to_look_at(&self, before: Option<Timestamp>, limit: u32) -> Result<Vec<(RunId, String)>> {
        let before = before.map_or_else(Vec::new, |at| text(at.as_nanos() / 1_000));
        let answer = self.index(vec![text("due"), text(limit), before]).await.map_err(unread)?;
        let run = |pair: &[String]| Ok((RunId::new(&*pair[0]).map_err(|_| strange())?, pair[1].clone()));
        answer.rest.chunks_exact(2).map(run).collect()
    }

    /// Says that a run was looked at that was to be looked at `when`.
    pub(crate) async fn looked_at(&self, run_id: &RunId, when: &str, is_empty: bool) -> Result<()> {
        let given = vec![text("settle"), text(run_id), text(when), text(GRACE.as_millis()), text(u8::from(is_empty))];
        self.index(given).await.map(drop)
    }

    async fn say(&self, kind: &str, op: Op, action: Option<String>) -> Result<Option<Noted>> {
        let Said { op, body, digest } = checked(op, &self.options.redact)?;
        let run_id = run_of(&op)?;
        let mut given = vec![text(kind), text(self.options.source.ack_id()), text(body.as_str())];
        given.extend(action.map(text));
        let answer = self.append(scripts::SAY, &run_id, None, given).await?;
        if answer.word == "unknown" { Ok(None) } else { noted(&answer, &[None], &[digest]).map(Some) }
    }
}

/// An op that keeps to every limit, without what rules take out of it.
struct Said {
    op: Op,
    body: Body,
    /// Of its content, whatever is stated of how it came to be: by this it is the same again.
    digest: Hash,
}

fn checked(mut op: Op, rules: &Redaction) -> Result<Said> {
    let mut op = {
        op.check()?;
        op.unreceived()?
    };
    if let Some(Some(_)) = op.redacted_mut() {
        return Err(Invalid::new(InvalidCode::UnknownMember, "/redacted", "is not a member here").into());
    }
    rules.redact(&mut op);
    let body = op.body();
    body.check_limits()?;
    if body.as_str().len() > (OP_BYTES_MAX - MOVED_BYTES) as usize {
        let detail = format!("an op that is held has at most {} bytes", OP_BYTES_MAX - MOVED_BYTES);
        return Err(Invalid::new(InvalidCode::TooLarge, "", detail).into());
    }
    let stated = op.redacted_mut().and_then(Option::take);
    let digest = if stated.is_some() { digest(&op.body()) } else { digest(&body) };
    if let Some(redacted) = op.redacted_mut() {
        *redacted = stated;
    }
    Ok(Said { op, body, digest })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn run_of(op: &Op) -> Result<RunId> {
    op.run_id().cloned().ok_or_else(strange)
}

fn action(domain: &str, action: &str) -> String {
    format!("x:{}:{domain}{action}", domain.len())
}

fn digest(body: &Body) -> Hash {
    sha256(&[body.as_str().as_bytes()])
}

/// Reads what became of facts with these ids and digests.
fn noted(answer: &Answer, ids: &[Option<ItemId>], digests: &[Hash]) -> Result<Noted> {
    match &*answer.word {
        "noted" if answer.rest.len() == ids.len() => {
            let fact = |(outcome, id): (&String, &Option<ItemId>)| {
                let outcome: Recorded = outcome.parse().map_err(|_| strange())?;
                Ok(NotedFact { outcome, id: id.clone(), log_index: None })
            };
            Ok(Noted::of(answer.rest.iter().zip(ids).map(fact).collect::<Result<_>>()?))
        }
        "conflict" => {
            let (id, known) = (answer.rest.first().ok_or_else(strange)?, answer.rest.get(1).ok_or_else(strange)?);
            let place = ids.iter().rposition(|own| own.as_ref().is_some_and(|own| own.as_str() == id));
            let error = Error::new(Code::Conflict, "other content was noted under the same id");
            let sent = place.and_then(|place| digests.get(place)).copied();
            Err(match (sent, known.parse()) {
                (Some(sent), Ok(recorded)) => error.with_digests(Digests { recorded, sent }),
                _ => error,
            })
        }
        "too_many" => {
            let detail = format!("a run has at most {EXPECTATIONS_MAX} expectations and {ACKS_MAX} words said of them");
            Err(Invalid::new(InvalidCode::TooMany, "/run_id", detail).into())
        }
        "full" => Err(Error::new(Code::Busy, "Redis holds as much of the run as it may until it is moved")),
        _ => Err(strange()),
    }
}

/// A page of what is in order of its number; the cursor is the last one's.
fn page<T>(items: Vec<(u64, T)>, request: &PageRequest) -> Result<Page<T>> {
    request.check()?;
    let after = match &request.cursor {
        None => 0,
        Some(cursor) => cursor
            .strip_prefix("held-")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Error::new(Code::InvalidCursor, "the cursor was not made by this query"))?,
    };
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut rest: Vec<_> = items.into_iter().filter(|(number, _)| *number > after).collect();
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    let cursor = rest.last().filter(|_| has_more).map(|(number, _)| format!("held-{number}"));
    Ok(Page::of(rest.into_iter().map(|(_, item)| item).collect(), cursor))
}

#[async_trait]
impl AuditStore for RedisAuditStore {
    fn durability_mode(&self) -> StoreDurabilityMode {
        StoreDurabilityMode::Redis
    }

    fn is_durable(&self) -> bool {
        self.demand_durable().is_ok()
    }

    async fn add_expectations(&self, expectations: Vec<Expect>) -> Result<Noted> {
        let count = expectations.len();
        if count == 0 || count > BATCH_OPS_MAX as usize {
            return Err(Error::new(Code::InvalidBatch, format!("expectations are 1 to {BATCH_OPS_MAX}")));
        }
        let (mut ids, mut digests, mut given, mut run, mut deadlines) =
            (Vec::new(), Vec::new(), Vec::new(), None, None);
        for (place, mut expect) in expectations.into_iter().enumerate() {
            let id = expect.id.get_or_insert_with(|| self.options.source.expectation_id()).clone();
            let (of, deadline_ms) = (action(&expect.domain, &expect.action), expect.deadline_ms);
            let known = run.get_or_insert_with(|| expect.run_id.clone());
            if *known != expect.run_id {
                return Err(Error::new(Code::InvalidBatch, "expectations that are declared at once are of one run"));
            }
            let at = format!("/ops/{place}");
            let said = checked(Op::Expect(expect), &self.options.redact).map_err(|error| error.under(&at))?;
            given.extend([text(&id), text(of), text(said.digest), text(said.body.as_str()), text(deadline_ms)]);
            let (first, last) = deadlines.unwrap_or((deadline_ms, deadline_ms));
            deadlines = Some((deadline_ms.min(first), deadline_ms.max(last)));
            ids.push(ItemId::new(id.as_str()).ok());
            digests.push(said.digest);
        }
        let run_id = run.ok_or_else(strange)?;
        noted(&self.append(scripts::EXPECT, &run_id, deadlines, given).await?, &ids, &digests)
    }

    async fn get_expectations(&self, run_id: &RunId, request: &PageRequest) -> Result<Page<AuditExpectation>> {
        page(self.all(run_id).await?.expectations(), request)
    }

    async fn update_expectation_status(
        &self,
        run_id: &RunId,
        domain: &str,
        named: &str,
        status: AuditStatus,
    ) -> Result<bool> {
        let op = Op::SetExpectationStatus(SetExpectationStatus::new(run_id.clone(), domain, named, status));
        Ok(self.say("s", op, Some(action(domain, named))).await?.is_some())
    }

    async fn add_ack(&self, mut ack: Ack) -> Result<Noted> {
        let id = ack.id.get_or_insert_with(|| self.options.source.ack_id()).clone();
        let said = checked(Op::Ack(ack), &self.options.redact).map_err(|error| error.under("/ops/0"))?;
        let given = vec![text(&id), text(said.digest), text(said.body.as_str())];
        let answer = self.append(scripts::ACK, &run_of(&said.op)?, None, given).await?;
        noted(&answer, &[ItemId::new(id.as_str()).ok()], &[said.digest])
    }

    async fn get_acks(&self, run_id: &RunId, request: &PageRequest) -> Result<Page<DomainAck>> {
        page(self.all(run_id).await?.acks(), request)
    }

    /// Says that the run is no longer watched; what is held stays until it is moved.
    async fn clear_run(&self, run_id: &RunId) -> Result<Noted> {
        self.say("c", Op::ClearAudit(ClearAudit::new(run_id.clone())), None).await?.ok_or_else(strange)
    }

    async fn get_pending_run_ids(&self, request: &PageRequest) -> Result<Page<RunId>> {
        let after = match &request.cursor {
            None => "",
            Some(cursor) => cursor
                .strip_prefix("held-")
                .ok_or_else(|| Error::new(Code::InvalidCursor, "the cursor was not made by this query"))?,
        };
        // A name costs a look at its run, so a page may be short of its limit.
        let limit = request.limit.clamp(1, PAGE_ITEMS_MAX);
        let names = self.index(vec![text("names"), text(limit), text(after)]).await.map_err(unread)?.rest;
        let mut pending = Vec::new();
        for name in &names {
            let run_id = RunId::new(&**name).map_err(|_| strange())?;
            let summary = self.summary(&run_id).await?;
            if summary.watched && summary.open > 0 {
                pending.push(run_id);
            }
        }
        let has_more = names.len() >= limit as usize;
        Ok(Page::of(pending, names.last().filter(|_| has_more).map(|name| format!("held-{name}"))))
    }

    async fn due(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        let mut due = Vec::new();
        for (run_id, when) in self.to_look_at(Some(before), limit.clamp(1, PAGE_ITEMS_MAX)).await? {
            let facts = self.all(&run_id).await?;
            let summary = facts.summary(&run_id);
            if let Some(first) = facts.facts.first() {
                let (started_at, open) = (first.at, summary.open);
                due.push(PendingRun {
                    run_id,
                    started_at,
                    open,
                    due: Some(micros(&when)?),
                    overdue_since: None,
                    log_index: None,
                });
            }
        }
        Ok(due)
    }

    /// The verdict over what is held. It is recorded nowhere: whoever moves it asks the ledger for one.
    async fn reconcile(&self, run_id: &RunId) -> Result<AuditVerdict> {
        self.all(run_id).await?.verdict().ok_or_else(|| {
            let detail =
                "Redis holds nothing that was expected of the run or acknowledged: there is nothing to reconcile";
            Error::new(Code::ExpectationNotFound, detail).at("/run_id")
        })
    }

    async fn summary(&self, run_id: &RunId) -> Result<AuditSummary> {
        Ok(self.all(run_id).await?.summary(run_id))
    }

    async fn get_parked(&self, run_id: &RunId, request: &PageRequest) -> Result<Page<ParkedFact>> {
        request.check()?;
        let after = request.cursor.as_deref().map_or(Some(""), |cursor| cursor.strip_prefix("parked-"));
        let after = after.ok_or_else(|| Error::new(Code::InvalidCursor, "the cursor was not made by this query"))?;
        let given = vec![text(request.limit), text(after)];
        let parked = facts::parked(&self.ask(scripts::PARKED, run_id, given).await.map_err(unread)?)?;
        let last = parked.last().filter(|_| parked.len() >= request.limit as usize);
        let next = last.map(|last| format!("parked-{}", last.member));
        Ok(Page::of(parked, next))
    }

    /// There is no ledger to move it into here.
    async fn load_from_redis(&self, _: &RunId) -> Result<bool> {
        Err(Error::new(Code::ReadOnly, "there is no ledger here to move into: MovingAudit has one"))
    }
}

impl RedisAuditStore {
    /// The same store, with a ledger to move what it holds into.
    #[must_use]
    pub fn moving_into(self: Arc<Self>, ledger: Arc<dyn tracekeep_store::LedgerStore>) -> super::MovingAudit {
        super::MovingAudit::new(self, ledger)
    }
}
