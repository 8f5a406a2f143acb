//! Erasing what ended long enough ago, and the list of what is held.

use serde_json::json;
use tracekeep_core::age::Age;
use tracekeep_core::limits::REASON_BYTES_MAX;
use tracekeep_store::{GcReport, GcRequest, Order, PageRequest, Result, RunQuery, Sources, block_on};

use crate::context::{Context, walk};
use crate::ops::{complete, ensure_otlp, hold, hold_tag, release, release_tag, run_id, span, start, step, with};

cases!("retention":
    old_runs_go_and_young_ones_stay,
    age_is_by_the_ledgers_own_clock,
    a_late_seal_makes_a_run_young,
    telemetry_that_waits_for_its_next_seal_is_passed_over,
    running_and_held_runs_are_passed_over,
    a_baseline_is_passed_over,
    a_question_changes_nothing,
    calls_are_bounded_and_go_on,
    the_cut_stays_while_calls_go_on,
    the_redaction_says_why_and_on_whose_word,
    wrong_requests_are_refused,
    nothing_old_is_nothing_erased,
    what_is_held_is_listed_in_order,
    the_list_of_holds_is_paged,
);

const DAY: i64 = 86_400_000_000_000;

fn ended(cx: &Context, run: &str) {
    cx.record(&[start(run), step(run, 0), complete(run)]);
}

fn gc(cx: &Context, request: &GcRequest) -> Result<GcReport> {
    block_on(cx.ledger().gc(request))
}

#[track_caller]
fn done(cx: &Context, request: &GcRequest) -> GcReport {
    gc(cx, request).unwrap_or_else(|error| panic!("refused: {error:?}"))
}

fn listed(cx: &Context) -> Vec<String> {
    cx.run_ids(&RunQuery { order: Order::Oldest, ..RunQuery::default() }, 100)
}

fn old_runs_go_and_young_ones_stay(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    cx.sources.advance(20 * DAY);
    ended(cx, "c");
    cx.sources.advance(11 * DAY);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.entries, report.held, report.running, report.failed), (2, 6, 0, 0, 0));
    assert_eq!((report.dry_run, report.next_cursor), (false, None));
    assert_eq!(listed(cx), ["c"]);
    let again = done(cx, &GcRequest::default());
    assert_eq!((again.erased, again.entries), (0, 0));
    cx.refuse(&[start("a")], "erased");
}

fn age_is_by_the_ledgers_own_clock(cx: &mut Context) {
    // A producer that claims to have run long ago has not.
    let long_ago = json!({"started_at": "1990-01-01T00:00:00Z"});
    cx.record(&[with(start("a"), long_ago), with(complete("a"), json!({"completed_at": "1990-01-02T00:00:00Z"}))]);
    assert_eq!(done(cx, &GcRequest::default()).erased, 0);
    let before = cx.sources.now();
    let request = GcRequest { before: Some(before), ..GcRequest::default() };
    assert_eq!(done(cx, &request).erased, 0, "what was recorded now is not before now");
    cx.sources.advance(1);
    let request = GcRequest { before: Some(cx.sources.now()), ..GcRequest::default() };
    assert_eq!(done(cx, &request).erased, 1);
}

fn a_late_seal_makes_a_run_young(cx: &mut Context) {
    cx.record(&[start("a"), step("a", 0)]);
    ended(cx, "b");
    cx.sources.advance(40 * DAY);
    cx.record(&[complete("a")]);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.running), (1, 0));
    assert_eq!(listed(cx), ["a"]);
}

/// Spans that came a moment ago are no more than a moment old, however old the seal before them is.
fn telemetry_that_waits_for_its_next_seal_is_passed_over(cx: &mut Context) {
    let span = |id: &str| with(span("o", id, None), json!({"ended_at": "2026-01-01T00:00:05Z"}));
    let seal = |n: u64| json!({"op": "seal_run", "run_id": "o", "n": n, "status": "completed"});
    cx.record(&[ensure_otlp("o"), span("root"), seal(0)]);
    cx.sources.advance(31 * DAY);
    cx.record(&[span("late")]);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.running), (0, 1));
    cx.record(&[seal(1)]);
    cx.sources.advance(31 * DAY);
    assert_eq!(done(cx, &GcRequest::default()).erased, 1);
}

