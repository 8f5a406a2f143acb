//! The suite as named tests of one backend.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::cases::CASES;
use crate::context::Context;
use crate::harness::{Harness, Memory};
use crate::{audit_store, model};

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
    trials.extend(audit_store::of_ledger(Arc::clone(&harness)));
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
