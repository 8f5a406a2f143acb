//! What a backend gives to be tested, and the runner.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tracekeep_store::gate::{IdempotencyStore, MemoryIdempotencyStore, Rules};
use tracekeep_store::{Source, block_on};

use super::cases::{CASES, COUNTED};
use super::context::Gate;
use super::sequences;
use crate::sources::ManualSources;

/// Makes fresh, empty gates of one backend.
pub trait GateHarness: Send + Sync + 'static {
    /// A new empty gate. Cases run in parallel, so each gets its own.
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance>;

    /// How many random sequences are run against the model.
    fn sequences(&self) -> u32 {
        64
    }

    /// How many rounds of a race are run.
    fn rounds(&self) -> u32 {
        1_000
    }

    /// Whether the backend bounds the number of keys by itself: only then is it asked to. Redis does by its memory.
    fn counts_keys(&self) -> bool {
        true
    }

    /// Runs one task of a race. A backend whose calls need a runtime enters it here.
    fn wait(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>) {
        block_on(task);
    }
}

/// One open gate.
pub trait GateInstance: Send + Sync {
    /// The gate.
    fn store(&self) -> Arc<dyn IdempotencyStore>;

    /// Closes the gate and opens it again: what was answered holds. A backend that forgets does nothing.
    fn reopen(&mut self);

    /// Moves the store's clock by milliseconds.
    fn advance_ms(&self, ms: i64);
}

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct GateCase {
    /// What it is about: the file that it stands in.
    pub topic: &'static str,
    /// The behaviour that it states.
    pub name: &'static str,
    /// The case; it panics where the behaviour is another.
    pub run: fn(&mut Gate),
}

/// The cases that are asked of `harness`.
fn cases(harness: &dyn GateHarness) -> impl Iterator<Item = &'static GateCase> + use<> {
    let counted: &[GateCase] = if harness.counts_keys() { COUNTED } else { &[] };
    CASES.iter().flat_map(|cases| cases.iter()).chain(counted)
}

/// The whole suite over `harness` as tests whose names begin with `over`.
pub fn gate_trials(over: &str, harness: impl GateHarness) -> Vec<Trial> {
    let harness: Arc<dyn GateHarness> = Arc::new(harness);
    let mut trials: Vec<Trial> = cases(&*harness)
        .map(|case| {
            let harness = Arc::clone(&harness);
            Trial::test(format!("{over}::{}::{}", case.topic, case.name), move || {
                (case.run)(&mut Gate::fresh(harness));
                Ok(())
            })
        })
        .collect();
    trials.push(Trial::test(format!("{over}::model::random_calls_do_as_the_model_says"), move || {
        sequences::against_model(&harness, Some("tests/gate.proptest-regressions")).map_err(Into::into)
    }));
    trials
}

/// The names of the cases that fail over `harness`: how the suite itself is tested.
#[doc(hidden)]
pub fn gate_failures(harness: impl GateHarness) -> Vec<&'static str> {
    let harness: Arc<dyn GateHarness> = Arc::new(harness);
    let fails = |case: &&GateCase| {
        let played = catch_unwind(AssertUnwindSafe(|| (case.run)(&mut Gate::fresh(Arc::clone(&harness)))));
        played.is_err()
    };
    let mut failed: Vec<_> = cases(&*harness).filter(fails).map(|case| case.name).collect();
    if sequences::against_model(&harness, None).is_err() {
        failed.push("random_calls_do_as_the_model_says");
    }
    failed
}

/// Runs the suite with the arguments of `cargo test`: the `main` of a backend's `tests/gate.rs`.
pub fn gate_main(harness: impl GateHarness) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), gate_trials("gate", harness)).exit_code()
}

/// The gate in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct GateMemory;

struct OpenMemory(Arc<MemoryIdempotencyStore>, ManualSources);

impl GateHarness for GateMemory {
    fn fresh(&self, rules: Rules) -> Box<dyn GateInstance> {
        let sources = ManualSources::default();
        let store = MemoryIdempotencyStore::new(Source::new(sources.clone()), rules);
        Box::new(OpenMemory(Arc::new(store), sources))
    }

    fn sequences(&self) -> u32 {
        512
    }
}

impl GateInstance for OpenMemory {
    fn store(&self) -> Arc<dyn IdempotencyStore> {
        Arc::clone(&self.0) as Arc<dyn IdempotencyStore>
    }

    fn reopen(&mut self) {}

    fn advance_ms(&self, ms: i64) {
        self.1.advance(ms * 1_000_000);
    }
}
