//! Comparing two runs of 10,000 steps that differ in one; beside it SQL alone that joins the two runs' leaves.

use rusqlite::Connection;
use tracekeep_core::compare::Verdict;
use tracekeep_core::id::RunId;
use tracekeep_core::json::Json;
use tracekeep_core::model::{CompleteRun, FinalStatus, Op, RecordStep, StartRun};
use tracekeep_store::{Batch, CompareQuery, LedgerStore, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::measure::{ms, paired, ratio};
use crate::records::committed;
use crate::report::{Bar, Report};
use crate::{Asked, Result};

/// A comparison of two runs that differ in one step.
const COMPARE: Bar = Bar::AtMost(20_000.0);
const STEPS: u32 = 10_000;
/// Steps of a commit while the ledger is filled.
const A_COMMIT: u32 = 1_000;
/// Every index at which the two runs' leaves are not the same.
const JOINED: &str = "SELECT a.idx FROM step a JOIN step b ON b.run_no = ?2 AND b.idx = a.idx \
                      WHERE a.run_no = ?1 AND a.exact != b.exact";

pub(crate) fn compare(asked: &Asked, report: &mut Report) -> Result<()> {
    let path = asked.directory.join("compare.db");
    let ledger = SqliteLedger::open(&path, Options::default())?;
    let first = fill(&ledger, None)?;
    let title = "Two runs of 10,000 steps that differ in one, warm, through the library, ms (median of a pass)";
    report.table(title, &["where they differ", "compare", "bar", "SQL alone", "times SQL", "with proof"]);
    for at in [None, Some(0), Some(STEPS / 2), Some(STEPS - 1)] {
        let other = fill(&ledger, Some(at))?;
        let number = |run: &RunId| -> Result<u64> {
            Ok(block_on(ledger.run(run))?.ok_or("a run that was just recorded is not there")?.log_index)
        };
        let (a, b) = (number(&first)?, number(&other)?);
        let conn = Connection::open(&path)?;
        let mut joined = conn.prepare(JOINED)?;
        let with = |proof: bool| {
            let compared =
                block_on(ledger.compare(&first, &other, &CompareQuery { proof, ..CompareQuery::default() }))?;
            let right = match at {
                None => compared.verdict == Verdict::Identical,
                Some(at) => compared.differences.len() == 1 && compared.differences[0].step == Some(at),
            };
            if right { Ok(()) } else { Err("the comparison found something else".into()) }
        };
        let mut alone = |_| {
            let found = joined.query_map((a, b), |row| row.get::<_, u32>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            if found == at.into_iter().collect::<Vec<_>>() { Ok(()) } else { Err("SQL found something else".into()) }
        };
        let [ours, theirs] = paired(asked.rounds, 1, |_| with(false), &mut alone)?;
        let [proved, _] = paired(asked.rounds, 1, |_| with(true), &mut alone)?;
        let what = at.map_or_else(|| "nowhere".to_owned(), |at| format!("step {at}"));
        let bar = report.judge(&format!("compare, {what}"), ours.median, COMPARE, ms);
        let times = ratio(ours.median / theirs.median);
        report.row(&[what, ours.show(ms), bar, theirs.show(ms), times, proved.show(ms)]);
    }
    Ok(ledger.close()?)
}

/// Records and seals a run, one step of it otherwise than in all the others.
fn fill(ledger: &SqliteLedger, other: Option<Option<u32>>) -> Result<RunId> {
    let name = match other {
        None => "first".to_owned(),
        Some(None) => "same".to_owned(),
        Some(Some(at)) => format!("other-{at}"),
    };
    let run: RunId = name.parse()?;
    committed(ledger, vec![Batch::one(Op::StartRun(StartRun { run_id: Some(run.clone()), ..StartRun::default() }))])?;
    for from in (0..STEPS).step_by(A_COMMIT as usize) {
        let steps = (from..from + A_COMMIT).map(|index| {
            let params = Json::parse(&format!(
                r#"{{"q":"FRA-LIS","page":{index},"sort":"price","filters":["direct","refundable"]}}"#
            ))?;
            let mut step = RecordStep::new(run.clone(), index, "search", params);
            let hits = if other == Some(Some(index)) { 0 } else { index + 1 };
            step.outcome_data = Some(Json::parse(&format!(r#"{{"hits":{hits},"cheapest":"129.{index}"}}"#))?);
            Ok(Op::RecordStep(step))
        });
        committed(ledger, vec![Batch::of(steps.collect::<Result<_>>()?)])?;
    }
    committed(ledger, vec![Batch::one(Op::CompleteRun(CompleteRun::new(run.clone(), FinalStatus::Completed)))])?;
    Ok(run)
}
