//! The cases, by topic. A case that its file does not list is dead code, and so is a topic that is not listed here.

use super::context::Gate;

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

/// Lists the cases of a file.
macro_rules! cases {
    ($topic:literal: $($name:ident),* $(,)?) => {
        cases!(CASES, $topic: $($name),*);
    };
    ($list:ident, $topic:literal: $($name:ident),* $(,)?) => {
        pub(super) const $list: &[$crate::GateCase] =
            &[$($crate::GateCase { topic: $topic, name: stringify!($name), run: $name }),*];
    };
}

mod bounds;
mod ends;
mod leases;
mod races;
mod states;

/// What is asked of every backend, by topic.
pub(super) const CASES: &[&[GateCase]] = &[bounds::CASES, ends::CASES, leases::CASES, races::CASES, states::CASES];

/// What is asked of backends that bound the number of keys by themselves.
pub(super) const COUNTED: &[GateCase] = bounds::COUNTED;
