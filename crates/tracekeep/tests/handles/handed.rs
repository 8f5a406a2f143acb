//! Exports as they are handed out: what the log says of it, and when.

use tracekeep::{BundleKind, Error, ExportOf, FinalStatus, Json, RecordStep, StartRun, Tracekeep};
use tracekeep_store::{Code, block_on};

use crate::common::{by, run_id, verified};

fn recorded(tracekeep: &Tracekeep, run: &str) {
    let id = run_id(run);
    tracekeep.runs().start_run(StartRun { run_id: Some(id.clone()), ..StartRun::default() }).unwrap();
    let params = Json::parse(r#"{"secret":1}"#).unwrap();
    tracekeep.runs().record_step(RecordStep::new(id.clone(), 0, "search", params)).unwrap();
    tracekeep.runs().complete_run(&id, FinalStatus::Completed).unwrap();
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
