//! `cargo xtask crash`: the release binary under load, killed with SIGKILL, restarted, and checked.

use crate::sh::{Failed, Outcome};

pub(crate) fn main(_arguments: &[String]) -> Outcome {
    Err(Failed::new("the crash test is not written yet"))
}
