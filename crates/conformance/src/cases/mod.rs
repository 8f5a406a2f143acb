//! The cases, by topic. A case that its file does not list is dead code, and so is a topic that is not listed here.

use crate::context::Context;

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

/// Lists the cases of a file.
macro_rules! cases {
    ($topic:literal: $($name:ident),* $(,)?) => {
        pub(super) const CASES: &[$crate::Case] =
            &[$($crate::Case { topic: $topic, name: stringify!($name), run: $name }),*];
    };
}

mod audits;
mod baselines;
mod batches;
mod compare;
mod concurrency;
mod door;
mod erase;
mod faults;
mod find;
mod holds;
mod incidents;
mod indices;
mod keys;
mod limits;
mod matches;
mod otel;
mod proofs;
mod properties;
mod queries;
mod redact;
mod retention;
mod roundtrip;
mod runs;
pub(crate) mod seals;
mod search;
mod signing;
mod steps;
mod text;
mod traces;
mod tree;
mod verify;

/// Every case, by topic.
pub const CASES: &[&[Case]] = &[
    audits::CASES,
    baselines::CASES,
    batches::CASES,
    compare::CASES,
    concurrency::CASES,
    erase::CASES,
    door::CASES,
    faults::CASES,
    find::CASES,
    holds::CASES,
    incidents::CASES,
    indices::CASES,
    keys::CASES,
    limits::CASES,
    matches::CASES,
    otel::CASES,
    proofs::CASES,
    properties::CASES,
    queries::CASES,
    redact::CASES,
    retention::CASES,
    roundtrip::CASES,
    runs::CASES,
    search::CASES,
    seals::CASES,
    signing::CASES,
    steps::CASES,
    text::CASES,
    traces::CASES,
    tree::CASES,
    verify::CASES,
];
