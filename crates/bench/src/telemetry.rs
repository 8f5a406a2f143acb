//! Telemetry over HTTP: spans acknowledged after the commit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracekeep_otlp::{Encoding, decode as decode_spans};
use tracekeep_store::{Redaction, Source};

use crate::data::{Corpus, Size};
use crate::measure::{Cell, Spread, ms, timed, us, whole};
use crate::random::Random;
use crate::records::fresh;
use crate::report::{Bar, Report, judged};
use crate::rows::Rows;
use crate::server::Server;
use crate::{Asked, Result, disk, raw};

/// Spans of a request.
pub(crate) const SPANS: u64 = 100;
/// Entries of a transaction of the raw load.
const A_COMMIT: usize = 1_000;

/// Requests sent at once on some connections. `busy` counts answers that asked to wait.
pub(crate) fn send(server: &Server, requests: Vec<Vec<u8>>, spans: u64, connections: usize) -> Result<(Cell, u64)> {
    let count = requests.len() as u64 * spans;
    let queue = Mutex::new(requests.into_iter());
    let busy = AtomicU64::new(0);
    let began = Instant::now();
    let calls: Vec<std::result::Result<Vec<f64>, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| {
                    let (client, url) = (server.client(), format!("{}/v1/traces", server.url));
                    let mut calls = Vec::new();
                    loop {
                        let request = queue.lock().map_err(|_| "a client panicked")?.next();
                        let Some(request) = request else { return Ok(calls) };
                        let (us, done) = timed(|| until_taken(&client, &url, &request, &busy));
                        done.map_err(|error| error.to_string())?;
                        calls.push(us);
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".to_owned())))
            .collect()
    });
    let elapsed = began.elapsed();
    let calls = calls.into_iter().collect::<std::result::Result<Vec<_>, _>>()?.concat();
    Ok((Cell::of(usize::try_from(count)?, elapsed, calls), busy.into_inner()))
}

