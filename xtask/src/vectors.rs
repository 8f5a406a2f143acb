//! The public vectors, checked by the second implementations: the record's, which has no dependencies, and the bundles'
//! verifier, which has one.

use std::fs;

use crate::e2e::python_packages;
use crate::install::{self, Need};
use crate::rust;
use crate::sh::{Failed, Outcome, program, run};

pub(crate) fn check() -> Outcome {
    install::ensure(&[Need::Python, Need::PythonVenv])?;
    run(program("python3").arg("vectors/check.py"))?;
    let out = rust::target()?.join("verify");
    fs::create_dir_all(&out).map_err(|error| Failed::new(format!("cannot make {}: {error}", out.display())))?;
    let python = python_packages(&out, "verify/requirements.txt")?;
    run(program(python).args(["-B", "verify/check.py"]))
}
