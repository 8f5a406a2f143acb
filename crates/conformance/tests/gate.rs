//! The suite over the gate in memory.

fn main() -> std::process::ExitCode {
    tracekeep_conformance::gate_main(tracekeep_conformance::GateMemory)
}
