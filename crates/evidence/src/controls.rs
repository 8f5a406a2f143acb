//! What a bundle shows of SOC 2's controls: each status is derived from facts that are in the records, and says which
//! (docs/format/controls.md).

use tracekeep_core::Timestamp;
use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, object_field, to_json, words};

use crate::account::{Account, Fact, How, IncidentAccount, Over};
use crate::bundle::Period;

words! {
    /// What the records show of a control.
    pub enum ControlStatus {
        /// Everything that it asks for is there.
        Demonstrated = "demonstrated",
        /// Some of it is.
        Partial = "partial",
        /// None of it is.
        NotDemonstrated = "not_demonstrated",
    }
}

object! {
    /// One thing that a control asks for.
    pub struct Asked {
        /// What it is.
        required what: String,
        /// What is shown of it: partial where some incidents have it and others do not.
        required status: ControlStatus,
        /// The entries that show it, the first 20; none where it is not shown.
        required entries: Vec<u64>,
    }
}

object! {
    /// A control, and what of it the records show. It is no attestation: an auditor judges the control.
    pub struct Control {
        /// The criterion.
        required control: String,
        /// What it is about.
        required title: String,
        /// What is shown of it.
        required status: ControlStatus,
        /// What it asks for, and which entries show it.
        required asked: Vec<Asked>,
    }
}

object! {
    /// `controls.json`.
    pub struct Controls {
        /// The time that it is about: what was recorded outside of it supports nothing.
        optional period: Period,
        /// The incidents that are looked at, by log index: in a period those that were open in it.
        required incidents: Vec<u64>,
        /// By criterion.
        required controls: Vec<Control>,
    }
}

object_field!(Asked, Control);

/// Entries that are listed for one thing.
const ENTRIES_MAX: usize = 20;

/// The criteria that well-known types of violation are about, beside those of incidents. Any other name is about none.
pub const OF_TYPES: [(&str, &str, &[&str]); 4] = [
    (
        "CC6.1",
        "logical access is restricted",
        &[
            "access_violation",
            "credential_exposure",
            "permission_violation",
            "privilege_escalation",
            "unauthorized_access",
        ],
    ),
    (
        "CC6.7",
        "transmission and removal of information is restricted",
        &["data_exfiltration", "data_leak", "pii_exposure", "privacy_violation"],
    ),
    (
        "CC8.1",
        "changes are authorized",
        &["unauthorized_change", "unauthorized_config_change", "unauthorized_deployment"],
    ),
    (
        "A1.1",
        "use of capacity is monitored",
        &[
            "budget_exceeded",
            "capacity_limit",
            "cost_limit",
            "quota_exceeded",
            "rate_limit",
            "spend_limit",
            "token_limit",
        ],
    ),
];

fn asked(what: &str, status: ControlStatus, entries: Vec<u64>) -> Asked {
    let entries = entries.into_iter().take(ENTRIES_MAX).collect();
    Asked { what: what.to_owned(), status, entries }
}

/// So many of what was looked at have what is asked for.
const fn of(shown: usize, all: usize) -> ControlStatus {
    match shown {
        0 => ControlStatus::NotDemonstrated,
        _ if shown == all => ControlStatus::Demonstrated,
        _ => ControlStatus::Partial,
    }
}

fn control(control: &str, title: &str, asked: Vec<Asked>) -> Control {
    let is = |status| asked.iter().all(|asked| asked.status == status);
    let status = match () {
        () if is(ControlStatus::Demonstrated) => ControlStatus::Demonstrated,
        () if is(ControlStatus::NotDemonstrated) => ControlStatus::NotDemonstrated,
        () => ControlStatus::Partial,
    };
    Control { control: control.to_owned(), title: title.to_owned(), status, asked }
}

/// What the records show of CC7.2, CC7.3, CC7.4, and of the criteria that the incidents' types of violation are about. Every
/// incident of the run counts, or the one alone that is asked about. Of a period those count that were open in it, and
/// nothing supports a control that was recorded outside of it.
#[must_use]
pub fn controls(account: &Account, period: Option<Period>) -> Controls {
    let seen = Seen { account, period, incidents: Vec::new() };
    let incidents = account.judged().into_iter().filter(|incident| seen.was_open(incident)).collect();
    let seen = Seen { incidents, ..seen };
    let mut found = vec![
        control("CC7.2", "the system is monitored for anomalies", seen.monitored()),
        control("CC7.3", "security events are evaluated", seen.evaluated()),
        control("CC7.4", "incidents are responded to", seen.responded()),
    ];
    for (criterion, title, names) in OF_TYPES {
        let is_of =
            |known: &&IncidentAccount| known.violation_type.as_deref().is_some_and(|name| names.contains(&name));
        let of_type: Vec<_> = seen.incidents.iter().copied().filter(is_of).collect();
        if !of_type.is_empty() {
            found.push(control(criterion, title, Seen { incidents: of_type, ..seen }.violated()));
        }
    }
    let incidents = seen.incidents.iter().map(|known| known.log_index).collect();
    Controls { period, incidents, controls: found }
}

