//! The log itself: entries, numbering, the clock, inclusion and consistency.

use serde_json::json;
use tracekeep_core::limits::PROVED_MAX;
use tracekeep_core::merkle::{verify_consistency, verify_inclusion, verify_multiproof};
use tracekeep_store::{PageRequest, block_on, remainder};

use crate::context::Context;
use crate::dump::{leaf_members, naive_root};
use crate::ops::{call, complete, end, ensure_otlp, erase, span, start, step, thought, with};

cases!("proofs":
    every_entry_is_proved_at_every_size,
    every_earlier_log_is_proved_to_be_extended,
    every_receipts_root_is_the_root_at_its_size,
    proofs_over_more_than_one_tile,
    many_entries_are_proved_by_one_proof,
    a_multiproof_that_cannot_be_is_refused,
    a_runs_entries_are_read_apart,
    a_runs_entries_end_with_its_last,
    what_is_not_there_cannot_be_proved,
    the_log_is_read_in_stretches,
    entries_are_numbered_in_ledger_and_run,
    events_say_what_the_leaves_say,
    recorded_at_never_goes_back,
    a_batch_has_one_time,
    recorded_bodies_hold_every_default,
    kinds_are_named,
    ledgers_have_ids_of_their_own,
    what_is_left_of_an_entry_gives_its_commitment,
);

fn grow(cx: &Context, count: u32) {
    cx.record(&[start("r")]);
    for index in 1..count {
        cx.record(&[step("r", index)]);
    }
}

fn every_entry_is_proved_at_every_size(cx: &mut Context) {
    grow(cx, 40);
    let leaves: Vec<_> =
        block_on(cx.ledger().entries(0, 100)).expect("the log").iter().map(|entry| entry.leaf_hash).collect();
    for size in 1..=40u64 {
        let root = naive_root(&leaves[..usize::try_from(size).expect("small")]);
        for index in 0..size {
            let proof = block_on(cx.ledger().inclusion(index, Some(size))).expect("a proof");
            assert_eq!((proof.log_index, proof.tree_size, proof.root), (index, size, root));
            assert_eq!(proof.leaf_hash, leaves[usize::try_from(index).expect("small")]);
            verify_inclusion(&proof.leaf_hash, index, size, &proof.hashes, &root).expect("it proves");
        }
    }
    let proof = block_on(cx.ledger().inclusion(7, None)).expect("a proof");
    assert_eq!((proof.tree_size, proof.root), (40, cx.head().root), "at the head unless told");
}

fn every_earlier_log_is_proved_to_be_extended(cx: &mut Context) {
    grow(cx, 40);
    let leaves: Vec<_> =
        block_on(cx.ledger().entries(0, 100)).expect("the log").iter().map(|entry| entry.leaf_hash).collect();
    let root = |size: u64| naive_root(&leaves[..usize::try_from(size).expect("small")]);
    for to in 0..=40 {
        for from in 0..=to {
            let proof = block_on(cx.ledger().consistency(from, Some(to))).expect("a proof");
            assert_eq!((proof.from, proof.to, proof.from_root, proof.to_root), (from, to, root(from), root(to)));
            verify_consistency(from, &root(from), to, &root(to), &proof.hashes).expect("it proves");
        }
    }
    assert_eq!(block_on(cx.ledger().consistency(3, None)).expect("a proof").to, 40, "to the head unless told");
}

fn every_receipts_root_is_the_root_at_its_size(cx: &mut Context) {
    let mut receipts = vec![cx.record(&[start("r"), start("s")])];
    for n in 0..20 {
        receipts.push(cx.record(&(0..=n % 3).map(|k| step("r", n * 3 + k)).collect::<Vec<_>>()));
        receipts.push(cx.send_under(&format!("k{n}"), &[step("s", n)]).expect("recorded"));
    }
    receipts.push(cx.record(&[complete("r")]));
    cx.look_reopen_look();
    for receipt in receipts {
        let proof = block_on(cx.ledger().consistency(receipt.tree_size, None)).expect("a proof");
        assert_eq!(proof.from_root, receipt.root);
        verify_consistency(proof.from, &proof.from_root, proof.to, &proof.to_root, &proof.hashes).expect("it proves");
        for op in receipt.ops {
            let proof = block_on(cx.ledger().inclusion(op.log_index, Some(receipt.tree_size))).expect("a proof");
            assert_eq!(proof.leaf_hash, op.leaf_hash);
            verify_inclusion(&op.leaf_hash, op.log_index, receipt.tree_size, &proof.hashes, &receipt.root)
                .expect("it proves");
        }
    }
}

