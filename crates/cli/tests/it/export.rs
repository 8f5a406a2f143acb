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
