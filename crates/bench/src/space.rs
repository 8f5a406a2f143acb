//! Bytes: of a trace on disk, of the server in memory, of the binary.

use std::time::Duration;

use tracekeep_otlp::{Encoding, decode};
use tracekeep_store::Batch;
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::data::{Corpus, Size};
use crate::measure::ratio;
use crate::random::Random;
use crate::records::{committed, fresh, start_run};
use crate::report::{Bar, Report};
use crate::server::Server;
use crate::telemetry::{SPANS, requests, send};
use crate::{Asked, Result};

/// Spans of a request of about 4 MiB.
const LARGE_SPANS: u64 = 850;

pub(crate) fn space(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    disk(asked, report, &corpus)?;
    memory(asked, report, &corpus)?;
    report.table("The binary", &["MiB", "bar"]);
    let mib = std::fs::metadata(&asked.binary)?.len() as f64 / f64::from(1 << 20);
    let bar = report.judge("binary, MiB", mib, Bar::AtMost(25.0), |mib| format!("{mib:.1}"));
    report.row(&[format!("{mib:.1}"), bar]);
    Ok(())
}

fn disk(asked: &Asked, report: &mut Report, corpus: &Corpus) -> Result<()> {
    let columns = ["what", "body B, plain", "file B a body", "times the body", "bar"];
    report.table("Disk: bodies compressed, indices and hashes included, empty schema taken off", &columns);
    let count = if asked.quick { 4_000 } else { 20_000 };
    for size in Size::ALL {
        let mut random = Random::new(5);
        let mut traces = vec![start_run("run-0")?];
        for place in 0..count {
            traces.push(Batch::one(corpus.trace(&mut random, "run-0", &format!("trace-{place}"), None, size)));
        }
        room(asked, report, &format!("a trace of {} with three tags", size.name()), size, traces)?;
        let mut spans = Vec::new();
        for request in requests(corpus, count / SPANS, SPANS, size, 5) {
            spans.extend(decode(&request, Encoding::Protobuf)?.into_batches().0);
        }
        room(asked, report, &format!("a span of {} on the wire", size.name()), size, spans)?;
    }
    Ok(())
}

/// What batches of one body that counts take in a new file.
fn room(asked: &Asked, report: &mut Report, what: &str, size: Size, mut batches: Vec<Batch>) -> Result<()> {
    let path = fresh(asked, "space");
    SqliteLedger::open(&path, Options::default())?.close()?;
    let empty = std::fs::metadata(&path)?.len();
    let bytes: u64 = batches.iter().flat_map(|batch| &batch.ops).map(|op| op.body().as_str().len() as u64).sum();
    let count = batches.len() as u64;
    let ledger = SqliteLedger::open(&path, Options::default())?;
    while !batches.is_empty() {
        let rest = batches.split_off(batches.len().min(500));
        committed(&ledger, std::mem::replace(&mut batches, rest))?;
    }
    ledger.close()?;
    let file = std::fs::metadata(&path)?.len() - empty;
    let times = file as f64 / bytes as f64;
    let bar = if size == Size::FourKiB { Bar::AtMost(0.5) } else { Bar::None };
    let bar = report.judge(&format!("disk, {what}, times the body"), times, bar, ratio);
    report.row(&[what.to_owned(), (bytes / count).to_string(), (file / count).to_string(), ratio(times), bar]);
    Ok(())
}

fn memory(asked: &Asked, report: &mut Report, corpus: &Corpus) -> Result<()> {
    report.table("Memory of the server", &["when", "MiB", "bar"]);
    let show = |mib: f64| format!("{mib:.1}");
    let server = Server::start(&asked.binary, &fresh(asked, "memory"))?;
    std::thread::sleep(Duration::from_millis(500));
    let idle = server.memory_mib("VmRSS")?;
    let bar = report.judge("idle memory, MiB", idle, Bar::AtMost(20.0), show);
    report.row(&["idle (VmRSS)".to_owned(), show(idle), bar]);
    send(&server, requests(corpus, 80, SPANS, Size::FourKiB, 1), SPANS, 8)?;
    let small = server.memory_mib("VmHWM")?;
    let bar = report.judge("memory under requests of 100 spans, MiB", small, Bar::AtMost(160.0), show);
    report.row(&["most so far, 8 connections, 100 spans of 4 KiB a request (VmHWM)".to_owned(), show(small), bar]);
    let large = requests(corpus, 24, LARGE_SPANS, Size::FourKiB, 2);
    let mib = large[0].len() as f64 / f64::from(1 << 20);
    let (_, busy) = send(&server, large, LARGE_SPANS, 8)?;
    let most = server.memory_mib("VmHWM")?;
    let bar = report.judge("memory under requests of up to 4 MiB, MiB", most, Bar::AtMost(160.0), show);
    report.row(&[format!("then requests of {mib:.1} MiB, {busy} told to wait (VmHWM)"), show(most), bar]);
    Ok(())
}
