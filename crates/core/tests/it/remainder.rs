//! What is left of an entry gives its commitment, whatever is withheld, and nothing of what is.

use proptest::prelude::*;
use tracekeep_core::InvalidCode;
use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::json::Json;
use tracekeep_core::limits::JSON_DEPTH_MAX;
use tracekeep_core::model::{Op, Redact};
use tracekeep_core::redaction::{Kept, Redaction, Replaced};
use tracekeep_core::remainder::{NEVER_WITHHELD, Remainder};
use tracekeep_core::wire::{from_text, to_json};

use crate::generated::recorded_op;

const STEP: &str = r#"{"index":0,"input_hash":"00","op":"record_step","outcome_data":{"hits":3},"output_hash":"11","params":{"q":"secret"},"run_id":"r","skill_name":"s","status":"success"}"#;
const SPAN: &str = r#"{"id":"t","metadata":{},"op":"record_trace","otel":{"span":{}},"run_id":"r","tags":["a"],"trace_type":{"arguments":{"k":"secret"},"tool_name":"w","type":"ToolCall"}}"#;

fn whole(body: &str) -> Remainder {
    Remainder::whole(7, &Body::from_recorded(body).unwrap(), &salt())
}

fn salt() -> Salt {
    Salt::from_bytes([9; 32])
}

fn withheld(body: &str, names: &[&str]) -> Vec<String> {
    let left = whole(body).without(names).unwrap();
    assert!(!to_json(&left).as_str().contains("secret"), "{left:?}");
    left.withheld().map(str::to_owned).collect()
}