fn running_and_held_runs_are_passed_over(cx: &mut Context) {
    cx.record(&[start("running"), ensure_otlp("otlp"), span("otlp", "s", None)]);
    cx.record(&[with(start("tagged"), json!({"tags": ["case-7", "x"]})), complete("tagged")]);
    ended(cx, "held");
    ended(cx, "free");
    cx.record(&[hold("held"), hold_tag("case-7")]);
    cx.sources.advance(31 * DAY);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.held, report.running), (1, 2, 2));
    assert_eq!(listed(cx), ["running", "otlp", "tagged", "held"]);
    cx.record(&[release("held"), release_tag("case-7"), complete("otlp")]);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.held, report.running), (2, 0, 1));
    assert_eq!(listed(cx), ["running", "otlp"]);
}

fn a_baseline_is_passed_over(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    cx.record(&[json!({"op": "set_baseline", "run_id": "a", "name": "n"})]);
    cx.sources.advance(31 * DAY);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.baselines, report.held), (1, 1, 0));
    assert_eq!(listed(cx), ["a"]);
}

fn a_question_changes_nothing(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    cx.sources.advance(31 * DAY);
    let head = cx.head();
    let asked = done(cx, &GcRequest { dry_run: true, ..GcRequest::default() });
    assert_eq!((asked.dry_run, asked.erased, asked.entries, asked.freed_bytes), (true, 2, 6, None));
    assert_eq!(cx.head(), head);
    let report = done(cx, &GcRequest::default());
    assert_eq!((report.erased, report.entries, report.before), (asked.erased, asked.entries, asked.before));
}

