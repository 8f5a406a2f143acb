//! The suite over the gate in the ledger's file, and kill -9 of the process that has it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use tracekeep_conformance::{GateHarness, GateInstance, ManualSources};
use tracekeep_core::id::Key;
use tracekeep_core::json::Json;
use tracekeep_store::Source;
use tracekeep_store::gate::{Fingerprint, IdempotencyResult, IdempotencyStore, Rules, Terms, Token};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use IdempotencyResult::{Duplicate, InProgress};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(TRAFFIC) {
        return traffic(Path::new(&words.next().expect("the ledger's path")));
    }
    let mut trials = tracekeep_conformance::gate_trials("gate", Sqlite);
    trials.push(Trial::test("killed::what_was_answered_holds_after_kill_9", || {
        what_was_answered_holds_after_kill_9();
        Ok(())
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The first argument of the process that is killed.
const TRAFFIC: &str = "traffic";
/// Answers that are read before it is.
const ANSWERS_MIN: usize = 400;

fn key(task: u32, number: u32) -> Key {
    Key::new(format!("k-{task}-{number}")).expect("a key")
}

fn request() -> Fingerprint {
    Fingerprint::of(&Json::from("a"))
}

/// Eight tasks claim keys of their own and complete every other one, and say what they were answered, until they are killed.
fn traffic(path: &Path) -> ExitCode {
    let ledger = SqliteLedger::open(path, Options::default()).expect("the ledger opens");
    std::thread::scope(|scope| {
        for task in 0..8 {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in 0.. {
                    let answer = ledger.check_blocking(&key(task, number), &request(), &Terms::default());
                    let token = answer.expect("an answer").token.expect("the key is new");
                    say(&format!("held {task} {number} {token}"));
                    if number % 2 == 0 {
                        let response = Json::from(u64::from(number));
                        ledger.mark_completed_blocking(&key(task, number), &token, &response).expect("it is done");
                        say(&format!("done {task} {number} {token}"));
                    }
                }
            });
        }
    });
    ExitCode::SUCCESS
}

/// A line at once: one that is cut off by the end is none.
fn say(line: &str) {
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).expect("somebody reads");
}

fn what_was_answered_holds_after_kill_9() {
    let folder = tempfile::tempdir().expect("a folder for the ledger");
    let path = folder.path().join("ledger.db");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let mut child = command.arg(TRAFFIC).arg(&path).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its words")).lines();
    let mut answered = BTreeMap::new();
    let mut read = |line: String| {
        let words: Vec<_> = line.split(' ').collect();
        if let [state, task, number, token] = words[..]
            && token.len() == 32
        {
            let parsed = |text: &str| text.parse::<u32>().expect("a number");
            let place = (parsed(task), parsed(number));
            answered.insert(place, (state == "done", token.parse::<Token>().expect("a token")));
        }
    };
    lines.by_ref().take(ANSWERS_MIN).for_each(|line| read(line.expect("text")));
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    // What it had said before its end and was not read yet counts as well.
    lines.map_while(Result::ok).for_each(&mut read);
    let ledger = SqliteLedger::open(&path, Options::default()).expect("the ledger opens");
    for ((task, number), (is_done, token)) in answered {
        let name = key(task, number);
        let again = ledger.check_blocking(&name, &request(), &Terms::default()).expect("an answer");
        if is_done {
            assert_eq!((again.result, again.response), (Duplicate, Some(Json::from(u64::from(number)))), "{name}");
            continue;
        }
        // It may have been completed without its answer being said.
        assert!(matches!(again.result, InProgress | Duplicate), "{name}: {}", again.result);
        let response = Json::from(u64::from(number));
        ledger.mark_completed_blocking(&name, &token, &response).expect("its bearer is known");
    }
}

struct Sqlite;

struct Opened {
    folder: TempDir,
    sources: ManualSources,
    rules: Rules,
    ledger: Option<Arc<SqliteLedger>>,
}

impl GateHarness for Sqlite {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let folder = tempfile::tempdir().expect("a folder for the ledger");
        let mut opened = Opened { folder, sources: ManualSources::default(), rules, ledger: None };
        opened.reopen();
        Box::new(opened)
    }
}

impl Opened {
    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }
}

impl GateInstance for Opened {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::clone(self.ledger.as_ref().expect("the ledger is open")) as Arc<dyn IdempotencyStore>
    }

    /// The ledger is checked and rebuilt meanwhile: neither finds anything, nor touches the gate.
    fn reopen(&mut self) {
        if self.ledger.take().is_some() {
            for report in [SqliteLedger::check(self.path(), None), SqliteLedger::rebuild(self.path(), None)] {
                assert_eq!(report.expect("a report").findings, []);
            }
        }
        let source = Source::new(self.sources.clone());
        let options = Options { source, gate: self.rules.clone(), ..Options::default() };
        self.ledger = Some(Arc::new(SqliteLedger::open(self.path(), options).expect("the ledger opens")));
    }

    fn advance_ms(&self, ms: i64) {
        self.sources.advance(ms * 1_000_000);
    }
}
