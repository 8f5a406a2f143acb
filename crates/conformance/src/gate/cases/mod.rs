//! The cases, by topic. A case that its file does not list is dead code, and so is a topic that is not listed here.

use super::harness::GateCase;

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
