//! A real redis-server on a free port of loopback.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A server of its own; it ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
    /// What a sentinel watches: its arguments are in a file that it writes to.
    watches: Option<u16>,
}

impl Server {
    /// Starts one with more settings than `--save "" --appendonly no`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let port = free_port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server =
            Self { folder: tempfile::tempdir().expect("a folder"), port, settings, child: None, watches: None };
        server.begin();
        server
    }

    /// Starts a sentinel that watches the primary on a port under the name `gate`.
    pub(crate) fn sentinel(primary: u16) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let mut server = Self { folder, port, settings: Vec::new(), child: None, watches: Some(primary) };
        server.begin();
        server
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        let Some(primary) = self.watches else {
            command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(["--protected-mode", "no", "--daemonize", "no", "--dir"]).arg(self.folder.path());
            command.args(&self.settings);
            return command;
        };
        let file = self.folder.path().join("sentinel.conf");
        let settings = format!(
            "port {}\nbind 127.0.0.1\nprotected-mode no\ndir {}\nsentinel monitor gate 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds gate 500\nsentinel failover-timeout gate 5000\n",
            self.port,
            self.folder.path().display()
        );
        std::fs::write(&file, settings).expect("a file");
        command.arg(file).arg("--sentinel");
        command
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it again, or for the first time, and waits until it accepts connections.
    pub(crate) fn begin(&mut self) {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("redis-server is installed (Debian: apt-get install redis-server)");
        let mut lines = BufReader::new(child.stdout.take().expect("its words")).lines();
        let ready = lines.by_ref().any(|line| {
            line.is_ok_and(|line| line.contains("eady to accept connections") || line.contains("Sentinel ID is"))
        });
        assert!(ready, "redis-server on port {} starts", self.port);
        // Nobody reads on: a pipe that is full would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// Sends one command as an administrator does.
    pub(crate) fn admin(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on just now, and low enough for a cluster's own port 10,000 above it.
pub(crate) fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if port < 55_000 {
            return port;
        }
    }
}
