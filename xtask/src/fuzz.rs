//! `cargo xtask fuzz [--minutes N] [--target NAME]`: libFuzzer over what is read of evidence, on stable Rust.
//!
//! fuzz/ is a crate outside of the workspace. Its binaries are built with LLVM's coverage instrumentation and no sanitizer:
//! the code is safe Rust, so that what there is to find are panics, broken assertions, and what takes too long.

use std::fs;

use crate::rust;
use crate::sh::{Failed, Outcome, program, root, run};

const TARGETS: [&str; 4] = ["note", "proof", "manifest", "bundle"];
/// As cargo-fuzz passes them, without a sanitizer.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (mut minutes, mut targets) = (10u64, TARGETS.map(str::to_owned).to_vec());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| Failed::new(format!("{argument} needs a value")))?;
        match argument.as_str() {
            "--minutes" => minutes = value.parse().map_err(|_| Failed::new("--minutes needs a whole number"))?,
            "--target" if TARGETS.contains(&value.as_str()) => targets = vec![value.clone()],
            _ => return Err(Failed::new("cargo xtask fuzz [--minutes N] [--target note|proof|manifest|bundle]")),
        }
    }
    let out = rust::target()?.join("fuzz");
    let cargo = |line: &str| {
        let mut command = crate::sh::cargo(line);
        command.current_dir(root().join("fuzz")).arg("--target-dir").arg(&out);
        command
    };
    run(&mut cargo("build --quiet --example seeds"))?;
    run(program(out.join("debug/examples/seeds")).arg(out.join("seeds")))?;
    run(cargo(&format!("build --release --bins --target {TRIPLE}")).env("RUSTFLAGS", FLAGS))?;
    for target in targets {
        let corpus = out.join("corpus").join(&target);
        let made = fs::create_dir_all(&corpus);
        made.map_err(|error| Failed::new(format!("cannot make {}: {error}", corpus.display())))?;
        println!("\n=== {target}: {minutes} minutes");
        let mut command = program(out.join(TRIPLE).join("release").join(&target));
        command.args(["-timeout=25", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={}", minutes * 60));
        command.arg(format!("-artifact_prefix={}/", out.display()));
        run(command.arg(&corpus).arg(out.join("seeds").join(&target)))?;
    }
    Ok(())
}
