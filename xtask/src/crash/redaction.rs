//! Kills while members are withheld beside writers: each redaction is whole or absent, and an acknowledged one is whole.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Result;
use super::author::{Author, start_shared};
use super::campaign::{Campaign, Life};
use super::check::{Expected, Finding, Wrong};
use super::log::Log;
use super::random::Random;
use super::request::{Answer, Door, Outcome, Receipt, Request};
use super::round::{self, until_answered};
use super::server::{Server, Setup};
use super::withheld::{self, Member, PREFIX, Redactions, Target, What};

/// Writers beside: one of them telemetry.
const AUTHORS: u64 = 3;
/// Who redacts, at once.
const REDACTORS: usize = 2;
/// Kills after which a new ledger is begun.
const KILLS_PER_LEDGER: u64 = 25;
/// Members that may still be withheld when a load begins: more than a load gets through.
const PENDING: usize = 300;
/// Steps and traces of a run whose members are withheld.
const STEPS: u64 = 20;
const TRACES: u64 = 10;
/// Redactions that are sent again after a restart.
const AGAIN: usize = 6;

/// What the kills came to.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) kills: u64,
    pub(crate) acked: u64,
    pub(crate) in_flight: u64,
    pub(crate) in_flight_recorded: u64,
    pub(crate) gone: u64,
    pub(crate) tamperings: u64,
}

/// What is withheld in one ledger.
struct Redactor {
    random: Random,
    runs: u64,
    targets: Vec<Target>,
    /// As the last look saw them.
    redactions: Redactions,
}

/// What came of one redactor's work until the kill.
#[derive(Default)]
struct Work {
    receipts: Vec<Receipt>,
    findings: Vec<Finding>,
    /// When no answer came any more.
    ended: Option<Instant>,
}

/// Kills so many times while members are withheld.
pub(crate) fn run(campaign: &mut Campaign, directory: &Path, binary: &Path, kills: u64) -> Result<Counted> {
    let mut counted = Counted::default();
    while counted.kills < kills && campaign.findings.is_empty() {
        let directory = directory.join(format!("redaction-{}", counted.kills));
        std::fs::create_dir_all(&directory)?;
        let setup = Setup { binary: binary.to_owned(), ledger: directory.join("ledger.db") };
        let authors = (0..AUTHORS).map(|number| Author::new(number, AUTHORS, campaign.random.fork())).collect();
        let mut life = Life { setup, expected: Expected::default(), authors, kept: Vec::new() };
        life.expected.unanswered.push(start_shared());
        let (random, redactions) = (campaign.random.fork(), Redactions::default());
        let mut redactor = Redactor { random, runs: 0, targets: Vec::new(), redactions };
        let last = kills.min(counted.kills + KILLS_PER_LEDGER);
        while counted.kills < last && campaign.findings.is_empty() {
            redactor.round(campaign, &mut life, &mut counted)?;
        }
        if !campaign.findings.is_empty() {
            break;
        }
        let (log, secrets) = redactor.look(campaign, &mut life, &mut counted)?;
        counted.gone += redactor.targets.iter().map(|target| target.acked as u64).sum::<u64>();
        if campaign.findings.is_empty() {
            counted.tamperings += withheld::tamper(&redactor.targets, &log, &secrets)?;
        }
    }
    Ok(counted)
}

impl Redactor {
    /// Looks at what the last kill left, and loads the server until the next one.
    fn round(&mut self, campaign: &mut Campaign, life: &mut Life, counted: &mut Counted) -> Result<()> {
        if self.random.percent(10) {
            life.setup.start_and_kill(Duration::from_millis(self.random.range(0, 30)))?;
        }
        self.look(campaign, life, counted)?;
        if !campaign.findings.is_empty() {
            return Ok(());
        }
        let mut server = life.setup.start()?;
        self.again(campaign, &server, &mut life.expected)?;
        while self.targets.iter().map(|target| target.members.len() - target.sent).sum::<usize>() < PENDING {
            self.fill(&server, &mut life.expected)?;
        }
        self.random.shuffle(&mut self.targets);
        let size = self.targets.len().div_ceil(REDACTORS);
        let parts: Vec<_> = self.targets.chunks_mut(size).map(|part| (part, server.client())).collect();
        let url = server.url.clone();
        let (load, works) = std::thread::scope(|scope| {
            let url = url.as_str();
            let redactors: Vec<_> =
                parts.into_iter().map(|(part, client)| scope.spawn(move || work(part, &client, url))).collect();
            let load = round::load(&mut server, &mut life.authors, &mut campaign.random);
            let works: Vec<_> = redactors.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            load.map(|load| (load, works))
        })?;
        counted.kills += 1;
        if counted.kills.is_multiple_of(10) {
            println!("crash: {} kills while members were withheld", counted.kills);
        }
        let killed = load.killed;
        campaign.take(load, life);
        for work in works {
            let Work { receipts, mut findings, ended } = work.map_err(|_| "a redactor panicked")?;
            if ended < killed {
                findings.push(Finding::new(Wrong::Answer, "a redactor stopped before the kill"));
            }
            counted.acked += receipts.len() as u64;
            findings.extend(receipts.iter().filter_map(|said| life.expected.root(said.tree_size, said.root)));
            findings.into_iter().for_each(|finding| campaign.find(finding));
        }
        Ok(())
    }

