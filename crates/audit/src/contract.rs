//! Contracts: named sets of expectations, and the usual one.

use tracekeep_core::id::{ExpectationId, RunId};
use tracekeep_core::model::{Expect, JsonObject};
use tracekeep_core::{Invalid, InvalidCode};

use crate::names::{
    COMPLETE_TRACE, CREATE_INCIDENT, EVALUATE_POLICY, FINALIZE_RUN, INCIDENTS, LOGS, ORCHESTRATOR, POLICIES,
    START_TRACE,
};

/// Milliseconds that the parts of a system have to say that a run began.
const BEGIN_MS: u64 = 5_000;

/// The name of the usual contract, where the configuration has none of its own under it.
pub const STANDARD: &str = "standard";
/// How long a run takes at most, under the usual contract by its name.
const STANDARD_TIMEOUT_MS: u64 = 30_000;
/// What it is given beyond.
const STANDARD_GRACE_MS: u64 = 5_000;

/// Characters of a contract's name: with its place in the contract it names an expectation.
const NAME_CHARACTERS_MAX: usize = 64;

/// What is usually expected of a run that may take `timeout_ms` and is given `grace_ms` beyond: within five seconds an
/// incident record, a policy evaluation and a begun trace; by the end of both the trace's end, which may stay out, and the
/// run's finalization, which is the liveness check.
///
/// The sum of both saturates; what is beyond ten years is refused when it is recorded.
#[must_use]
pub fn standard_expectations(run_id: &RunId, timeout_ms: u64, grace_ms: u64) -> Vec<Expect> {
    let end_ms = timeout_ms.saturating_add(grace_ms);
    let expect = |domain, action, deadline_ms| Expect::new(run_id.clone(), domain, action, deadline_ms);
    vec![
        expect(INCIDENTS, CREATE_INCIDENT, BEGIN_MS),
        expect(POLICIES, EVALUATE_POLICY, BEGIN_MS),
        expect(LOGS, START_TRACE, BEGIN_MS),
        Expect { optional: true, ..expect(LOGS, COMPLETE_TRACE, end_ms) },
        Expect { liveness: true, ..expect(ORCHESTRATOR, FINALIZE_RUN, end_ms) },
    ]
}

/// One thing that a contract expects of every run it is declared for.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// The part of the system that must act.
    pub domain: String,
    /// What it must do.
    pub action: String,
    /// Milliseconds from the declaration.
    pub deadline_ms: u64,
    /// Whether it may stay undone.
    pub optional: bool,
    /// How many times it must happen.
    pub count: u32,
    /// Whether the run counts as dead when nobody has acted by the deadline.
    pub liveness: bool,
}

/// A named set of expectations, to be declared for a run by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    name: String,
    terms: Vec<Term>,
}

impl Contract {
    /// A contract; each term is checked as an expectation is.
    ///
    /// # Errors
    /// `invalid_member` for a name that is not 1 to 64 of `A-Z a-z 0-9 - _ .`; `too_many` for more terms than a run may have
    /// expectations, or none; what is wrong with the first wrong term, its path under `/INDEX`.
    pub fn new(name: impl Into<String>, terms: Vec<Term>) -> Result<Self, Invalid> {
        let name = name.into();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(fits) {
            let detail = "a contract's name is 1 to 64 letters, digits, hyphens, underscores and dots";
            return Err(Invalid::new(InvalidCode::InvalidMember, "", detail));
        }
        let max = tracekeep_core::limits::CONTRACT_TERMS_MAX;
        if terms.is_empty() || terms.len() > max as usize {
            return Err(Invalid::new(InvalidCode::TooMany, "", format!("a contract has 1 to {max} terms")));
        }
        let contract = Self { name, terms };
        let run_id = RunId::new("run").expect("invariant: a plain word is an id");
        for (place, expect) in contract.expectations(&run_id).into_iter().enumerate() {
            let mut op = tracekeep_core::model::Op::Expect(expect);
            op.check().map_err(|invalid| invalid.under(&format!("/{place}")))?;
        }
        Ok(contract)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it expects of a run. Ids are the contract's name and the term's place, so that declaring it twice is a
    /// duplicate.
    #[must_use]
    pub fn expectations(&self, run_id: &RunId) -> Vec<Expect> {
        let terms = self.terms.iter().enumerate();
        terms
            .map(|(place, term)| Expect {
                run_id: run_id.clone(),
                id: Some(id(&self.name, place)),
                domain: term.domain.clone(),
                action: term.action.clone(),
                deadline_ms: term.deadline_ms,
                optional: term.optional,
                count: term.count,
                liveness: term.liveness,
                metadata: JsonObject::default(),
                redacted: None,
                received_at: None,
            })
            .collect()
    }
}

fn id(name: &str, place: usize) -> ExpectationId {
    ExpectationId::new(format!("{name}-{place}")).expect("invariant: a contract's name is visible ASCII")
}

/// The usual contract under its name, [`STANDARD`]: of a run that may take 30 s and is given 5 s beyond.
#[must_use]
pub fn standard_contract(name: &str) -> Option<Contract> {
    if name != STANDARD {
        return None;
    }
    let run_id = RunId::new("run").expect("invariant: a plain word is an id");
    let terms = standard_expectations(&run_id, STANDARD_TIMEOUT_MS, STANDARD_GRACE_MS).into_iter().map(|expect| Term {
        domain: expect.domain,
        action: expect.action,
        deadline_ms: expect.deadline_ms,
        optional: expect.optional,
        count: expect.count,
        liveness: expect.liveness,
    });
    Contract::new(name, terms.collect()).ok()
}
