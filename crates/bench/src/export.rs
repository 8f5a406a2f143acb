//! A run of 10,000 steps of 1 KiB exported from a ledger's file, signed, and verified; beside it SHA-256 alone over the
//! same bytes.

use std::sync::Arc;

use tracekeep::{ExportOf, ExportRequest, Exporter, KeyFolder, Signer};
use tracekeep_core::hash::sha256;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::model::{CompleteRun, FinalStatus, Op, RecordStep, StartRun};
use tracekeep_evidence::NoteKey;
use tracekeep_evidence::bundle::{Options as Trusted, Outcome, verify};
use tracekeep_store::{Batch, LedgerStore};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{ms, paired, ratio, whole};
use crate::report::{Bar, Report};
use crate::{Asked, Result};

/// Microseconds.
const EXPORT: Bar = Bar::AtMost(2_000_000.0);
const VERIFY: Bar = Bar::AtMost(1_000_000.0);
const BATCH: u32 = 500;

pub(crate) fn export(asked: &Asked, report: &mut Report) -> Result<()> {
    let steps: u32 = if asked.quick { 1_000 } else { 10_000 };
    let path = asked.directory.join("export.db");
    let ledger: Arc<dyn LedgerStore> = Arc::new(SqliteLedger::open(&path, Options::default())?);
    let run_id = RunId::new("run-1")?;
    record(&*ledger, &run_id, steps)?;
    let signer = Arc::new(Signer::new(Arc::clone(&ledger), Arc::new(KeyFolder::beside(&path))));
    let exporter = Exporter::new(ledger, Arc::clone(&signer));
    let request = ExportRequest { by: Some("bench".to_owned()), ..ExportRequest::default() };
    let of = ExportOf::Run(run_id);
    let made = exporter.export(&of, &request, &|_, _| ())?;
    // The same bytes each time, whatever the exports before it added to the log.
    let request = ExportRequest { at: Some(made.size), ..request };
    let key = signer.declared()?.ok_or("no key is declared")?.key.parse::<NoteKey>()?;
    let (bytes, steps) = (whole(made.bundle.len() as f64), whole(f64::from(steps)));
    let title =
        format!("A run of {steps} steps of 1 KiB, exported from its file, {bytes} bytes, ms (median of a pass)");
    report.table(&title, &["what", "took", "bar", "SHA-256 of its bytes", "times SHA-256"]);
    let mut hashed = |_| if sha256(&[&made.bundle]) == made.sha256 { Ok(()) } else { Err("another hash".into()) };
    let exported = |_| match exporter.export(&of, &request, &|_, _| ())? {
        again if again.bundle == made.bundle => Ok(()),
        _ => Err("it is another each time".into()),
    };
    let [took, alone] = paired(asked.rounds, 1, exported, &mut hashed)?;
    let bar = report.judge(&format!("export a run of {steps} steps"), took.median, EXPORT, ms);
    report.row(&["export".to_owned(), took.show(ms), bar, alone.show(ms), ratio(took.median / alone.median)]);
    let verified = |_| match verify(&made.bundle, std::slice::from_ref(&key), &Trusted::default()).outcome() {
        Outcome::Pass => Ok(()),
        _ => Err("the bundle does not verify".into()),
    };
    let [took, alone] = paired(asked.rounds, 1, verified, &mut hashed)?;
    let bar = report.judge(&format!("verify an export of {steps} steps"), took.median, VERIFY, ms);
    report.row(&["verify".to_owned(), took.show(ms), bar, alone.show(ms), ratio(took.median / alone.median)]);
    Ok(())
}

fn record(ledger: &dyn LedgerStore, run_id: &RunId, steps: u32) -> Result<()> {
    let text = "0123456789abcdef".repeat(60);
    let mut ops = vec![Op::StartRun(StartRun { run_id: Some(run_id.clone()), ..StartRun::default() })];
    for index in 0..steps {
        let params = Json::parse(&format!(r#"{{"n":{index},"q":"{text}"}}"#))?;
        ops.push(Op::RecordStep(RecordStep::new(run_id.clone(), index, "search", params)));
        if ops.len() as u32 == BATCH {
            commit(ledger, std::mem::take(&mut ops))?;
        }
    }
    ops.push(Op::CompleteRun(CompleteRun::new(run_id.clone(), FinalStatus::Completed)));
    commit(ledger, ops)
}

fn commit(ledger: &dyn LedgerStore, ops: Vec<Op>) -> Result<()> {
    for answer in ledger.commit_blocking(vec![Batch::of(ops)]) {
        answer?;
    }
    Ok(())
}