fn until_taken(client: &ureq::Agent, url: &str, request: &[u8], busy: &AtomicU64) -> Result<()> {
    loop {
        let mut answer = client.post(url).header("content-type", "application/x-protobuf").send(request)?;
        let body = answer.body_mut().read_to_vec()?;
        match answer.status().as_u16() {
            200 if body.is_empty() => return Ok(()),
            503 => {
                busy.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
            status => return Err(format!("the server answered {status}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}

/// Requests with ids of their own.
pub(crate) fn requests(corpus: &Corpus, count: u64, spans: u64, size: Size, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    (0..count).map(|_| corpus.export(&mut random, spans, size)).collect()
}

pub(crate) fn otlp(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    let count = if asked.quick { 60 } else { 250 };
    let columns = [
        "span",
        "connections",
        "spans a second",
        "raw bulk rows a second",
        "to raw bulk",
        "bar",
        "request p50 ms",
        "p99 ms",
        "bar",
        "server's CPU µs a span",
        "wire B a span",
    ];
    report.table("OTLP: spans acknowledged after the commit, 100 a request, protobuf", &columns);
    for size in Size::ALL {
        for (connections, rate_bar, p99_bar) in [
            (1, Bar::None, Bar::None),
            (8, Bar::AtLeast(0.75), if size == Size::FourKiB { Bar::AtMost(60_000.0) } else { Bar::None }),
        ] {
            let (mut ours, mut raws, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
            let mut rows: Option<Rows> = None;
            let mut wire = 0;
            for round in 0..asked.rounds {
                let path = fresh(asked, "otlp");
                let again = |rows: &Rows| -> Result<Cell> {
                    let mut writer = raw::Writer::create(&fresh(asked, "otlp-raw"), rows)?;
                    let (took, done) = timed(|| writer.bulk(&rows.entries, A_COMMIT));
                    done?;
                    Ok(Cell::of((count * SPANS) as usize, Duration::from_secs_f64(took / 1e6), Vec::new()))
                };
                let first = rows.is_some() && round % 2 == 1;
                if let (true, Some(rows)) = (first, &rows) {
                    raws.push(again(rows)?);
                }
                let load = requests(&corpus, count, SPANS, size, 100);
                wire = load.iter().map(Vec::len).sum::<usize>() as u64 / (count * SPANS);
                let server = Server::start(&asked.binary, &path)?;
                send(&server, requests(&corpus, 5, SPANS, size, 7), SPANS, 1)?;
                let cpu_before = server.cpu_seconds()?;
                ours.push(send(&server, load, SPANS, connections)?.0);
                cpu.push((server.cpu_seconds()? - cpu_before) * 1e6 / (count * SPANS) as f64);
                drop(server);
                let mut written = Rows::read(&path)?;
                // Without the warm-up.
                let runs_of_warm_up = 5;
                let from = written.entries.iter().enumerate().filter(|(_, recorded)| recorded.started.is_some());
                let from = from.map(|(at, _)| at).nth(runs_of_warm_up).unwrap_or(0);
                written.entries.drain(..from);
                if !first {
                    raws.push(again(&written)?);
                }
                rows = Some(written);
            }
            report.disk(disk::append(&asked.directory, 300)?);
            let what = format!("OTLP {}, {connections} connections", size.name());
            let to_raw = Spread::ratio(&ours, &raws, |cell| cell.rate);
            let [to_raw, rate_bar] = judged(report, &format!("{what}, to raw bulk"), to_raw, rate_bar);
            let p99 = Spread::over(&ours, |cell| cell.p99_us);
            let p99_bar = report.judge(&format!("{what}, p99 ms"), p99.median, p99_bar, ms);
            report.row(&[
                size.name().to_owned(),
                connections.to_string(),
                Spread::over(&ours, |cell| cell.rate).show(whole),
                Spread::over(&raws, |cell| cell.rate).show(whole),
                to_raw,
                rate_bar,
                Spread::over(&ours, |cell| cell.p50_us).show(ms),
                p99.show(ms),
                p99_bar,
                Spread::of(cpu).show(us),
                wire.to_string(),
            ]);
        }
    }
    Ok(())
}

/// What a span costs before it comes to the ledger, on one thread.
pub(crate) fn decode(asked: &Asked, report: &mut Report) -> Result<()> {
    let corpus = Corpus::load()?;
    let rounds = if asked.quick { 10 } else { 30 };
    let columns = [
        "span",
        "decode and map µs a span",
        "bar",
        "redaction at the door µs a span",
        "to decode and map",
        "spans that lost something",
        "canonical, commitments µs a span",
        "body B a span",
    ];
    report.table("OTLP: before the ledger, one thread", &columns);
    for size in Size::ALL {
        let (mut decoding, mut preparing, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (mut redacting, mut redacted, mut spans) = (Vec::new(), 0, 0);
        let well_known = Redaction::well_known();
        for request in requests(&corpus, rounds, SPANS, size, 3) {
            let (took, export) = timed(|| decode_spans(&request, Encoding::Protobuf));
            decoding.push(took / SPANS as f64);
            let (batches, _) = export?.into_batches();
            let mut left = batches.clone();
            let (took, ()) =
                timed(|| left.iter_mut().flat_map(|batch| &mut batch.ops).for_each(|op| well_known.redact(op)));
            redacting.push(took / SPANS as f64);
            spans += SPANS;
            let said = left.iter_mut().flat_map(|batch| &mut batch.ops).filter_map(|op| op.redacted_mut()?.clone());
            redacted += said.count() as u64;
            let (source, rules) = (Source::default(), Redaction::none());
            let (took, prepared) = timed(|| {
                batches
                    .into_iter()
                    .map(|batch| batch.prepare(&source, &rules, None))
                    .collect::<std::result::Result<Vec<_>, _>>()
            });
            preparing.push(took / SPANS as f64);
            bytes = prepared?.iter().map(tracekeep_store::Prepared::body_bytes).sum::<u64>() / SPANS;
        }
        let decoding = Spread::of(decoding);
        let bar = report.judge(&format!("decode and map, {}", size.name()), decoding.median, Bar::AtMost(12.0), us);
        let redacting = Spread::of(redacting);
        let cells = [
            size.name().to_owned(),
            decoding.show(us),
            bar,
            redacting.show(us),
            format!("{:.2}", redacting.median / decoding.median),
            format!("{redacted} of {spans}"),
            Spread::of(preparing).show(us),
            bytes.to_string(),
        ];
        report.row(&cells);
    }
    Ok(())
}
