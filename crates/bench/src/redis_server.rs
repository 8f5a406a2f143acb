//! A real redis-server to measure beside.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Result;

/// A redis-server that ends with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    /// One with an append-only file in `folder`, synced as `appendfsync` says.
    pub(crate) fn start(folder: &Path, appendfsync: &str) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = folder.join(format!("redis-{port}"));
        std::fs::create_dir(&folder)?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", appendfsync, "--dir"]).arg(folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child =
            child.map_err(|error| format!("redis-server (Debian: apt-get install redis-server): {error}"))?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("its words")?).lines();
        if !lines.any(|line| line.is_ok_and(|line| line.contains("eady to accept connections"))) {
            return Err("redis-server does not start".into());
        }
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, url: format!("redis://127.0.0.1:{port}") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
