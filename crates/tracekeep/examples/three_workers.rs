//! An agent with three workers, one of which dies: `cargo run -p tracekeep --example three_workers -- runs.db`.
//!
//! What must happen is declared before the work begins. Each worker acknowledges its own part; nobody speaks for the one that
//! died, and so the run is neither complete nor quietly forgotten: at its deadline it is stale, and the verdict says of what.

#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::thread;

use tracekeep::{AckStatus, AuditVerdict, Error, Expect, RunId, StartRun, Tracekeep, VerdictStatus};

/// Starts a run of which all three parts and an end are expected within `deadline_ms`, and lets the workers at it.
pub(crate) fn work(tracekeep: &Tracekeep, deadline_ms: u64) -> Result<RunId, Error> {
    let run = tracekeep.runs().start_run(StartRun { goal: Some("three parts".into()), ..StartRun::default() })?;
    let expect = |domain: &str, action: &str| Expect::new(run.clone(), domain, action, deadline_ms);
    let parts = ["fetch", "summarize", "publish"];
    let mut contract: Vec<_> = parts.iter().map(|part| expect("workers", part)).collect();
    contract.push(expect("orchestrator", "finalize_run"));
    tracekeep.audit().add_expectations(contract)?;
    let workers = parts.map(|part| {
        let (audit, run) = (tracekeep.audit(), run.clone());
        thread::spawn(move || {
            if part == "publish" {
                // This one dies before it has said a word.
                return Ok(());
            }
            audit.ack(&run, "workers", part, AckStatus::Success).map(drop)
        })
    });
    for worker in workers {
        worker.join().unwrap_or(Ok(()))?;
    }
    Ok(run)
}

/// The verdict, once nothing is pending any more.
fn wait(tracekeep: &Tracekeep, run: &RunId) -> Result<AuditVerdict, Error> {
    loop {
        let now = tracekeep.audit().summary(run)?.now;
        if now.is_none_or(|now| now.status != VerdictStatus::Pending) {
            return tracekeep.audit().reconcile(run);
        }
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "runs.db".to_owned());
    let tracekeep = Tracekeep::open(path)?;
    let run = work(&tracekeep, 300)?;
    println!("{run}: {}", tracekeep.audit().reconcile(&run)?.status);
    let verdict = wait(&tracekeep, &run)?;
    println!("{run}: {}", verdict.status);
    for missing in &verdict.missing {
        println!("missing: {}/{}", missing.domain, missing.action);
    }
    Ok(())
}