/// What is looked at.
struct Seen<'a> {
    account: &'a Account,
    period: Option<Period>,
    incidents: Vec<&'a IncidentAccount>,
}

impl Seen<'_> {
    /// Whether what was recorded at a time can support anything.
    fn counts(&self, recorded_at: Timestamp) -> bool {
        self.period.is_none_or(|period| period.from <= recorded_at && recorded_at < period.to)
    }

    fn is_before_end(&self, recorded_at: Timestamp) -> bool {
        self.period.is_none_or(|period| recorded_at < period.to)
    }

    fn was_open(&self, incident: &IncidentAccount) -> bool {
        let ended = incident.resolution.as_ref().map(|end| end.recorded_at);
        let is_over = self.period.zip(ended).is_some_and(|(period, at)| at < period.from);
        self.is_before_end(incident.recorded_at) && !is_over
    }

    /// What is asked of each incident: the entries that show it.
    fn each(&self, what: &str, shows: impl Fn(&IncidentAccount) -> Vec<u64>) -> Asked {
        self.each_and(0, what, shows)
    }

    /// Violations that have no incident, and so nothing that is asked of one. One that is withheld may be one of these.
    fn untold(&self) -> usize {
        let untold = self.account.untold(self.period.map(|period| period.to));
        let is_unknown = self.account.about.is_none() && self.account.violation_withheld;
        usize::from(is_unknown || untold.is_some_and(|stated| self.counts(stated.recorded_at)))
    }

    fn each_and(&self, others: usize, what: &str, shows: impl Fn(&IncidentAccount) -> Vec<u64>) -> Asked {
        let shown: Vec<_> = self.incidents.iter().map(|incident| shows(incident)).filter(|is| !is.is_empty()).collect();
        asked(what, of(shown.len(), self.incidents.len() + others), shown.concat())
    }

    /// What is asked of each incident's own entry.
    fn says(&self, what: &str, is: impl Fn(&IncidentAccount) -> bool) -> Asked {
        let entry = |known: &IncidentAccount| known.log_index;
        self.each(what, |known| {
            Some(entry(known)).filter(|_| self.counts(known.recorded_at) && is(known)).into_iter().collect()
        })
    }

    fn monitored(&self) -> Vec<Asked> {
        // What was taken back is no expectation, and what was found of it no finding.
        let cleared = self.account.cleared.iter().rfind(|fact| self.is_before_end(fact.recorded_at));
        let stands = |fact: &&Fact| {
            self.is_before_end(fact.recorded_at) && cleared.is_none_or(|cleared| cleared.log_index < fact.log_index)
        };
        let expected: Vec<_> = self.account.expectations.iter().filter(stands).collect();
        let first = expected.first().map(|fact| fact.log_index);
        let is_of_them = |fact: &&Fact| first.is_some_and(|first| first < fact.log_index);
        let verdicts: Vec<_> = self.account.verdicts.iter().filter(stands).filter(is_of_them).collect();
        // A verdict speaks for what stood in front of it, and for nothing that was expected or said later.
        let account = self.account;
        let facts = account.expectations.iter().chain(&account.acks).chain(&account.statuses);
        let latest = facts.filter(stands).map(|fact| fact.log_index).max();
        let is_final = |fact: &&&Fact| matches!(fact.says.as_str(), "COMPLETE" | "INCOMPLETE" | "STALE");
        let judged = verdicts.iter().rfind(is_final).filter(|fact| self.counts(fact.recorded_at));
        // What the facts beside it do not come to is nothing that was found; what they may come to is not known to be.
        let borne_out = judged.and_then(|fact| account.bears_out(fact));
        let found: Vec<u64> = judged.filter(|_| borne_out != Some(false)).iter().map(|fact| fact.log_index).collect();
        let is_last = judged == verdicts.last() && judged.map(|fact| fact.log_index) > latest;
        let is_whole = is_last && borne_out == Some(true);
        let compared = of(found.len(), if is_whole { found.len() } else { usize::MAX });
        let expected = self.entries(&expected);
        let declared = of(expected.len(), expected.len());
        vec![
            asked("what should happen was declared, and not taken back", declared, expected),
            asked("what happened was compared with it, and nothing was left pending", compared, found),
            self.detected(),
        ]
    }

    fn entries(&self, facts: &[&Fact]) -> Vec<u64> {
        facts.iter().filter(|fact| self.counts(fact.recorded_at)).map(|fact| fact.log_index).collect()
    }

    /// A violation of a step that is not among the records is said to be one, and no more.
    fn detected(&self) -> Asked {
        let violations = self.account.violations().into_iter().filter(|violated| self.counts(violated.recorded_at));
        let violations: Vec<_> = violations.collect();
        let known =
            violations.iter().filter(|violated| violated.step_index.is_none() || violated.step.is_some()).count();
        let status = match known {
            0 if !violations.is_empty() => ControlStatus::Partial,
            _ => of(known, violations.len()),
        };
        let entries = violations.iter().map(|violated| violated.log_index).collect();
        asked("a violation was detected and recorded", status, entries)
    }

    fn evaluated(&self) -> Vec<Asked> {
        let run = self.account.run_id.as_ref();
        let is_of_step =
            |known: &IncidentAccount| self.account.violated(known).is_some_and(|violated| violated.step.is_some());
        vec![
            self.each_and(self.untold(), "an incident was opened", |known| {
                if self.counts(known.recorded_at) { vec![known.log_index] } else { Vec::new() }
            }),
            self.says("its severity was assessed", |known| known.severity.is_some()),
            self.says("the policy was named", |known| known.policy().is_some()),
            self.says("it is linked to a run that is shown", |known| {
                known.run_id.is_some() && known.run_id.as_ref() == run
            }),
            self.says("it is linked to a step that is shown", is_of_step),
        ]
    }

    fn responded(&self) -> Vec<Asked> {
        vec![
            self.held(),
            self.resolved(self.untold(), "the incident was resolved"),
            self.each(
                "how long it went on is known: to its resolution, or to the end of its run after it was opened",
                |known| self.lasted(known),
            ),
        ]
    }

    /// What holds the record of an incident is asked for as long as that is open; of a violation without one, and of a run
    /// without either, at last.
    fn held(&self) -> Asked {
        let before = self.period.map(|period| period.to);
        let of_incidents = self.incidents.iter().map(|incident| self.account.held_while_open(incident, before));
        let others = if self.incidents.is_empty() { 1 } else { self.untold() };
        let all = of_incidents.chain(std::iter::repeat_n(self.account.held_by(before), others)).collect::<Vec<_>>();
        let holds = all.iter().flatten().filter(|fact| self.counts(fact.recorded_at));
        let mut entries: Vec<_> = holds.map(|fact| fact.log_index).collect();
        let status = of(entries.len(), all.len());
        entries.sort_unstable();
        entries.dedup();
        asked("the record was held while the incident was open", status, entries)
    }

    fn resolved(&self, others: usize, what: &str) -> Asked {
        self.each_and(others, what, |known| {
            let end = known.resolution.as_ref().filter(|end| self.counts(end.recorded_at));
            end.map(|end| end.log_index).into_iter().collect()
        })
    }

    /// The entries from which it follows how long a violation went on. That a run had ended before anybody saw what was wrong
    /// is no response to it.
    fn lasted(&self, incident: &IncidentAccount) -> Vec<u64> {
        let is_response = |over: &Over| match over.how {
            How::Resolved => true,
            How::RunEnded => over.log_index > incident.log_index && over.at >= incident.detected_at(),
        };
        let end = self.account.ends(incident).filter(is_response).min_by_key(|over| over.at);
        let Some(end) = end.filter(|end| self.account.since(incident, Some(end.at)).is_some()) else {
            return Vec::new();
        };
        // Where the incident does not say when it began, the step does.
        let step = self.account.step_of(incident).filter(|_| incident.violation_at.is_none());
        let began = step.map(|step| (step.log_index, step.recorded_at));
        let told = [(incident.log_index, incident.recorded_at), (end.log_index, end.recorded_at)];
        let facts: Vec<_> = began.into_iter().chain(told).collect();
        let counts = facts.iter().all(|(_, recorded_at)| self.counts(*recorded_at));
        if counts { facts.into_iter().map(|(log_index, _)| log_index).collect() } else { Vec::new() }
    }

    /// Of a control that was violated: that it was seen, and that something was done, never that the control works.
    fn violated(&self) -> Vec<Asked> {
        vec![
            asked("a violation was kept from happening", ControlStatus::NotDemonstrated, Vec::new()),
            self.says("it was detected: typed and recorded", |_| true),
            self.says("what is allowed and what was found were stated", |known| {
                known.threshold.is_some() && known.actual.is_some()
            }),
            self.resolved(0, "it was responded to: the incident was resolved"),
        ]
    }
}

impl Controls {
    /// `controls.json`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        to_json(self)
    }
}
