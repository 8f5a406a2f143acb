//! Reading: `runs`, `show`, `tree`, `fsck`, `doctor`.

use std::fs;

use tracekeep_core::Timestamp;
use tracekeep_core::amount::DurationMs;
use tracekeep_core::json::{self, Object};

use crate::Place;

#[test]
fn a_demo_is_found_shown_and_clean() {
    let place = Place::new();
    let run = place.run(&["demo"]).code(0).out().trim().to_owned();
    assert!(place.run(&["runs"]).code(0).out().contains(&run));
    assert!(place.run(&["runs", "--tag", "demo", "--json"]).code(0).out().contains(&format!(r#""run_id":"{run}""#)));
    assert_eq!(place.run(&["runs", "--tag", "nothing"]).code(0).out(), "");
    let shown = place.run(&["show", &run]).code(0).out();
    assert!(shown.contains("steps        3 (3 success, 0 failure)"), "{shown}");
    let tree = place.run(&["tree", &run]).code(0).out();
    let depths: Vec<_> = tree.lines().map(|line| line.len() - line.trim_start().len()).collect();
    assert_eq!(depths, [0, 2, 4, 2, 4, 2, 2, 4, 4, 4], "{tree}");
    assert_eq!(place.run(&["tree", &run, "--depth", "1"]).code(0).out().lines().count(), 5);
    let json = place.run(&["tree", &run, "--json"]).code(0).out();
    assert_eq!(json.lines().count(), 10);
    assert!(json.lines().all(|line| line.starts_with(r#"{"children":"#)), "{json}");
    assert!(place.run(&["fsck"]).code(0).talk().contains("0 findings"));
    place.run(&["doctor", "--listen", "127.0.0.1:0"]).code(0);
}

/// The run took 0.2 s and a call in it 5 s.
#[test]
fn a_demos_times_add_up() {
    let place = Place::new();
    let run = place.run(&["demo"]).code(0).out().trim().to_owned();
    let json = place.run(&["show", &run, "--json"]).code(0).out();
    let run_view = json::parse(json.lines().next().unwrap().as_bytes()).unwrap();
    let time =
        |object: &Object<'_>, name: &str| object.get(name).unwrap().as_str().unwrap().parse::<Timestamp>().unwrap();
    let run_view = run_view.as_object().unwrap();
    let (began, ended) = (time(run_view, "started_at"), time(run_view, "completed_at"));
    let in_steps = run_view.get("duration_ms").unwrap().to_json().as_str().parse::<f64>().unwrap();
    assert!((1.0..DurationMs::between(began, ended).as_ms()).contains(&in_steps), "{json}");
    let tree = place.run(&["tree", &run, "--json"]).code(0).out();
    for line in tree.lines() {
        let node = json::parse(line.as_bytes()).unwrap();
        let trace = node.as_object().unwrap().get("trace").unwrap().as_object().unwrap();
        let (from, to) = (time(trace, "occurred_at"), time(trace, "ended_at"));
        assert!(began <= from && from < to && to <= ended, "{line}");
        let took = trace.get("trace_type").unwrap().as_object().unwrap().get("duration_ms");
        if let Some(took) = took {
            assert_eq!(
                took.to_json().as_str().parse::<f64>().unwrap(),
                DurationMs::between(from, to).as_ms(),
                "{line}"
            );
        }
    }
}

#[test]
fn what_is_not_there_is_1_and_what_cannot_be_read_3() {
    let place = Place::new();
    place.run(&["runs"]).code(3);
    place.run(&["demo"]).code(0);
    place.run(&["show", "nobody"]).code(1);
    place.run(&["tree", "nobody"]).code(1);
    place.run(&["runs", "--cursor", "00"]).code(2);
    place.run(&["runs", "--limit", "0"]).code(2);
    place.run(&["runs", "--server", "http://127.0.0.1:1"]).code(3);
    fs::write(place.path().join("other.db"), "not a ledger at all, but long enough to be looked at").unwrap();
    let refused = place.run(&["runs", "--ledger", "other.db"]);
    assert!(refused.code(3).talk().contains("not_a_ledger"), "{}", refused.talk());
    place.run(&["doctor", "--ledger", "other.db"]).code(1);
}

#[test]
fn fsck_finds_a_changed_byte() {
    let place = Place::new();
    let run = place.run(&["demo"]).code(0).out().trim().to_owned();
    let path = place.path().join("tracekeep.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(11).position(|window| window == b"same airlin").expect("a recorded body");
    bytes[at] = b'S';
    fs::write(&path, bytes).unwrap();
    let found = place.run(&["fsck"]);
    let told = format!("content: log index 1, run {run}, trace ");
    assert!(found.code(1).out().contains(&told), "{}", found.out());
    let found = place.run(&["fsck", "--json"]).code(1).out();
    assert!(found.contains(r#""log_index":1,"place":"log index 1","run_id":""#), "{found}");
    assert!(found.contains(&format!(r#""run_id":"{run}","trace_id":""#)), "{found}");
}

#[test]
fn recorded_text_cannot_drive_the_terminal() {
    let place = Place::new();
    let line = r#"{"op":"start_run","run_id":"r","goal":"\u001b[2Jgone\u202e","agent_id":"a\u0007"}"#;
    place.run_with(&["record"], line).code(0);
    for command in [&["show", "r"][..], &["runs"][..]] {
        let out = place.run(command).code(0).out();
        assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{out:?}");
        assert!(out.contains("\\u{1b}[2Jgone\\u{202e}"), "{out:?}");
    }
}

#[test]
fn lists_in_json_end_with_what_is_left_and_errors_are_one_line() {
    let place = Place::new();
    place.run(&["demo"]).code(0);
    let fsck = place.run(&["fsck", "--json"]).code(0).out();
    assert!(fsck.starts_with(r#"{"findings":0,"root":""#) && fsck.lines().count() == 1, "{fsck}");
    assert_eq!(place.run(&["runs", "--json"]).code(0).out().lines().count(), 1);
    place.run(&["demo"]).code(0);
    let page = place.run(&["runs", "--json", "--limit", "1"]).code(0).out();
    assert!(page.lines().last().unwrap().starts_with(r#"{"next_cursor":""#), "{page}");
    let refused = place.run(&["runs", "--json", "--limit", "0"]).code(2).talk();
    assert!(refused.starts_with(r#"{"code":"invalid_parameter","detail":""#), "{refused}");
    assert_eq!(refused.lines().count(), 1);
    let usage = place.run(&["record", "--json", "--ledger", ":memory:"]).code(2).talk();
    assert!(usage.starts_with(r#"{"code":"usage","detail":""#), "{usage}");
}

#[test]
fn what_is_missing_is_named() {
    let place = Place::new();
    for args in [&["runs", "--ledger", "no/such.db"][..], &["demo", "--ledger", "no/such.db"][..]] {
        assert!(place.run(args).code(3).talk().contains("no/such.db: "), "{}", place.run(args).talk());
    }
}

#[test]
fn doctor_says_no_where_serve_could_not_start() {
    let place = Place::new();
    std::fs::write(place.path().join("tracekeep.db"), "").unwrap();
    let doctor = |variables: &[(&str, &str)]| {
        let mut command = place.command(&["doctor"]);
        let ended = command.envs(variables.iter().copied()).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    let (code, said) = doctor(&[("TRACEKEEP_LISTEN", "127.0.0.1:0")]);
    assert!(code == Some(0) && said.contains("will be made") && said.contains("127.0.0.1:0 is free"), "{said}");
    let (code, said) = doctor(&[("TRACEKEEP_LISTEN", "0.0.0.0:0"), ("TRACEKEEP_MODE", "prod")]);
    assert!(code == Some(1) && said.contains("not a loopback address"), "{said}");
    assert_eq!(doctor(&[("TRACEKEEP_LISTEN", "0.0.0.0:0")]).0, Some(0));
    let (store, nobody) = ("TRACEKEEP_IDEMPOTENCY_STORE", ("TRACEKEEP_REDIS_URL", "redis://127.0.0.1:1"));
    for (more, why) in [
        (&[("TRACEKEEP_MODE", "prod"), (store, "memory")][..], "TRACEKEEP_IDEMPOTENCY_STORE=sqlite"),
        (&[(store, "redis")], "TRACEKEEP_REDIS_URL"),
        (&[(store, "redis"), nobody], "unreachable"),
        (&[("TRACEKEEP_AUDIT_STORE", "redis"), nobody], "unreachable"),
        (&[("TRACEKEEP_AUDIT_STORE", "memory")], "TRACEKEEP_AUDIT_STORE"),
    ] {
        let (code, said) = doctor(&[&[("TRACEKEEP_LISTEN", "127.0.0.1:0")], more].concat());
        assert!(code == Some(1) && said.contains("NO  stores") && said.contains(why), "{said}");
    }
    // Root may write to any file, but nobody to a folder.
    std::fs::create_dir(place.path().join("tracekeep.db.lock")).unwrap();
    let (code, said) = doctor(&[("TRACEKEEP_LISTEN", "127.0.0.1:0")]);
    assert!(code == Some(1) && said.contains("NO  writable"), "{said}");
}

/// In the wrong folder a `gc` of a cron job succeeded for ever.
#[test]
fn what_works_on_runs_makes_no_ledger() {
    let place = Place::new();
    for args in
        [&["gc"][..], &["complete", "r"], &["hold", "r", "--reason", "x"], &["baseline", "set", "r", "--name", "n"]]
    {
        let ended = place.run(args);
        assert!(ended.code(3).talk().contains("there is no ledger"), "{args:?}: {}", ended.talk());
    }
    assert!(!place.path().join("tracekeep.db").exists());
}

#[test]
fn a_tree_and_a_list_say_what_went_wrong() {
    let place = Place::new();
    let ops = concat!(
        r#"{"op":"start_run","run_id":"r"}"#,
        "\n",
        r#"{"op":"record_trace","run_id":"r","id":"t","trace_type":{"type":"ToolCall","tool_name":"fetch","arguments":{}}}"#,
        "\n",
        r#"{"op":"end_trace","run_id":"r","id":"t","status":"error","error":"connection refused"}"#,
    );
    fs::write(place.path().join("ops.jsonl"), ops).unwrap();
    place.run(&["record", "ops.jsonl"]).code(0);
    for command in ["tree", "traces"] {
        let out = place.run(&[command, "r"]).code(0).out();
        assert!(out.contains("fetch({}) ! connection refused"), "{out}");
    }
}
