//! One round: load until the kill, and what is sent again after the restart.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Result;
use super::author::Author;
use super::campaign::{Campaign, Life};
use super::check::{Acked, Expected, Finding, Wrong, places};
use super::log::Log;
use super::random::Random;
use super::request::{Answer, Outcome, Receipt, Request};
use super::server::Server;

/// Load after the first acknowledgement, before the kill.
const LOAD_MS: std::ops::Range<u64> = 5..121;
/// No acknowledgement within this time is a finding.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(20);
/// Acknowledged requests that are sent again after a restart, as they were and with other content.
const AGAIN: usize = 12;

/// What the load of a round came to.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) answered: Vec<(Request, Answer)>,
    pub(crate) unanswered: Vec<Request>,
    pub(crate) findings: Vec<Finding>,
    /// When the kill was begun.
    pub(crate) killed: Option<Instant>,
}

/// An acknowledged request.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    request: Request,
    /// `None` of telemetry.
    pub(crate) receipt: Option<Receipt>,
}

/// Lets the authors write until the server is killed.
pub(crate) fn load(server: &mut Server, authors: &mut [Author], random: &mut Random) -> Result<Load> {
    let (acked, killed) = (AtomicU64::new(0), AtomicBool::new(false));
    let twin = Mutex::new(None);
    let wait = Duration::from_micros(random.range(LOAD_MS.start * 1_000, LOAD_MS.end * 1_000));
    let randoms: Vec<_> = authors.iter().map(|_| random.fork()).collect();
    let url = server.url.clone();
    let agents: Vec<_> = authors.iter().map(|_| server.client()).collect();
    std::thread::scope(|scope| {
        let (acked, killed, twin, url) = (&acked, &killed, &twin, url.as_str());
        let writers: Vec<_> = authors
            .iter_mut()
            .zip(randoms)
            .zip(agents)
            .map(|((author, random), agent)| {
                scope.spawn(move || write(author, random, &agent, url, acked, killed, twin))
            })
            .collect();
        let began = Instant::now();
        while acked.load(Ordering::Acquire) == 0 && began.elapsed() < FIRST_ANSWER_MAX {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(wait);
        killed.store(true, Ordering::Release);
        let mut load = Load { killed: Some(Instant::now()), ..Load::default() };
        let kill = server.kill();
        for writer in writers {
            let of_writer = writer.join().map_err(|_| "a writer panicked")?;
            load.answered.extend(of_writer.answered);
            load.unanswered.extend(of_writer.unanswered);
            load.findings.extend(of_writer.findings);
        }
        if acked.load(Ordering::Acquire) == 0 {
            load.findings.push(Finding::new(Wrong::Answer, "nothing was acknowledged under load"));
        }
        kill.map(|()| load)
    })
}

fn write(
    author: &mut Author,
    mut random: Random,
    agent: &ureq::Agent,
    url: &str,
    acked: &AtomicU64,
    killed: &AtomicBool,
    twin: &Mutex<Option<Request>>,
) -> Load {
    let mut load = Load::default();
    loop {
        // At times a request goes out twice at once, from two connections: who comes second gets a duplicate.
        let mut slot = twin.lock().unwrap_or_else(PoisonError::into_inner);
        let request = match slot.take() {
            Some(request) if random.percent(50) => request,
            waiting => {
                *slot = waiting;
                let request = author.next();
                if random.percent(10) {
                    *slot = Some(request.clone());
                }
                request
            }
        };
        drop(slot);
        match until_answered(&request, agent, url) {
            Ok(answer @ (Answer::Receipt(_) | Answer::Spans)) => {
                acked.fetch_add(1, Ordering::AcqRel);
                load.answered.push((request, answer));
            }
            Ok(other) => {
                let first = request.claims.first().map_or("", |claim| &claim.identity);
                load.findings.push(Finding::new(Wrong::Answer, format!("{first}: {other:?}")));
                return load;
            }
            Err(error) => {
                if !killed.load(Ordering::Acquire) {
                    load.findings.push(Finding::new(Wrong::Answer, format!("no answer before the kill: {error}")));
                }
                load.unanswered.push(request);
                return load;
            }
        }
    }
}

/// Sends until it is not told to wait.
pub(crate) fn until_answered(request: &Request, agent: &ureq::Agent, url: &str) -> Result<Answer> {
    for _ in 0..1_000 {
        match request.send(agent, url)? {
            Answer::Busy => std::thread::sleep(Duration::from_millis(2)),
            answer => return Ok(answer),
        }
    }
    Err("the server stayed busy".into())
}

/// Keeps what an answer promised, entry by entry.
pub(crate) fn keep(request: &Request, answer: &Answer, expected: &mut Expected) -> std::result::Result<Kept, Finding> {
    let Answer::Receipt(receipt) = answer else {
        expected.unplaced.extend(request.claims.iter().cloned());
        return Ok(Kept { request: request.clone(), receipt: None });
    };
    let keyed = usize::from(request.key.is_some());
    if receipt.ops.len() + keyed != request.claims.len() {
        return Err(Finding::new(Wrong::Answer, format!("a receipt of {} ops", receipt.ops.len())));
    }
    let (ops, keys) = request.claims.split_at(receipt.ops.len());
    for (claim, op) in ops.iter().zip(&receipt.ops) {
        let acked = Acked { leaf_hash: op.leaf_hash, claim: claim.clone() };
        expected.place(op.log_index, acked).map_or(Ok(()), Err)?;
    }
    expected.unplaced.extend(keys.iter().cloned());
    expected.root(receipt.tree_size, receipt.root).map_or(Ok(()), Err)?;
    Ok(Kept { request: request.clone(), receipt: Some(receipt.clone()) })
}

/// Sends again what was not answered, then some of what was.
pub(crate) fn send_again(
    campaign: &mut Campaign,
    server: &Server,
    client: &ureq::Agent,
    life: &mut Life,
    log: &Log,
) -> Result<()> {
    let places = places(log);
    let mut sent = HashSet::new();
    for request in std::mem::take(&mut life.expected.unanswered) {
        let first = request.claims[0].identity.clone();
        let recorded = places.contains_key(first.as_str());
        campaign.figures.in_flight_recorded += u64::from(recorded);
        // The same request may have been in flight twice.
        let there = !sent.insert(first.clone()) || recorded;
        let answer = until_answered(&request, client, &server.url)?;
        match &answer {
            Answer::Spans => {}
            Answer::Receipt(receipt) if (receipt.outcome == Outcome::Duplicate) == there => {}
            other => {
                let detail = format!("{first} sent again, in the log before: {there}, answered {other:?}");
                campaign.find(Finding::new(Wrong::Answer, detail));
                continue;
            }
        }
        campaign.acknowledged(&request, &answer, life);
    }
    for _ in 0..AGAIN {
        let Some(kept) = campaign.random.pick(&life.kept).cloned() else { break };
        again(campaign, server, client, &kept)?;
    }
    Ok(())
}

/// An acknowledged request once more: a duplicate with the receipt that it had. With other content: a conflict.
fn again(campaign: &mut Campaign, server: &Server, client: &ureq::Agent, kept: &Kept) -> Result<()> {
    let first = &kept.request.claims[0].identity;
    let answer = until_answered(&kept.request, client, &server.url)?;
    let same = match (&answer, &kept.receipt) {
        (Answer::Spans, None) => true,
        (Answer::Receipt(now), Some(then)) => {
            let places =
                |receipt: &Receipt| receipt.ops.iter().map(|op| (op.log_index, op.leaf_hash)).collect::<Vec<_>>();
            now.outcome == Outcome::Duplicate
                && (now.tree_size, now.root) == (then.tree_size, then.root)
                && places(now) == places(then)
        }
        _ => false,
    };
    if !same {
        let detail = format!("{first} sent again: {answer:?} instead of a duplicate of {:?}", kept.receipt);
        campaign.find(Finding::new(Wrong::Answer, detail));
    }
    campaign.figures.resent += 1;
    let other = kept.request.contradicted();
    match until_answered(&other, client, &server.url)? {
        Answer::Other(409, said) if kept.receipt.is_some() && said.contains("conflict") => {}
        // Under its key, another body.
        Answer::Other(422, said) if kept.request.key.is_some() && said.contains("key_reused") => {}
        Answer::Other(200, said) if kept.receipt.is_none() && said.contains("rejectedSpans") => {}
        answer => {
            campaign.find(Finding::new(Wrong::Answer, format!("{first} with other content: {answer:?}")));
        }
    }
    campaign.figures.contradicted += 1;
    Ok(())
}
