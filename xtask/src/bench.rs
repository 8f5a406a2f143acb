//! `cargo xtask bench`: the figures of DESIGN §10, as ratios measured in one run (crates/bench).

use crate::sh::{self, Outcome};

/// Hands its arguments on: `[--quick] [--full] [--only NAME]… [--rounds N] [--write]`.
pub(crate) fn main(arguments: &[String]) -> Outcome {
    sh::run(&mut sh::cargo("build --release --quiet -p tracekeep-cli -p tracekeep-bench"))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| sh::root().join("target"), Into::into);
    let release = target.join("release");
    let mut bench = sh::program(release.join("tracekeep-bench"));
    bench.arg("--binary").arg(release.join("tracekeep")).arg("--directory").arg(&target).args(arguments);
    sh::run(&mut bench)
}
