//! The end-to-end test: real SDKs, a real browser and a real curl against the release binary. What is checked stands in
//! e2e/python/check_*.py; here the tools are made ready.

use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{self, Need};
use crate::rust;
use crate::sh::{Failed, Outcome, program, root, run};

pub(crate) fn test() -> Outcome {
    let tools = [Need::Python, Need::PythonVenv, Need::Node, Need::Npm, Need::Chromium, Need::Curl, Need::OpenSsl];
    install::ensure(&tools)?;
    install::check_node()?;
    let binary = rust::binary()?;
    let out = rust::target()?.join("e2e");
    fs::create_dir_all(&out).map_err(|error| Failed::new(format!("cannot make {}: {error}", out.display())))?;
    let python = python_packages(&out, "e2e/python/requirements.txt")?;
    node_packages()?;
    let chromium = install::chromium().ok_or_else(|| Failed::new("there is no Chromium"))?;
    run(program(python)
        .args(["-B", "e2e/python/check.py"])
        .arg("--binary")
        .arg(binary)
        .arg("--out")
        .arg(out)
        .arg("--chromium")
        .arg(chromium))
}

/// A virtual environment with the packages that a file pins; gives its interpreter.
pub(crate) fn python_packages(out: &Path, pins: &str) -> Outcome<PathBuf> {
    let (venv, pins) = (out.join("venv"), root().join(pins));
    let python = venv.join("bin/python");
    once(&pins, &venv.join("installed"), || {
        run(program("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(program(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&pins))
    })?;
    Ok(python)
}

/// The packages of the lock file, in e2e/js/node_modules.
fn node_packages() -> Outcome {
    let folder = root().join("e2e/js");
    once(&folder.join("package-lock.json"), &folder.join("node_modules/installed"), || {
        run(program("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
    })
}

/// Does `work` unless it was done for this very input: `done`, which goes away with what was made, holds what it was.
fn once(input: &Path, done: &Path, work: impl FnOnce() -> Outcome) -> Outcome {
    let wanted = fs::read(input).map_err(|error| Failed::new(format!("cannot read {}: {error}", input.display())))?;
    if fs::read(done).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    work()?;
    fs::write(done, wanted).map_err(|error| Failed::new(format!("cannot note what was installed: {error}")))
}
