//! What cargo checks, tests and builds.

use std::path::PathBuf;

use serde_json::Value;

use crate::install::{self, Need};
use crate::sh::{Failed, Outcome, cargo, output, run};

pub(crate) fn fmt() -> Outcome {
    run(&mut cargo("fmt --all --check"))
}

pub(crate) fn clippy() -> Outcome {
    run(&mut cargo("clippy --workspace --all-targets --quiet -- -D warnings"))
}

/// Unit and integration tests, and the examples in the docs.
pub(crate) fn test() -> Outcome {
    install::ensure(&[Need::Redis])?;
    run(&mut cargo("test --workspace --quiet"))
}

/// Links in the docs lead somewhere.
pub(crate) fn doc() -> Outcome {
    run(cargo("doc --workspace --no-deps --quiet").env("RUSTDOCFLAGS", "-D warnings"))
}

/// The binary that people run: the crash and end-to-end tests drive this one.
pub(crate) fn release() -> Outcome {
    run(&mut cargo("build --release --package tracekeep-cli"))
}

/// Where the release build puts the binary.
pub(crate) fn binary() -> Outcome<PathBuf> {
    let path = target()?.join("release/tracekeep");
    if path.exists() {
        Ok(path)
    } else {
        Err(Failed::new("there is no release binary: run the step `release` (cargo build --release -p tracekeep-cli)"))
    }
}

/// The target folder, wherever the developer keeps it.
pub(crate) fn target() -> Outcome<PathBuf> {
    let metadata = metadata("--no-deps")?;
    metadata["target_directory"].as_str().map(PathBuf::from).ok_or_else(|| Failed::new("cargo names no target folder"))
}

/// What cargo knows of the workspace.
pub(crate) fn metadata(flags: &str) -> Outcome<Value> {
    let text = output(&mut cargo(&format!("metadata --format-version 1 --locked {flags}")))?;
    serde_json::from_str(&text).map_err(|error| Failed::new(format!("cargo metadata cannot be read: {error}")))
}
