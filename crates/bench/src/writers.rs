//! Writers that all record into one run, large as it is, beside the plain schema that takes the same traces: a lock, and
//! a transaction for each.

use std::sync::Mutex;

use tracekeep_core::model::Op;
use tracekeep_store::Batch;
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::{Corpus, Size};
use crate::large::{Large, RUN};
use crate::measure::{Cell, Spread, ms, ratio, whole};
use crate::plain::{Plain, Row};
use crate::random::Random;
use crate::records::{committed, together};
use crate::report::Report;
use crate::{Asked, Result};

/// Writers at once, and what they record in a round: the run grows by it.
const WRITERS: [(usize, usize); 3] = [(1, 200), (16, 800), (64, 1_600)];

pub(crate) fn writers(asked: &Asked, report: &mut Report, large: &Large) -> Result<()> {
    let title = format!("Records into a run of {} traces, by all writers at once", whole(large.traces as f64));
    let columns = [
        "writers",
        "records a second",
        "plain rows a second",
        "to plain",
        "p50 ms",
        "p99 ms",
        "plain p50 ms",
        "plain p99 ms",
    ];
    report.table(&title, &columns);
    let (corpus, mut random) = (Corpus::load()?, Random::new(77));
    let ledger = SqliteLedger::open(&large.ledger, Options::default())?;
    let plain = Mutex::new(Plain::open(&large.plain)?);
    for (writers, count) in WRITERS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..asked.rounds {
            let work = made(&corpus, &mut random, &format!("{writers}-{round}"), writers, count / writers);
            let rows: Vec<Vec<_>> = work.iter().map(|ops| ops.iter().filter_map(Row::of).collect()).collect();
            let record = || {
                together(work, |op| committed(&ledger, vec![Batch::one(op)]).expect("invariant: what is made is taken"))
            };
            let insert = || {
                together(rows, |row| {
                    let mut plain = plain.lock().expect("invariant: no writer panics");
                    plain.insert(&[row]).expect("invariant: what is made is taken");
                })
            };
            if round % 2 == 0 {
                ours.push(record());
                theirs.push(insert());
            } else {
                theirs.push(insert());
                ours.push(record());
            }
        }
        let over = |cells: &[Cell], figure: fn(&Cell) -> f64| Spread::over(cells, figure);
        report.row(&[
            writers.to_string(),
            over(&ours, |cell| cell.rate).show(whole),
            over(&theirs, |cell| cell.rate).show(whole),
            Spread::ratio(&ours, &theirs, |cell| cell.rate).show(ratio),
            over(&ours, |cell| cell.p50_us).show(ms),
            over(&ours, |cell| cell.p99_us).show(ms),
            over(&theirs, |cell| cell.p50_us).show(ms),
            over(&theirs, |cell| cell.p99_us).show(ms),
        ]);
    }
    Ok(ledger.close()?)
}

/// For each writer its traces: of ten three are roots, the others hang on ones before them.
fn made(corpus: &Corpus, random: &mut Random, round: &str, writers: usize, each: usize) -> Vec<Vec<Op>> {
    let of_one = |writer: usize| {
        let mut ids: Vec<String> = Vec::new();
        let mut ops = Vec::new();
        for place in 0..each {
            let id = format!("writer-{round}-{writer}-{place}");
            let parent = (place % 10 > 2 && !ids.is_empty()).then(|| random.pick(&ids).clone());
            ops.push(corpus.trace(random, RUN, &id, parent.as_deref(), Size::ALL[0]));
            ids.push(id);
        }
        ops
    };
    (0..writers).map(of_one).collect()
}
