//! The public vectors, checked by the second implementation, which has no dependencies.

use crate::install::{self, Need};
use crate::sh::{Outcome, program, run};

pub(crate) fn check() -> Outcome {
    install::ensure(&[Need::Python])?;
    run(program("python3").arg("vectors/check.py"))
}
