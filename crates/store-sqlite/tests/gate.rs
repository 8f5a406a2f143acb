//! The suite over the gate in the ledger's file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;
use tracekeep_conformance::{GateHarness, GateInstance, ManualSources};
use tracekeep_store::Source;
use tracekeep_store::gate::{IdempotencyStore, Rules};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn main() -> ExitCode {
    tracekeep_conformance::gate_main(Sqlite)
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
