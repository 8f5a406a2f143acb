//! Members that something is computed with, and keys that were replaced.

use serde_json::{Value, json};
use tracekeep_core::hash::sha256;
use tracekeep_evidence::bundle::{BuildError, Kind, Period, Reason, build};
use tracekeep_evidence::{Checkpoint, SigningKey};

use super::forge::{Members, canonical, forged, lines};
use super::ledger::{Ledger, at, key_of};
use super::negative::Made;

/// Withholds a member, as [`Remainder::without`](tracekeep_core::remainder::Remainder::without) refuses to, and says that it
/// was called so.
fn withhold(line: &mut Value, name: &str, called: &str) {
    let members = line["members"].as_array_mut().unwrap();
    let member = members.iter_mut().find(|member| member[0] == name).unwrap();
    let salt = hex(member[2].as_str().unwrap());
    let opened = canonical(&json!([member[0], member[1]]));
    let commitment = sha256(&[b"tracekeep/member/1\n", &salt, &opened]);
    *member = json!([called, commitment.to_string()]);
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Entries that do not show what they are: whoever has the log's key can sign a bundle of them.
pub(crate) fn kept(ledger: &Ledger, bundle: &[u8]) -> Vec<Made> {
    let called = |name, of: &str, member: &str, called: &str, reason| {
        let change = |members: &mut Members| {
            lines(members, "records.jsonl", |lines| {
                withhold(lines.iter_mut().find(|line| line["leaf"]["kind"] == of).unwrap(), member, called);
            });
        };
        (name, forged(ledger, bundle, change, |_| {}), reason)
    };
    let without = |name, of, member| called(name, of, member, member, Reason::MalformedRecord);
    let called = |name, of, member, as_what| called(name, of, member, as_what, Reason::WrongCommitment);
    vec![
        called("withheld_op_under_another_name", "step", "op", "oq"),
        called("withheld_status_under_another_name", "step", "status", "statut"),
        called("withheld_trace_type_under_another_name", "trace", "trace_type/type", "trace_type/typf"),
        without("withheld_op", "step", "op"),
        without("withheld_run_id", "step", "run_id"),
        without("withheld_index", "step", "index"),
        without("withheld_status", "step", "status"),
        without("withheld_occurred_at", "trace", "occurred_at"),
        without("withheld_trace_id", "trace", "id"),
        without("withheld_trace_type", "trace", "trace_type/type"),
        without("withheld_run_root", "sealed", "run_root"),
        without("withheld_seal_entries", "sealed", "entries"),
        without("withheld_seal_status", "sealed", "status"),
        without("withheld_incident_id", "incident", "incident_id"),
    ]
}

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
        let called = |members: &mut Members| {
            lines(members, "records.jsonl", |lines| lines[1]["leaf"]["kind"] = kind.into());
        };
        (name, forged(&ledger, &bundle, called, |_| {}), Reason::MalformedRecord)
    };
    vec![malformed("redaction_of_no_index", "redaction", r#"{"op":"redact","replaces":[{"reason":"a card"}]}"#)]
}

/// A period in which a key is declared, which is not shown.
pub(crate) fn undeclared() -> Vec<u8> {
    let mut ledger = Ledger::new();
    ledger.start("run-1");
    let key = key_of(ledger.id, 8).public().to_string();
    ledger.push("signing_key", "", &format!(r#"{{"key":"{key}","op":"declare_key","reason":"rotated"}}"#));
    let mut contents = ledger.contents(Kind::Period, ledger.with_leaves(&["run-1"]));
    contents.period = Some(Period { from: at(0), to: at(9) });
    build(&contents, &ledger.key).unwrap()
}

/// Signed by keys that have another name than the log's origin, or of a log whose origin is none of a ledger.
pub(crate) fn named_otherwise(ledger: &Ledger, bundle: &[u8]) -> Vec<(&'static str, SigningKey, Vec<u8>, Reason)> {
    let named = |name: &str| SigningKey::from_seed(name, [7; 32]).unwrap();
    let signed = |name: &str, note: Option<String>, of: Option<&'static str>| {
        let mut other = super::ledger::story();
        other.key = named(name);
        let change = |members: &mut Members| {
            note.into_iter().for_each(|note| drop(members.insert("checkpoint".to_owned(), note.into_bytes())));
            of.into_iter().for_each(|of| {
                lines(members, "records.jsonl", |lines| {
                    lines.iter_mut().for_each(|line| line["leaf"]["ledger"] = of.into());
                });
            });
        };
        forged(&other, bundle, change, |_| {})
    };
    let (other, upper) = ("tracekeep/ffffffffffffffffffffffffffffffff", "tracekeep/000102030405060708090A0B0C0D0E0F");
    let checkpoint = ledger.checkpoint(ledger.size());
    let note = checkpoint.sign(&named(other)).unwrap().to_string();
    let upper_note = Checkpoint { origin: upper.to_owned(), ..checkpoint }.sign(&named(upper)).unwrap().to_string();
    vec![
        ("manifest_by_key_of_other_log", named(other), signed(other, None, None), Reason::UnknownSigner),
        ("key_of_other_log", named(other), signed(other, Some(note), None), Reason::UnknownSigner),
        (
            "ledger_in_upper_case",
            named(upper),
            signed(upper, Some(upper_note), upper.strip_prefix("tracekeep/")),
            Reason::WrongLedger,
        ),
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