fn proofs_over_more_than_one_tile(cx: &mut Context) {
    cx.record(&[start("r")]);
    for size in [255, 1, 255, 1, 300, 1_000] {
        let from = u32::try_from(cx.head().tree_size).expect("small");
        cx.record(&(from..from + size).map(|n| step("r", n)).collect::<Vec<_>>());
    }
    let size = cx.head().tree_size;
    let interesting = [0, 1, 254, 255, 256, 257, 511, 512, 513, 767, 768, 1_000, size - 1];
    for index in interesting {
        for at in interesting.iter().map(|size| size + 1).chain([size]).filter(|size| *size > index) {
            let proof = block_on(cx.ledger().inclusion(index, Some(at))).expect("a proof");
            verify_inclusion(&proof.leaf_hash, index, at, &proof.hashes, &proof.root).expect("it proves");
            let proof = block_on(cx.ledger().consistency(index, Some(at))).expect("a proof");
            verify_consistency(index, &proof.from_root, at, &proof.to_root, &proof.hashes).expect("it proves");
        }
    }
}

fn many_entries_are_proved_by_one_proof(cx: &mut Context) {
    cx.record(&[start("r")]);
    for from in (0..1_200).step_by(400) {
        cx.record(&(from..from + 400).map(|n| step("r", n)).collect::<Vec<_>>());
    }
    cx.look_reopen_look();
    let size = cx.head().tree_size;
    let sets =
        [vec![], vec![0], vec![0, size - 1], vec![255, 256, 257, 511], (100..900).collect(), (0..size).collect()];
    for indices in sets {
        for at in [901, 1_024, size].into_iter().filter(|at| indices.last().is_none_or(|last| last < at)) {
            let proof = block_on(cx.ledger().multiproof(&indices, Some(at))).expect("a proof");
            assert_eq!((&proof.indices, proof.tree_size), (&indices, at));
            assert_eq!(proof.root, block_on(cx.ledger().consistency(at, None)).expect("a root").from_root);
            let leaf = |index: &u64| block_on(cx.ledger().entries(*index, 1)).expect("the log")[0].leaf_hash;
            let leaves: Vec<_> = indices.iter().map(|index| (*index, leaf(index))).collect();
            verify_multiproof(&leaves, at, &proof.nodes, &proof.root).expect("it proves");
        }
    }
    let proof = block_on(cx.ledger().multiproof(&[7], None)).expect("a proof");
    assert_eq!((proof.tree_size, proof.root), (size, cx.head().root), "at the head unless told");
}

