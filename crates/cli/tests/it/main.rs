//! The binary, as its users run it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod audit;
mod bundle;
mod diff;
mod evidence;
mod export;
mod held;
mod help;
mod idem;
mod incidents;
mod look;
mod output;
mod record;
mod replay;
mod retention;
mod runs;
mod serve;
mod traces;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with a ledger in it, and the commands that work on it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A command in this folder, with nothing of the test's own surroundings.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tracekeep"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        // Where coverage is measured, its profile goes where the measuring wants it, not into the test's folder.
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended(self.command(args).output().unwrap())
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Ended {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that refuses its input early closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ended(child.wait_with_output().unwrap())
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended(Output);

impl Ended {
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn talk(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    /// Demands an exit code.
    #[track_caller]
    pub(crate) fn code(&self, code: i32) -> &Self {
        assert_eq!(self.0.status.code(), Some(code), "stdout: {}\nstderr: {}", self.out(), self.talk());
        self
    }
}
