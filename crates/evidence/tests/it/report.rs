//! The report: what it shows of the records, to whom, and in which words.

use std::collections::BTreeMap;

use tracekeep_core::Timestamp;
use tracekeep_core::hash::Hash;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Kind, Period, Record};
use tracekeep_evidence::comparison::{Comparison, Own};
use tracekeep_evidence::controls::controls;
use tracekeep_evidence::report::{Cover, period, report};

use crate::account::{EVIL, FULL, incident, records, resolved, run};

type Body = (&'static str, String);

static NOTHING: BTreeMap<u64, Vec<String>> = BTreeMap::new();

pub(crate) fn cover(kind: Kind) -> Cover<'static> {
    Cover {
        kind,
        ledger: "000102030405060708090a0b0c0d0e0f".parse().unwrap(),
        tenant_id: "t",
        exported_by: "anna",
        size: 6,
        root: Hash::ZERO,
        created_at: Timestamp::from_nanos(0),
        forced: false,
        redacted: &NOTHING,
    }
}

pub(crate) fn page(account: &Account, records: &[Record]) -> String {
    report(&cover(Kind::Evidence), account, records, None, None)
}

fn all(more: Vec<Body>) -> Vec<Record> {
    records(&[run(), more].concat())
}

fn of(kind: Kind, records: &[Record]) -> String {
    let account = Account::of(records, Some("r"), Some("i"));
    let found = (kind == Kind::Soc2).then(|| controls(&account, None));
    report(&cover(kind), &account, records, found.as_ref(), None)
}

fn step(index: u32, more: &str) -> Body {
    (
        "step",
        format!(r#"{{"index":{index},"op":"record_step","run_id":"r","skill_name":"pay","status":"success"{more}}}"#),
    )
}

/// What stands between two texts, the first of each.
#[track_caller]
fn between<'a>(html: &'a str, from: &str, to: &str) -> &'a str {
    let after = html.split_once(from).unwrap_or_else(|| panic!("no {from} in {html}")).1;
    after.split_once(to).unwrap_or_else(|| panic!("no {to} in {after}")).0
}

/// The row of a table of names and values.
#[track_caller]
fn value<'a>(html: &'a str, name: &str) -> &'a str {
    between(html, &format!("<th>{name}</th><td>"), "</td>")
}

fn headings(html: &str) -> Vec<&str> {
    html.split("<h2>").skip(1).map(|rest| rest.split_once("</h2>").unwrap().0).collect()
}

