//! `export`.

use std::fs;

use crate::Place;
use crate::serve::Serving;

const RUN: &str = r#"{"op":"start_run","run_id":"r-1","goal":"book a flight"}
{"op":"record_step","run_id":"r-1","index":0,"skill_name":"pay","params":{"card":"none"},"status":"success"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
{"op":"open_incident","incident_id":"inc-1","run_id":"r-1","severity":"high","policy_id":"p","violation_step_index":0}
"#;

#[test]
fn an_incident_and_a_run_are_exported_and_the_log_says_so() {
    let place = Place::new();
    place.run(&["export", "r-1", "-o", "b.zip"]).code(3);
    place.run_with(&["record"], RUN).code(0);
    place.run(&["export", "inc-1"]).code(2);
    let made = place.run(&["export", "inc-1", "-o", "b.zip", "--by", "anna", "--json"]).code(0).out();
    assert!(made.contains(r#""kind":"evidence""#) && made.contains(r#""tree_size":5"#), "{made}");
    place.run(&["verify", "b.zip"]).code(3);
    // Without a name in the environment it is the user's of the machine.
    place.run(&["export", "r-1", "-o", "u.zip", "--at", "5"]).code(0);
    assert!(!place.run(&["verify", "u.zip"]).code(3).talk().contains("exported by unknown"));
    let again = place.run(&["export", "inc-1", "-o", "c.zip", "--by", "anna", "--at", "5", "--json"]).code(0).out();
    let digest = |line: &str| line.split(r#""sha256":""#).nth(1).map(|rest| rest[..64].to_owned());
    assert_eq!(digest(&made), digest(&again));
    assert!(place.run(&["export", "r-1", "-o", "d.zip"]).code(0).out().contains("evidence at tree size 8"));
    assert!(place.run(&["export", "nobody", "-o", "e.zip"]).code(1).talk().contains("run_not_found"));
    let refused = place.run(&["export", "r-1", "--kind", "executive_debrief", "-o", "e.zip"]);
    assert!(refused.code(1).talk().contains("bundle_incomplete"), "{}", refused.talk());
    let refused = place.run(&["export", "r-1", "--kind", "soc2", "-o", "e.zip"]);
    assert!(refused.code(2).talk().contains("needs --period FROM..TO"), "{}", refused.talk());
    let refused = place.run(&["export", "r-1", "-o", "-"]);
    assert!(refused.code(2).talk().contains("not written to stdout"), "{}", refused.talk());
    assert!(refused.out().is_empty() && !place.path().join("-").exists());
    let period = "2020-01-01T00:00:00Z..2100-01-01T00:00:00Z";
    place.run(&["export", "r-1", "--kind", "soc2", "--period", period, "-o", "e.zip"]).code(0);
    place.run(&["export", "r-1", "--kind", "soc2", "--force", "-o", "f.zip"]).code(0);
    let all = place.run(&["export", "--period", period, "-o", "g.zip"]).code(0).out();
    assert!(all.contains("g.zip  period"), "{all}");
    place.run(&["export", "--period", "soon", "-o", "g.zip"]).code(2);
    let refused = place.run(&["export", "r-1", "-o", "h.zip", "--since", "99999"]);
    assert!(refused.code(2).talk().contains("99999 is above the size"), "{}", refused.talk());
    assert!(place.run(&["export", "r-1", "-o", "h.zip", "--at", "0"]).code(2).talk().contains("at least 1"));
    let refused = place.run(&["export", "r-1", "-o", "h.zip", "--redact", "step/0/index"]);
    assert!(refused.code(1).talk().contains("index of step"), "{}", refused.talk());
    assert!(place.run(&["log", "proof"]).code(2).talk().contains("--run"));
    place.run(&["fsck"]).code(0);
}

const PAID: &str = r#"{"op":"start_run","run_id":"r-1"}
{"op":"record_step","run_id":"r-1","index":0,"skill_name":"pay","params":{},"status":"success","cost_cents":"990"}
{"op":"record_step","run_id":"r-1","index":1,"skill_name":"pay","params":{},"status":"success","cost_cents":"10"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
"#;

/// What a step cost that withholds it was once said to be nothing.
#[test]
fn a_cost_that_is_withheld_is_not_said_to_be_nothing() {
    let place = Place::new();
    place.run_with(&["record"], PAID).code(0);
    let said = |file: &str, args: &[&str]| {
        place.run(&[&["export", "r-1", "-o", file], args].concat()).code(0);
        place.run(&["verify", file]).code(3).talk().to_owned()
    };
    let whole = said("a.zip", &[]);
    assert!(whole.contains("2 steps, 0 failed, 1000 cents\n"), "{whole}");
    let both = said("b.zip", &["--redact", "step/0/cost_cents,step/1/cost_cents"]);
    assert!(both.contains("2 steps, 0 failed, 0 cents, 2 steps withhold their cost\n"), "{both}");
    let asked = r#"asked for: {"absent":["policy_snapshot_id","termination_reason"],"redact":["step/0/cost_cents","#;
    assert!(both.contains(asked), "{both}");
    place.run(&["redact", "r-1", "--step", "0", "--member", "cost_cents", "--reason", "asked for"]).code(0);
    let one = said("c.zip", &[]);
    assert!(one.contains("2 steps, 0 failed, 10 cents, 1 step withholds its cost\n"), "{one}");
    let forced = said("d.zip", &["--kind", "soc2", "--force"]);
    assert!(forced.contains(", forced without period"), "{forced}");
    // What is longer than a line takes is cut, and said to be.
    let many: Vec<_> = std::iter::repeat_n("step/1/cost_cents", 300).collect();
    let long = said("e.zip", &["--redact", &many.join(",")]);
    let asked = long.lines().find(|line| line.starts_with("asked for: ")).unwrap();
    assert!(asked.ends_with("… (cut: --json has all of it)") && asked.len() < 2_200, "{asked}");
}

const NAMESAKE: &str = r#"{"op":"start_run","run_id":"victim"}
{"op":"complete_run","run_id":"victim","status":"completed"}
{"op":"start_run","run_id":"r-1"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
{"op":"open_incident","incident_id":"victim","run_id":"r-1","severity":"low"}
"#;

/// Whoever may open an incident could have another run exported in place of the one that was named.
#[test]
fn an_incident_does_not_take_the_place_of_a_run_of_its_id() {
    let place = Place::new();
    place.run_with(&["record"], NAMESAKE).code(0);
    let refused = place.run(&["export", "victim", "-o", "a.zip", "--json"]);
    assert!(refused.code(2).talk().contains(r#""code":"ambiguous_target""#), "{}", refused.talk());
    assert!(refused.talk().contains("--incident") && refused.talk().contains("--run"), "{}", refused.talk());
    let shown = |file: &str| {
        let said = place.run(&["verify", file, "--json"]).code(3).out();
        said.split(r#""runs":[{"#).nth(1).unwrap().split(']').next().unwrap().to_owned()
    };
    place.run(&["export", "--run", "victim", "-o", "a.zip"]).code(0);
    assert!(shown("a.zip").contains(r#""run_id":"victim""#), "{}", shown("a.zip"));
    place.run(&["export", "--incident", "victim", "-o", "b.zip"]).code(0);
    assert!(shown("b.zip").contains(r#""run_id":"r-1""#), "{}", shown("b.zip"));
    place.run(&["export", "r-1", "-o", "c.zip"]).code(0);
    // One of each is named, and each is what it is called.
    place.run(&["export", "r-1", "--run", "r-1", "-o", "d.zip"]).code(2);
    place.run(&["export", "--incident", "victim", "--run", "r-1", "-o", "d.zip"]).code(2);
    assert!(place.run(&["export", "--run", "nobody", "-o", "d.zip"]).code(1).talk().contains("run_not_found"));
    assert!(place.run(&["export", "--incident", "r-1", "-o", "d.zip"]).code(1).talk().contains("incident_not_found"));
    // That either was erased does not make the other the one that was meant.
    place.run(&["gc", "--run", "victim", "--reason", "asked for"]).code(0);
    assert!(place.run(&["export", "victim", "-o", "d.zip"]).code(2).talk().contains("ambiguous_target"));
    assert!(place.run(&["export", "--run", "victim", "-o", "d.zip"]).code(1).talk().contains("run_erased"));
    place.run(&["incidents", "resolve", "victim", "--resolution", "a limit was set"]).code(0);
    place.run(&["hold", "r-1", "--reason", "closed", "--release"]).code(0);
    place.run(&["gc", "--run", "r-1", "--reason", "asked for"]).code(0);
    assert!(place.run(&["export", "victim", "-o", "d.zip"]).code(2).talk().contains("ambiguous_target"));
}

/// The log must not say that somebody was handed what was put nowhere.
#[test]
fn what_cannot_be_put_anywhere_is_not_handed_out() {
    let place = Place::new();
    place.run_with(&["record"], RUN).code(0);
    let size = || place.run(&["log", "checkpoint"]).code(0).out().lines().nth(1).map(str::to_owned);
    let before = size();
    place.run(&["export", "r-1", "-o", "nowhere/b.zip"]).code(2);
    std::fs::create_dir(place.path().join("folder")).unwrap();
    place.run(&["export", "r-1", "-o", "folder"]).code(2);
    assert_eq!(size(), before);
    assert!(!place.path().join("folder.part").exists());
}

#[test]
fn a_bundle_of_an_earlier_size_is_the_same_after_its_key_was_replaced() {
    let place = Place::new();
    place.run_with(&["record"], RUN).code(0);
    let made = |file: &str, at: &[&str]| {
        place.run(&[&["export", "r-1", "-o", file, "--by", "anna"], at].concat()).code(0);
        std::fs::read(place.path().join(file)).unwrap()
    };
    let key = |file: &str| {
        let key = place.run(&["keys", "public"]).code(0).out();
        std::fs::write(place.path().join(file), key).unwrap();
    };
    let first = made("a.zip", &[]);
    key("old.key");
    place.run(&["keys", "rotate", "--why", "once a year"]).code(0);
    key("new.key");
    let handed_over = made("c.zip", &[]);
    let size = "7";
    place.run(&["keys", "rotate", "--why", "again"]).code(0);
    assert!(made("b.zip", &["--at", "5"]) == first, "the key of its time signs it again");
    assert!(made("d.zip", &["--at", size]) == handed_over, "by one key, then and later");
    place.run(&["verify", "b.zip", "--key", "old.key"]).code(0);
    place.run(&["verify", "d.zip", "--key", "new.key"]).code(0);
}

const MANY: &str = r#"{"op":"start_run","run_id":"r-1"}
{"op":"record_step","run_id":"r-1","index":3,"skill_name":"pay","params":{"word":"word-three"},"status":"success"}
{"op":"record_step","run_id":"r-1","index":5,"skill_name":"pay","params":{"word":"word-five"},"status":"success"}
{"op":"record_step","run_id":"r-1","index":7,"skill_name":"pay","params":{"word":"word-seven"},"status":"success"}
{"op":"record_trace","run_id":"r-1","id":"t-1","trace_type":{"type":"ToolCall","tool_name":"pay","arguments":{"colour":"mauve"}}}
{"op":"complete_run","run_id":"r-1","status":"failed"}
{"op":"open_incident","incident_id":"inc-1","run_id":"r-1","severity":"high","policy_id":"p","violation_step_index":3}
"#;

/// Exports in every way, through a server or beside it, and verifies each with the public key alone.
fn every_way(place: &Place, through: &[&str]) {
    let run = |args: &[&str]| place.run(&[args, through].concat());
    fs::write(place.path().join("key.txt"), run(&["keys", "public"]).code(0).out()).unwrap();
    let made = |file: &str, args: &[&str]| {
        let told = run(&[&["export", "-o", file, "--by", "anna", "--json"], args].concat()).code(0).out();
        place.run(&["verify", file, "--key", "key.txt"]).code(0);
        let bytes = fs::read(place.path().join(file)).unwrap();
        let size = told.split(r#""tree_size":"#).nth(1).unwrap().split([',', '}']).next().unwrap().to_owned();
        (bytes, size)
    };
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    let (first, size) = made("a.zip", &["inc-1"]);
    assert!(has(&first, "word-five") && has(&first, r#"{"colour":"mauve"}"#));
    let (again, _) = made("b.zip", &["inc-1", "--at", &size]);
    assert!(again == first, "the same size by the same name");
    let (only, _) = made("c.zip", &["r-1", "--only-steps", "3,7"]);
    assert!(has(&only, "word-three") && has(&only, "word-seven") && !has(&only, "word-five"));
    assert!(!has(&only, r#"{"colour":"mauve"}"#));
    let (only, _) = made("k.zip", &["r-1", "--only-traces", "t-1"]);
    assert!(!has(&only, "word-three") && has(&only, r#"{"colour":"mauve"}"#));
    let redact = ["--redact", "step/3/params,step/7/params", "--redact", "trace/t-1/trace_type/arguments"];
    let (some, _) = made("d.zip", &[&["inc-1"], &redact[..]].concat());
    assert!(
        !has(&some, "word-three")
            && !has(&some, "word-seven")
            && has(&some, "word-five")
            && !has(&some, r#"{"colour":"mauve"}"#)
    );
    let old = run(&["log", "checkpoint"]).code(0).out();
    fs::write(place.path().join("old.txt"), &old).unwrap();
    made("e.zip", &["r-1", "--since", old.lines().nth(1).unwrap()]);
    let held = |name: &str| place.run(&["verify", name, "--key", "key.txt", "--checkpoint", "old.txt"]);
    held("e.zip").code(0);
    held("c.zip").code(1);
    let period = "2020-01-01T00:00:00Z..2100-01-01T00:00:00Z";
    let (all, at) = made("f.zip", &["--period", period]);
    assert!(has(&all, r#""log_index":0}"#) || has(&all, r#""log_index":0,"#), "the first entry, or its leaf");
    assert!(made("g.zip", &["--period", period, "--at", &at]).0 == all);
    made("h.zip", &["inc-1", "--kind", "soc2", "--period", period]);
    made("i.zip", &["inc-1", "--kind", "executive_debrief"]);
    let refused = run(&["export", "r-1", "--kind", "executive_debrief", "-o", "z.zip"]);
    assert!(refused.code(1).talk().contains("bundle_incomplete"), "{}", refused.talk());
    let refused = run(&["export", "r-1", "--at", "1", "-o", "z.zip"]);
    assert!(refused.code(2).talk().contains("1 is below 8, the first size that a key signs"), "{}", refused.talk());
    let related = run(&["export", "r-1", "--related", "-o", "related.zip"]);
    assert!(related.code(0).talk().contains("of a run that was erased"), "{}", related.talk());
    assert!(run(&["export", "nobody", "-o", "z.zip"]).code(1).talk().contains("run_not_found"));
    assert!(!place.path().join("z.zip").exists() && !place.path().join("z.zip.part").exists());
    // A member is withheld since: the bundle of that size is another one, and says by which entry.
    run(&["incidents", "resolve", "inc-1", "--resolution", "a limit was set"]).code(0);
    run(&["hold", "r-1", "--reason", "closed", "--release"]).code(0);
    run(&["redact", "r-1", "--step", "5", "--member", "params", "--reason", "asked for"]).code(0);
    let (later, _) = made("j.zip", &["inc-1", "--at", &size]);
    assert!(later != first && !has(&later, "word-five"));
    let said = place.run(&["verify", "j.zip", "--key", "key.txt", "--json"]).code(0).out();
    assert!(said.contains(r#""redacted_since":["#), "{said}");
}

#[test]
fn every_way_to_export_beside_the_file() {
    let place = Place::new();
    place.run_with(&["record"], MANY).code(0);
    every_way(&place, &[]);
}

#[test]
fn every_way_to_export_through_a_server() {
    let place = Place::new();
    place.run_with(&["record"], MANY).code(0);
    let serving = Serving::start(&place, &[]);
    let elsewhere = Place::new();
    every_way(&elsewhere, &["--server", serving.url()]);
    assert!(!elsewhere.path().join("tracekeep.db").exists() && !elsewhere.path().join("tracekeep.db.keys").exists());
    assert_eq!(serving.stop(), Some(0));
}
