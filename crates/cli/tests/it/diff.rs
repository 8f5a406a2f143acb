//! `diff`: what is said of two runs, and the exit codes that CI goes by.

use crate::Place;
use crate::serve::Serving;

fn run(id: &str, steps: &[&str], end: &str) -> String {
    let mut lines = vec![format!(r#"{{"op":"start_run","run_id":"{id}"}}"#)];
    for (index, more) in steps.iter().enumerate() {
        lines.push(format!(
            r#"{{"op":"record_step","run_id":"{id}","index":{index},"skill_name":"search","status":"success",{more}}}"#
        ));
    }
    if !end.is_empty() {
        lines.push(format!(r#"{{"op":"complete_run","run_id":"{id}","status":"{end}"}}"#));
    }
    lines.join("\n") + "\n"
}

const FRA: &str = r#""params":{"from":"FRA","legs":[{"to":"LIS"}]},"outcome_data":{"hits":3}"#;
const FOUR: &str = r#""params":{"from":"FRA","legs":[{"to":"LIS"}]},"outcome_data":{"hits":4}"#;
const OPO: &str = r#""params":{"from":"FRA","legs":[{"to":"OPO"}]},"outcome_data":{"hits":3}"#;

fn recorded() -> Place {
    let place = Place::new();
    let runs = [
        run("good", &[FRA, FRA], "completed"),
        run("again", &[FRA, FRA], "completed"),
        run("other-output", &[FRA, FOUR], "completed"),
        run("other-city", &[FRA, OPO], "completed"),
        run("shorter", &[FRA], "completed"),
        run("failed", &[FRA, FRA], "failed"),
        run("open", &[FRA, FRA], ""),
    ];
    place.run_with(&["record"], &runs.concat()).code(0);
    place
}

#[test]
fn exit_codes_are_what_ci_goes_by() {
    let place = recorded();
    for (b, exact, behaviour) in [
        ("good", 0, 0),
        ("again", 0, 0),
        ("other-output", 1, 0),
        ("other-city", 1, 1),
        ("shorter", 1, 1),
        ("failed", 1, 1),
        ("open", 3, 3),
        ("nobody", 3, 3),
    ] {
        place.run(&["diff", "good", b]).code(exact);
        place.run(&["diff", "good", b, "--behaviour"]).code(behaviour);
        place.run(&["diff", "good", b, "--json"]).code(exact);
    }
    place.run(&["diff", "good"]).code(2);
    place.run(&["diff", "good", "again", "--limit", "0"]).code(2);
    place.run(&["diff", "good", "shorter", "--cursor", "00"]).code(2);
    place.run(&["diff", "good", "again", "--ledger", "none.db"]).code(3);
}

#[track_caller]
fn check(place: &Place, b: &str, expected: &str) {
    let out = place.run(&["diff", "good", b]).out();
    let roots = |line: &str| line.split(", root ").next().unwrap().to_owned();
    assert_eq!(out.lines().map(roots).collect::<Vec<_>>().join("\n"), expected.trim());
}

#[test]
fn a_reader_sees_step_member_and_both_values() {
    let place = recorded();
    check(&place, "again", "identical\n  a  good  completed, 2 steps\n  b  again  completed, 2 steps");
    check(
        &place,
        "other-city",
        r#"
diverged at step 1
  a  good  completed, 2 steps
  b  other-city  completed, 2 steps

step 1
  params/legs/0/to
    a  "LIS"
    b  "OPO""#,
    );
    check(
        &place,
        "other-output",
        r#"
same behaviour; what came back differs first at step 1
  a  good  completed, 2 steps
  b  other-output  completed, 2 steps

step 1
  outcome_data/hits
    a  3
    b  4"#,
    );
    check(
        &place,
        "failed",
        r#"
diverged at the end: every step is the same
  a  good  completed, 2 steps
  b  failed  failed, 2 steps

end
  status
    a  "completed"
    b  "failed""#,
    );
    let shorter = place.run(&["diff", "good", "shorter"]).out();
    assert!(shorter.contains("step 1  only in a\n  skill_name\n    a  \"search\"\n"), "{shorter}");
    let open = place.run(&["diff", "good", "open"]).out();
    assert!(open.starts_with("unverifiable\n") && open.contains("  open: is not sealed: complete it first"), "{open}");
    let proved = place.run(&["diff", "good", "other-city", "--proof"]).out();
    assert!(proved.contains("\nproof, exact tree, leaf 2\n  a  leaf "), "{proved}");
}

#[test]
fn the_place_where_values_differ_is_narrowed_down() {
    let place = Place::new();
    let params = |value: &str| format!(r#""params":{value}"#);
    let pairs = [
        (r#"{"a/b":{"~":1,"same":[1]}}"#, r#"{"a/b":{"~":2,"same":[1]}}"#, "params/a~1b/~0: 1 2"),
        (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#, r#"params: {"a":1,"b":2} {"a":2,"b":1}"#),
        (r#"{"a":{"new":1}}"#, r#"{"a":{}}"#, "params/a/new: 1"),
        (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, "params/a: [1,2] [1]"),
        ("[1,2,3]", "[1,5,3]", "params/1: 2 5"),
        ("{}", "[]", "params: {} []"),
    ];
    for (at, (a, b, expected)) in pairs.iter().enumerate() {
        let (a_id, b_id) = (format!("a{at}"), format!("b{at}"));
        let lines = run(&a_id, &[&params(a)], "completed") + &run(&b_id, &[&params(b)], "completed");
        place.run_with(&["record"], &lines).code(0);
        let out = place.run(&["diff", &a_id, &b_id]).code(1).out();
        let found = out.split_once("\nstep 0\n").unwrap().1;
        let mut lines = found.lines().map(str::trim);
        let name = lines.next().unwrap();
        let values: Vec<_> = lines.map(|line| line.split_once("  ").unwrap().1).collect();
        assert_eq!(format!("{name}: {}", values.join(" ")), *expected);
    }
}

#[test]
fn what_was_recorded_cannot_drive_the_terminal_nor_flood_it() {
    let place = Place::new();
    let evil = r#""params":{"\u001b]0;":"\u001b[2J\u202e"},"outcome_category":"\u0007""#;
    let long = format!(r#""params":"{}""#, "x".repeat(100_000));
    place.run_with(&["record"], &(run("a", &[evil], "completed") + &run("b", &[&long], "completed"))).code(0);
    let out = place.run(&["diff", "a", "b"]).code(1).out();
    assert!(!out.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{out:?}");
    assert!(out.lines().all(|line| line.chars().count() < 250), "{out}");
}

#[test]
fn pages_go_on_and_json_is_one_line() {
    let place = recorded();
    let many = |id: &str, city: &str| {
        let steps: Vec<_> = (0..5).map(|at| format!(r#""params":"{city}{at}""#)).collect();
        run(id, &steps.iter().map(String::as_str).collect::<Vec<_>>(), "completed")
    };
    place.run_with(&["record"], &(many("x", "LIS") + &many("y", "OPO"))).code(0);
    let first = place.run(&["diff", "x", "y", "--limit", "2"]);
    assert!(first.code(1).out().contains("step 1\n") && !first.out().contains("step 2\n"), "{}", first.out());
    let cursor = first.talk().trim().strip_prefix("more: --cursor ").unwrap().to_owned();
    let rest = place.run(&["diff", "x", "y", "--cursor", &cursor]).code(1).out();
    assert!(rest.contains("step 2\n") && rest.contains("step 4\n") && !rest.contains("step 1\n"), "{rest}");
    assert!(rest.starts_with("diverged at step 0\n"), "{rest}");
    let json = place.run(&["diff", "x", "y", "--json", "--limit", "1"]).code(1).out();
    assert!(json.starts_with(r#"{"a":{"#) && json.lines().count() == 1, "{json}");
    assert!(json.contains(r#""verdict":"diverged""#) && json.contains(r#""next_cursor":""#), "{json}");
}

#[test]
fn a_server_answers_the_same() {
    let place = recorded();
    let serving = Serving::start(&place, &[]);
    for (b, code) in [("again", 0), ("other-city", 1), ("open", 3), ("nobody", 3)] {
        let here = place.run(&["diff", "good", b, "--proof"]).code(code).out();
        let there = place.run(&["diff", "good", b, "--proof", "--server", serving.url()]).code(code).out();
        assert_eq!(here, there);
    }
}

#[test]
fn a_run_is_recomputed_and_what_was_checked_is_said() {
    let place = recorded();
    let found = place.run(&["verify", "--run", "good"]);
    let rows: Vec<_> =
        found.code(0).out().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[..3], ["CHECK CHECKED WRONG WITHHELD", "commitments 4 0 0", "inclusion 4 0 0"]);
    assert_eq!(rows.len(), 13);
    assert!(
        found.talk().contains("checked good: 4 entries, 1 sealed, in the tree of 26 under root "),
        "{}",
        found.talk()
    );
    assert!(place.run(&["verify", "--run", "open"]).code(0).talk().contains(", no seal,"));
    place.run(&["verify", "--run", "nobody"]).code(1);
    place.run(&["verify"]).code(2);
    let serving = Serving::start(&place, &[]);
    let (here, there) = (&["verify", "--run", "good", "--json"][..], &["--server", serving.url()][..]);
    assert_eq!(place.run(here).code(0).out(), place.run(&[here, there].concat()).code(0).out());
    serving.stop();
    place.run_with(&["record"], &run("marked", &[r#""params":"a needle""#], "completed")).code(0);
    let path = place.path().join("tracekeep.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|window| window == b"a needle").expect("a recorded body");
    bytes[at] = b'A';
    std::fs::write(&path, bytes).unwrap();
    let found = place.run(&["verify", "--run", "marked"]);
    assert!(found.code(1).out().contains(": the body does not fit its commitment"), "{}", found.out());
    place.run(&["verify", "--run", "good"]).code(0);
}

#[test]
fn matching_runs_are_listed_by_how_they_came_out() {
    let place = recorded();
    let planned = |id: &str, step: &str| {
        run(id, &[FRA, step], "completed").replacen(r#""run_id":"#, r#""plan":[{"skill":"search"}],"run_id":"#, 1)
    };
    let lines = planned("p", FRA) + &planned("q", FRA);
    place.run_with(&["record"], &lines).code(0);
    let same = place.run(&["matches", "p"]);
    assert!(same.code(0).talk().contains("2 runs of this plan and seed came out in 1 ways"), "{}", same.talk());
    place.run_with(&["record"], &planned("s", FOUR)).code(0);
    let found = place.run(&["matches", "s"]);
    let out = found.code(1).out();
    let lines: Vec<_> = out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["RUNS", "STATUS", "ROOT", "BEHAVIOUR", "SUCH", "AS"]);
    assert_eq!((lines[1][0], lines[1][4..].to_vec()), ("2", vec!["q", "p"]));
    assert_eq!((lines[2][..2].to_vec(), lines[2][5]), (vec!["1", "*"], "s"));
    assert_eq!(lines[3].join(" "), "step 1: another output in 1 of the other ways, 1 runs");
    assert!(place.run(&["matches", "s", "--json"]).code(1).out().starts_with(r#"{"complete":true,"flaky":[{"#));
    // 1 says that they came out differently, and nothing else does.
    assert!(place.run(&["matches", "good"]).code(3).talk().contains("no plan"));
    place.run(&["matches", "nobody"]).code(3);
}

#[test]
fn a_run_is_held_to_a_baseline() {
    let place = recorded();
    place.run(&["check", "again", "--baseline", "agent"]).code(3);
    let set = place.run(&["baseline", "set", "good", "--name", "agent", "--reason", "a\u{1b}", "--by", "anna"]);
    assert_eq!(set.code(0).out(), "agent stands for good (recorded)\n");
    for (run, exact, behaviour) in [
        ("again", 0, 0),
        ("other-output", 1, 0),
        ("other-city", 1, 1),
        ("failed", 1, 1),
        ("open", 3, 3),
        ("nobody", 3, 3),
    ] {
        place.run(&["check", run, "--baseline", "agent"]).code(exact);
        place.run(&["check", run, "--baseline", "agent", "--behaviour"]).code(behaviour);
    }
    let out = place.run(&["check", "other-city", "--baseline", "agent"]).out();
    assert!(out.starts_with("diverged at step 1\n  a  good") && out.contains("\n    b  \"OPO\"\n"), "{out}");
    place.run(&["baseline", "set", "open", "--name", "agent"]).code(1);
    place.run(&["baseline", "set", "nobody", "--name", "agent"]).code(1);
    place.run(&["baseline", "set", "good", "--name", ".."]).code(2);
    place.run(&["baseline", "set", "failed", "--name", "other"]).code(0);
    let list = place.run(&["baseline", "list"]).code(0).out();
    let rows: Vec<_> = list.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    assert_eq!(rows, [["NAME", "RUN"], ["agent", "good"], ["other", "failed"]]);
    assert!(list.contains("anna") && !list.contains('\u{1b}'), "{list:?}");
    let page = place.run(&["baseline", "list", "--json", "--limit", "1"]).code(0).out();
    assert!(page.starts_with(r#"{"behaviour_hash":""#) && page.lines().count() == 2, "{page}");
    let serving = Serving::start(&place, &[]);
    place.run(&["check", "failed", "--baseline", "other", "--server", serving.url()]).code(0);
    // A command that writes goes through the server that holds the file.
    place.run(&["baseline", "set", "again", "--name", "other"]).code(0);
    place.run(&["check", "failed", "--baseline", "other", "--server", serving.url()]).code(1);
    place.run_with(&["record"], r#"{"op":"erase_run","run_id":"again","reason":"asked for"}"#).code(0);
    let erased = place.run(&["check", "good", "--baseline", "other"]);
    assert!(erased.code(3).out().contains("  again: was erased"), "{}", erased.out());
}
