//! `incidents`.

use crate::Place;

const RUN: &str = r#"{"op":"start_run","run_id":"r-1"}
{"op":"record_step","run_id":"r-1","index":0,"skill_name":"pay","params":{},"status":"success"}
{"op":"complete_run","run_id":"r-1","status":"completed"}
"#;

fn filled() -> Place {
    let place = Place::new();
    place.run_with(&["record"], RUN).code(0);
    place
}

#[test]
fn an_incident_is_opened_listed_shown_and_resolved() {
    let place = filled();
    assert!(place.run(&["incidents", "list"]).code(0).talk().contains("no incidents"));
    let open = [
        "incidents",
        "open",
        "--id",
        "inc-1",
        "--run",
        "r-1",
        "--severity",
        "high",
        "--policy-id",
        "p-1",
        "--policy-name",
        "spend",
        "--violation-type",
        "cost_limit",
        "--threshold",
        "{\"cents\":100}",
        "--actual",
        "250",
        "--step",
        "0",
        "--violated-at",
        "2026-01-01T10:00:00Z",
        "--title",
        "too\u{1b}[31m much",
    ];
    assert!(place.run(&open).code(0).out().starts_with("recorded"));
    let list = place.run(&["incidents", "list", "--run", "r-1", "--status", "open", "--severity", "high"]);
    assert!(list.code(0).out().contains("inc-1") && list.out().contains("too\\u{1b}[31m much"), "{}", list.out());
    assert!(place.run(&["incidents", "list", "--until", "1h"]).code(0).talk().contains("no incidents"));
    let shown = place.run(&["incidents", "show", "inc-1"]).code(0).out();
    assert!(shown.contains("cost_limit") && shown.contains("{\"cents\":100}") && shown.contains("open"), "{shown}");
    assert!(shown.contains("2026-01-01T10:00:00.000000000Z"), "{shown}");
    let run = place.run(&["show", "r-1", "--json"]).code(0).out();
    assert!(run.contains(r#""violation":{"at":"2026-01-01T10:00:00.000000000Z""#), "{run}");
    let held = place.run(&["hold", "r-1", "--reason", "x", "--release"]);
    assert!(held.code(1).talk().contains("incident_open"), "{}", held.talk());
    place.run(&["incidents", "resolve", "inc-1"]).code(2);
    place.run(&["incidents", "resolve", "inc-1", "--resolution", "a limit was set", "--by", "anna"]).code(0);
    let again = place.run(&["incidents", "resolve", "inc-1", "--resolution", "nothing", "--by", "anna"]);
    assert!(again.code(1).talk().contains("conflict"), "{}", again.talk());
    let json = place.run(&["incidents", "show", "inc-1", "--json"]).code(0).out();
    assert!(json.contains(r#""status":"resolved""#) && json.contains(r#""resolved_by":"anna""#), "{json}");
    place.run(&["hold", "r-1", "--reason", "x", "--release"]).code(0);
    place.run(&["fsck"]).code(0);
}

#[test]
fn what_is_not_there_or_not_json_is_refused() {
    let place = filled();
    assert!(place.run(&["incidents", "show", "nobody"]).code(1).talk().contains("incident_not_found"));
    assert!(place.run(&["incidents", "open", "--run", "nobody"]).code(1).talk().contains("run_not_found"));
    assert!(place.run(&["incidents", "open", "--run", "r-1", "--step", "9"]).code(1).talk().contains("step_not_found"));
    assert!(place.run(&["incidents", "open", "--actual", "{"]).code(2).talk().contains("--actual"));
    place.run(&["incidents", "open", "--severity", "bad"]).code(2);
}