#[test]
fn recorded_text_is_shown_as_text() {
    let params = format!(r#","params":"{EVIL}","outcome_data":"{EVIL}""#);
    let shown = all(vec![step(1, &params), incident(&FULL.replace("index\":0", "index\":1")), resolved()]);
    let redacted = BTreeMap::from([(4, vec![EVIL.to_owned()])]);
    let cover = |kind| Cover { tenant_id: EVIL, exported_by: EVIL, forced: true, redacted: &redacted, ..cover(kind) };
    let account = Account::of(&shown, Some("r"), Some("i"));
    let controls = controls(&account, None);
    let uncompared = Comparison { run_id: EVIL.to_owned(), matches: None };
    for kind in [Kind::Evidence, Kind::Soc2, Kind::ExecutiveDebrief, Kind::Period] {
        let html = match kind {
            Kind::Period => {
                let asked = Period { from: Timestamp::from_nanos(0), to: Timestamp::from_nanos(9) };
                period(&cover(kind), &asked, &shown)
            }
            _ => report(&cover(kind), &account, &shown, Some(&controls), Some(&uncompared)),
        };
        for bad in ["<script", "<img", "onerror=\"", "http:", "https:", "src=", "href=", "url(", "@import"] {
            let shown = html.replace("&lt;img src=x", "");
            assert!(!shown.contains(bad), "{bad}: {html}");
        }
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(html.contains("&lt;script&gt;") && html.contains("forced"), "{html}");
        if kind != Kind::Period {
            // A trace that names itself as its parent is shown all the same.
            assert_eq!(html.matches("Thought").count(), 1);
            let again = report(&cover(kind), &account, &shown, Some(&controls), Some(&uncompared));
            assert!(html.contains("<svg") && html == again);
        }
    }
}

#[test]
fn each_kind_begins_with_what_its_readers_ask_for() {
    let shown = all(vec![incident(FULL), resolved()]);
    let plain = [
        "What happened",
        "Impact",
        "Times to detect and to contain",
        "Risk",
        "Actions",
        "Timeline",
        "Technical detail",
    ];
    assert_eq!(headings(&of(Kind::ExecutiveDebrief, &shown))[..7], plain);
    assert_eq!(headings(&of(Kind::Soc2, &shown))[..2], ["Period and controls", "What happened"]);
    let evidence = of(Kind::Evidence, &shown);
    let beginning = ["What happened", "Risk", "Times to detect and to contain", "Timeline", "Incidents"];
    assert_eq!(headings(&evidence)[..5], beginning);
    // None leaves out what another has.
    let sorted = |kind| {
        let html = of(kind, &shown);
        let mut found: Vec<_> = headings(&html).into_iter().map(str::to_owned).collect();
        found.retain(|heading| !["Period and controls", "Technical detail"].contains(&heading.as_str()));
        found.sort_unstable();
        found
    };
    assert_eq!(sorted(Kind::Evidence), sorted(Kind::Soc2));
    assert_eq!(sorted(Kind::Evidence), sorted(Kind::ExecutiveDebrief));
}

#[test]
fn the_violating_step_is_shown_as_it_was_recorded() {
    let long = "a".repeat(9_000);
    let more =
        format!(r#","outcome_code":"E7","outcome_data":{{"long":"{long}"}},"params":{{"card":"<b>4111"}},"tokens":7"#);
    let shown = all(vec![step(1, &more), incident(&FULL.replace("index\":0", "index\":1"))]);
    let html = of(Kind::Evidence, &shown);
    let told = between(&html, "What step 1 did", "<h2>");
    assert_eq!(value(told, "params"), "<pre>{&quot;card&quot;:&quot;&lt;b&gt;4111&quot;}</pre>");
    assert_eq!(value(told, "outcome_code"), "<pre>&quot;E7&quot;</pre>");
    assert_eq!((value(told, "tokens"), value(told, "cost")), ("7", "not stated"));
    let cut = "…<br>[cut: 9011 bytes in all, in records.jsonl at log_index 4, member outcome_data]</pre>";
    assert!(value(told, "outcome_data").ends_with(cut) && !told.contains(&long), "{told}");
    let short = of(Kind::ExecutiveDebrief, &shown);
    assert!(between(&short, "What step 1 did", "<h2>").len() < told.len() / 2);
    // Of two that violated it, once.
    let other = (incident(FULL).0, incident(FULL).1.replace(r#""incident_id":"i""#, r#""incident_id":"j""#));
    let both = all(vec![incident(FULL), other]);
    assert_eq!(page(&Account::of(&both, Some("r"), None), &both).matches("What step 0 did").count(), 1);
}

#[test]
fn what_is_not_shown_of_a_step_is_named_with_who_took_it_away() {
    let door = r#","params":{"q":1},"outcome_data":2,"redacted":{"counts":{"card":2},"rules":"builtin/1"}"#;
    let mut shown = all(vec![step(1, door), step(2, ""), incident(&FULL.replace("index\":0", "index\":1"))]);
    shown[4].left = Some(shown[4].left.as_ref().unwrap().without(&["params", "outcome_data"]).unwrap());
    let redacted = BTreeMap::from([(4, vec!["params".to_owned()])]);
    let account = Account::of(&shown, Some("r"), Some("i"));
    let html = report(&Cover { redacted: &redacted, ..cover(Kind::Evidence) }, &account, &shown, None, None);
    let said = "redacted in the ledger: params; left out by this export: outcome_data; taken out before it was recorded: 2 card";
    let told = between(&html, "What step 1 did", "<h2>");
    assert_eq!(value(told, "not shown"), said);
    assert!(!told.contains("<th>params</th>"), "{told}");
    let steps = between(&html, "<h2>Steps</h2>", "</table>");
    assert!(steps.contains(&format!("<td>{said}</td>")) && steps.contains("success, violating"), "{steps}");
    assert_eq!(steps.matches("left out").count(), 1);
    let listed = between(&html, "Withheld, and proven", "</ul>");
    assert!(listed.contains("entry 4, step: redacted in the ledger: params"), "{listed}");
    let whole = of(Kind::Evidence, &all(vec![step(1, ""), incident(FULL)]));
    assert!(!whole.contains("<th>not shown</th>") && !whole.contains("Withheld, and proven"), "{whole}");
}

#[test]
fn what_is_beyond_a_list_is_counted() {
    let mut many = all((1..=260).map(|index| step(index, r#","params":1"#)).collect());
    for record in many.iter_mut().filter(|record| record.kind == "step" && record.log_index > 3) {
        record.left = Some(record.left.as_ref().unwrap().without(&["params"]).unwrap());
    }
    let html = of(Kind::Evidence, &many);
    assert!(html.contains("and of 60 entries more") && html.contains("and 61 more, which stand in"), "{html}");
    assert!(of(Kind::ExecutiveDebrief, &many).contains("and 241 more, which stand in"));
}

#[test]
fn what_is_not_stated_is_not_0() {
    let bodies = |more: &str| {
        let start = ("run_started", r#"{"op":"start_run","run_id":"r"}"#.to_owned());
        records(&[start, step(0, more), incident(FULL)])
    };
    let told = |shown: &[Record]| {
        let html = of(Kind::Evidence, shown);
        let row = between(&html, "<h2>Steps</h2>", "</table>").rsplit_once("<tr>").unwrap().1.to_owned();
        let impact = between(&html, "<h2>Impact</h2>", "<h2>");
        let sums = ["cost of the steps shown", "tokens of the steps shown"].map(|name| value(impact, name).to_owned());
        (sums, row)
    };
    let (sums, row) = told(&bodies(r#","cost_cents":"0","duration_ms":0"#));
    assert_eq!(sums, ["not stated", "not stated"]);
    assert_eq!(row.matches(">–</td>").count(), 3, "{row}");
    let (sums, row) = told(&bodies(r#","cost_cents":"2.5","duration_ms":90000,"tokens":0"#));
    assert_eq!(sums, ["2.5 cents", "0, as 1 of 1 step state"]);
    assert!(row.contains(">1 min 30 s</td><td class=\"n\">2.5</td><td class=\"n\">0</td>"), "{row}");
}

#[test]
fn a_time_to_contain_is_none_of_before_the_detection() {
    let late = |more: &str| (incident(more).0, incident(more).1.replace("T10:02", "T10:30"));
    let told = |more: Vec<Body>| {
        let html = of(Kind::ExecutiveDebrief, &all(more));
        let times = between(&html, "Times to detect and to contain", "<h2>");
        let told = ["time to detect", "time to contain", "state"].map(|name| value(times, name).to_owned());
        // Open or resolved: the same words wherever it is told.
        let is_open = told[2] == "open";
        assert_eq!(value(&html, "incidents"), if is_open { "1, open" } else { "1, resolved" });
        let listed = between(&html, "<h2>Incidents</h2>", "</table>");
        assert!(listed.contains(if is_open { ">open<" } else { ">resolved</td>" }), "{listed}");
        let risk = between(&html, "<h2>Risk</h2>", "<h2>");
        assert!(risk.contains(if is_open { "It is open" } else { "It is resolved" }), "{risk}");
        let actions = between(&html, "<h2>Actions</h2>", "<h2>");
        assert!(actions.contains(if is_open { "i, which is open" } else { "i is resolved by" }), "{actions}");
        told
    };
    let had_ended =
        "the run had ended 25 min before the incident was opened (2026-01-01 10:05:00.000Z), and could do no more";
    let open = ["30 min".to_owned(), format!("nobody contained it, and it is open: {had_ended}"), "open".to_owned()];
    assert_eq!(told(vec![late(FULL)]), open);
    let [_, contained, state] = told(vec![late(FULL), resolved()]);
    assert_eq!(contained, format!("1 h, until it was resolved; {had_ended}"));
    assert_eq!(state, "resolved 2026-01-01 11:00:00.000Z");
    let [detected, contained, _] = told(vec![incident(FULL), resolved()]);
    assert_eq!(detected, "2 min");
    assert!(contained.starts_with("5 min, until its run ended") && !contained.contains("had ended"), "{contained}");
    let [detected, contained, _] = told(vec![incident("")]);
    assert!(detected.starts_with("not known") && contained.starts_with("not known"), "{detected} {contained}");
}

#[test]
fn the_timeline_tells_the_times_that_are_marked_in_it() {
    let at = |index: u32, time: &str| {
        step(index, &format!(r#","duration_ms":60000,"occurred_at":"2026-01-01T{time}.000000000Z""#))
    };
    let picture = |more: Vec<Body>| {
        let html = of(Kind::Evidence, &all(more));
        between(&html, "<h2>Timeline</h2>", "<h2>").to_owned()
    };
    let drawn = picture(vec![at(1, "10:04:00"), incident(FULL), resolved()]);
    for text in
        ["start", "+1 min", "+2 min", "end +5 min", "violated", "! 0 ", "detected", "run ended", "55 min after →"]
    {
        assert!(drawn.contains(&format!(">{text}")), "{text}: {drawn}");
    }
    assert!(drawn.contains("From 2026-01-01 10:00:00.000Z to 2026-01-01 10:05:00.000Z"), "{drawn}");
    // A step that violated something is drawn whatever stands in front of it.
    let many: Vec<_> = (1..=300)
        .map(|index| at(index, "10:01:00"))
        .chain([incident(&FULL.replace("index\":0", "index\":300"))])
        .collect();
    let drawn = picture(many);
    assert!(drawn.contains("! 300 pay") && drawn.contains(" 201 steps not drawn."), "{drawn}");
    assert_eq!((drawn.matches("<rect").count(), drawn.matches("<svg viewBox").count()), (100, 2));
    // What is near is in the picture, however short the run was.
    let short = [("step", step(0, r#","occurred_at":"2026-01-01T10:01:50.000000000Z""#).1), incident(FULL)];
    let html = of(Kind::Evidence, &records(&short));
    let drawn = between(&html, "<h2>Timeline</h2>", "<h2>");
    assert!(drawn.contains(">end +10 s<") && !drawn.contains("after →"), "{drawn}");
    // Without steps it is that of the incident.
    let html = of(Kind::Evidence, &records(&[incident(r#","violation_at":"2026-01-01T10:01:00.000000000Z""#)]));
    let drawn = between(&html, "<h2>Timeline</h2>", "<h2>");
    assert!(drawn.contains(">violated<") && drawn.contains(">end +1 min<"), "{drawn}");
}

#[test]
fn a_decision_is_shown_with_what_was_asked() {
    let decision = |chosen: &str| {
        let of_type = format!(r#"{{"chosen":"{chosen}","options":[],"question":"how much?","type":"Decision"}}"#);
        ("trace", format!(r#"{{"id":"d","op":"record_trace","run_id":"r","trace_type":{of_type}}}"#))
    };
    let mut shown = records(&[decision("250")]);
    assert!(of(Kind::Evidence, &shown).contains("<td>how much? → 250</td>"));
    shown[0].left = Some(shown[0].left.as_ref().unwrap().without(&["trace_type/chosen"]).unwrap());
    let html = of(Kind::Evidence, &shown);
    assert!(
        html.contains("<td>withheld</td>") && html.contains("left out by this export: trace_type/chosen"),
        "{html}"
    );
}

#[test]
fn many_names_are_cut_in_a_row_and_whole_in_the_list() {
    let names = ["cost_cents", "duration_ms", "outcome_data", "params", "retry_count", "skill_name", "tokens"];
    let more = r#","cost_cents":"1","duration_ms":2,"outcome_data":3,"params":4,"retry_count":5,"tokens":6"#;
    let mut shown = all(vec![step(1, more)]);
    shown[4].left = Some(shown[4].left.as_ref().unwrap().without(&names).unwrap());
    let html = of(Kind::Evidence, &shown);
    let row = between(&html, "<h2>Steps</h2>", "</table>");
    assert!(row.contains(&format!("{} and 4 more, listed under Proofs<", names[..3].join(", "))), "{row}");
    assert!(html.contains(&format!("<li>entry 4, step: left out by this export: {}</li>", names.join(", "))), "{html}");
}

#[test]
fn the_cause_why_a_run_is_not_compared_is_told() {
    let end = r#"{"op":"complete_run","run_id":"r","status":"failed"}"#.to_owned();
    let plan = format!(r#""op":"complete_run","behaviour_hash":"{0}","plan_hash":"{0}","root_hash":"{0}""#, Hash::ZERO);
    let start = |more: &str| ("run_started", format!(r#"{{"op":"start_run","run_id":"r"{more}}}"#));
    let sealed = |from: &str| ("sealed", end.replace(r#""op":"complete_run""#, from));
    let told = |shown: &[Record]| {
        let comparison = Comparison { run_id: "r".to_owned(), matches: None };
        let account = Account::of(shown, Some("r"), None);
        assert_eq!(Own::lacks(shown, "r").is_empty(), Own::of(shown, "r").is_some());
        let html = report(&cover(Kind::Evidence), &account, shown, None, Some(&comparison));
        between(&html, "not compared with others: ", "</p>").to_owned()
    };
    let seeded = start(r#","seed":42"#);
    assert_eq!(told(&records(std::slice::from_ref(&seeded))), "it is not sealed: no end of it is recorded.");
    assert_eq!(told(&records(&[start(""), sealed(&plan)])), "it has no seed.");
    let no_plan = plan.replace(&format!(r#""plan_hash":"{}","#, Hash::ZERO), "");
    assert_eq!(told(&records(&[seeded.clone(), sealed(&no_plan)])), "it has no plan.");
    let mut shown = records(&[seeded, sealed(&plan)]);
    assert!(Own::lacks(&shown, "r").is_empty());
    shown[1].left = Some(shown[1].left.as_ref().unwrap().without(&["root_hash"]).unwrap());
    assert_eq!(told(&shown), "its root_hash is withheld, with what that is over.");
}

fn trace(id: &str, more: &str) -> Body {
    let occurred = "2026-01-01T10:00:02.000000000Z";
    ("trace", format!(r#"{{"id":"{id}","occurred_at":"{occurred}","op":"record_trace","run_id":"r"{more}}}"#))
}

/// A run as OpenTelemetry tells it: no steps, and failures in spans alone.
fn told_in_spans() -> Vec<Record> {
    let start = r#"{"op":"start_run","run_id":"r","started_at":"2026-01-01T10:00:00.000000000Z"}"#.to_owned();
    let tool = r#","trace_type":{"arguments":{"card":"<b>4111"},"tool_name":"pay","type":"ToolCall"}"#;
    let otel = r#","otel":{"span":{"name":"chat","status":{"code":2,"message":"429 from <model>"}}}"#;
    let span =
        r#","ended_at":"2026-01-01T10:00:04.500000000Z","trace_type":{"content":"think\nerror","type":"Thought"}"#;
    let event = r#"{"attributes":[{"key":"exception.message","value":{"stringValue":"no route"}}],"name":"exception"}"#;
    let raised = format!(r#","otel":{{"span":{{"events":[{event}],"status":{{"code":2}}}}}},"status":"error""#);
    let end = r#"{"ended_at":"2026-01-01T10:00:03.000000000Z","error":"declined","id":"a","op":"end_trace",
        "result":{"code":51},"run_id":"r","status":"error"}"#;
    let decision = r#","trace_type":{"chosen":"250","options":["250","90"],"question":"how much?","reasoning":"cheap",
        "type":"Decision"}"#;
    records(&[
        ("run_started", start),
        trace("a", tool),
        trace("b", &format!(r#"{span}{otel},"status":"error""#)),
        trace("c", &format!(r#"{raised}{span}"#)),
        trace("d", decision),
        trace("e", &tool.replace("pay", "wait")),
        ("trace_ended", end.to_owned()),
    ])
}

#[test]
fn what_failed_is_seen_in_the_decision_tree_and_why() {
    let html = of(Kind::Evidence, &told_in_spans());
    let tree = between(&html, "<h2>Decision tree</h2>", "</table>");
    let row = |says: &str| {
        let after = tree.split_once(&format!("<td>{says}</td>")).unwrap().1;
        after.split("<tr>").next().unwrap().to_owned()
    };
    let shows = |row: &str, shown: &[&str]| shown.iter().for_each(|text| assert!(row.contains(text), "{text}: {row}"));
    let members = [
        "<bdi>error</bdi> &quot;declined&quot;<",
        "<bdi>arguments</bdi> {&quot;card&quot;:&quot;&lt;b&gt;4111&quot;}<",
    ];
    let ended = ["<bdi>result</bdi> {&quot;code&quot;:51}<", ">error</td>", ">+2 s</td>", ">1 s</td>", "<td>1, 6</td>"];
    shows(&row("pay"), &[&members[..], &ended[..]].concat());
    shows(
        &tree.replace("think error</td>", ""),
        &["&quot;429 from &lt;model&gt;&quot;", ">2.5 s<", "&quot;no route&quot;"],
    );
    assert_eq!(tree.matches("<td>think error</td>").count(), 2);
    let decided = [
        "<bdi>question</bdi>",
        "<bdi>options</bdi> [&quot;250&quot;,&quot;90&quot;]<",
        "<bdi>chosen</bdi>",
        "<bdi>reasoning</bdi>",
    ];
    shows(&row("how much? → 250"), &decided);
    assert!(!row("how much? → 250").contains(">error<") && row("wait").contains(">running</td>"), "{tree}");
    assert!(value(&html, "traces shown").starts_with("5, 3 of them errors"));
    let told = between(&html, "<h2>What happened</h2>", "<h2>");
    shows(told, &["It has 5 traces, 3 of them errors; the first is at entry 1: <bdi>&quot;declined&quot;</bdi>."]);
}

#[test]
fn what_is_long_in_the_decision_tree_is_cut_and_what_failed_is_not_beyond_it() {
    let long = format!(
        r#","trace_type":{{"arguments":"{}","result":1,"tool_name":"pay","type":"ToolCall"}}"#,
        "a".repeat(9_000)
    );
    let failed = r#","status":"error","trace_type":{"data":{},"name":"the last","type":"Custom"}"#;
    let many = (0..300).map(|at| trace(&format!("t{at}"), if at == 299 { failed } else { &long }));
    let html = of(Kind::Evidence, &records(&many.collect::<Vec<_>>()));
    let tree = between(&html, "<h2>Decision tree</h2>", "<h2>");
    assert!(tree.contains("<td>the last</td>") && tree.contains("and 100 more, which stand in"), "{tree}");
    assert!(tree.contains("[cut: 9002 bytes in all, in records.jsonl at log_index 0, member trace_type/arguments]"));
    assert_eq!(tree.matches("<bdi>result</bdi> 1<").count(), 199);
}

#[test]
fn each_step_shows_in_short_what_went_in_and_what_came_out() {
    let more = format!(r#","outcome_code":"E7","outcome_data":"{}","params":{{"card":"<b>4111"}}"#, "o".repeat(500));
    let html = of(Kind::Evidence, &all(vec![step(1, &more)]));
    let steps = between(&html, "<h2>Steps</h2>", "</table>");
    for shown in [
        "<bdi>params</bdi> {&quot;card&quot;:&quot;&lt;b&gt;4111&quot;}<",
        "<bdi>outcome_code</bdi> &quot;E7&quot;<",
        "oo…</pre>",
    ] {
        assert!(steps.contains(shown), "{shown}: {steps}");
    }
    assert!(!steps.contains(&"o".repeat(200)), "{steps}");
}

#[test]
fn the_timeline_of_a_run_without_steps_is_that_of_its_traces_and_of_the_run() {
    let picture = |shown: &[Record]| between(&of(Kind::Evidence, shown), "<h2>Timeline</h2>", "<h2>").to_owned();
    let drawn = picture(&told_in_spans());
    for text in ["From 2026-01-01 10:00:00.000Z to 2026-01-01 10:00:04.500Z", ">× pay<", ">how much? → 250<", "#c05621"]
    {
        assert!(drawn.contains(text), "{text}: {drawn}");
    }
    assert_eq!(drawn.matches("<rect").count(), 5);
    let mut ended = told_in_spans();
    let end = r#"{"op":"complete_run","run_id":"r","status":"failed","completed_at":"2026-01-01T10:20:00.000000000Z"}"#;
    ended.extend(records(&[("sealed", end.to_owned())]).into_iter().map(|seal| Record { log_index: 7, ..seal }));
    assert!(picture(&ended).contains("10:00:00.000Z to 2026-01-01 10:20:00.000Z"), "{}", picture(&ended));
}

#[test]
fn related_runs_are_named() {
    let mut shown = all(vec![]);
    let other = |kind: &'static str, body: &str, log_index: u64| {
        let record = records(&[(kind, body.to_owned())]).remove(0);
        Record { log_index, run: "<b>other".to_owned(), ..record }
    };
    let start = format!(r#"{{"op":"start_run","run_id":"o","agent_id":"{EVIL}","goal":"help <them>"}}"#);
    let step = r#"{"index":0,"op":"record_step","run_id":"o","skill_name":"s","status":"failure","cost_cents":"2.5"}"#;
    assert!(!of(Kind::Evidence, &shown).contains("Related runs"));
    shown.extend([other("run_started", &start, 4), other("step", step, 5)]);
    let erased = Record { run: "gone".to_owned(), left: None, ..other("run_started", &start, 6) };
    shown.push(erased);
    for kind in [Kind::Evidence, Kind::Soc2, Kind::ExecutiveDebrief] {
        let html = of(kind, &shown);
        let told = between(&html, "<h2>Related runs</h2>", "<h2>");
        let cells =
            ["<td>&lt;b&gt;other</td>", "<td>help &lt;them&gt;</td>", ">running<", ">2.5 cents<", ">2</td>", ">4</td>"];
        for cell in cells.into_iter().chain(["records.jsonl", "<td>gone</td>", ">erased<"]) {
            assert!(told.contains(cell), "{cell}: {told}");
        }
    }
}

#[test]
fn a_policy_is_told_by_its_name_and_its_id() {
    let named = FULL.replace(r#""policy_id":"p""#, r#""policy_id":"p-7","policy_name":"no cards""#);
    let html = of(Kind::Evidence, &all(vec![incident(&named)]));
    let listed = between(&html, "<h2>Incidents</h2>", "</table>");
    assert!(listed.contains("<td>no cards</td><td>p-7</td>"), "{listed}");
    let told = between(&html, "as the incident i says it", "</table>");
    assert_eq!((value(told, "policy"), value(told, "policy id")), ("no cards", "p-7"));
    let summary = between(&html, "<h2>What happened</h2>", "<h2>");
    assert!(summary.contains("&quot;no cards&quot;</bdi> with the id <bdi>&quot;p-7&quot;"), "{summary}");
}

#[test]
fn a_verdict_says_of_what_and_an_expectation_until_when() {
    let expected = r#"{"action":"charge","count":2,"deadline_ms":60000,"domain":"<b>billing","id":"e","op":"expect","run_id":"r"}"#;
    let missing = r#"{"action":"charge","deadline":"1970-01-01T00:01:00.000000000Z","domain":"<b>billing\nlate"}"#;
    let failed = r#"{"action":"mail","at":"1970-01-01T00:00:30.000000000Z","domain":"notify","superseded":true}"#;
    let drift: Vec<_> = (0..30).map(|at| format!(r#"{{"action":"a{at}","domain":"d"}}"#)).collect();
    let verdict = format!(
        r#""verdict":{{"drift":[{}],"failed":[{failed}],"late":[],"missing":[{missing}],"status":"INCOMPLETE"}}"#,
        drift.join(",")
    );
    let reconciled = ("verdict", format!(r#"{{"op":"reconcile","run_id":"r",{verdict}}}"#));
    let sealed = ("sealed", format!(r#"{{"op":"complete_run","run_id":"r","status":"failed",{verdict}}}"#));
    let clean =
        r#"{"op":"reconcile","run_id":"r","verdict":{"acks":1,"expectations":2,"status":"COMPLETE"}}"#.to_owned();
    let shown = records(&[("expectation", expected.to_owned()), reconciled, sealed, ("verdict", clean)]);
    let html = of(Kind::Evidence, &shown);
    let expected = between(&html, "<h2>Expected</h2>", "</table>");
    for cell in ["&lt;b&gt;billing · charge", "1970-01-01 00:01:00.000Z", ">2 times<"] {
        assert!(expected.contains(cell), "{cell}: {expected}");
    }
    let verdicts = between(&html, "<h2>Audit verdicts</h2>", "</table>");
    let found = [
        r#"missing: &quot;&lt;b&gt;billing\nlate&quot; / &quot;charge&quot;, due 1970-01-01 00:01:00.000Z<br>"#,
        "failed: &quot;notify&quot; / &quot;mail&quot;, said 1970-01-01 00:00:30.000Z, made up for later<br>",
        "drift, which nobody expected: &quot;d&quot; / &quot;a17&quot;<br>and 12 more, which stand in records.jsonl",
        "the same as the verdict of entry 1</td><td class=\"w\">the run&#39;s end<",
        "nothing, of 2 expectations and 1 acknowledgement",
    ];
    for text in found {
        assert!(verdicts.contains(text), "{text}: {verdicts}");
    }
}

#[test]
fn a_period_says_that_no_run_is_left_out_and_lists_its_incidents() {
    let start = r#"{"op":"start_run","run_id":"r","agent_id":"pay <bot>","goal":"refund <all>"}"#.to_owned();
    let other = (incident(FULL).0, incident("").1.replace(r#""incident_id":"i""#, r#""incident_id":"<j>""#));
    let mut shown = records(&[("run_started", start), incident(FULL), other, resolved()]);
    shown.push(Record { run: "gone".to_owned(), left: None, log_index: 4, ..shown[0].clone() });
    let asked = Period { from: Timestamp::from_nanos(0), to: Timestamp::from_nanos(9_000_000_000) };
    let html = period(&cover(Kind::Period), &asked, &shown);
    let told = between(&html, "<h2>Summary</h2>", "<h2>");
    let point = "Every run whose start the ledger recorded from 1970-01-01 00:00:00.000Z up to 1970-01-01 00:00:09.000Z, that time \
                 itself excluded, is in here: 2 runs. tracekeep verify proves that none was left out.";
    assert!(told.contains(point) && told.contains("The period is still under way"), "{told}");
    assert_eq!((value(&html, "of these still running"), value(&html, "of these open")), ("1", "1"));
    let runs = between(&html, "<h2>Runs</h2>", "</table>");
    let cells = ["<td>pay &lt;bot&gt;</td><td>refund &lt;all&gt;</td>", ">running<", ">erased<"];
    cells.into_iter().for_each(|cell| assert!(runs.contains(cell), "{cell}: {runs}"));
    let incidents = between(&html, "<h2>Incidents</h2>", "</table>");
    for row in [
        "<td>i</td><td class=\"w\">high</td><td class=\"w\">resolved<",
        "<td>&lt;j&gt;</td><td class=\"w\">not stated</td><td class=\"w\">open<",
    ] {
        assert!(incidents.contains(row), "{row}: {incidents}");
    }
    let spans = period(&cover(Kind::Period), &asked, &told_in_spans());
    assert_eq!(value(&spans, "traces that failed, likewise"), "3");
    for of_one_run in ["this one", "the one that this is about", "this id"] {
        assert!(!html.contains(of_one_run), "{of_one_run}: {html}");
    }
    let over = Cover { created_at: asked.to, ..cover(Kind::Period) };
    assert!(!period(&over, &asked, &shown).contains("under way"));
}
