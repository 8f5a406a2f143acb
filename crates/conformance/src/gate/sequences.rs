//! Random sequences of calls about three keys, against the model.
//!
//! Time passes in steps of 3 s: no step ends within a second of the end of a lease, a ttl or a memory, so that a store
//! whose clock goes on by itself does as the model says.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use tracekeep_store::block_on;
use tracekeep_store::gate::Token;

use super::context::{Gate, foreign, json, key, request, terms};
use super::harness::GateHarness;
use super::model::{Asked, Model, Said};

/// What a sequence is made of. Tokens are those that were given, counted from the last.
#[derive(Clone, Copy, Debug)]
enum Step {
    Check { key: u8, request: bool },
    Complete { key: u8, token: u8, response: bool },
    Fail { key: u8, token: u8, retryable: bool },
    Renew { key: u8, token: u8 },
    Delete { key: u8 },
    Pass { seconds: u64 },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, token) = (0..3u8, prop_oneof![6 => Just(0u8), 2 => Just(1), 1 => 2..5u8]);
    let pass = prop_oneof![8 => Just(3u64), 4 => Just(12), 3 => Just(102), 1 => Just(1_101)];
    let step = prop_oneof![
        8 => (key.clone(), any::<bool>()).prop_map(|(key, request)| Step::Check { key, request }),
        3 => (key.clone(), token.clone(), any::<bool>())
            .prop_map(|(key, token, response)| Step::Complete { key, token, response }),
        3 => (key.clone(), token.clone(), any::<bool>())
            .prop_map(|(key, token, retryable)| Step::Fail { key, token, retryable }),
        2 => (key.clone(), token).prop_map(|(key, token)| Step::Renew { key, token }),
        1 => key.prop_map(|key| Step::Delete { key }),
        4 => pass.prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

/// Runs random sequences over `harness` and the model. What fails is kept in the file `keep`, where one is named.
///
/// # Errors
/// The smallest sequence found that they disagree over.
pub(super) fn against_model(harness: &Arc<dyn GateHarness>, keep: Option<&'static str>) -> Result<(), String> {
    let persistence = Box::new(keep.map_or(FileFailurePersistence::Off, FileFailurePersistence::Direct));
    let config = Config { cases: harness.sequences(), failure_persistence: Some(persistence), ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let played = catch_unwind(AssertUnwindSafe(|| play(harness, &steps)));
        played.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            TestCaseError::fail(text.unwrap_or_default())
        })
    });
    outcome.map_err(|error| error.to_string())
}

fn play(harness: &Arc<dyn GateHarness>, steps: &[Step]) {
    let mut cx = Gate::fresh(Arc::clone(harness));
    let (mut models, mut tokens, mut now_s) = (BTreeMap::<u8, Model>::new(), Vec::<Token>::new(), 0);
    for (at, step) in steps.iter().enumerate() {
        let token = |back: u8| tokens.iter().rev().nth(usize::from(back)).copied().unwrap_or(foreign());
        let (name, asked) = match *step {
            Step::Pass { seconds } => {
                cx.advance_s(seconds);
                now_s += seconds;
                continue;
            }
            Step::Reopen => {
                cx.reopen();
                continue;
            }
            Step::Check { key, request } => (key, Asked::Check { request: if request { "a" } else { "b" } }),
            Step::Complete { key, token: back, response } => {
                (key, Asked::Complete { token: token(back), response: if response { "1" } else { "[2]" } })
            }
            Step::Fail { key, token: back, retryable } => (key, Asked::Fail { token: token(back), retryable }),
            Step::Renew { key, token: back } => (key, Asked::Renew { token: token(back) }),
            Step::Delete { key } => (key, Asked::Delete),
        };
        let said = ask(&cx, &format!("key-{name}"), asked);
        let given = match &said {
            Said::New { token, .. } => Some(*token),
            _ => None,
        };
        let wanted = models.entry(name).or_default().ask(&asked, given, now_s);
        assert_eq!(said, wanted, "step {at}: {step:?}");
        tokens.extend(given);
    }
}

fn ask(cx: &Gate, name: &str, asked: Asked) -> Said {
    let (store, name) = (cx.store(), key(name));
    match asked {
        Asked::Check { request: sent } => Said::checked(block_on(store.check(&name, &request(sent), &terms()))),
        Asked::Complete { token, response } => {
            Said::marked(block_on(store.mark_completed(&name, &token, &json(response))))
        }
        Asked::Fail { token, retryable } => Said::marked(block_on(store.mark_failed(&name, &token, "no", retryable))),
        Asked::Renew { token } => Said::renewed(block_on(store.renew(&name, &token))),
        Asked::Delete => Said::deleted(block_on(store.delete(&name))),
    }
}
