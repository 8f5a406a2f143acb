//! `traces`: finding and counting the traces of a run.

use tracekeep_core::Timestamp;
use tracekeep_store::{LedgerStore, PageRequest, TraceFilter, TraceQuery, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::Place;
use crate::serve::Serving;

const OPS: &str = r#"
{"op":"start_run","run_id":"r"}
{"op":"record_trace","run_id":"r","id":"d","occurred_at":"2026-01-01T00:00:00Z","tags":["a"],"trace_type":{"type":"Decision","question":"which way?","options":[],"chosen":"left"}}
{"op":"record_trace","run_id":"r","id":"c","parent_id":"d","occurred_at":"2026-01-01T00:00:01Z","tags":["a","b"],"trace_type":{"type":"ToolCall","tool_name":"web_search","arguments":{"q":"航班"}}}
{"op":"end_trace","run_id":"r","id":"c","status":"error","error":"socket closed"}
{"op":"record_trace","run_id":"r","id":"t","parent_id":"d","occurred_at":"2026-01-01T00:00:02Z","tags":["b","c"],"trace_type":{"type":"Thought","content":"again\u001b[2J"}}
{"op":"record_trace","run_id":"r","id":"n","occurred_at":"2026-01-01T00:00:03Z","trace_type":{"type":"Custom","name":"note","data":null}}
"#;

fn recorded() -> Place {
    let place = Place::new();
    place.run_with(&["record"], OPS).code(0);
    place
}

/// The ids that a command finds.
#[track_caller]
fn check(place: &Place, options: &[&str], ids: &[&str]) {
    let found = place.run(&[&["traces", "r"], options].concat());
    let out = found.code(if ids.is_empty() { 1 } else { 0 }).out();
    let last = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!(out.lines().map(last).collect::<Vec<_>>(), ids, "{options:?}: {out}");
}

#[test]
fn traces_are_found_by_each_option_and_all_together() {
    let place = recorded();
    check(&place, &[], &["d", "c", "t", "n"]);
    check(&place, &["--newest"], &["n", "t", "c", "d"]);
    check(&place, &["--type", "ToolCall"], &["c"]);
    check(&place, &["--type", "note"], &["n"]);
    let unknown = place.run(&["traces", "r", "--type", "toolcall"]).code(1).talk();
    assert!(unknown.contains("none is of type toolcall") && unknown.contains("ToolCall"), "{unknown}");
    assert_eq!(place.run(&["traces", "r", "--type", "note", "--tag", "a"]).code(1).talk(), "no traces\n");
    check(&place, &["--type", "nothing"], &[]);
    check(&place, &["--tag", "a"], &["d", "c"]);
    check(&place, &["--tag", "a", "--tag", "b"], &["c"]);
    check(&place, &["--any-tag", "a", "--any-tag", "c"], &["d", "c", "t"]);
    check(&place, &["--any-tag", "c", "--tag", "a"], &[]);
    check(&place, &["--parent", "d"], &["c", "t"]);
    check(&place, &["--parent", "nobody"], &[]);
    check(&place, &["--roots"], &["d", "n"]);
    check(&place, &["--status", "error"], &["c"]);
    check(&place, &["--status", "open"], &[]);
    check(&place, &["--since", "2026-01-01T00:00:02Z"], &["t", "n"]);
    check(&place, &["--since", "2026-01-01T00:00:01Z", "--until", "2026-01-01T01:00:02+01:00"], &["c"]);
    check(&place, &["--until", "1d"], &["d", "c", "t", "n"]);
    check(&place, &["--id", "n", "--id", "c", "--id", "nobody"], &["c", "n"]);
    check(&place, &["--text", "航班"], &["c"]);
    check(&place, &["--text", "SOCKET web_search"], &["c"]);
    check(&place, &["--text", "which", "--tag", "b"], &[]);
    check(&place, &["--tag", "b", "--parent", "d", "--status", "ok", "--type", "Thought", "--newest"], &["t"]);
}

#[test]
fn a_line_says_when_how_what_and_which() {
    let place = recorded();
    let out = place.run(&["traces", "r"]).code(0).out();
    let lines = [
        "2026-01-01T00:00:00.000Z  ok     Decision which way? → left [a] d",
        "2026-01-01T00:00:01.000Z  error  ToolCall web_search({\"q\":\"航班\"}) ! socket closed [a, b] c",
        "2026-01-01T00:00:02.000Z  ok     Thought  again\\u{1b}[2J [b, c] t",
        "2026-01-01T00:00:03.000Z  ok     note     n",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn an_age_is_told_by_the_clock() {
    let place = recorded();
    let recent = Timestamp::from_nanos(tracekeep_store::Source::default().now().as_nanos() - 3_600_000_000_000);
    let trace = format!(
        r#"{{"op":"record_trace","run_id":"r","id":"recent","occurred_at":"{recent}","trace_type":{{"type":"Thought","content":""}}}}"#
    );
    place.run_with(&["record"], &trace).code(0);
    check(&place, &["--since", "2h"], &["recent"]);
    check(&place, &["--since", "2h", "--until", "59m"], &["recent"]);
    check(&place, &["--until", "2h"], &["d", "c", "t", "n"]);
    check(&place, &["--since", "30m"], &[]);
}

#[test]
fn a_list_is_gone_on_with_where_it_ended() {
    let place = recorded();
    let first = place.run(&["traces", "r", "--limit", "3", "--roots"]);
    assert!(!first.code(0).talk().contains("--cursor"), "{}", first.talk());
    let first = place.run(&["traces", "r", "--limit", "3"]);
    assert_eq!(first.code(0).out().lines().count(), 3);
    let cursor = first.talk().trim().strip_prefix("more: --cursor ").unwrap().to_owned();
    check(&place, &["--limit", "3", "--cursor", &cursor], &["n"]);
    let json = place.run(&["traces", "r", "--limit", "3", "--json"]).code(0).out();
    assert_eq!(json.lines().last(), Some(format!(r#"{{"next_cursor":"{cursor}"}}"#).as_str()));
    let rest = place.run(&["traces", "r", "--json", "--cursor", &cursor]).code(0).out();
    assert!(rest.lines().count() == 1 && rest.contains(r#""id":"n""#), "{rest}");
}

/// A page of large traces ends early; the list does not.
#[test]
fn a_list_holds_what_fits_however_large() {
    let place = recorded();
    let large = "x".repeat(4_000_000);
    let lines: Vec<_> = (0..4)
        .map(|n| {
            format!(
                r#"{{"op":"record_trace","run_id":"r","id":"l{n}","tags":["l"],"trace_type":{{"type":"Thought","content":"{large}"}}}}"#
            )
        })
        .collect();
    place.run_with(&["record"], &lines.join("\n")).code(0);
    check(&place, &["--tag", "l"], &["l0", "l1", "l2", "l3"]);
    check(&place, &["--tag", "l", "--limit", "3"], &["l0", "l1", "l2"]);
}

#[test]
fn counters_are_listed_and_named() {
    let place = recorded();
    let counts = |options: &[&str], code| {
        let out = place.run(&[&["traces", "r", "--counts"], options].concat()).code(code).out();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        out.lines().map(words).collect::<Vec<_>>()
    };
    let statuses = ["status ok 3", "status error 1"];
    let all = ["total 4", "type Decision 1", "type Thought 1", "type ToolCall 1", "type note 1"];
    assert_eq!(counts(&[], 0), [&all[..], &["tag a 2", "tag b 2", "tag c 1"], &statuses].concat());
    assert_eq!(counts(&["--tag", "b"], 0), [&["total 4", "tag b 2"][..], &statuses].concat());
    assert_eq!(counts(&["--type", "note"], 0), [&["total 4", "type note 1"][..], &statuses].concat());
    assert_eq!(counts(&["--type", "nothing"], 1), [&["total 4"][..], &statuses].concat());
    let json = place.run(&["traces", "r", "--counts", "--json"]).code(0).out();
    assert!(json.starts_with(r#"{"statuses":[{"count":3,"name":"ok"},"#) && json.lines().count() == 1, "{json}");
}

#[test]
fn what_is_asked_wrongly_is_2_and_what_is_not_there_1() {
    let place = recorded();
    for options in [
        &["--parent", "d", "--roots"][..],
        &["--status", "done"],
        &["--since", "yesterday"],
        &["--until", "10"],
        &["--limit", "0"],
        &["--limit", "1001"],
        &["--cursor", "00"],
        &["--text", "!?"],
        &["--counts", "--roots"],
        &["--counts", "--limit", "9"],
        &["--counts", "--tag", "a", "--tag", "b"],
    ] {
        place.run(&[&["traces", "r"], options].concat()).code(2);
    }
    for options in [&[][..], &["--text", "x"], &["--counts"]] {
        place.run(&[&["traces", "nobody"], options].concat()).code(1);
        place.run(&[&["traces", "r", "--ledger", "none.db"], options].concat()).code(3);
    }
    assert!(!place.path().join("none.db").exists(), "a search makes no ledger");
}

#[test]
fn words_are_searched_through_whoever_writes() {
    let place = recorded();
    let server = Serving::start(&place, &[]);
    check(&place, &["--text", "socket"], &["c"]);
    check(&place, &["--text", "socket", "--server", server.url()], &["c"]);
    assert_eq!(server.stop(), Some(0));
    check(&place, &["--text", "socket"], &["c"]);
}

/// A program that holds the file and serves nobody is not to be disturbed: what its index holds is searched.
#[test]
fn a_ledger_that_is_only_read_is_searched_as_far_as_its_index_goes() {
    let place = recorded();
    let holder = SqliteLedger::open(place.path().join("tracekeep.db"), Options::default()).unwrap();
    let unseen = place.run(&["traces", "r", "--text", "socket"]);
    assert!(unseen.code(3).talk().contains("not everything was searched"), "{}", unseen.talk());
    let run = "r".parse().unwrap();
    let filter = TraceFilter { text: Some("socket".into()), ..TraceFilter::default() };
    let query = TraceQuery { filter, page: PageRequest::first(1), ..TraceQuery::default() };
    assert!(block_on(holder.traces(&run, &query)).unwrap().complete);
    let seen = place.run(&["traces", "r", "--text", "socket"]);
    assert!(seen.code(0).out().ends_with(" c\n") && seen.talk().is_empty(), "{seen:?}");
    let more = tracekeep_core::model::RecordTrace::new(
        run,
        tracekeep_core::model::TraceType::Thought { content: "socket".into(), confidence: None },
    );
    let op = tracekeep_core::model::Op::RecordTrace(more);
    holder.commit_blocking(vec![tracekeep_store::Batch::one(op)]).remove(0).unwrap();
    let part = place.run(&["traces", "r", "--text", "socket"]);
    assert_eq!(part.code(0).out().lines().count(), 1);
    assert!(part.talk().contains("not everything was searched"), "{}", part.talk());
    let json = place.run(&["traces", "r", "--text", "socket", "--json"]);
    assert_eq!(json.code(0).out().lines().last(), Some(r#"{"complete":false}"#));
    check(&place, &["--tag", "a"], &["d", "c"]);
}

#[test]
fn a_tree_starts_anywhere_and_goes_so_deep() {
    let place = recorded();
    let lines = |options: &[&str]| place.run(&[&["tree", "r"], options].concat()).code(0).out().lines().count();
    assert_eq!((lines(&["--depth", "3"]), lines(&["--depth", "0"]), lines(&["--root", "d"])), (4, 2, 3));
    assert_eq!(lines(&["--root", "d", "--depth", "0"]), 1);
    place.run(&["tree", "r", "--root", "nobody"]).code(1);
}