fn a_multiproof_that_cannot_be_is_refused(cx: &mut Context) {
    grow(cx, 5);
    let code = |indices: &[u64], size| {
        block_on(cx.ledger().multiproof(indices, size)).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(code(&[1, 5], None), Err("entry_not_found"));
    assert_eq!(code(&[u64::MAX], None), Err("entry_not_found"));
    assert_eq!(code(&[1, 4], Some(4)), Err("entry_not_found"));
    assert_eq!(code(&[], Some(6)), Err("entry_not_found"), "the log has not had six entries");
    assert_eq!(code(&[2, 1], None), Err("invalid_parameter"));
    assert_eq!(code(&[2, 2], None), Err("invalid_parameter"));
    let many: Vec<u64> = (0..=u64::from(PROVED_MAX)).collect();
    let refused = if cx.is_remote() { "invalid_parameter" } else { "entry_not_found" };
    assert_eq!(code(&many, None), Err(refused), "one answer over HTTP has a bound, a proof by itself has none");
}

/// The log indices and seqs of a run's entries, walked in pages of `limit`; each is the entry that the log has there.
fn of_run(cx: &Context, run: &str, limit: u32) -> Vec<(u64, u64)> {
    let run_id = run.parse().expect("an id");
    let mut page = PageRequest { limit, cursor: None };
    let mut found = Vec::new();
    loop {
        let got = block_on(cx.ledger().run_entries(&run_id, &page)).expect("the run's entries");
        assert!(got.items.len() <= limit as usize);
        for entry in got.items {
            assert_eq!(block_on(cx.ledger().entries(entry.log_index, 1)).expect("the log")[0], entry);
            let leaf = leaf_members(&entry);
            assert_eq!(leaf["run"], run);
            found.push((entry.log_index, leaf["seq"].parse().expect("a number")));
        }
        page.cursor = got.next_cursor;
        if page.cursor.is_none() {
            return found;
        }
    }
}

fn a_runs_entries_are_read_apart(cx: &mut Context) {
    cx.record(&[start("r"), start("s")]);
    for n in 0..30 {
        cx.record(&[step("r", n), thought("s", &format!("t{n}")), thought("r", &format!("t{n}"))]);
    }
    cx.send_under("k", &[step("s", 0)]).expect("recorded");
    cx.record(&[complete("r"), complete("s")]);
    cx.look_reopen_look();
    for (run, count) in [("r", 62), ("s", 33)] {
        let all = of_run(cx, run, 1_000);
        let seqs: Vec<u64> = all.iter().map(|(_, seq)| *seq).collect();
        assert_eq!(seqs, (0..count).collect::<Vec<_>>(), "from its start to its seal, without a gap");
        assert!(all.is_sorted());
        for limit in [1, 7, 61, 62] {
            assert_eq!(of_run(cx, run, limit), all, "in pages of {limit}");
        }
    }
    let unknown = block_on(cx.ledger().run_entries(&"x".parse().expect("an id"), &PageRequest::default()));
    assert_eq!(unknown.expect_err("no such run").code(), "run_not_found");
    let cursor = Some("nonsense".to_owned());
    let page = PageRequest { limit: 5, cursor };
    let refused = block_on(cx.ledger().run_entries(&"r".parse().expect("an id"), &page));
    assert_eq!(refused.expect_err("no cursor").code(), "invalid_cursor");
}

fn a_runs_entries_end_with_its_last(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0)]);
    let page = PageRequest { limit: 2, cursor: None };
    let run_id = "r".parse().expect("an id");
    let first = block_on(cx.ledger().run_entries(&run_id, &PageRequest { limit: 1, ..page.clone() })).expect("a page");
    cx.record(&[start("s")]);
    for from in (0..4_000).step_by(1_000) {
        cx.record(&(from..from + 1_000).map(|n| step("s", n)).collect::<Vec<_>>());
    }
    let whole = block_on(cx.ledger().run_entries(&run_id, &page)).expect("a page");
    assert_eq!((whole.items.len(), whole.next_cursor), (2, None), "what others recorded since is not walked");
    cx.record(&[step("r", 1)]);
    assert_eq!(of_run(cx, "r", 2).len(), 3, "as far away as it is");
    // A walk sees what was there when it began.
    let rest = PageRequest { limit: 10, cursor: first.next_cursor };
    let rest = block_on(cx.ledger().run_entries(&run_id, &rest)).expect("a page");
    assert_eq!(rest.items.iter().map(|entry| entry.log_index).collect::<Vec<_>>(), [1]);
}

fn what_is_not_there_cannot_be_proved(cx: &mut Context) {
    let inclusion = |cx: &Context, index, size| {
        block_on(cx.ledger().inclusion(index, size)).map(|_| ()).map_err(|error| error.code())
    };
    let consistency =
        |cx: &Context, from, to| block_on(cx.ledger().consistency(from, to)).map(|_| ()).map_err(|error| error.code());
    assert_eq!(inclusion(cx, 0, None), Err("entry_not_found"), "nothing is in an empty log");
    assert_eq!(consistency(cx, 0, None), Ok(()));
    grow(cx, 5);
    for (index, size) in [(5, None), (4, Some(4)), (0, Some(0)), (0, Some(6)), (u64::MAX, None), (0, Some(u64::MAX))] {
        assert_eq!(inclusion(cx, index, size), Err("entry_not_found"), "{index} {size:?}");
    }
    assert_eq!(consistency(cx, 0, Some(6)), Err("entry_not_found"));
    assert_eq!(consistency(cx, u64::MAX, Some(u64::MAX)), Err("entry_not_found"));
    assert_eq!(consistency(cx, 4, Some(3)), Err("invalid_parameter"));
}

