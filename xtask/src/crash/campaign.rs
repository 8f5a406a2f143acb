//! A campaign: kills in a row, over a few ledgers.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::author::{Author, start_shared};
use super::check::{Expected, Finding, Wrong};
use super::log::Log;
use super::random::Random;
use super::request::Request;
use super::round::{self, Kept};
use super::server::{Server, Setup};
use super::{Part, Result, proof, tamper};

/// Kills after which a new ledger is begun.
const KILLS_PER_LEDGER: u64 = 50;
/// Kills while one ledger is cleared: fewer where everything is erased before.
const KILLS_PER_GC: u64 = 20;
/// Writers: a third of them telemetry.
const AUTHORS: u64 = 6;
/// Acknowledged requests that are kept to be sent again.
const KEPT_MAX: usize = 400;

/// What a campaign counted.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) kills: u64,
    pub(crate) kills_opening: u64,
    pub(crate) ledgers: u64,
    pub(crate) entries: u64,
    pub(crate) acked_requests: u64,
    pub(crate) acked_entries: u64,
    pub(crate) acked_spans: u64,
    pub(crate) in_flight: u64,
    pub(crate) in_flight_recorded: u64,
    pub(crate) resent: u64,
    pub(crate) contradicted: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) other: u64,
    pub(crate) roots: u64,
    pub(crate) consistency: u64,
    pub(crate) inclusion: u64,
    pub(crate) fsck: u64,
    pub(crate) tamperings: u64,
    pub(crate) kills_erasing: u64,
    pub(crate) between: u64,
    pub(crate) redactions: super::redaction::Counted,
    pub(crate) elapsed: Duration,
}

/// Kills in a row.
#[derive(Debug)]
pub(crate) struct Campaign {
    binary: PathBuf,
    directory: PathBuf,
    pub(crate) random: Random,
    pub(crate) figures: Figures,
    pub(crate) findings: Vec<Finding>,
}

/// One ledger's life.
pub(crate) struct Life {
    pub(crate) setup: Setup,
    pub(crate) expected: Expected,
    pub(crate) authors: Vec<Author>,
    /// Acknowledged requests, to be sent again.
    pub(crate) kept: Vec<Kept>,
}

impl Campaign {
    pub(crate) fn new(binary: PathBuf, directory: PathBuf, seed: u64) -> Self {
        let (random, figures) = (Random::new(seed), Figures::default());
        Self { binary, directory, random, figures, findings: Vec::new() }
    }

    /// Kills so many times, all of them in one part where that is asked for. Stops at the first findings: what comes after
    /// them says little.
    pub(crate) fn run(&mut self, kills: u64, only: Option<Part>, self_check: bool) -> Result<()> {
        let began = Instant::now();
        match only {
            Some(Part::Gc) => self.retention(kills)?,
            Some(Part::Redaction) => self.redaction(kills)?,
            None => self.all(kills, self_check)?,
        }
        self.figures.elapsed = began.elapsed();
        Ok(())
    }

    fn all(&mut self, kills: u64, self_check: bool) -> Result<()> {
        let mut left = kills;
        while left > 0 && self.findings.is_empty() {
            let of_ledger = left.min(KILLS_PER_LEDGER);
            self.life(of_ledger, self_check || left == of_ledger)?;
            left -= of_ledger;
        }
        if self.findings.is_empty() {
            self.retention(kills.div_ceil(10).clamp(2, 20))?;
        }
        if self.findings.is_empty() {
            self.redaction(kills.div_ceil(5).clamp(2, 100))?;
        }
        Ok(())
    }

    /// Kills so many times while old runs are erased.
    fn retention(&mut self, kills: u64) -> Result<()> {
        while self.figures.kills_erasing < kills && self.findings.is_empty() {
            let directory = self.directory.join(format!("retention-{}", self.figures.kills_erasing));
            std::fs::create_dir_all(&directory)?;
            let setup = Setup { binary: self.binary.clone(), ledger: directory.join("ledger.db") };
            let of_ledger = (kills - self.figures.kills_erasing).min(KILLS_PER_GC);
            let counted = super::retention::run(&setup, &mut self.random, of_ledger)?;
            self.figures.kills_erasing += counted.kills;
            self.figures.between += counted.between;
            self.figures.fsck += counted.fsck;
            counted.findings.into_iter().for_each(|finding| self.find(finding));
        }
        // Of all ledgers together: the last one may be killed but once.
        if self.findings.is_empty() && self.figures.between == 0 {
            self.find(Finding::new(Wrong::Answer, format!("none of {kills} kills met a gc half way")));
        }
        Ok(())
    }

    /// Kills so many times while members are withheld.
    fn redaction(&mut self, kills: u64) -> Result<()> {
        let (directory, binary) = (self.directory.clone(), self.binary.clone());
        self.figures.redactions = super::redaction::run(self, &directory, &binary, kills)?;
        Ok(())
    }

