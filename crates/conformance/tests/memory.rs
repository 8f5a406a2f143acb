//! The suite over the in-memory ledger.

fn main() -> std::process::ExitCode {
    tracekeep_conformance::main(tracekeep_conformance::Memory)
}