fn the_log_is_read_in_stretches(cx: &mut Context) {
    grow(cx, 7);
    let read = |from, limit| {
        let entries = block_on(cx.ledger().entries(from, limit)).map_err(|error| error.code());
        entries.map(|entries| entries.iter().map(|entry| entry.log_index).collect::<Vec<_>>())
    };
    assert_eq!(read(0, 3), Ok(vec![0, 1, 2]));
    assert_eq!(read(5, 3), Ok(vec![5, 6]));
    assert_eq!(read(7, 1), Ok(vec![]));
    assert_eq!(read(u64::MAX, 1_000), Ok(vec![]));
    assert_eq!(read(0, 0), Err("invalid_parameter"));
    assert_eq!(read(0, 1_001), Err("invalid_parameter"));
}

fn entries_are_numbered_in_ledger_and_run(cx: &mut Context) {
    cx.record(&[start("a"), start("b"), step("a", 0)]);
    cx.send_under("k", &[step("b", 0), step("a", 1), step("b", 0)]).expect("recorded");
    cx.record(&[step("b", 1)]);
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let numbered: Vec<_> = log.iter().map(leaf_members).map(|leaf| format!("{}{}", leaf["run"], leaf["seq"])).collect();
    assert_eq!(numbered, ["a0", "b0", "a1", "b1", "a2", "0", "b2"]);
}

fn events_say_what_the_leaves_say(cx: &mut Context) {
    cx.record(&[start("a"), start("b"), step("a", 0)]);
    cx.sources.advance(5);
    cx.send_under("k", &[thought("a", "t"), complete("a")]).expect("recorded");
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let events = block_on(cx.ledger().events(0, 100)).expect("events");
    assert_eq!(events.len(), log.len());
    for (event, entry) in events.iter().zip(&log) {
        let leaf = leaf_members(entry);
        let said = [event.run.clone(), event.seq.to_string(), event.kind.clone(), event.recorded_at.to_string()];
        assert_eq!(said, ["run", "seq", "kind", "recorded_at"].map(|name| leaf[name].clone()));
        assert_eq!(event.log_index, entry.log_index);
    }
    let read = |from, limit| {
        let events = block_on(cx.ledger().events(from, limit)).map_err(|error| error.code());
        events.map(|events| events.iter().map(|event| event.log_index).collect::<Vec<_>>())
    };
    assert_eq!(read(1, 3), Ok(vec![1, 2, 3]));
    assert_eq!(read(6, 1), Ok(vec![]));
    assert_eq!(read(u64::MAX, 1_000), Ok(vec![]));
    assert_eq!(read(0, 0), Err("invalid_parameter"));
    assert_eq!(read(0, 1_001), Err("invalid_parameter"));
}

fn recorded_at_never_goes_back(cx: &mut Context) {
    let last = |cx: &Context| {
        let log = block_on(cx.ledger().entries(cx.head().tree_size - 1, 1)).expect("the log");
        leaf_members(&log[0])["recorded_at"].clone()
    };
    cx.sources.set(2_000_000_000);
    cx.record(&[start("r")]);
    assert_eq!(last(cx), "1970-01-01T00:00:02.000000000Z");
    cx.sources.set(1_000_000_000);
    cx.record(&[step("r", 0)]);
    assert_eq!(last(cx), "1970-01-01T00:00:02.000000000Z", "the clock went back, the ledger's did not");
    assert_eq!(cx.step("r", 0).occurred_at.as_nanos(), 1_000_000_000, "the producer's claim is the clock's");
    cx.look_reopen_look();
    cx.sources.set(i64::MIN);
    cx.record(&[step("r", 1), thought("r", "t")]);
    assert_eq!(last(cx), "1970-01-01T00:00:02.000000000Z");
    cx.sources.set(3_000_000_001);
    cx.record(&[step("r", 2)]);
    assert_eq!(last(cx), "1970-01-01T00:00:03.000000001Z");
    cx.sources.set(i64::MAX);
    cx.record(&[step("r", 3), call("r", "c"), end("r", "c")]);
    assert_eq!(last(cx), "2262-04-11T23:47:16.854775807Z");
    cx.sources.set(0);
    cx.record(&[complete("r")]);
    assert_eq!(last(cx), "2262-04-11T23:47:16.854775807Z");
}

