//! The suite over SQLite: one file for each case, closed and opened again, checked by `fsck` and rebuilt at
//! the end of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;
use tracekeep_conformance::{Harness, Instance, ManualSources};
use tracekeep_store::{LedgerStore, Redaction, Source};
use tracekeep_store_sqlite::{Options, SqliteLedger};

fn main() -> ExitCode {
    tracekeep_conformance::main(Sqlite)
}

struct Sqlite;

struct Opened {
    folder: TempDir,
    sources: ManualSources,
    ledger: Option<Arc<SqliteLedger>>,
}

impl Harness for Sqlite {
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
        let folder = tempfile::tempdir().expect("a folder for the ledger");
        let mut opened = Opened { folder, sources, ledger: None };
        opened.reopen();
        Box::new(opened)
    }
}

impl Opened {
    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }
}

impl Instance for Opened {
    fn ledger(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(self.ledger.as_ref().expect("the ledger is open")) as Arc<dyn LedgerStore>
    }

    fn reopen(&mut self) {
        self.ledger = None;
        let (source, redact) = (Source::new(self.sources.clone()), Redaction::well_known());
        let options = Options { source, redact, ..Options::default() };
        self.ledger = Some(Arc::new(SqliteLedger::open(self.path(), options).expect("the ledger opens")));
    }

    fn check(&mut self) -> Option<Result<(), String>> {
        self.ledger = None;
        let reports = [SqliteLedger::check(self.path(), None), SqliteLedger::rebuild(self.path(), None)];
        self.reopen();
        let sound = reports.into_iter().try_for_each(|report| match report {
            Ok(report) if report.count == 0 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        Some(sound)
    }
}
