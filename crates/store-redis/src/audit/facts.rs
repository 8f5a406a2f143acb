//! Facts as Redis keeps them, read.

use tracekeep_audit::{
    AuditExpectation, AuditReconciler, AuditSummary, AuditVerdict, DomainAck, Event, ExpectationFact, Reconciled,
};
use tracekeep_core::Timestamp;
use tracekeep_core::id::{ExpectationId, RunId};
use tracekeep_core::json::{self, Json};
use tracekeep_core::model::{AuditStatus, Op};
use tracekeep_store::{ParkedFact, Result};

use super::answer::{Answer, strange};

/// One fact: what was said, and when it was received.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    /// Its name among the run's: `e:` and `a:` with the id, `s:` and `c:` with the token of the call.
    pub(crate) member: String,
    pub(crate) at: Timestamp,
    pub(crate) seq: u64,
    pub(crate) op: Op,
}

/// What is held of a run, in the order in which it was received, and the time by Redis' clock.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) facts: Vec<Fact>,
    pub(crate) now: Timestamp,
}

impl Facts {
    pub(crate) fn read(answer: &Answer) -> Result<Self> {
        let (now, rest) = answer.rest.split_first().ok_or_else(strange)?;
        if answer.word != "held" || rest.len() % 2 != 0 {
            return Err(strange());
        }
        let fact = |pair: &[String]| {
            let mut kept = pair[1].splitn(3, ' ');
            let mut part = || kept.next().ok_or_else(strange);
            let (at, seq, body) = (micros(part()?)?, part()?, part()?);
            let value = json::parse(body.as_bytes()).map_err(|_| strange())?;
            let op = Op::read(value).map_err(|_| strange())?;
            Ok(Fact { member: pair[0].clone(), at, seq: seq.parse().map_err(|_| strange())?, op })
        };
        Ok(Self { facts: rest.chunks_exact(2).map(fact).collect::<Result<_>>()?, now: micros(now)? })
    }

    fn reconciled(&self) -> Reconciled {
        let (mut expectations, mut events) = (Vec::new(), Vec::new());
        for fact in &self.facts {
            match &fact.op {
                Op::Expect(op) => {
                    expectations.extend(op.id.clone().map(|id| ExpectationFact::new(id, op, fact.at)));
                }
                Op::Ack(op) => {
                    let event = |id| Event::ack(id, &*op.domain, &*op.action, op.status, fact.at, fact.seq);
                    events.extend(op.id.clone().map(event));
                }
                Op::SetExpectationStatus(op) => {
                    events.push(Event::by_hand(&*op.domain, &*op.action, op.status, fact.at, fact.seq));
                }
                _ => {}
            }
        }
        AuditReconciler::new(expectations, events).reconcile(self.now)
    }

    /// The verdict over what is held; `None` where there is nothing to reconcile.
    pub(crate) fn verdict(&self) -> Option<AuditVerdict> {
        let is_said = |fact: &Fact| !matches!(fact.op, Op::ClearAudit(_));
        self.facts.iter().any(is_said).then(|| self.reconciled().verdict)
    }

    pub(crate) fn expectations(&self) -> Vec<(u64, AuditExpectation)> {
        let standings = self.reconciled().standings;
        let standing =
            |id: &ExpectationId| standings.binary_search_by(|one| one.id.cmp(id)).ok().map(|at| &standings[at]);
        let expected = self.facts.iter().filter_map(|fact| {
            let Op::Expect(op) = &fact.op else { return None };
            let id = op.id.clone()?;
            let (known, stands) = (ExpectationFact::new(id.clone(), op, fact.at), standing(&id)?);
            let view = AuditExpectation {
                run_id: op.run_id.clone(),
                id,
                domain: op.domain.clone(),
                action: op.action.clone(),
                deadline_ms: op.deadline_ms,
                deadline: known.deadline,
                optional: known.optional,
                count: known.count,
                liveness: known.liveness,
                metadata: op.metadata.clone(),
                status: stands.status,
                acked_at: stands.acked_at,
                log_index: None,
                recorded_at: fact.at,
                received_at: Some(fact.at),
            };
            Some((fact.seq, view))
        });
        expected.collect()
    }

    pub(crate) fn acks(&self) -> Vec<(u64, DomainAck)> {
        let acked = self.facts.iter().filter_map(|fact| {
            let Op::Ack(op) = &fact.op else { return None };
            let view = DomainAck {
                run_id: op.run_id.clone(),
                id: op.id.clone()?,
                domain: op.domain.clone(),
                action: op.action.clone(),
                status: op.status,
                result_id: op.result_id.clone(),
                error: op.error.clone(),
                rollback_reason: op.rollback_reason.clone(),
                metadata: op.metadata.clone(),
                log_index: None,
                recorded_at: fact.at,
                received_at: Some(fact.at),
            };
            Some((fact.seq, view))
        });
        acked.collect()
    }

    /// Whether the run was cleared, and nothing was expected since.
    fn is_cleared(&self) -> bool {
        let last = |is: fn(&Op) -> bool| self.facts.iter().rposition(|fact| is(&fact.op));
        last(|op| matches!(op, Op::ClearAudit(_))) > last(|op| matches!(op, Op::Expect(_)))
    }

    /// Actions that something required is expected of and that are not done.
    fn open(&self) -> u64 {
        let expectations = self.expectations();
        let mut open: Vec<_> = expectations
            .iter()
            .filter(|(_, one)| !one.optional && one.status != AuditStatus::Acked)
            .map(|(_, one)| (&one.domain, &one.action))
            .collect();
        open.sort();
        open.dedup();
        open.len() as u64
    }

    pub(crate) fn summary(&self, run_id: &RunId) -> AuditSummary {
        let expectations = self.facts.iter().filter(|fact| matches!(fact.op, Op::Expect(_))).count() as u64;
        let said = self.facts.iter().filter(|fact| matches!(fact.op, Op::Ack(_) | Op::SetExpectationStatus(_)));
        let is_watched = expectations > 0 && !self.is_cleared();
        AuditSummary {
            run_id: run_id.clone(),
            expectations,
            acks: said.count() as u64,
            open: self.open(),
            watched: is_watched,
            due: if is_watched { self.reconciled().changes_after } else { None },
            now: self.verdict(),
            verdict: None,
            verdict_log_index: None,
            verdict_recorded_at: None,
        }
    }
}

/// Facts that were set aside, each with why.
pub(crate) fn parked(answer: &Answer) -> Result<Vec<ParkedFact>> {
    if answer.word != "parked" || !answer.rest.len().is_multiple_of(3) {
        return Err(strange());
    }
    let fact = |three: &[String]| {
        let mut kept = three[2].splitn(3, ' ');
        let (at, _, body) = (kept.next(), kept.next(), kept.next().ok_or_else(strange)?);
        Ok(ParkedFact {
            member: three[0].clone(),
            code: three[1].clone(),
            received_at: micros(at.unwrap_or_default())?,
            op: Json::parse(body).map_err(|_| strange())?,
        })
    };
    answer.rest.chunks_exact(3).map(fact).collect()
}

/// A time: the scripts count microseconds.
pub(crate) fn micros(text: &str) -> Result<Timestamp> {
    let nanos = text.parse::<i64>().ok().and_then(|micros| micros.checked_mul(1_000));
    nanos.map(Timestamp::from_nanos).ok_or_else(strange)
}
