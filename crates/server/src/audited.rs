//! Figures of audits. Domains and actions are recorded text: their labels are cut, cleaned, and bounded in number.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tracekeep_audit::{AuditFinding, VerdictStatus};
use tracekeep_store::{HeldWord, OpReceipt, Recorded};

/// Pairs of domain and action that have labels of their own; the others are counted together.
const ACTIONS_MAX: usize = 200;
/// Characters of a label.
const LABEL_CHARACTERS_MAX: usize = 64;
/// What the others are counted under.
const OTHER: &str = "other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Action {
    domain: String,
    action: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    code: String,
}

#[derive(Debug)]
pub(crate) struct AuditMetrics {
    verdicts: Family<Status, Counter>,
    missing: Family<Action, Counter>,
    drift: Family<Action, Counter>,
    stale: Counter,
    waited: Histogram,
    parked: Family<Refusal, Counter>,
    kept: Family<Refusal, Counter>,
    known: Mutex<HashSet<Action>>,
}

impl AuditMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            verdicts: Family::default(),
            missing: Family::default(),
            drift: Family::default(),
            stale: Counter::default(),
            waited: Histogram::new(exponential_buckets(0.001, 4.0, 12)),
            parked: Family::default(),
            kept: Family::default(),
            known: Mutex::default(),
        };
        registry.register("audit_reconciliations", "Verdicts recorded, by status", metrics.verdicts.clone());
        registry.register("audit_missing", "Expectations found missing, each once", metrics.missing.clone());
        registry.register("audit_drift", "Acknowledgements that nobody asked for, each once", metrics.drift.clone());
        registry.register("audit_stale_runs", "Runs taken for dead", metrics.stale.clone());
        registry.register("audit_ack_seconds", "Time from expectation to acknowledgement", metrics.waited.clone());
        let parked = "Facts held in front of the ledger that it refuses for good, by code";
        registry.register("audit_parked_facts", parked, metrics.parked.clone());
        let kept = "Looks at a run whose facts could not be moved into the ledger, by code";
        registry.register("audit_unmoved_looks", kept, metrics.kept.clone());
        metrics
    }

    /// Counts what an op of an audit came to. A duplicate was counted before.
    pub(crate) fn op(&self, op: &OpReceipt) {
        if op.outcome == Recorded::Duplicate {
            return;
        }
        if let Some(nanos) = op.told.waited_ns {
            self.waited.observe(std::time::Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)).as_secs_f64());
        }
        let Some(verdict) = &op.told.verdict else { return };
        self.verdicts.get_or_create(&Status { status: verdict.status.as_str() }).inc();
        let before = op.told.before;
        if verdict.status == VerdictStatus::Stale && before.is_none_or(|(status, _)| status != VerdictStatus::Stale) {
            self.stale.inc();
        }
        // What an earlier verdict has seen was counted with it.
        let seen = before.map(|(_, at)| at);
        for finding in verdict.missing.iter().filter(|one| seen.is_none_or(|seen| one.deadline >= Some(seen))) {
            self.missing.get_or_create(&self.label(finding)).inc();
        }
        for finding in verdict.drift.iter().filter(|one| seen.is_none_or(|seen| one.at >= Some(seen))) {
            self.drift.get_or_create(&self.label(finding)).inc();
        }
    }

    /// Counts what becomes of facts that were held in front of the ledger, and logs what it did not take.
    pub(crate) fn held(&self, word: &HeldWord<'_>) {
        match word {
            HeldWord::Moved { ops, .. } => ops.iter().for_each(|op| self.op(op)),
            HeldWord::Parked { run_id, member, code } => {
                self.parked.get_or_create(&Refusal { code: (*code).to_owned() }).inc();
                tracing::warn!(%run_id, member, code, "the ledger refuses a fact of an audit: it is set aside in Redis");
            }
            HeldWord::Kept { run_id, code } => {
                self.kept.get_or_create(&Refusal { code: (*code).to_owned() }).inc();
                tracing::warn!(%run_id, code, "what Redis holds of a run's audit could not be moved");
            }
            HeldWord::Left { run_id, code } => {
                tracing::warn!(%run_id, code, "a run was erased, and what Redis keeps of its audit is left to its ttl");
            }
            HeldWord::Unread { from, code } => {
                let said =
                    "runs were erased that could not be read, and what Redis keeps of their audits is left to its ttl";
                tracing::warn!(from, code, "{said}");
            }
            _ => {}
        }
    }

    fn label(&self, finding: &AuditFinding) -> Action {
        let label = Action { domain: plain(&finding.domain), action: plain(&finding.action) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&label) || known.len() < ACTIONS_MAX && known.insert(label.clone()) {
            return label;
        }
        Action { domain: OTHER.to_owned(), action: OTHER.to_owned() }
    }
}

/// Recorded text as a label: short, without anything that the text form of metrics gives a meaning to.
fn plain(text: &str) -> String {
    let kept = |character: char| {
        if character.is_ascii_alphanumeric() || "._:/-".contains(character) { character } else { '_' }
    };
    text.chars().take(LABEL_CHARACTERS_MAX).map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracekeep_core::hash::Hash;
    use tracekeep_store::Told;

    fn finding(action: &str) -> AuditFinding {
        AuditFinding {
            domain: "d\"\n\\".into(),
            action: action.into(),
            expectation_id: None,
            ack_id: None,
            deadline: Some(tracekeep_core::Timestamp::from_nanos(5)),
            at: None,
            superseded: false,
        }
    }

    fn told(actions: usize, before: Option<i64>) -> OpReceipt {
        let missing = (0..actions).map(|n| finding(&format!("a{n}"))).collect();
        let empty = tracekeep_audit::AuditReconciler::default().reconcile(tracekeep_core::Timestamp::MIN).verdict;
        let verdict = tracekeep_audit::AuditVerdict { status: VerdictStatus::Stale, missing, ..empty };
        let before = before.map(|at| (VerdictStatus::Stale, tracekeep_core::Timestamp::from_nanos(at)));
        let told = Told { verdict: Some(Box::new(verdict)), before, waited_ns: None };
        OpReceipt { outcome: Recorded::Recorded, log_index: 0, leaf_hash: Hash::ZERO, run_id: None, id: None, told }
    }

    #[test]
    fn labels_are_bounded_and_clean_and_nothing_is_counted_twice() {
        let mut registry = Registry::default();
        let metrics = AuditMetrics::new(&mut registry);
        metrics.op(&told(300, None));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("audit_missing_total{")).collect();
        assert_eq!(lines.len(), ACTIONS_MAX + 1);
        assert!(lines.contains(&r#"audit_missing_total{domain="other",action="other"} 100"#));
        assert!(lines.iter().all(|line| line.contains("\"d___\"") || line.contains("\"other\"")), "{text}");
        assert_eq!(metrics.stale.get(), 1);
        metrics.op(&told(300, Some(6)));
        let duplicate = OpReceipt { outcome: Recorded::Duplicate, ..told(300, None) };
        metrics.op(&duplicate);
        assert_eq!((metrics.stale.get(), metrics.verdicts.get_or_create(&Status { status: "STALE" }).get()), (1, 2));
        let other = Action { domain: OTHER.into(), action: OTHER.into() };
        assert_eq!(metrics.missing.get_or_create(&other).get(), 100);
    }
}