    /// What the log and the files hold, once the ledger was opened again and closed well.
    fn look(
        &mut self,
        campaign: &mut Campaign,
        life: &mut Life,
        counted: &mut Counted,
    ) -> Result<(Log, HashSet<String>)> {
        campaign.fsck(life);
        let server = life.setup.start()?;
        let log = campaign.after_restart(&server, life, false)?;
        self.read(&server, campaign)?;
        server.stop()?;
        campaign.fsck(life);
        let directory = life.setup.ledger.parent().ok_or("the ledger has a directory")?;
        let secrets = withheld::secrets(directory)?;
        let (redactions, findings) = withheld::check(&mut self.targets, &log, &secrets);
        self.redactions = redactions;
        findings.into_iter().for_each(|finding| campaign.find(finding));
        for target in self.targets.iter().filter(|target| target.unanswered) {
            counted.in_flight += 1;
            counted.in_flight_recorded += u64::from(target.acked == target.sent);
        }
        Ok((log, secrets))
    }

    /// A search for a word of one of the traces: the words of what is withheld are found no more.
    fn read(&mut self, server: &Server, campaign: &mut Campaign) -> Result<()> {
        let is_sure = |target: &&Target| !target.unanswered && matches!(target.what, What::Trace(_));
        let targets: Vec<_> = self.targets.iter().filter(is_sure).collect();
        let Some(target) = self.random.pick(&targets) else { return Ok(()) };
        let searched = target.members.iter().position(|member| member.name == "trace_type/arguments");
        let place = searched.ok_or("a trace of a tool call has arguments")?;
        let path = format!("/api/v1/runs/{}/traces?text={}", target.run, target.members[place].secret);
        let page: Value = serde_json::from_slice(&server.get(&server.client(), &path)?)?;
        let found = page["items"].as_array().map_or(0, Vec::len);
        if found != usize::from(place >= target.acked) {
            let detail = format!("{found} traces found by a word of {}", target.name());
            campaign.find(Finding::new(Wrong::Answer, detail));
        }
        Ok(())
    }

    /// What was not answered is sent again: a duplicate where it is in the log. Then some of what was answered, and a record
    /// under an identity of which something is withheld: it is refused.
    fn again(&mut self, campaign: &mut Campaign, server: &Server, expected: &mut Expected) -> Result<()> {
        let client = server.client();
        for target in self.targets.iter_mut().filter(|target| target.unanswered) {
            let there = target.acked == target.sent;
            let answer = until_answered(&request(target), &client, &server.url)?;
            let Answer::Receipt(receipt) = answer else {
                campaign.find(Finding::new(Wrong::Answer, format!("{} again: {answer:?}", target.name())));
                continue;
            };
            if (receipt.outcome == Outcome::Duplicate) != there {
                let detail = format!("{} again, in the log before: {there}, answered {receipt:?}", target.name());
                campaign.find(Finding::new(Wrong::Answer, detail));
            }
            expected.root(receipt.tree_size, receipt.root).into_iter().for_each(|finding| campaign.find(finding));
            (target.acked, target.unanswered) = (target.sent, false);
            // Where it stands, the next look sees.
            self.redactions.holders.remove(&target.entries[0].0);
        }
        let held: Vec<_> = self.targets.iter().filter(|target| target.acked > 0).collect();
        for _ in 0..AGAIN {
            let Some(target) = self.random.pick(&held) else { break };
            let Some(holder) = self.redactions.holders.get(&target.entries[0].0) else { continue };
            let is_it = |receipt: &Receipt| {
                receipt.outcome == Outcome::Duplicate && receipt.ops.iter().all(|op| op.log_index == *holder)
            };
            match until_answered(&request(target), &client, &server.url)? {
                Answer::Receipt(receipt) if is_it(&receipt) => {}
                answer => {
                    let detail = format!("{} again: {answer:?}, not a duplicate of {holder}", target.name());
                    campaign.find(Finding::new(Wrong::Answer, detail));
                }
            }
            let (path, mut op) = match &target.what {
                What::Step(index) => (format!("/api/v1/runs/{}/steps", target.run), step(*index, "other", "other")),
                What::Trace(id) => (format!("/api/v1/runs/{}/traces", target.run), trace(id, "other", "other")),
            };
            op.as_object_mut().ok_or("an op is an object")?.remove("op");
            let recorded_again = Request { door: Door::Op, path, key: None, body: op.to_string(), claims: Vec::new() };
            match until_answered(&recorded_again, &client, &server.url)? {
                Answer::Other(409, said) if said.contains("erased") => {}
                answer => {
                    campaign.find(Finding::new(Wrong::Answer, format!("{} recorded again: {answer:?}", target.name())));
                }
            }
        }
        Ok(())
    }

