//! `export`.

use crate::Place;

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
    let again = place.run(&["export", "inc-1", "-o", "c.zip", "--by", "anna", "--at", "5", "--json"]).code(0).out();
    let digest = |line: &str| line.split(r#""sha256":""#).nth(1).map(|rest| rest[..64].to_owned());
    assert_eq!(digest(&made), digest(&again));
    assert!(place.run(&["export", "r-1", "-o", "d.zip"]).code(0).out().contains("evidence at tree size 7"));
    assert!(place.run(&["export", "nobody", "-o", "e.zip"]).code(1).talk().contains("run_not_found"));
    let refused = place.run(&["export", "r-1", "--kind", "soc2", "-o", "e.zip"]);
    assert!(refused.code(1).talk().contains("bundle_incomplete"), "{}", refused.talk());
    let period = "2020-01-01T00:00:00Z..2100-01-01T00:00:00Z";
    place.run(&["export", "r-1", "--kind", "soc2", "--period", period, "-o", "e.zip"]).code(0);
    place.run(&["export", "r-1", "--kind", "soc2", "--force", "-o", "f.zip"]).code(0);
    let all = place.run(&["export", "--period", period, "-o", "g.zip"]).code(0).out();
    assert!(all.contains("g.zip  period"), "{all}");
    place.run(&["export", "--period", "soon", "-o", "g.zip"]).code(2);
    place.run(&["fsck"]).code(0);
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