fn calls_are_bounded_and_go_on(cx: &mut Context) {
    for n in 0..7 {
        ended(cx, &format!("r{n}"));
    }
    cx.record(&[hold("r1"), hold("r6")]);
    cx.sources.advance(31 * DAY);
    let mut request = GcRequest { limit: 2, ..GcRequest::default() };
    let mut parts = Vec::new();
    loop {
        let part = done(cx, &request);
        parts.push((part.erased, part.held));
        request.cursor = part.next_cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(parts.iter().map(|part| part.0).sum::<u64>(), 5);
    assert_eq!(parts.iter().map(|part| part.1).sum::<u64>(), 2, "each is passed over once");
    assert!(parts.iter().all(|part| part.0 <= 2), "{parts:?}");
    assert_eq!(listed(cx), ["r1", "r6"]);
}

fn the_cut_stays_while_calls_go_on(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    cx.sources.advance(DAY);
    ended(cx, "c");
    cx.sources.advance(30 * DAY - 1);
    let first = done(cx, &GcRequest { limit: 1, ..GcRequest::default() });
    cx.sources.advance(DAY);
    let rest = done(cx, &GcRequest { cursor: first.next_cursor, ..GcRequest::default() });
    assert_eq!((first.erased, rest.erased, rest.before), (1, 1, first.before));
    assert_eq!(listed(cx), ["c"]);
}

fn the_redaction_says_why_and_on_whose_word(cx: &mut Context) {
    let reason = |run: &str| {
        let error = block_on(cx.ledger().run(&run_id(run))).expect_err("erased");
        let redaction = error.redaction().expect("a redaction").clone();
        (redaction.reason, redaction.by)
    };
    ended(cx, "a");
    cx.sources.advance(4 * DAY);
    let week = GcRequest { older_than: Some(Age::days(3)), by: Some("ops".to_owned()), ..GcRequest::default() };
    assert_eq!(done(cx, &week).erased, 1);
    assert_eq!(reason("a"), ("retention: older than 3d".to_owned(), Some("ops".to_owned())));
    ended(cx, "b");
    cx.sources.advance(31 * DAY);
    assert_eq!(done(cx, &GcRequest { reason: Some("spring".to_owned()), ..GcRequest::default() }).erased, 1);
    assert_eq!(reason("b"), ("spring".to_owned(), None));
}

fn wrong_requests_are_refused(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    cx.sources.advance(31 * DAY);
    let before = Some(cx.sources.now());
    let refused = |request: GcRequest, code: &str| {
        assert_eq!(gc(cx, &request).expect_err("refused").code(), code, "{request:?}");
    };
    let ask = GcRequest::default;
    refused(GcRequest { older_than: Some(Age::days(1)), before, ..ask() }, "invalid_member");
    refused(GcRequest { limit: 0, ..ask() }, "number_out_of_range");
    refused(GcRequest { limit: 1_001, ..ask() }, "number_out_of_range");
    refused(GcRequest { reason: Some(String::new()), ..ask() }, "invalid_member");
    refused(GcRequest { reason: Some("x".repeat(REASON_BYTES_MAX as usize + 1)), ..ask() }, "too_large");
    refused(GcRequest { by: Some(String::new()), ..ask() }, "invalid_member");
    refused(GcRequest { cursor: Some("nonsense".to_owned()), ..ask() }, "invalid_cursor");
    let cursor = done(cx, &GcRequest { limit: 1, dry_run: true, ..ask() }).next_cursor;
    refused(GcRequest { cursor, older_than: Some(Age::days(9)), ..ask() }, "invalid_cursor");
    assert_eq!(listed(cx), ["a", "b"]);
}

fn nothing_old_is_nothing_erased(cx: &mut Context) {
    assert_eq!(done(cx, &GcRequest::default()).erased, 0);
    ended(cx, "a");
    assert_eq!(
        done(cx, &GcRequest { older_than: Some("9999999999999w".parse().expect("an age")), ..GcRequest::default() })
            .erased,
        0
    );
    assert_eq!(listed(cx), ["a"]);
}

fn held(cx: &Context, limit: u32) -> Vec<String> {
    let ledger = cx.ledger();
    let held = walk(limit, |page| block_on(ledger.holds(&page)));
    held.into_iter().map(|held| held.run_id.map(|id| id.to_string()).or(held.tag).expect("one of both")).collect()
}

fn what_is_held_is_listed_in_order(cx: &mut Context) {
    ended(cx, "a");
    ended(cx, "b");
    assert_eq!(held(cx, 10), [""; 0]);
    cx.record(&[hold("b"), hold_tag("t"), with(hold("a"), json!({"by": "legal"}))]);
    assert_eq!(held(cx, 10), ["b", "t", "a"]);
    cx.record(&[release("b"), release_tag("t"), hold("b")]);
    assert_eq!(held(cx, 10), ["a", "b"]);
    let item = block_on(cx.ledger().holds(&PageRequest::first(1))).expect("a page").items.remove(0);
    assert_eq!((item.reason.as_str(), item.by.as_deref()), ("a case", Some("legal")));
    let entry = block_on(cx.ledger().entries(item.log_index, 1)).expect("an entry").remove(0);
    assert_eq!(crate::dump::leaf_members(&entry)["kind"], "hold");
}

fn the_list_of_holds_is_paged(cx: &mut Context) {
    let tags: Vec<_> = (0..5).map(|n| format!("t{n}")).collect();
    cx.record(&tags.iter().map(|tag| hold_tag(tag)).collect::<Vec<_>>());
    for limit in 1..7 {
        assert_eq!(held(cx, limit), tags);
    }
    let first = block_on(cx.ledger().holds(&PageRequest::first(2))).expect("a page");
    cx.record(&[hold_tag("later"), release_tag("t3")]);
    let next = PageRequest { limit: 10, cursor: first.next_cursor };
    let rest = block_on(cx.ledger().holds(&next)).expect("a page");
    assert_eq!(rest.items.into_iter().filter_map(|held| held.tag).collect::<Vec<_>>(), ["t2", "t4"]);
    let wrong = PageRequest { limit: 0, cursor: None };
    assert_eq!(block_on(cx.ledger().holds(&wrong)).expect_err("refused").code(), "invalid_parameter");
}
