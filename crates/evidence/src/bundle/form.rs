//! What an entry of each kind has to show, so that everything else can be held to it.

use tracekeep_core::remainder::{NEVER_WITHHELD, Remainder};

use super::facts::{Malformed, shown};

/// The ops that an entry of a kind can be of; `None` of a kind that is not known: it is opaque.
fn ops_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "run_started" => &["start_run", "ensure_run"],
        "run_described" => &["describe_run"],
        "step" => &["record_step"],
        "trace" => &["record_trace"],
        "trace_ended" => &["end_trace", "record_trace"],
        "sealed" => &["complete_run", "seal_run"],
        "redaction" => &["erase_run", "redact"],
        "hold" => &["hold"],
        "hold_released" => &["release_hold"],
        "expectation" => &["expect"],
        "ack" => &["ack"],
        "status" => &["set_expectation_status"],
        "audit_cleared" => &["clear_audit"],
        "verdict" => &["reconcile"],
        "baseline" => &["set_baseline"],
        "incident" => &["open_incident"],
        "incident_resolved" => &["resolve_incident"],
        "export" => &["record_export"],
        "signing_key" => &["declare_key"],
        "key" => &["key"],
        _ => return None,
    })
}

/// Members that an entry of a kind may not withhold, beside those that none may: without them a check would fall away.
fn structure_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "sealed" => &["entries", "n", "run_root", "steps", "traces"],
        "incident" | "incident_resolved" => &["incident_id"],
        "signing_key" => &["key"],
        _ => &[],
    }
}

/// Whether an entry whose body names no run may be one of a run.
fn may_name_no_run(kind: &str) -> bool {
    matches!(kind, "export" | "incident_resolved")
}

/// Holds what is shown of an entry to its leaf: the op, the run, and what is never withheld.
pub(super) fn check(kind: &str, run: &str, left: &Remainder) -> Result<(), Malformed> {
    let Some(ops) = ops_of(kind) else { return Ok(()) };
    let is_kept = |name: &str| NEVER_WITHHELD.contains(&name) || structure_of(kind).contains(&name);
    if left.withheld().any(is_kept) {
        return Err(Malformed);
    }
    let op: Option<String> = shown(left, "op")?;
    let named: Option<String> = shown(left, "run_id")?;
    let is_its_run = match &named {
        // It outlives the run that it names.
        _ if kind == "baseline" => run.is_empty(),
        None => run.is_empty() || may_name_no_run(kind),
        Some(named) => named == run,
    };
    if op.is_some_and(|op| ops.contains(&op.as_str())) && is_its_run { Ok(()) } else { Err(Malformed) }
}
