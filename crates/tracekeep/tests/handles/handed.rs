//! Exports as they are handed out: what the log says of it, and when.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use tracekeep::{
    BundleKind, Error, ExportOf, ExportRequest, FinalStatus, Json, OpenIncident, RecordStep, Severity, StartRun,
    Tracekeep,
};
use tracekeep_store::{Code, block_on};

use crate::common::{by, export, on_both, run_id, verified};

fn recorded(tracekeep: &Tracekeep, run: &str) {
    let id = run_id(run);
    begun(tracekeep, run);
    tracekeep.runs().complete_run(&id, FinalStatus::Completed).unwrap();
}

/// A run of the correlation id that all of these have.
fn begun(tracekeep: &Tracekeep, run: &str) {
    let (run_id, correlation_id) = (Some(run_id(run)), Some("c-1".parse().unwrap()));
    tracekeep.runs().start_run(StartRun { run_id, correlation_id, ..StartRun::default() }).unwrap();
    step(tracekeep, run, 0);
}

fn step(tracekeep: &Tracekeep, run: &str, index: u32) {
    let params = Json::parse(r#"{"secret":1}"#).unwrap();
    tracekeep.runs().record_step(RecordStep::new(run_id(run), index, "search", params)).unwrap();
}

fn size(tracekeep: &Tracekeep) -> u64 {
    block_on(tracekeep.ledger().head()).unwrap().tree_size
}

/// With a full disk the log said that a bundle was handed out which was nowhere.
#[test]
fn the_log_says_that_it_was_handed_out_once_it_is_put_and_not_before() {
    let tracekeep = Tracekeep::open_in_memory();
    recorded(&tracekeep, "r-1");
    tracekeep.signer().checkpoint().unwrap();
    let before = size(&tracekeep);
    let (of, request) = (ExportOf::Run(run_id("r-1")), by(BundleKind::Evidence));
    let full = |_: &[u8]| Err(Error::new(Code::StorageFull, "no room for the bundle"));
    let refused = tracekeep.exporter().export_to(&of, &request, &|_, _| (), full).expect_err("put nowhere");
    assert_eq!(refused.detail(), "no room for the bundle");
    assert_eq!(size(&tracekeep), before, "nothing is stated");
    let mut kept = Vec::new();
    let put = |bundle: &[u8]| -> Result<(), Error> {
        assert_eq!(size(&tracekeep), before, "it is put before it is stated");
        kept.extend_from_slice(bundle);
        Ok(())
    };
    let made = tracekeep.exporter().export_to(&of, &request, &|_, _| (), put).unwrap();
    assert!(kept == made.bundle && made.log_index == before && size(&tracekeep) == before + 1);
    verified(&tracekeep, &kept);
}

/// What others write while a bundle is made comes after the size that it is of: it is the bundle that is made of this size
/// when nobody writes.
#[test]
fn what_others_write_meanwhile_is_in_no_bundle_of_the_size_before() {
    on_both(|tracekeep, _| {
        begun(tracekeep, "r-1");
        let is_over = AtomicBool::new(false);
        let always = tracekeep::Period { from: tracekeep::Timestamp::from_nanos(0), to: tracekeep::Timestamp::MAX };
        let asked = [
            (ExportOf::Run(run_id("r-1")), by(BundleKind::Evidence)),
            (ExportOf::Run(run_id("r-1")), ExportRequest { related: true, ..by(BundleKind::Evidence) }),
            (ExportOf::Run(run_id("r-1")), ExportRequest { period: Some(always), ..by(BundleKind::Soc2) }),
            (ExportOf::Period(always), by(BundleKind::Period)),
        ];
        let mut made = Vec::new();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for turn in 1u32.. {
                    step(tracekeep, "r-1", turn);
                    begun(tracekeep, &format!("other-{turn}"));
                    let open =
                        OpenIncident { title: Some("late".into()), ..OpenIncident::of(run_id("r-1"), Severity::Low) };
                    tracekeep.incidents().open(open).unwrap();
                    if is_over.load(Ordering::Relaxed) || turn == 60 {
                        break;
                    }
                }
            });
            // Between its own reads, too, so that there is something to miss whatever the threads come to.
            for (turn, (of, request)) in (10_000u32..).step_by(1_000).zip(asked.iter().cycle().take(12)) {
                let writes = Cell::new(turn);
                let meanwhile = |_: &str, _: u64| {
                    if writes.get() < turn + 4 {
                        step(tracekeep, "r-1", writes.replace(writes.get() + 1));
                        begun(tracekeep, &format!("meanwhile-{}", writes.get()));
                    }
                };
                made.push((of, request, tracekeep.exporter().export(of, request, &meanwhile).unwrap()));
                assert!(writes.get() > turn + 1);
            }
            is_over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
        });
        for (of, request, first) in made {
            verified(tracekeep, &first.bundle);
            let again = export(tracekeep, of, &ExportRequest { at: Some(first.size), ..request.clone() });
            assert!(again.bundle == first.bundle, "{of:?} at {}", first.size);
        }
    });
}

