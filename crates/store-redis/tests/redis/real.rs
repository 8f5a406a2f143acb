//! A real redis-server on a free port of loopback.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use crate::authority::Authority;

/// A server of its own; it ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
    /// What a sentinel watches: its arguments are in a file that it writes to.
    watches: Option<u16>,
    /// Who signed its certificate, where it speaks TLS alone.
    tls: Option<Arc<Authority>>,
}

impl Server {
    /// Starts one with more settings than `--save "" --appendonly no`.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::begun(settings, None, None)
    }

    /// The same, over TLS alone.
    pub(crate) fn start_over_tls(settings: &[&str], authority: &Arc<Authority>) -> Self {
        Self::begun(settings, None, Some(Arc::clone(authority)))
    }

    /// Starts a sentinel that watches a primary under the name `gate`, and speaks as that one does.
    pub(crate) fn sentinel(primary: &Self) -> Self {
        Self::begun(&[], Some(primary.port), primary.tls.clone())
    }

    fn begun(settings: &[&str], watches: Option<u16>, tls: Option<Arc<Authority>>) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { folder, port, settings, child: None, watches, tls };
        server.begin();
        server
    }

    /// Each setting with its value.
    fn ports(&self) -> Vec<(&'static str, String)> {
        let Some(authority) = &self.tls else { return vec![("port", self.port.to_string())] };
        let mut ports = vec![("port", "0".to_owned()), ("tls-port", self.port.to_string())];
        ports.extend([("tls-replication", "yes".to_owned()), ("tls-auth-clients", "no".to_owned())]);
        ports.extend(authority.files().map(|(name, file)| (name, file.display().to_string())));
        ports
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        let Some(primary) = self.watches else {
            command.args(self.ports().into_iter().flat_map(|(name, value)| [format!("--{name}"), value]));
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.args(["--protected-mode", "no", "--daemonize", "no", "--dir"]).arg(self.folder.path());
            command.args(&self.settings);
            return command;
        };
        let file = self.folder.path().join("sentinel.conf");
        let mut settings: String = self.ports().iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        settings += &format!(
            "bind 127.0.0.1\nprotected-mode no\ndir {}\nsentinel monitor gate 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds gate 500\nsentinel failover-timeout gate 5000\n",
            self.folder.path().display()
        );
        std::fs::write(&file, settings).expect("a file");
        command.arg(file).arg("--sentinel");
        command
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "rediss" } else { "redis" }
    }

    /// What its certificate is for.
    fn host(&self) -> &str {
        self.tls.as_ref().map_or("127.0.0.1", |authority| authority.place())
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}:{}", self.scheme(), self.host(), self.port)
    }

    /// Its address as a node of a cluster.
    pub(crate) fn cluster_url(&self) -> String {
        format!("{}+cluster://{}:{}", self.scheme(), self.host(), self.port)
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

    /// kill -9, and starts it again with other settings.
    pub(crate) fn restart(&mut self, settings: &[&str]) {
        self.kill();
        self.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        self.begin();
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// kill with a signal: it may be stopped, and go on.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([name, &process]).status().expect("kill is there");
        assert!(sent.success());
    }

    /// Sends one command as an administrator does.
    pub(crate) fn admin(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection = self.connection()?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.query(&mut connection)
    }

    /// Waits until a replica has all that this server was sent. WAIT is about what its own connection wrote, so that writes
    /// first: a key of this server's, which nobody reads.
    #[track_caller]
    pub(crate) fn wait_for_its_replica(&self, key: &str) {
        let mut connection = self.connection().expect("it answers");
        redis::cmd("SET").arg(key).arg("").exec(&mut connection).expect("written");
        let replicas: u64 = redis::cmd("WAIT").arg(1).arg(60_000).query(&mut connection).expect("it answers");
        assert_eq!(replicas, 1, "the replica has all of it");
    }

    fn connection(&self) -> redis::RedisResult<redis::Connection> {
        let client = match &self.tls {
            Some(authority) => {
                let tls = redis::TlsCertificates { client_tls: None, root_cert: Some(authority.ca()) };
                redis::Client::build_with_tls(self.url(), tls)?
            }
            None => redis::Client::open(self.url())?,
        };
        client.get_connection()
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
