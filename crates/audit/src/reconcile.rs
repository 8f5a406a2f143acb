//! Facts in, verdict out.
//!
//! Expectations and events meet by (domain, action). What was said of an action is read in order of time, then log index.
//! Where one thing is expected once, the last attempt counts; where it is expected n times, each success counts once, a
//! rollback takes the latest one back, and a failure takes nothing. A status set by hand stands for all that was said
//! before it. Successes go to the expectations of an action in order of their deadlines.

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;
use tracekeep_core::id::{AckId, ExpectationId};
use tracekeep_core::model::{AckStatus, AuditStatus};

use crate::fact::{Event, ExpectationFact, Said};
use crate::verdict::{Finding, LISTED_MAX, Verdict, VerdictStatus};

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
    pub verdict: Verdict,
    /// Where each expectation stands, sorted by id.
    pub standings: Vec<Standing>,
    /// Until then, that moment included, the same facts give the same verdict; `None` where no time will change it.
    pub changes_after: Option<Timestamp>,
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

/// Why an expectation that is not met is not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing was said, or not often enough.
    Nothing,
    Failed,
    RolledBack,
    /// Set by hand.
    Missing,
}

/// All that is known of one action.
#[derive(Default)]
struct Action<'a> {
    expectations: Vec<&'a ExpectationFact>,
    events: Vec<&'a Event>,
}

/// What its events come to.
struct Outcome {
    /// When each success that still counts was said.
    successes: Vec<Timestamp>,
    last: Last,
    is_acknowledged: bool,
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
    verdict: Verdict,
    standings: Vec<Standing>,
    changes_after: Option<Timestamp>,
    now: Timestamp,
    is_stale: bool,
    is_incomplete: bool,
    is_pending: bool,
}

impl Found {
    fn new(expectations: usize, acks: usize, now: Timestamp) -> Self {
        let verdict = Verdict {
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
            now,
            is_stale: false,
            is_incomplete: false,
            is_pending: false,
        }
    }

    fn drift(&mut self, events: &[&Event]) {
        for event in events {
            if let Said::Ack { id, .. } = &event.said {
                self.is_incomplete = true;
                list(&mut self.verdict.drift, &mut self.verdict.truncated, of_event(event, Some(id), false));
            }
        }
    }

    fn action(&mut self, action: &Action<'_>) {
        let wanted: usize = action.expectations.iter().map(|expectation| expectation.count as usize).sum();
        let outcome = self.outcome(action, wanted);
        let is_met = outcome.successes.len() >= wanted;
        self.setbacks(&action.events, is_met);
        let mut successes = &outcome.successes[..];
        for expectation in &action.expectations {
            let (own, rest) = successes.split_at(successes.len().min(expectation.count as usize));
            let met_at = own.last().copied().filter(|_| own.len() == expectation.count as usize);
            self.expectation(expectation, met_at, &outcome);
            successes = rest;
        }
    }

    /// Reads what was said in order; what was said of something done already is a duplicate.
    fn outcome(&mut self, action: &Action<'_>, wanted: usize) -> Outcome {
        let mut outcome = Outcome { successes: Vec::new(), last: Last::Nothing, is_acknowledged: false };
        for event in &action.events {
            match &event.said {
                Said::Ack { id, status } => {
                    outcome.is_acknowledged = true;
                    match status {
                        AckStatus::Success if outcome.successes.len() >= wanted => {
                            let finding = of_event(event, Some(id), false);
                            list(&mut self.verdict.duplicate, &mut self.verdict.truncated, finding);
                        }
                        AckStatus::Success => {
                            outcome.successes.push(event.at);
                            outcome.last = Last::Nothing;
                        }
                        AckStatus::Failed => {
                            if wanted == 1 {
                                outcome.successes.clear();
                            }
                            outcome.last = Last::Failed;
                        }
                        AckStatus::RolledBack => {
                            outcome.successes.pop();
                            outcome.last = Last::RolledBack;
                        }
                    }
                }
                Said::ByHand(status) => {
                    outcome.successes.clear();
                    outcome.last = match status {
                        AuditStatus::Acked => {
                            outcome.successes.resize(wanted, event.at);
                            Last::Nothing
                        }
                        AuditStatus::Failed => Last::Failed,
                        AuditStatus::Missing => Last::Missing,
                        AuditStatus::Pending => Last::Nothing,
                    };
                }
            }
        }
        outcome
    }

