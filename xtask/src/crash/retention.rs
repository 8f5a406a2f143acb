//! Kills while old runs are erased: each run is whole or erased, with its redaction, and the next gc takes up the rest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Result;
use super::check::{Finding, Wrong};
use super::log::{Log, Seen, read};
use super::random::Random;
use super::server::{Server, Setup};

/// Runs that are erased.
const RUNS: u64 = 400;
/// Steps of each.
const STEPS: u64 = 20;
/// The longest wait before a kill, once the gc has erased something.
const WAIT_MS: u64 = 60;
/// A gc that has erased nothing after this time is killed all the same.
const FIRST_ERASED_MAX: Duration = Duration::from_secs(10);

/// What the kills came to.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) kills: u64,
    /// Kills that left some runs erased and others whole.
    pub(crate) between: u64,
    pub(crate) fsck: u64,
    pub(crate) findings: Vec<Finding>,
}

/// Kills so many times while a gc is under way, or until it has erased everything, and lets the last one end.
pub(crate) fn run(setup: &Setup, random: &mut Random, kills: u64) -> Result<Counted> {
    let mut counted = Counted::default();
    let server = setup.start()?;
    fill(&server)?;
    let before = read(&server, &server.client())?;
    drop(server);
    let mut erased = 0;
    for _ in 0..kills {
        let mut server = setup.start()?;
        let (client, url) = (server.client(), format!("{}/api/v1/gc", server.url));
        // Nobody hears the answer: what became of it is read from the ledger.
        let asked = std::thread::spawn(move || drop(post(&client, &url, &all())));
        // Most kills are aimed between two of its transactions, or into one; some come before the first.
        if counted.kills == 0 || random.percent(80) {
            let (began, entries) = (Instant::now(), size(&server)?);
            while size(&server)? == entries && began.elapsed() < FIRST_ERASED_MAX {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::thread::sleep(Duration::from_micros(random.range(0, WAIT_MS * 1_000)));
        server.kill()?;
        drop(asked.join());
        counted.kills += 1;
        match setup.fsck() {
            Ok(()) => counted.fsck += 1,
            Err(said) => counted.findings.push(Finding::new(Wrong::Fsck, said)),
        }
        let server = setup.start()?;
        let now = look(&server, &before, &mut counted.findings)?;
        if now < erased {
            counted.findings.push(Finding::new(Wrong::Changed, format!("{erased} runs were erased, then {now}")));
        }
        counted.between += u64::from(now > erased && now < RUNS);
        erased = now;
        if erased == RUNS {
            break;
        }
    }
    let server = setup.start()?;
    let mut answer = post(&server.client(), &format!("{}/api/v1/gc", server.url), &all())?;
    let report: Value = serde_json::from_slice(&answer.body_mut().read_to_vec()?)?;
    if report["erased"] != RUNS - erased {
        let detail = format!("the last gc of {erased} erased runs of {RUNS} answered {report}");
        counted.findings.push(Finding::new(Wrong::Answer, detail));
    }
    let left = RUNS - look(&server, &before, &mut counted.findings)?;
    if left > 0 {
        counted.findings.push(Finding::new(Wrong::Lost, format!("{left} runs are there after the last gc")));
    }
    server.stop()?;
    match setup.fsck() {
        Ok(()) => counted.fsck += 1,
        Err(said) => counted.findings.push(Finding::new(Wrong::Fsck, said)),
    }
    Ok(counted)
}

/// Entries of the log: one more for each erased run.
fn size(server: &Server) -> Result<u64> {
    let head: Value = serde_json::from_slice(&server.get(&server.client(), "/api/v1/log")?)?;
    head["tree_size"].as_u64().ok_or_else(|| "a head has a size".into())
}

/// Asks for all that has ended to be erased.
fn all() -> Value {
    json!({"older_than": "0s"})
}

fn post(client: &ureq::Agent, url: &str, body: &Value) -> Result<ureq::http::Response<ureq::Body>> {
    let request = client.post(url).header("content-type", "application/json");
    Ok(request.send(body.to_string().as_bytes())?)
}

fn fill(server: &Server) -> Result<()> {
    let client = server.client();
    for run in 0..RUNS {
        let run_id = format!("old-{run}");
        let mut ops = vec![json!({"op": "start_run", "run_id": run_id, "tags": ["old"]})];
        ops.extend((0..STEPS).map(|index| {
            let params = json!({"q": "what was asked for ".repeat(30)});
            json!({"op": "record_step", "run_id": run_id, "index": index, "skill_name": "s", "params": params, "status": "success"})
        }));
        ops.push(json!({"op": "complete_run", "run_id": run_id, "status": "completed"}));
        let answer = post(&client, &format!("{}/api/v1/batches", server.url), &json!({ "ops": ops }))?;
        if answer.status() != 201 {
            return Err(format!("a batch was answered with {}", answer.status()).into());
        }
    }
    Ok(())
}

/// Looks at every run in the log and through the API; gives how many are erased.
fn look(server: &Server, before: &Log, findings: &mut Vec<Finding>) -> Result<u64> {
    let client = server.client();
    let log = read(server, &client)?;
    let mut of_runs = BTreeMap::<&str, Vec<&Seen>>::new();
    for entry in &log.entries {
        of_runs.entry(&entry.leaf.run).or_default().push(entry);
    }
    for (was, is) in before.entries.iter().zip(&log.entries) {
        if was.leaf_hash != is.leaf_hash || is.computed_hash() != is.leaf_hash {
            findings.push(Finding::new(Wrong::Hash, format!("log index {} has another leaf", was.log_index)));
        }
    }
    let mut erased = 0;
    for (run, entries) in of_runs {
        let gone = entries.iter().filter(|entry| entry.body == "null").count();
        let redacted = entries.last().is_some_and(|last| last.leaf.kind == "redaction" && last.body != "null");
        let status = client.get(&format!("{}/api/v1/runs/{run}", server.url)).call()?.status().as_u16();
        let whole = u64::try_from(entries.len())? == STEPS + 2;
        match (gone, redacted, status) {
            (0, false, 200) if whole => {}
            (gone, true, 410) if gone + 1 == entries.len() => erased += 1,
            seen => findings.push(Finding::new(Wrong::Torn, format!("{run} of {} entries: {seen:?}", entries.len()))),
        }
    }
    Ok(erased)
}
