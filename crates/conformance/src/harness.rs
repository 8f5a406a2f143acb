//! What a backend gives to be tested, and the runner.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tracekeep_store::{LedgerStore, MemoryLedger, Redaction, Source};

use crate::cases::CASES;
use crate::context::Context;
use crate::model;
use crate::sources::ManualSources;

/// Makes fresh, empty ledgers of one backend.
pub trait Harness: Send + Sync + 'static {
    /// A new empty ledger whose times, ids and random bytes come from `sources`. Cases run in parallel, so each gets its
    /// own: a file, a schema, a server on its own port. It takes the well-known secrets out at its door
    /// ([`Redaction::well_known`]).
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance>;

    /// How many random sequences of batches are run against the model, and against memory.
    fn sequences(&self) -> u32 {
        64
    }

    /// Whether ops that were held in front of the ledger may be moved in: nobody may say so over a network.
    fn takes_moved(&self) -> bool {
        true
    }
}

/// One open ledger.
pub trait Instance: Send {
    /// The ledger. The case lets go of every handle before [`Instance::reopen`].
    fn ledger(&self) -> Arc<dyn LedgerStore>;

    /// The ledger as the process has it that writes to it, where [`Instance::ledger`] is another's: it alone takes what
    /// [`Op::is_local`](tracekeep_core::model::Op::is_local). To be let go of like the other.
    fn writer(&self) -> Option<Arc<dyn LedgerStore>> {
        None
    }

    /// Closes the ledger and opens it again: what was acknowledged is there. A backend that forgets does nothing.
    fn reopen(&mut self);

    /// The backend's own check of log against indices, where it has one, and their rebuilding from the log: run after each
    /// case, which then looks once more. `Err` says what it found, `None` that there is no such check.
    fn check(&mut self) -> Option<Result<(), String>> {
        None
    }
}

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is about: the file that it stands in.
    pub topic: &'static str,
    /// The behaviour that it states.
    pub name: &'static str,
    /// The case; it panics where the behaviour is another.
    pub run: fn(&mut Context),
}

/// The whole suite over `harness` as named tests: every case, the model, and memory side by side.
pub fn trials(harness: impl Harness) -> Vec<Trial> {
    let harness = Arc::new(harness);
    let mut trials: Vec<Trial> = CASES
        .iter()
        .flat_map(|cases| cases.iter())
        .map(|case| {
            let harness = Arc::clone(&harness);
            Trial::test(format!("{}::{}", case.topic, case.name), move || {
                let mut context = Context::fresh(&*harness);
                (case.run)(&mut context);
                context.look_reopen_look();
                Ok(())
            })
        })
        .collect();
    trials.extend(crate::audit_store::of_ledger(Arc::clone(&harness)));
    let against_model = Arc::clone(&harness);
    trials.push(Trial::test("model::random_batches_do_as_the_model_says", move || {
        model::against_model(&*against_model).map_err(Into::into)
    }));
    trials.push(Trial::test("model::random_batches_do_as_memory_does", move || {
        model::compare_backends(&*harness, &Memory).map_err(Into::into)
    }));
    trials
}

/// Runs the suite with the arguments of `cargo test`: the `main` of a backend's `tests/conformance.rs`.
pub fn main(harness: impl Harness) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials(harness)).exit_code()
}

/// The in-memory ledger, which the others are compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

struct OpenMemory(Arc<MemoryLedger>);

impl Harness for Memory {
    fn fresh(&self, sources: ManualSources) -> Box<dyn Instance> {
        let ledger = MemoryLedger::new(Source::new(sources)).redacting(Redaction::well_known());
        Box::new(OpenMemory(Arc::new(ledger)))
    }

    fn sequences(&self) -> u32 {
        256
    }
}

impl Instance for OpenMemory {
    fn ledger(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.0) as Arc<dyn LedgerStore>
    }

    fn reopen(&mut self) {}
}
