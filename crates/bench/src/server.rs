//! The release binary, serving.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;

/// A running server. Dropped, it is told to stop, and waited for.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    /// From its start to its first answer.
    pub(crate) ready: Duration,
}

impl Server {
    pub(crate) fn start(binary: &Path, ledger: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--ledger"]).arg(ledger);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no stderr")?).lines();
        let line = lines.next().ok_or("the server said nothing")??;
        let url = line.find("http://").map(|at| line[at..].trim().to_owned()).ok_or(line)?;
        std::thread::spawn(move || lines.for_each(drop));
        let mut server = Self { child, url, ready: Duration::ZERO };
        let answer = server.client().get(&format!("{}/readyz", server.url)).call()?;
        server.ready = began.elapsed();
        if answer.status() == 200 { Ok(server) } else { Err("the server is not ready".into()) }
    }

    pub(crate) fn client(&self) -> ureq::Agent {
        let config = ureq::Agent::config_builder();
        config.timeout_global(Some(Duration::from_secs(60))).http_status_as_error(false).build().new_agent()
    }

    /// A figure of /proc/PID/status, in MiB.
    pub(crate) fn memory_mib(&self, name: &str) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with(name)).ok_or("no such figure")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no value")?.parse()?;
        Ok(kib / 1_024.0)
    }

    /// Processor time so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 =
            fields.get(11).ok_or("no utime")?.parse::<f64>()? + fields.get(12).ok_or("no stime")?.parse::<f64>()?;
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
