//! Keys that sign the log: their declarations are entries, said by nobody's request.

use serde_json::{Value, json};
use tracekeep_core::view::DeclaredKey;
use tracekeep_store::{Batch, block_on};

use crate::context::{Context, commit, walk};
use crate::dump::leaf_members;
use crate::ops::{export, ops, start, with};

cases!("signing":
    nobody_says_over_a_network_what_the_writer_alone_says,
    each_key_names_the_one_before_it,
    the_same_declaration_again_is_a_duplicate,
    a_key_of_another_ledger_is_refused,
    what_is_no_key_is_refused,
    what_a_key_gives_up_is_said,
);

fn key(cx: &Context, name: &str) -> String {
    format!("tracekeep/{}+0badcafe+{name}", cx.ledger().ledger())
}

fn declare(key: &str, previous: Option<&str>, reason: &str) -> Value {
    json!({"op": "declare_key", "key": key, "previous": previous, "reason": reason})
}

fn keys(cx: &Context) -> Vec<DeclaredKey> {
    let keys = walk(1, |page| block_on(cx.ledger().signing_keys(&page)));
    assert_eq!(walk(50, |page| block_on(cx.ledger().signing_keys(&page))), keys, "a page at a time or all at once");
    keys
}

/// Declares the first key, in a batch with something else.
fn first(cx: &Context) -> Value {
    let first = declare(&key(cx, "A"), None, "first");
    cx.record(&[start("r"), first.clone()]);
    first
}

fn nobody_says_over_a_network_what_the_writer_alone_says(cx: &mut Context) {
    let export = with(export("x"), json!({"run_id": "r"}));
    for op in [declare(&key(cx, "A"), None, "first"), export] {
        let sent = commit(&*cx.ledger(), Batch::of(ops(&[start("r"), op])));
        match sent {
            Ok(_) => assert!(!cx.is_remote(), "a request said it"),
            Err(error) => {
                assert!(cx.is_remote());
                assert_eq!((error.code(), error.path()), ("local_only", Some("/ops/1")));
                assert_eq!((cx.head().tree_size, keys(cx)), (0, vec![]), "refused whole");
            }
        }
    }
}

fn each_key_names_the_one_before_it(cx: &mut Context) {
    assert_eq!(keys(cx), []);
    first(cx);
    let (a, b, c) = (key(cx, "A"), key(cx, "B"), key(cx, "C"));
    for wrong in [
        declare(&b, None, "first"),
        declare(&b, Some(&c), "rotated"),
        declare(&a, Some(&a), "rotated"),
        with(declare(&a, None, "first"), json!({"why": "another reason"})),
    ] {
        cx.refuse(&[wrong], "conflict");
    }
    let said = json!({"why": "once a year", "by": "anna"});
    cx.record(&[with(declare(&b, Some(&a), "rotated"), said)]);
    cx.refuse(&[declare(&c, Some(&a), "rotated")], "conflict");
    cx.record(&[start("s"), declare(&c, Some(&b), "adopted")]);
    cx.look_reopen_look();
    let found = keys(cx);
    let told: Vec<_> = found.iter().map(|key| (key.key.clone(), key.log_index, key.reason.as_str())).collect();
    assert_eq!(told, [(a, 1, "first"), (b.clone(), 2, "rotated"), (c, 4, "adopted")]);
    assert_eq!((found[1].why.as_deref(), found[1].by.as_deref()), (Some("once a year"), Some("anna")));
    assert_eq!(found[2].previous, Some(b));
    let log = block_on(cx.ledger().entries(1, 1)).expect("the log");
    let leaf = leaf_members(&log[0]);
    assert_eq!((leaf["kind"].as_str(), leaf["run"].as_str(), leaf["seq"].as_str()), ("signing_key", "", "0"));
}

fn the_same_declaration_again_is_a_duplicate(cx: &mut Context) {
    let first = first(cx);
    let again = cx.send(std::slice::from_ref(&first)).expect("a duplicate");
    assert_eq!((again.outcome.as_str(), again.ops[0].log_index), ("duplicate", 1));
    let second = declare(&key(cx, "B"), Some(&key(cx, "A")), "rotated");
    let both = cx.record(&[second.clone(), second.clone()]);
    assert_eq!((both.ops[0].log_index, both.ops[1].log_index), (2, 2), "of one batch, too");
    cx.refuse(&[first], "conflict");
}

fn a_key_of_another_ledger_is_refused(cx: &mut Context) {
    first(cx);
    let foreign = format!("tracekeep/{}+0badcafe+A", "0".repeat(32));
    let refused = cx.refuse(&[declare(&foreign, Some(&key(cx, "A")), "rotated")], "invalid_member");
    assert_eq!(refused.path(), Some("/ops/0/key"));
}

fn what_is_no_key_is_refused(cx: &mut Context) {
    first(cx);
    let (good, before) = (key(cx, "B"), key(cx, "A"));
    let rotated = declare(&good, Some(&before), "rotated");
    let cases = [
        (with(rotated.clone(), json!({"key": "nonsense"})), "invalid_member", "/ops/0/key"),
        (with(rotated.clone(), json!({"key": format!("{good} ")})), "invalid_member", "/ops/0/key"),
        (with(rotated.clone(), json!({"key": format!("{good}{}", "A".repeat(256))})), "too_large", "/ops/0/key"),
        (with(rotated.clone(), json!({"previous": "nonsense"})), "invalid_member", "/ops/0/previous"),
        (declare(&good, None, "rotated"), "invalid_member", "/ops/0/previous"),
        (declare(&good, Some(&before), "first"), "invalid_member", "/ops/0/previous"),
        (with(rotated.clone(), json!({"why": ""})), "invalid_member", "/ops/0/why"),
        (with(rotated.clone(), json!({"why": "x".repeat(1_025)})), "too_large", "/ops/0/why"),
        (with(rotated, json!({"by": ""})), "invalid_member", "/ops/0/by"),
    ];
    for (op, code, path) in cases {
        assert_eq!(cx.refuse(&[op], code).path(), Some(path));
    }
}

fn what_a_key_gives_up_is_said(cx: &mut Context) {
    first(cx);
    let (before, root) = (key(cx, "A"), "ab".repeat(32));
    let adopted = declare(&key(cx, "B"), Some(&before), "adopted");
    let given_up = |size: u64| json!({"given_up": {"size": size, "root": root}});
    let rotated = with(declare(&key(cx, "B"), Some(&before), "rotated"), given_up(7));
    assert_eq!(cx.refuse(&[rotated], "invalid_member").path(), Some("/ops/0/given_up"));
    let nothing = with(adopted.clone(), given_up(0));
    assert_eq!(cx.refuse(&[nothing], "number_out_of_range").path(), Some("/ops/0/given_up/size"));
    cx.record(&[with(adopted, given_up(7))]);
    cx.look_reopen_look();
    let found = keys(cx);
    assert_eq!(found[0].given_up, None);
    let said = found[1].given_up.as_ref().expect("what was given up");
    assert_eq!((said.size, said.root.to_string()), (7, root));
}
