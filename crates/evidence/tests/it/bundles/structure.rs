//! Members that something is computed with, and keys that were replaced.

use tracekeep_evidence::bundle::{BuildError, Kind, Reason, build};

use super::forge::forged;
use super::ledger::{Ledger, key_of};
use super::negative::Made;

/// Entries whose members are none of their kind: nobody but a forger who has the log's key would record them.
pub(crate) fn made() -> Vec<Made> {
    let malformed = |name, kind: &str, body: &str| {
        let mut ledger = Ledger::new();
        ledger.start("run-1");
        ledger.push(kind, "run-1", body);
        let bundle = build(&ledger.contents(Kind::Evidence, ledger.of_runs(&["run-1"])), &ledger.key);
        assert!(matches!(bundle, Err(BuildError::Record { log_index: 1, .. })), "{name}");
        // Built as of a kind that nothing is computed with, and called what it is not.
        let mut ledger = Ledger::new();
        ledger.start("run-1");
        ledger.push("other", "run-1", body);
        let bundle = build(&ledger.contents(Kind::Evidence, ledger.of_runs(&["run-1"])), &ledger.key).unwrap();
        let called = |members: &mut super::forge::Members| {
            super::forge::lines(members, "records.jsonl", |lines| lines[1]["leaf"]["kind"] = kind.into());
        };
        (name, forged(&ledger, &bundle, called, |_| {}), Reason::MalformedRecord)
    };
    let step = |name, member: &str| malformed(name, "step", &format!(r#"{{"index":0,"op":"record_step",{member}}}"#));
    vec![
        step("step_of_status_5", r#""status":5"#),
        step("cost_of_14_digits", r#""cost_cents":"10000000000000""#),
        step("cost_of_other_text", r#""cost_cents":"1.50""#),
        step("cost_of_7_decimals", r#""cost_cents":"0.0000001""#),
        step("duration_below_zero", r#""duration_ms":-1"#),
        step("duration_of_too_much", r#""duration_ms":9223372036855"#),
        step("duration_of_text", r#""duration_ms":"1""#),
        step("tokens_below_zero", r#""tokens":-1"#),
        malformed("redaction_of_op_5", "redaction", r#"{"op":5}"#),
        malformed("redaction_of_no_index", "redaction", r#"{"op":"redact","replaces":[{"reason":"a card"}]}"#),
        malformed("signing_key_5", "signing_key", r#"{"key":5,"op":"declare_key"}"#),
    ]
}

/// Signed by a key, wholly or in part, in whose place the log itself has put another.
pub(crate) fn rotated() -> Vec<(&'static str, Vec<u8>)> {
    let mut ledger = Ledger::new();
    let (old, new) = (ledger.key.public().to_string(), key_of(ledger.id, 8));
    ledger.push("signing_key", "", &format!(r#"{{"key":"{old}","op":"declare_key","reason":"first"}}"#));
    let body = format!(
        r#"{{"key":"{}","op":"declare_key","previous":"{old}","reason":"rotated","why":"its disk was lost"}}"#,
        new.public()
    );
    ledger.push("signing_key", "", &body);
    ledger.start("run-1");
    let bundle = build(&ledger.contents(Kind::Evidence, ledger.entries.clone()), &ledger.key).unwrap();
    let note = ledger.checkpoint(ledger.size()).sign(&new).unwrap().to_string();
    let noted =
        forged(&ledger, &bundle, |members| drop(members.insert("checkpoint".to_owned(), note.into_bytes())), |_| {});
    vec![("superseded_key", bundle), ("superseded_manifest", noted)]
}
