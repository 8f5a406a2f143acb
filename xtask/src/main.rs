//! What developers and CI run. `cargo xtask` lists the commands.

mod arrows;
mod bench;
mod cover;
mod crash;
mod dictionary;
mod e2e;
mod fuzz;
mod install;
mod page;
mod rust;
mod sh;
mod test;
mod tidy;
mod vectors;

use std::process::ExitCode;

use sh::Outcome;

/// A command: its name, what it does, and the function that is given the arguments after the name.
type Command = (&'static str, &'static str, fn(&[String]) -> Outcome);

const COMMANDS: &[Command] = &[
    ("test", "everything that is tested [--only STEP]… [--skip STEP]…; installs what the tests need", test::main),
    (
        "crash",
        "kills the release binary at random moments and checks what it acknowledged [--kills N] [--only gc|redaction]",
        crash::main,
    ),
    (
        "bench",
        "measures what DESIGN §10 asks for beside raw SQLite [--quick] [--full] [--only NAME] [--write]",
        bench::main,
    ),
    ("dictionary", "trains the dictionary that bodies are compressed with", dictionary::main),
    ("fuzz", "fuzzes what is read of evidence, by coverage [--minutes N] [--target NAME]", fuzz::main),
    ("cover", "measures line coverage per crate and writes it into docs/reliability.md", cover::main),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = arguments.first().and_then(|name| COMMANDS.iter().find(|(known, ..)| known == name));
    let Some((name, _, command)) = named else {
        println!("cargo xtask COMMAND");
        for (name, about, _) in COMMANDS {
            println!("  {name:<10} {about}");
        }
        return if arguments.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match command(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("\ncargo xtask {name}: {failed}");
            ExitCode::FAILURE
        }
    }
}
