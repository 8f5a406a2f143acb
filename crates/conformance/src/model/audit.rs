//! The model's audits: every verdict from all the facts, by the reconciler alone.

use serde_json::Value;
use tracekeep_audit::{
    ActionFold, AuditReconciler, AuditVerdict, Event, ExpectationFact, Reconciled, Said, VerdictStatus,
};
use tracekeep_core::Timestamp;
use tracekeep_core::model::{AuditStatus, Op};

use super::decide::{Done, Model, Now, RunState};
use crate::context::{Context, walk};
use crate::ops::{op as read, run_id as id_of};
use tracekeep_store::block_on;

/// A run's audit.
#[derive(Clone, Debug, Default)]
pub(super) struct AuditModel {
    /// Facts with their entries, in order.
    pub(super) facts: Vec<(u64, Fact)>,
    cleared: Option<u64>,
    verdict: Option<(u64, AuditVerdict)>,
    due: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) enum Fact {
    Expected(ExpectationFact),
    Said(Event),
}

impl AuditModel {
    fn reconcile(&self, now: i64) -> Reconciled {
        let (mut expectations, mut events) = (Vec::new(), Vec::new());
        for (_, fact) in &self.facts {
            match fact {
                Fact::Expected(expectation) => expectations.push(expectation.clone()),
                Fact::Said(event) => events.push(event.clone()),
            }
        }
        AuditReconciler::new(expectations, events).reconcile(Timestamp::from_nanos(now))
    }

    /// Notes a verdict of the entry at `at`.
    pub(super) fn judge(&mut self, at: u64, now: i64) {
        let reconciled = self.reconcile(now);
        self.due = reconciled.changes_after.filter(|_| self.cleared.is_none()).map(Timestamp::as_nanos);
        self.verdict = Some((at, reconciled.verdict));
    }

    fn fall_due(&mut self, at: i64) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// After a verdict that waited for nothing the next one is soon.
    fn after_verdict(&mut self, now: i64) {
        let waited = self.verdict.as_ref().is_some_and(|(_, verdict)| verdict.status == VerdictStatus::Pending);
        if self.verdict.is_some() && !waited && self.cleared.is_none() {
            // A second for each hundred facts.
            let seconds = i64::try_from(self.facts.len() / 100).expect("few");
            self.fall_due(now.saturating_add(seconds * 1_000_000_000));
        }
    }

    fn entry_of(&self, id: &str, expected: bool) -> Option<u64> {
        let is = |fact: &Fact| match fact {
            Fact::Expected(expectation) => expected && expectation.id.as_str() == id,
            Fact::Said(Event { said: Said::Ack { id: own, .. }, .. }) => !expected && own.as_str() == id,
            Fact::Said(_) => false,
        };
        self.facts.iter().find(|(_, fact)| is(fact)).map(|(at, _)| *at)
    }

    /// Where an action stands, all its words said anew.
    fn fold(&self, action: &str) -> ActionFold {
        let wanted = self.facts.iter().map(|(_, fact)| match fact {
            Fact::Expected(one) if one.action == action => u64::from(one.count),
            _ => 0,
        });
        let mut fold = ActionFold::expecting(wanted.sum());
        let said = self.facts.iter().filter_map(|(at, fact)| match fact {
            Fact::Said(event) if event.action == action => Some((event.at, at, event)),
            _ => None,
        });
        let mut said: Vec<_> = said.collect();
        said.sort_by_key(|(at, place, _)| (*at, **place));
        for (_, _, event) in said {
            fold.say(&event.said);
        }
        fold
    }

    /// The first deadline that passed of what may not stay undone and is not done.
    fn overdue(&self, now: i64) -> Option<Timestamp> {
        let standings = self.reconcile(now).standings;
        let is_done = |one: &ExpectationFact| {
            standings.iter().any(|standing| standing.id == one.id && standing.status == AuditStatus::Acked)
        };
        let late = self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Expected(one) if !one.optional && one.deadline.as_nanos() < now && !is_done(one) => {
                Some(one.deadline)
            }
            _ => None,
        });
        late.min()
    }

    /// Actions that something required is expected of, and that are not done as often as all that is expected of them.
    fn open(&self, now: i64) -> usize {
        let standings = self.reconcile(now).standings;
        let expected = self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::Expected(expectation) => Some(expectation),
            Fact::Said(_) => None,
        });
        let expected: Vec<_> = expected.collect();
        let mut actions: Vec<_> = expected.iter().map(|one| &one.action).collect();
        actions.sort();
        actions.dedup();
        let is_open = |action: &&String| {
            let mut own = expected.iter().filter(|one| one.action == **action);
            let is_done = |one: &&ExpectationFact| {
                standings.iter().any(|standing| standing.id == one.id && standing.status == AuditStatus::Acked)
            };
            own.clone().any(|one| !one.optional) && !own.all(is_done)
        };
        actions.iter().filter(|action| is_open(action)).count()
    }
}

