//! Facts in, verdict out.
//!
//! Expectations and events meet by (domain, action). What was said of an action is read in order of time, then log index,
//! by the rules of [`ActionFold`]. Successes go to the expectations of an action in order of their deadlines.

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;
use tracekeep_core::id::ExpectationId;
use tracekeep_core::limits::VERDICT_BYTES_MAX;
use tracekeep_core::model::{AckStatus, AuditStatus};

use crate::fact::{Event, ExpectationFact, Said};
use crate::fold::{ActionFold, Last};
use crate::verdict::{AuditFinding, AuditVerdict, LISTED_MAX, VerdictStatus};

/// The facts of one run, to be reconciled at any time.
#[derive(Clone, Debug, Default)]
pub struct AuditReconciler {
    expectations: Vec<ExpectationFact>,
    events: Vec<Event>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// The verdict.
    pub verdict: AuditVerdict,
    /// Where each expectation stands, sorted by id.
    pub standings: Vec<Standing>,
    /// Until then, that moment included, the same facts give the same verdict; `None` where no time will change it.
    pub changes_after: Option<Timestamp>,
    /// The first deadline that passed of what may not stay undone and is not done.
    pub overdue_since: Option<Timestamp>,
}

/// Where one expectation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The expectation.
    pub id: ExpectationId,
    /// Its status.
    pub status: AuditStatus,
    /// When it was met.
    pub acked_at: Option<Timestamp>,
}

/// All that is known of one action.
#[derive(Default)]
struct Action<'a> {
    expectations: Vec<&'a ExpectationFact>,
    events: Vec<&'a Event>,
}

/// What its events come to.
struct Outcome {
    fold: ActionFold,
    successes: Successes,
}

/// When each success that still counts was said: one word may stand for as many as are expected, so that they are not held
/// one by one.
#[derive(Default)]
struct Successes(Vec<(u64, Timestamp)>);

impl Successes {
    /// Forgets the latest until there are so many, or adds what is lacking, said at `at`.
    fn become_so_many(&mut self, count: u64, at: Timestamp) {
        while let Some((_, said_at)) = self.0.pop_if(|(end, _)| *end > count) {
            if self.ends_before(count) {
                self.0.push((count, said_at));
            }
        }
        if self.ends_before(count) {
            self.0.push((count, at));
        }
    }

    fn ends_before(&self, count: u64) -> bool {
        self.0.last().map_or(0, |(end, _)| *end) < count
    }

    /// When the `n`th was said, from 1; `None` where there are fewer.
    fn at(&self, n: u64) -> Option<Timestamp> {
        let place = self.0.partition_point(|(end, _)| *end < n);
        self.0.get(place).map(|(_, at)| *at)
    }
}

impl AuditReconciler {
    /// Over these facts, in any order.
    #[must_use]
    pub const fn new(expectations: Vec<ExpectationFact>, events: Vec<Event>) -> Self {
        Self { expectations, events }
    }

    /// Adds what was said since.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The verdict at `now`. An expectation is in time up to and at its deadline.
    ///
    /// Costs n log n of expectations and events.
    #[must_use]
    pub fn reconcile(&self, now: Timestamp) -> Reconciled {
        let mut actions: BTreeMap<(&str, &str), Action<'_>> = BTreeMap::new();
        for expectation in &self.expectations {
            actions.entry((&expectation.domain, &expectation.action)).or_default().expectations.push(expectation);
        }
        for event in &self.events {
            actions.entry((&event.domain, &event.action)).or_default().events.push(event);
        }
        let acks = self.events.iter().filter(|event| matches!(event.said, Said::Ack { .. })).count();
        let mut found = Found::new(self.expectations.len(), acks, now);
        for action in actions.values_mut() {
            action.expectations.sort_unstable_by(|a, b| (a.deadline, &a.id).cmp(&(b.deadline, &b.id)));
            action.events.sort_unstable_by_key(|event| (event.at, event.log_index));
            if action.expectations.is_empty() {
                found.drift(&action.events);
            } else {
                found.action(action);
            }
        }
        found.finish()
    }
}

/// The verdict in the making.
struct Found {
    verdict: AuditVerdict,
    standings: Vec<Standing>,
    changes_after: Option<Timestamp>,
    overdue_since: Option<Timestamp>,
    now: Timestamp,
    is_stale: bool,
    is_incomplete: bool,
    is_pending: bool,
    /// What findings may still take on the wire.
    bytes_left: u64,
}

impl Found {
    fn new(expectations: usize, acks: usize, now: Timestamp) -> Self {
        let verdict = AuditVerdict {
            status: VerdictStatus::Complete,
            expectations: expectations as u64,
            acks: acks as u64,
            missing: Vec::new(),
            failed: Vec::new(),
            rolled_back: Vec::new(),
            late: Vec::new(),
            pending: Vec::new(),
            drift: Vec::new(),
            duplicate: Vec::new(),
            truncated: false,
        };
        Self {
            verdict,
            standings: Vec::with_capacity(expectations),
            changes_after: None,
            overdue_since: None,
            now,
            is_stale: false,
            is_incomplete: false,
            is_pending: false,
            bytes_left: VERDICT_BYTES_MAX.into(),
        }
    }

    fn drift(&mut self, events: &[&Event]) {
        for event in events {
            if matches!(event.said, Said::Ack { .. }) {
                self.is_incomplete = true;
                self.list(|verdict| &mut verdict.drift, of_event(event, false));
            }
        }
    }