fn a_batch_has_one_time(cx: &mut Context) {
    cx.sources.advance(123_456_789);
    cx.send_under("k", &[start("r"), step("r", 0), thought("r", "t"), complete("r")]).expect("recorded");
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let times: Vec<_> = log.iter().map(|entry| leaf_members(entry)["recorded_at"].clone()).collect();
    assert_eq!(times, vec!["2026-01-01T00:00:00.123456789Z"; 5]);
}

fn recorded_bodies_hold_every_default(cx: &mut Context) {
    let at = "2026-01-01T00:00:00.000000000Z";
    cx.record(&[with(start("r"), json!({"correlation_id": "c"})), step("r", 0), thought("r", "t"), ensure_otlp("o")]);
    cx.record(&[call("r", "c"), end("r", "c")]);
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let body = |at: usize| log[at].body.as_ref().map(|body| body.as_str().to_owned()).unwrap_or_default();
    assert_eq!(
        body(0),
        format!(
            r#"{{"correlation_id":"c","metadata":{{}},"op":"start_run","run_id":"r","seed":42,"source":"api","started_at":"{at}","tags":[]}}"#
        )
    );
    let input = tracekeep_core::hash::input_hash(r#"{"q":0}"#);
    assert_eq!(
        body(1),
        format!(
            r#"{{"cost_cents":"0","duration_ms":0,"index":0,"input_hash":"{input}","occurred_at":"{at}","op":"record_step","outcome_category":"","params":{{"q":0}},"replay_behavior":"execute","retry_count":0,"run_id":"r","skill_name":"search","status":"success"}}"#
        )
    );
    assert_eq!(
        body(2),
        format!(
            r#"{{"id":"t","metadata":{{}},"occurred_at":"{at}","op":"record_trace","run_id":"r","tags":[],"trace_type":{{"content":"t","type":"Thought"}}}}"#
        )
    );
    assert_eq!(body(3), r#"{"op":"ensure_run","run_id":"o","source":"otlp"}"#);
    assert_eq!(body(5), r#"{"id":"c","op":"end_trace","run_id":"r","status":"ok"}"#);
}

fn kinds_are_named(cx: &mut Context) {
    let described = json!({"op": "describe_run", "run_id": "o", "topic": "root"});
    let open = with(span("o", "s", None), json!({"occurred_at": "2026-01-01T00:00:00Z"}));
    let closed = with(open.clone(), json!({"ended_at": "2026-01-01T00:00:00Z", "otel": {"e": 1}}));
    cx.record(&[start("r"), ensure_otlp("o"), described, step("r", 0), call("r", "c"), end("r", "c"), open, closed]);
    cx.send_under("k", &[complete("r")]).expect("recorded");
    let log = block_on(cx.ledger().entries(0, 100)).expect("the log");
    let kinds: Vec<_> = log.iter().map(|entry| leaf_members(entry)["kind"].clone()).collect();
    let wanted = [
        "run_started",
        "run_started",
        "run_described",
        "step",
        "trace",
        "trace_ended",
        "trace",
        "trace_ended",
        "sealed",
        "key",
    ];
    assert_eq!(kinds, wanted);
}

fn ledgers_have_ids_of_their_own(cx: &mut Context) {
    let id = cx.ledger().ledger();
    cx.record(&[start("r")]);
    cx.look_reopen_look();
    assert_eq!(cx.ledger().ledger(), id, "for good");
    assert_ne!(id.as_bytes(), &[0; 16]);
}

fn what_is_left_of_an_entry_gives_its_commitment(cx: &mut Context) {
    cx.record(&[start("r"), step("r", 0), call("r", "c"), end("r", "c"), complete("r"), start("s")]);
    let left = |log_index| block_on(remainder(&*cx.ledger(), log_index));
    for entry in block_on(cx.ledger().entries(0, 100)).expect("the log") {
        let whole = left(entry.log_index).expect("readable").expect("it was not erased");
        assert_eq!(whole.commitment().to_string(), leaf_members(&entry)["commit"]);
        assert_eq!((whole.log_index, Some(whole.stays())), (entry.log_index, entry.body));
    }
    assert_eq!(left(6).expect_err("no entry").code(), "entry_not_found");
    cx.record(&[erase("r")]);
    assert_eq!(left(1).expect("readable"), None, "nothing is left of what was erased");
}