    /// Records a run whose members are withheld later. Every other one is sealed.
    fn fill(&mut self, server: &Server, expected: &mut Expected) -> Result<()> {
        let run = format!("hushed-{}", self.runs);
        self.runs += 1;
        let mut ops = vec![json!({"op": "start_run", "run_id": run})];
        let first = self.targets.len();
        let mut places = Vec::new();
        for index in 0..STEPS {
            let secrets = [self.secret(), self.secret()];
            places.push(vec![ops.len()]);
            ops.push(step(index, &secrets[0], &secrets[1]));
            self.target(&run, What::Step(index), &["params", "outcome_data"], &secrets);
        }
        for place in 0..TRACES {
            let (id, secrets) = (format!("t-{place}"), [self.secret(), self.secret(), self.secret()]);
            places.push(vec![ops.len(), ops.len() + 1]);
            ops.push(trace(&id, &secrets[0], &secrets[1]));
            ops.push(json!({"op": "end_trace", "id": id, "status": "ok", "result": {"said": secrets[2]}}));
            self.target(&run, What::Trace(id), &["trace_type/arguments", "tags", "trace_type/result"], &secrets);
        }
        if self.runs.is_multiple_of(2) {
            ops.push(json!({"op": "complete_run", "status": "completed"}));
        }
        ops.iter_mut().for_each(|op| op["run_id"] = run.as_str().into());
        let body = json!({ "ops": ops }).to_string();
        let batch =
            Request { door: Door::Batch, path: "/api/v1/batches".to_owned(), key: None, body, claims: Vec::new() };
        let Answer::Receipt(receipt) = until_answered(&batch, &server.client(), &server.url)? else {
            return Err("a run to be redacted was not recorded".into());
        };
        for (target, places) in self.targets[first..].iter_mut().zip(places) {
            let placed = places.into_iter().map(|place| (receipt.ops[place].log_index, receipt.ops[place].leaf_hash));
            target.entries = placed.collect();
        }
        expected.root(receipt.tree_size, receipt.root).map_or(Ok(()), |finding| Err(finding.to_string().into()))
    }

    fn target(&mut self, run: &str, what: What, names: &[&'static str], secrets: &[String]) {
        let of = |(name, secret): (&&'static str, &String)| Member { name, secret: secret.clone() };
        let mut members: Vec<_> = names.iter().zip(secrets).map(of).collect();
        self.random.shuffle(&mut members);
        let (run, entries) = (run.to_owned(), Vec::new());
        self.targets.push(Target { run, what, entries, members, acked: 0, sent: 0, unanswered: false });
    }

    fn secret(&mut self) -> String {
        format!("{PREFIX}{:016x}", self.random.next())
    }
}

fn step(index: u64, sent: &str, said: &str) -> Value {
    json!({"op": "record_step", "index": index, "skill_name": "search", "params": {"q": sent}, "status": "success",
        "outcome_data": {"said": said}, "cost_cents": "0.25"})
}

fn trace(id: &str, sent: &str, tag: &str) -> Value {
    json!({"op": "record_trace", "id": id, "tags": [tag],
        "trace_type": {"type": "ToolCall", "tool_name": "search", "arguments": {"q": sent}}})
}

/// The redaction of the member that was asked for last.
fn request(target: &Target) -> Request {
    let mut body = json!({"members": [target.members[target.sent - 1].name], "reason": "asked for"});
    match &target.what {
        What::Step(index) => body["step"] = (*index).into(),
        What::Trace(id) => body["trace"] = id.as_str().into(),
    }
    let (path, body) = (format!("/api/v1/runs/{}/redact", target.run), body.to_string());
    Request { door: Door::Op, path, key: None, body, claims: Vec::new() }
}

/// Withholds one member after the other, of one target after the other, until nobody answers.
fn work(targets: &mut [Target], client: &ureq::Agent, url: &str) -> Work {
    let mut work = Work::default();
    for target in targets.iter_mut().filter(|target| target.sent < target.members.len()) {
        target.sent += 1;
        match until_answered(&request(target), client, url) {
            Ok(Answer::Receipt(receipt)) if receipt.outcome == Outcome::Recorded => {
                target.acked = target.sent;
                work.receipts.push(receipt);
            }
            Ok(answer) => {
                work.findings.push(Finding::new(Wrong::Answer, format!("{}: {answer:?}", target.name())));
                return work;
            }
            Err(_) => {
                target.unanswered = true;
                break;
            }
        }
    }
    work.ended = Some(Instant::now());
    work
}