    fn action(&mut self, action: &Action<'_>) {
        let wanted = action.expectations.iter().map(|expectation| u64::from(expectation.count)).sum();
        let outcome = self.outcome(action, wanted);
        self.setbacks(&action.events, outcome.fold.is_met());
        let mut given = 0;
        for expectation in &action.expectations {
            given += u64::from(expectation.count);
            self.expectation(expectation, outcome.successes.at(given), &outcome);
        }
    }

    /// Reads what was said in order; what was said of something done already is a duplicate.
    fn outcome(&mut self, action: &Action<'_>, wanted: u64) -> Outcome {
        let mut outcome = Outcome { fold: ActionFold::expecting(wanted), successes: Successes::default() };
        for event in &action.events {
            if !outcome.fold.say(&event.said) {
                self.list(|verdict| &mut verdict.duplicate, of_event(event, false));
            }
            if matches!(event.said, Said::ByHand(_)) {
                outcome.successes = Successes::default();
            }
            outcome.successes.become_so_many(outcome.fold.successes, event.at);
        }
        outcome
    }

    /// Failures and rollbacks, marked where the action was done all the same.
    fn setbacks(&mut self, events: &[&Event], is_met: bool) {
        for event in events {
            match &event.said {
                Said::Ack { status: AckStatus::Failed, .. } | Said::ByHand(AuditStatus::Failed) => {
                    self.list(|verdict| &mut verdict.failed, of_event(event, is_met));
                }
                Said::Ack { status: AckStatus::RolledBack, .. } => {
                    self.list(|verdict| &mut verdict.rolled_back, of_event(event, is_met));
                }
                Said::Ack { status: AckStatus::Success, .. } | Said::ByHand(_) => {}
            }
        }
    }

    fn expectation(&mut self, expectation: &ExpectationFact, met_at: Option<Timestamp>, outcome: &Outcome) {
        let is_past = self.now > expectation.deadline;
        let finding = |at| of_expectation(expectation, at);
        let status = match (met_at, outcome.fold.last) {
            (Some(at), _) => {
                if at > expectation.deadline {
                    self.list(|verdict| &mut verdict.late, finding(Some(at)));
                }
                AuditStatus::Acked
            }
            (None, Last::Failed | Last::RolledBack) => {
                self.is_incomplete = true;
                AuditStatus::Failed
            }
            (None, Last::Missing) => {
                self.is_incomplete = true;
                self.list(|verdict| &mut verdict.missing, finding(None));
                AuditStatus::Missing
            }
            (None, Last::Nothing) if is_past => {
                if !expectation.optional {
                    self.is_incomplete = true;
                    self.list(|verdict| &mut verdict.missing, finding(None));
                }
                AuditStatus::Missing
            }
            (None, Last::Nothing) => {
                if !expectation.optional {
                    self.is_pending = true;
                    self.list(|verdict| &mut verdict.pending, finding(None));
                }
                AuditStatus::Pending
            }
        };
        let is_open = met_at.is_none() && expectation.liveness && !outcome.fold.is_acknowledged;
        self.is_stale |= is_open && is_past;
        if !is_past && (is_open || (status == AuditStatus::Pending && !expectation.optional)) {
            let earliest = self.changes_after.map_or(expectation.deadline, |at| at.min(expectation.deadline));
            self.changes_after = Some(earliest);
        }
        if is_past && met_at.is_none() && !expectation.optional {
            let first = self.overdue_since.map_or(expectation.deadline, |at| at.min(expectation.deadline));
            self.overdue_since = Some(first);
        }
        self.standings.push(Standing { id: expectation.id.clone(), status, acked_at: met_at });
    }

    /// Adds a finding to a list of the verdict, while there is room for it.
    fn list(&mut self, of: impl FnOnce(&mut AuditVerdict) -> &mut Vec<AuditFinding>, finding: AuditFinding) {
        let bytes = finding.bytes_max();
        let findings = of(&mut self.verdict);
        if findings.len() < LISTED_MAX && bytes <= self.bytes_left {
            findings.push(finding);
            self.bytes_left -= bytes;
        } else {
            self.verdict.truncated = true;
        }
    }

    fn finish(mut self) -> Reconciled {
        self.verdict.status = match () {
            () if self.is_stale => VerdictStatus::Stale,
            () if self.is_incomplete => VerdictStatus::Incomplete,
            () if self.is_pending => VerdictStatus::Pending,
            () => VerdictStatus::Complete,
        };
        self.standings.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Reconciled {
            verdict: self.verdict,
            standings: self.standings,
            changes_after: self.changes_after,
            overdue_since: self.overdue_since,
        }
    }
}

fn of_event(event: &Event, superseded: bool) -> AuditFinding {
    let ack_id = if let Said::Ack { id, .. } = &event.said { Some(id) } else { None };
    AuditFinding {
        domain: event.domain.clone(),
        action: event.action.clone(),
        expectation_id: None,
        ack_id: ack_id.cloned(),
        deadline: None,
        at: Some(event.at),
        superseded,
    }
}

fn of_expectation(expectation: &ExpectationFact, at: Option<Timestamp>) -> AuditFinding {
    AuditFinding {
        domain: expectation.domain.clone(),
        action: expectation.action.clone(),
        expectation_id: Some(expectation.id.clone()),
        ack_id: None,
        deadline: Some(expectation.deadline),
        at,
        superseded: false,
    }
}
