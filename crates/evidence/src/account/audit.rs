//! What was expected of a run and what was said of it, compared once more: a verdict is the ledger's word, and its facts
//! stand beside it.

use tracekeep_audit::{AuditReconciler, Event, ExpectationFact, Said, VerdictStatus};
use tracekeep_core::Timestamp;
use tracekeep_core::id::RunId;
use tracekeep_core::limits::{ACKS_MAX, EXPECTATIONS_MAX};
use tracekeep_core::model::{AckStatus, Expect, Op};
use tracekeep_core::wire::Field;

use super::{Fact, is_withheld, shown};
use crate::bundle::Record;

/// The facts of a run's audit, in the order of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Audited {
    expectations: Vec<(u64, ExpectationFact)>,
    events: Vec<Event>,
    /// The first fact of which what counts is not all shown, or that no ledger would have taken.
    hidden: Option<u64>,
}

impl Audited {
    /// Takes what an entry says, where it is a fact of an audit.
    pub(super) fn take(&mut self, record: &Record) {
        let log_index = record.log_index;
        // More than this no ledger takes, and no memory need hold.
        let is_taken = match record.kind.as_str() {
            "expectation" => expectation(record)
                .filter(|_| self.expectations.len() < EXPECTATIONS_MAX as usize)
                .map(|fact| self.expectations.push((log_index, fact))),
            "ack" | "status" => {
                event(record).filter(|_| self.events.len() < ACKS_MAX as usize).map(|event| self.events.push(event))
            }
            _ => Some(()),
        };
        if is_taken.is_none() {
            self.hidden.get_or_insert(log_index);
        }
    }

    /// Whether the facts in front of a verdict come to its status at its time; `None` where that, or some of them, are not
    /// shown.
    pub(super) fn bear_out(&self, verdict: &Fact) -> Option<bool> {
        let (end, stated) = (verdict.log_index, verdict.says.parse::<VerdictStatus>().ok()?);
        if self.hidden.is_some_and(|hidden| hidden < end) {
            return None;
        }
        let expectations = self.expectations.iter().filter(|(at, _)| *at < end).map(|(_, fact)| fact.clone());
        let events = self.events.iter().filter(|event| event.log_index < end).cloned();
        let reconciler = AuditReconciler::new(expectations.collect(), events.collect());
        Some(reconciler.reconcile(verdict.recorded_at).verdict.status == stated)
    }
}

/// A member, or what stands for an absent one; `None` where it is withheld.
fn told<T: Field>(record: &Record, name: &str, absent: T) -> Option<T> {
    if is_withheld(record, name) { None } else { Some(shown(record, name).unwrap_or(absent)) }
}

/// When a fact was received, by the clock that deadlines count from.
fn at(record: &Record) -> Option<Timestamp> {
    Some(told(record, "received_at", record.recorded_at)?.min(record.recorded_at))
}

fn expectation(record: &Record) -> Option<ExpectationFact> {
    let (domain, action): (String, String) = (shown(record, "domain")?, shown(record, "action")?);
    let expect = Expect {
        optional: told(record, "optional", false)?,
        count: told(record, "count", 1)?,
        liveness: told(record, "liveness", false)?,
        ..Expect::new(RunId::new(&record.run).ok()?, domain, action, shown(record, "deadline_ms")?)
    };
    let is_taken = Op::Expect(expect.clone()).check().is_ok();
    let fact = ExpectationFact::new(shown(record, "id")?, &expect, at(record)?);
    Some(fact).filter(|_| is_taken)
}

fn event(record: &Record) -> Option<Event> {
    let (domain, action): (String, String) = (shown(record, "domain")?, shown(record, "action")?);
    let said = match record.kind.as_str() {
        "ack" => Said::Ack { id: shown(record, "id")?, status: told(record, "status", AckStatus::Success)? },
        _ => Said::ByHand(shown(record, "status")?),
    };
    Some(Event { domain, action, at: at(record)?, log_index: record.log_index, said })
}
