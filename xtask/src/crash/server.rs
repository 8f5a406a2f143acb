//! The server under test: the release binary as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Result;

/// How long a start may take before it counts as a hang.
const START_SECONDS_MAX: u64 = 20;
/// How long a request may take before it counts as unanswered.
const REQUEST_SECONDS_MAX: u64 = 20;
/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// The binary and the ledger's file.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) binary: PathBuf,
    pub(crate) ledger: PathBuf,
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Setup {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(name).arg("--ledger").arg(&self.ledger);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("TRACEKEEP_") {
                command.env_remove(variable);
            }
        }
        command.current_dir(self.ledger.parent().unwrap_or(Path::new(".")));
        command
    }

    fn spawn(&self) -> Result<Child> {
        let mut command = self.command("serve");
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command.spawn()?)
    }

    /// Starts the server and kills it before it has said anything: a crash while the ledger is opened.
    pub(crate) fn start_and_kill(&self, after: Duration) -> Result<()> {
        let mut child = self.spawn()?;
        std::thread::sleep(after);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self) -> Result<Server> {
        let mut child = self.spawn()?;
        let stderr = child.stderr.take().ok_or("the server has no stderr")?;
        let (said, hears) = mpsc::channel();
        std::thread::spawn(move || {
            // Goes on reading to the end, so that the server never waits for a full pipe.
            for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
                let _ = said.send(line);
            }
        });
        let mut server = Server { child, url: String::new() };
        let mut heard = String::new();
        loop {
            let line = hears.recv_timeout(Duration::from_secs(START_SECONDS_MAX));
            let line = line.map_err(|_| format!("the server did not start; it said: {heard}"))?;
            if let Some(at) = line.find("http://") {
                server.url = line[at..].split_whitespace().next().unwrap_or_default().to_owned();
                break;
            }
            heard = heard + &line + "\n";
        }
        let ready = server.client().get(&format!("{}/readyz", server.url)).call()?;
        if ready.status() != 200 {
            return Err(format!("the server is not ready: {}", ready.status()).into());
        }
        Ok(server)
    }

    /// Runs fsck while nobody writes: `Err` with what it said where it does not end with 0.
    pub(crate) fn fsck(&self) -> std::result::Result<(), String> {
        let output = self.command("fsck").arg("--json").output().map_err(|error| error.to_string())?;
        if output.status.code() == Some(0) {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said: String = String::from_utf8_lossy(&said).chars().take(2_000).collect();
        Err(format!("fsck ended with {}: {}", output.status, said.trim()))
    }
}

impl Server {
    /// A client of its own, with its own connection.
    pub(crate) fn client(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(REQUEST_SECONDS_MAX)))
            .http_status_as_error(false)
            .build();
        config.new_agent()
    }

    /// GETs a path: the body of a 200.
    pub(crate) fn get(&self, client: &ureq::Agent, path: &str) -> Result<Vec<u8>> {
        let mut response = client.get(&format!("{}{path}", self.url)).call()?;
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        if response.status() != 200 {
            let body = String::from_utf8_lossy(&body);
            return Err(format!("GET {path} answered {}: {body}", response.status()).into());
        }
        Ok(body)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end: whether it was a good one.
    pub(crate) fn stop(mut self) -> Result<bool> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