    /// Failures and rollbacks, marked where the action was done all the same.
    fn setbacks(&mut self, events: &[&Event], is_met: bool) {
        let Verdict { failed, rolled_back, truncated, .. } = &mut self.verdict;
        for event in events {
            match &event.said {
                Said::Ack { id, status: AckStatus::Failed } => {
                    list(failed, truncated, of_event(event, Some(id), is_met));
                }
                Said::Ack { id, status: AckStatus::RolledBack } => {
                    list(rolled_back, truncated, of_event(event, Some(id), is_met));
                }
                Said::ByHand(AuditStatus::Failed) => list(failed, truncated, of_event(event, None, is_met)),
                _ => {}
            }
        }
    }

    fn expectation(&mut self, expectation: &ExpectationFact, met_at: Option<Timestamp>, outcome: &Outcome) {
        let Verdict { missing, late, pending, truncated, .. } = &mut self.verdict;
        let is_past = self.now > expectation.deadline;
        let finding = |at| of_expectation(expectation, at);
        let status = match (met_at, outcome.last) {
            (Some(at), _) => {
                if at > expectation.deadline {
                    list(late, truncated, finding(Some(at)));
                }
                AuditStatus::Acked
            }
            (None, Last::Failed | Last::RolledBack) => {
                self.is_incomplete = true;
                AuditStatus::Failed
            }
            (None, Last::Missing) => {
                self.is_incomplete = true;
                list(missing, truncated, finding(None));
                AuditStatus::Missing
            }
            (None, Last::Nothing) if is_past => {
                if !expectation.optional {
                    self.is_incomplete = true;
                    list(missing, truncated, finding(None));
                }
                AuditStatus::Missing
            }
            (None, Last::Nothing) => {
                if !expectation.optional {
                    self.is_pending = true;
                    list(pending, truncated, finding(None));
                }
                AuditStatus::Pending
            }
        };
        let is_open = met_at.is_none() && expectation.liveness && !outcome.is_acknowledged;
        self.is_stale |= is_open && is_past;
        if !is_past && (is_open || (status == AuditStatus::Pending && !expectation.optional)) {
            let earliest = self.changes_after.map_or(expectation.deadline, |at| at.min(expectation.deadline));
            self.changes_after = Some(earliest);
        }
        self.standings.push(Standing { id: expectation.id.clone(), status, acked_at: met_at });
    }

    fn finish(mut self) -> Reconciled {
        self.verdict.status = match () {
            () if self.is_stale => VerdictStatus::Stale,
            () if self.is_incomplete => VerdictStatus::Incomplete,
            () if self.is_pending => VerdictStatus::Pending,
            () => VerdictStatus::Complete,
        };
        self.standings.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Reconciled { verdict: self.verdict, standings: self.standings, changes_after: self.changes_after }
    }
}

fn list(findings: &mut Vec<Finding>, truncated: &mut bool, finding: Finding) {
    if findings.len() < LISTED_MAX {
        findings.push(finding);
    } else {
        *truncated = true;
    }
}

fn of_event(event: &Event, ack_id: Option<&AckId>, superseded: bool) -> Finding {
    Finding {
        domain: event.domain.clone(),
        action: event.action.clone(),
        expectation_id: None,
        ack_id: ack_id.cloned(),
        deadline: None,
        at: Some(event.at),
        superseded,
    }
}

fn of_expectation(expectation: &ExpectationFact, at: Option<Timestamp>) -> Finding {
    Finding {
        domain: expectation.domain.clone(),
        action: expectation.action.clone(),
        expectation_id: Some(expectation.id.clone()),
        ack_id: None,
        deadline: Some(expectation.deadline),
        at,
        superseded: false,
    }
}