    fn life(&mut self, kills: u64, tampered: bool) -> Result<()> {
        self.figures.ledgers += 1;
        let directory = self.directory.join(format!("ledger-{}", self.figures.ledgers));
        std::fs::create_dir_all(&directory)?;
        let setup = Setup { binary: self.binary.clone(), ledger: directory.join("ledger.db") };
        let authors = (0..AUTHORS).map(|number| Author::new(number, AUTHORS, self.random.fork())).collect();
        let mut life = Life { setup, expected: Expected::default(), authors, kept: Vec::new() };
        life.expected.unanswered.push(start_shared());
        let mut kills_of_ledger = 0;
        while kills_of_ledger < kills {
            if self.random.percent(15) {
                life.setup.start_and_kill(Duration::from_millis(self.random.range(0, 30)))?;
                self.figures.kills_opening += 1;
                kills_of_ledger += 1;
                self.figures.kills += 1;
                continue;
            }
            if self.random.percent(40) {
                self.fsck(&life);
            }
            let mut server = life.setup.start()?;
            self.after_restart(&server, &mut life, false)?;
            if !self.findings.is_empty() {
                return Ok(());
            }
            let load = round::load(&mut server, &mut life.authors, &mut self.random)?;
            kills_of_ledger += 1;
            self.figures.kills += 1;
            self.take(load, &mut life);
            if self.figures.kills.is_multiple_of(10) {
                let (kills, requests) = (self.figures.kills, self.figures.acked_requests);
                println!("crash: {kills} kills, {requests} requests acknowledged, {} findings", self.findings.len());
            }
        }
        self.fsck(&life);
        let server = life.setup.start()?;
        let log = self.after_restart(&server, &mut life, true)?;
        self.end(server, &life, &log, tampered)
    }

    /// A good stop: nothing is left in the write-ahead log, and fsck finds nothing.
    fn end(&mut self, server: Server, life: &Life, log: &Log, tampered: bool) -> Result<()> {
        if !server.stop()? {
            self.find(Finding::new(Wrong::Answer, "the server did not end with 0 at SIGTERM"));
        }
        if tamper::has_wal(&life.setup.ledger) {
            self.find(Finding::new(Wrong::Order, "a stopped ledger left a write-ahead log behind"));
        }
        self.fsck(life);
        self.figures.entries += log.entries.len() as u64;
        self.figures.acked_entries += life.expected.placed.len() as u64;
        self.figures.acked_spans +=
            life.expected.placed.values().filter(|acked| is_span(&acked.claim.identity)).count() as u64;
        if tampered && self.findings.is_empty() {
            self.figures.tamperings += tamper::run(&life.expected, log, &life.setup, &mut self.random)?;
        }
        Ok(())
    }

    /// Looks at what the restarted server holds, sends again what was not answered, and looks once more.
    pub(crate) fn after_restart(&mut self, server: &Server, life: &mut Life, all_proofs: bool) -> Result<Log> {
        let client = server.client();
        let mut log = super::log::read(server, &client)?;
        self.look(&log, life);
        round::send_again(self, server, &client, life, &log)?;
        // The second look sees what was sent again, and whether anything was written twice.
        log.read_on(server, &client)?;
        self.look(&log, life);
        proof::verify(self, server, &client, &life.expected, &log, all_proofs)?;
        Ok(log)
    }

    fn look(&mut self, log: &Log, life: &mut Life) {
        for finding in super::check::check(&life.expected, log) {
            self.find(finding);
        }
        self.figures.roots += life.expected.roots.len() as u64;
        // What came without a receipt has a place from now on.
        let places = super::check::places(log);
        for claim in std::mem::take(&mut life.expected.unplaced) {
            if let Some(seen) = places.get(claim.identity.as_str()) {
                let acked = super::check::Acked { leaf_hash: seen.leaf_hash, claim };
                let finding = life.expected.place(seen.log_index, acked);
                finding.into_iter().for_each(|finding| self.find(finding));
            }
        }
    }

    pub(crate) fn take(&mut self, load: round::Load, life: &mut Life) {
        self.figures.in_flight += load.unanswered.len() as u64;
        life.expected.unanswered.extend(load.unanswered);
        load.findings.into_iter().for_each(|finding| self.find(finding));
        for (request, answer) in load.answered {
            self.acknowledged(&request, &answer, life);
        }
    }

    /// Keeps what an answer promised.
    pub(crate) fn acknowledged(&mut self, request: &Request, answer: &super::request::Answer, life: &mut Life) {
        self.figures.acked_requests += 1;
        let kept = round::keep(request, answer, &mut life.expected);
        match kept {
            Ok(kept) => {
                if life.kept.len() < KEPT_MAX {
                    life.kept.push(kept);
                } else {
                    let at = self.random.range(0, KEPT_MAX as u64) as usize;
                    life.kept[at] = kept;
                }
            }
            Err(finding) => self.find(finding),
        }
    }

    pub(crate) fn fsck(&mut self, life: &Life) {
        // Killed while it was made for the first time, the file may hold nothing yet.
        if life.expected.roots.is_empty() {
            return;
        }
        match life.setup.fsck() {
            Ok(()) => self.figures.fsck += 1,
            Err(said) => self.find(Finding::new(Wrong::Fsck, said)),
        }
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        match finding.wrong {
            Wrong::Lost => self.figures.lost += 1,
            Wrong::Doubled => self.figures.doubled += 1,
            _ => self.figures.other += 1,
        }
        self.findings.push(finding);
    }
}

/// Runs of telemetry have ids of 32 hex digits.
fn is_span(identity: &str) -> bool {
    identity.split(' ').nth(1).is_some_and(|run| run.len() == 32)
}