#[test]
fn what_would_give_a_member_away_goes_with_it() {
    assert_eq!(withheld(STEP, &["params"]), ["input_hash", "params"]);
    assert_eq!(withheld(STEP, &["params", "outcome_data"]), ["input_hash", "outcome_data", "output_hash", "params"]);
    assert_eq!(withheld(SPAN, &["trace_type/arguments"]), ["otel", "trace_type/arguments"]);
    assert_eq!(withheld(SPAN, &["tags", "trace_type/arguments"]), ["otel", "tags", "trace_type/arguments"]);
    let plain = SPAN.replace(r#""otel":{"span":{}},"#, "");
    assert_eq!(withheld(&plain, &["trace_type/arguments"]), ["trace_type/arguments"]);
}

#[test]
fn what_an_entry_is_and_where_it_stands_is_never_withheld() {
    for name in NEVER_WITHHELD {
        let refused = whole(SPAN).without(&["tags", name]).unwrap_err();
        assert_eq!((refused.code(), refused.path()), (InvalidCode::InvalidMember, "/members/1"), "{name}");
    }
    let refused = whole(STEP).without(&["cost_cents"]).unwrap_err();
    assert_eq!((refused.path(), refused.detail()), ("/members/0", "is no member of what was recorded"));
}

#[test]
fn what_stays_reads_as_it_was_recorded() {
    assert_eq!(whole(SPAN).stays().as_str(), SPAN);
    let left = whole(SPAN).without(&["trace_type/arguments", "metadata"]).unwrap();
    let stays =
        r#"{"id":"t","op":"record_trace","run_id":"r","tags":["a"],"trace_type":{"tool_name":"w","type":"ToolCall"}}"#;
    assert_eq!(left.stays().as_str(), stays);
    assert_eq!(left.get("tags").unwrap().value(), Some(&Json::parse(r#"["a"]"#).unwrap()));
    assert_eq!(left.get("metadata").unwrap().value(), None);
}

#[test]
fn a_remainder_that_was_changed_gives_another_commitment() {
    let commitment = Body::from_recorded(STEP).unwrap().commitment(&salt());
    let left = whole(STEP).without(&["params"]).unwrap();
    left.check(commitment).unwrap();
    let text = to_json(&left).as_str().to_owned();
    for (a, b) in
        [("success", "failure"), ("\"skill_name\"", "\"skill_nane\""), ("\"11\"", "\"12\""), ("{\"hits\":3}", "{}")]
    {
        let changed: Remainder = from_text(text.replacen(a, b, 1).as_bytes()).unwrap();
        assert_eq!(changed.check(commitment).unwrap_err().path(), "/members", "{a}");
    }
    // Sorted otherwise, the same members are another text for one thing.
    let (first, rest) = (&left.members[0], &left.members[1..]);
    let members = rest.iter().chain([first]).cloned().collect();
    assert!(Remainder { members, ..left }.check(commitment).unwrap_err().detail().contains("sorted"));
    let twice = whole(STEP);
    let members = twice.members.iter().chain(twice.members.last()).cloned().collect();
    assert!(Remainder { members, ..twice }.check(commitment).is_err());
    for wrong in [r#"["a"]"#, r#"["a",1]"#, r#"["a",1,2]"#, r#"["a",1,"00",3]"#, "[]", "1"] {
        let text = format!(r#"{{"log_index":7,"members":[{wrong}]}}"#);
        assert!(from_text::<Remainder>(text.as_bytes()).is_err(), "{wrong}");
    }
}

/// A commitment over the commitments of the members alone left the name of a withheld one to whoever showed it: fuzzing
/// found a bundle that passed with `oq` for `op`, which still stood in its place in the order of names.
#[test]
fn a_withheld_member_that_is_called_otherwise_gives_another_commitment() {
    let commitment = Body::from_recorded(STEP).unwrap().commitment(&salt());
    let left = whole(STEP).without(&["params", "outcome_data"]).unwrap();
    left.check(commitment).unwrap();
    let text = to_json(&left).as_str().to_owned();
    for (name, called) in
        [("params", "paramt"), ("input_hash", "input"), ("outcome_data", "outcome"), ("output_hash", "output_hash ")]
    {
        let renamed = text.replacen(&format!("[\"{name}\","), &format!("[\"{called}\","), 1);
        let renamed: Remainder = from_text(renamed.as_bytes()).unwrap();
        assert!(renamed.withholds(called) && renamed.members.len() == left.members.len(), "{called}");
        assert!(renamed.check(commitment).unwrap_err().detail().contains("commitment"), "{name} as {called}");
    }
}

proptest! {
    #[test]
    fn whatever_is_withheld_and_in_whatever_order_the_commitment_is_the_same(
        op in recorded_op(), salt: [u8; 32], picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6), cut: prop::sample::Index,
    ) {
        let (body, salt) = (op.body(), Salt::from_bytes(salt));
        // A member stands two deeper in a remainder: what nests to the limit has none.
        prop_assume!(Json::parse(body.as_str()).unwrap().depth() + 2 <= JSON_DEPTH_MAX);
        let whole = Remainder::whole(3, &body, &salt);
        let all = whole.stays();
        prop_assert_eq!(all.as_str(), body.as_str());
        let names: Vec<String> = body.members().map(|(name, _)| name.into_owned()).collect();
        let picked: Vec<&str> = picks.iter().map(|pick| names[pick.index(names.len())].as_str()).collect();
        let picked: Vec<_> = picked.into_iter().filter(|name| !NEVER_WITHHELD.contains(name)).collect();
        let left = whole.without(&picked).unwrap();
        let commitment: Hash = body.commitment(&salt);
        left.check(commitment).unwrap();
        prop_assert!(picked.iter().all(|name| left.get(name).unwrap().value().is_none()));
        // One after the other is all at once, and what is withheld stays so.
        let (first, second) = picked.split_at(cut.index(picked.len() + 1));
        prop_assert_eq!(&whole.without(first).unwrap().without(second).unwrap(), &left);
        prop_assert_eq!(&left.without(&picked).unwrap(), &left);
        let text = to_json(&left);
        prop_assert_eq!(&from_text::<Remainder>(text.as_str().as_bytes()).unwrap(), &left);
        // What stays is in the body as it was, and the entry's salt is nowhere.
        for member in left.members.iter() {
            let recorded = body.member(member.name()).unwrap();
            prop_assert!(member.value().is_none_or(|value| value.as_str() == recorded));
        }
        let secret: String = salt.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert!(!text.as_str().contains(&secret));
    }

    /// The body of a redaction reads back as it was, as what it is and as its op, and nests so much deeper at most.
    #[test]
    fn the_body_of_a_redaction_reads_back_as_it_was(
        ops in prop::collection::vec((recorded_op(), any::<prop::sample::Index>()), 0..4),
        earlier in prop::collection::vec((any::<u64>(), "[a-z]{1,9}", prop::option::of("[a-z]{1,9}")), 0..3),
        trace: bool,
    ) {
        let salt = salt();
        let remainders = (0u64..).zip(&ops).map(|(log_index, (op, pick))| {
            let body = op.body();
            let names: Vec<String> = body.members().map(|(name, _)| name.into_owned()).collect();
            let name = names[pick.index(names.len())].as_str();
            let picked = (!NEVER_WITHHELD.contains(&name)).then_some(name);
            Remainder::whole(log_index, &body, &salt).without(&picked.into_iter().collect::<Vec<_>>()).unwrap()
        });
        let remainders: Vec<_> = remainders.collect();
        let replaces = earlier.into_iter().map(|(log_index, reason, by)| Replaced { log_index, reason, by }).collect();
        let (step, trace) = if trace { (None, Some("t".parse().unwrap())) } else { (Some(7), None) };
        let members = vec!["params".to_owned()];
        let op = Redact { run_id: "r".parse().unwrap(), step, trace, members, reason: "x".into(), by: None, redacted: None };
        let redaction = Redaction { op: op.clone(), kept: Kept { remainders, replaces } };
        let body = redaction.body();
        prop_assert!(Redaction::is_of_members(&body));
        prop_assert_eq!(&Redaction::from_body(body.as_str()).unwrap(), &redaction);
        prop_assert_eq!(Op::from_body(body.as_str()).unwrap(), Op::Redact(op));
        for (left, (op, _)) in redaction.kept.remainders.iter().zip(&ops) {
            prop_assert_eq!(left.commitment(), op.body().commitment(&salt));
        }
        prop_assert_eq!(Body::from_recorded(body.as_str()).ok().map(|read| read == body), Some(true));
    }
}