/// A run that goes while its bundle is made is refused; a related one is in the bundle no more, as in one that is made later.
#[test]
fn a_run_that_is_erased_meanwhile_is_not_handed_out() {
    on_both(|tracekeep, _| {
        let related = ExportRequest { related: true, ..by(BundleKind::Evidence) };
        recorded(tracekeep, "r-1");
        for doing in ["reading", "proving", "signing"] {
            recorded(tracekeep, doing);
            let erasing = |now: &str, _: u64| {
                if now == doing && tracekeep.runs().get_run(&run_id(doing)).is_ok() {
                    tracekeep.runs().delete_run(&run_id(doing), "asked for").unwrap();
                }
            };
            let of = ExportOf::Run(run_id("r-1"));
            let made = tracekeep.exporter().export(&of, &related, &erasing).unwrap();
            assert_eq!(verified(tracekeep, &made.bundle).shown.unwrap().runs.len(), 1, "{doing}");
            let again = export(tracekeep, &of, &ExportRequest { at: Some(made.size), ..related.clone() });
            assert!(made.bundle == again.bundle, "{doing}");
        }
        for doing in ["reading", "proving", "signing"] {
            let name = format!("own-{doing}");
            recorded(tracekeep, &name);
            let erasing = |now: &str, _: u64| {
                if now == doing && tracekeep.runs().get_run(&run_id(&name)).is_ok() {
                    tracekeep.runs().delete_run(&run_id(&name), "asked for").unwrap();
                }
            };
            let made = tracekeep.exporter().export(&ExportOf::Run(run_id(&name)), &related, &erasing);
            assert_eq!(made.expect_err("it is gone").code(), "run_erased", "{doing}");
        }
    });
}

/// A run of which something is redacted whenever it is looked at is exported once that ends.
#[test]
fn what_is_redacted_again_and_again_is_busy() {
    let tracekeep = Tracekeep::open_in_memory();
    begun(&tracekeep, "r-1");
    (1..20).for_each(|index| step(&tracekeep, "r-1", index));
    tracekeep.runs().complete_run(&run_id("r-1"), FinalStatus::Completed).unwrap();
    let next = Cell::new(0);
    let redacting = |now: &str, _: u64| {
        if now == "signing" {
            tracekeep
                .runs()
                .redact_step(&run_id("r-1"), next.replace(next.get() + 1), &["params"], "a secret")
                .unwrap();
        }
    };
    let of = ExportOf::Run(run_id("r-1"));
    let made = tracekeep.exporter().export(&of, &by(BundleKind::Evidence), &redacting);
    assert_eq!((made.expect_err("it does not end").code(), next.get()), ("busy", 8));
    verified(&tracekeep, &export(&tracekeep, &of, &by(BundleKind::Evidence)).bundle);
}

/// A bundle that lacked nothing said that it did where it was allowed to.
#[test]
fn to_allow_that_something_is_missing_changes_nothing_where_nothing_is() {
    let tracekeep = Tracekeep::open_in_memory();
    recorded(&tracekeep, "r-1");
    let of = ExportOf::Run(run_id("r-1"));
    let whole = export(&tracekeep, &of, &by(BundleKind::Evidence));
    let forced = ExportRequest { at: Some(whole.size), force: true, ..by(BundleKind::Evidence) };
    assert!(export(&tracekeep, &of, &forced).bundle == whole.bundle);
    let has = |bundle: &[u8], text: &str| bundle.windows(text.len()).any(|part| part == text.as_bytes());
    let lacking = ExportRequest { force: true, ..by(BundleKind::Soc2) };
    assert!(has(&export(&tracekeep, &of, &lacking).bundle, "This bundle was forced"));
    assert!(!has(&whole.bundle, "This bundle was forced"));
}

/// Which runs are related is claimed by nothing: one that was erased is not even known to have been.
#[test]
fn that_related_runs_may_be_left_out_is_said() {
    let tracekeep = Tracekeep::open_in_memory();
    recorded(&tracekeep, "r-1");
    let of = ExportOf::Run(run_id("r-1"));
    let made = export(&tracekeep, &of, &ExportRequest { related: true, ..by(BundleKind::Evidence) });
    let said = "Which runs are related to the one that this is about";
    assert!(made.bundle.windows(said.len()).any(|part| part == said.as_bytes()));
    let report = verified(&tracekeep, &made.bundle).to_json();
    assert!(report.as_str().contains("nor which runs are related to the one"), "{report}");
}

/// A member that goes between two reads is in the bundle or not: either verifies, and is said.
#[test]
fn what_is_redacted_meanwhile_is_gone_from_the_bundle() {
    on_both(|tracekeep, _| {
        recorded(tracekeep, "r-1");
        for doing in ["reading", "proving", "signing"] {
            recorded(tracekeep, doing);
            let of = ExportOf::Run(run_id(doing));
            let is_gone = Cell::new(false);
            let meanwhile = |now: &str, _: u64| {
                if now == doing && !is_gone.replace(true) {
                    tracekeep.runs().redact_step(&run_id(doing), 0, &["params"], "a secret").unwrap();
                }
            };
            let made = tracekeep.exporter().export(&of, &by(BundleKind::Evidence), &meanwhile).unwrap();
            assert!(is_gone.get(), "{doing}");
            verified(tracekeep, &made.bundle);
            let again = export(tracekeep, &of, &ExportRequest { at: Some(made.size), ..by(BundleKind::Evidence) });
            assert!(made.bundle == again.bundle, "{doing}: what is gone is handed out no more");
        }
    });
}
