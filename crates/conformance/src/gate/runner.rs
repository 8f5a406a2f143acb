//! The suite as named tests of one backend.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use super::cases::{CASES, COUNTED, GateCase};
use super::context::Gate;
use super::harness::GateHarness;
use super::sequences;

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