impl Model {
    pub(super) fn audit(&mut self, op: &Value, run_id: &str, run: &RunState, now: &Now) -> Done {
        let next = self.log.len() as u64;
        let now = now.recorded_at;
        let received: Option<Timestamp> = op["received_at"].as_str().map(|at| at.parse().expect("a time"));
        let at = received.map_or(now, |at| at.as_nanos().min(now));
        let at = Timestamp::from_nanos(at);
        let mut audit = run.audit.clone();
        match read(op) {
            Op::Expect(expect) => {
                let id = expect.id.clone().expect("an id");
                if let Some(known) = audit.entry_of(id.as_str(), true) {
                    return self.same(op, known);
                }
                let fact = ExpectationFact::new(id, &expect, at);
                audit.cleared = None;
                if !fact.optional {
                    audit.fall_due(fact.deadline.as_nanos());
                }
                audit.facts.push((next, Fact::Expected(fact)));
                audit.after_verdict(now);
            }
            Op::Ack(ack) => {
                let id = ack.id.clone().expect("an id");
                if let Some(known) = audit.entry_of(id.as_str(), false) {
                    return self.same(op, known);
                }
                let event = Event::ack(id, ack.domain, ack.action, ack.status, at, next);
                audit.facts.push((next, Fact::Said(event)));
                audit.after_verdict(now);
            }
            Op::SetExpectationStatus(set) => {
                let expected =
                    |(_, fact): &(u64, Fact)| matches!(fact, Fact::Expected(one) if one.action == set.action);
                if !audit.facts.iter().any(expected) {
                    return Err("expectation_not_found");
                }
                let before = audit.fold(&set.action);
                let event = Event::by_hand(set.domain, set.action.clone(), set.status, at, next);
                audit.facts.push((next, Fact::Said(event)));
                if audit.fold(&set.action) != before {
                    audit.after_verdict(now);
                }
            }
            Op::ClearAudit(_) => {
                if let Some(known) = audit.cleared {
                    return Ok((false, known));
                }
                (audit.cleared, audit.due) = (Some(next), None);
            }
            Op::Reconcile(_) => {
                if audit.facts.is_empty() {
                    return Err("expectation_not_found");
                }
                let is_due = audit.due.is_some_and(|due| due < now);
                match &audit.verdict {
                    Some((known, last)) if !is_due && *last == audit.reconcile(now).verdict => {
                        return Ok((false, *known));
                    }
                    _ => audit.judge(next, now),
                }
            }
            other => panic!("the model knows no {}", other.name()),
        }
        let done = self.append(run_id, op);
        self.state(run_id).audit = audit;
        Ok((true, done))
    }

    /// Demands that the ledger's audits read as the model's do.
    #[track_caller]
    pub(super) fn check_audits(&self, cx: &Context) {
        let ledger = cx.ledger();
        let now = tracekeep_store::Sources::now(&cx.sources).as_nanos().max(self.clock());
        let mut waiting = Vec::new();
        for (id, run) in &self.runs {
            let read = block_on(ledger.audit(&id_of(id))).expect("an audit is readable");
            let audit = &run.audit;
            let open = audit.open(now);
            assert_eq!((read.open, read.due), (open as u64, audit.due.map(Timestamp::from_nanos)), "{id}");
            assert_eq!(read.verdict.zip(read.verdict_log_index).map(|(a, b)| (b, a)), audit.verdict, "{id}");
            let wanted = audit.reconcile(now);
            assert_eq!(read.now, (!audit.facts.is_empty()).then_some(wanted.verdict), "{id}");
            let listed = walk(2, |page| block_on(ledger.expectations(&id_of(id), &page)));
            let mut listed: Vec<_> = listed.into_iter().map(|one| (one.id, one.status, one.acked_at)).collect();
            listed.sort();
            let standings: Vec<_> =
                wanted.standings.into_iter().map(|one| (one.id, one.status, one.acked_at)).collect();
            assert_eq!(listed, standings, "{id}");
            if open > 0 && audit.cleared.is_none() {
                waiting.push((run.started_at, run.first, id.clone(), audit.overdue(now)));
            }
        }
        waiting.sort();
        let waiting: Vec<_> = waiting.into_iter().map(|(_, _, id, overdue)| (id, overdue)).collect();
        let pending = walk(2, |page| block_on(ledger.pending_runs(&page))).into_iter();
        let pending: Vec<_> = pending.map(|run| (run.run_id.to_string(), run.overdue_since)).collect();
        assert_eq!(pending, waiting);
    }
}
