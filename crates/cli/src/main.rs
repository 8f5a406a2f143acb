//! The binary `tracekeep`: arguments in, library calls, exit code out.

mod args;
mod commands;
mod config;
mod exit;
mod open;
mod output;
mod print;
mod when;

fn main() -> std::process::ExitCode {
    let cli = args::parse();
    let json = cli.common.json;
    exit::code(commands::run(cli), json)
}
