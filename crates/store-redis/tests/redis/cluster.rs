//! A cluster of six real processes: three primaries, a replica for each.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::authority::Authority;
use crate::real::Server;

/// Six servers that know each other; they end with the value.
#[derive(Debug)]
pub(crate) struct Cluster {
    servers: Vec<Server>,
    scheme: &'static str,
}

impl Cluster {
    /// A node that is gone is replaced within seconds.
    const SETTINGS: [&str; 4] = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];

    pub(crate) fn start() -> Self {
        Self::of((0..6).map(|_| Server::start(&Self::SETTINGS)).collect(), "redis+cluster", &[])
    }

    pub(crate) fn start_over_tls(authority: &Arc<Authority>) -> Self {
        let settings = [&Self::SETTINGS[..], &["--tls-cluster", "yes"]].concat();
        let ca = authority.files()[2].1.display().to_string();
        let servers = (0..6).map(|_| Server::start_over_tls(&settings, authority)).collect();
        Self::of(servers, "rediss+cluster", &["--tls", "--cacert", &ca])
    }

    fn of(servers: Vec<Server>, scheme: &'static str, options: &[&str]) -> Self {
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        let made = Command::new("redis-cli")
            .args(options)
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is installed (Debian: apt-get install redis-tools)");
        let said = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success() && said.contains("All 16384 slots covered"), "{said}");
        Self { servers, scheme }
    }

    /// Waits until each primary has a replica that has all of it: no other is promoted.
    pub(crate) fn in_sync(self) -> Self {
        let has_one = |value: &redis::Value| matches!(value, redis::Value::Int(1));
        for primary in &self.servers[..3] {
            let follows = (0..600).any(|_| primary.admin(&["WAIT", "1", "100"]).is_ok_and(|value| has_one(&value)));
            assert!(follows, "the primary on port {} has a replica", primary.port());
        }
        self
    }

    pub(crate) fn node(&self, place: usize) -> &Server {
        &self.servers[place]
    }

    /// The primary that has a key: every other node sends who asks there.
    pub(crate) fn owner_of(&mut self, key: &str) -> &mut Server {
        let owner = self.servers.iter_mut().find(|server| server.admin(&["GET", key]).is_ok());
        owner.expect("some node has the slot")
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("{}://{}", self.scheme, nodes.join(","))
    }
}

/// A cluster of one server.
pub(crate) fn alone() -> Server {
    up(Server::start(&["--cluster-enabled", "yes"]))
}

/// The same over TLS: its certificate is for its name alone, by which it is to be called.
pub(crate) fn alone_by_name(authority: &Arc<Authority>) -> Server {
    let settings = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-announce-ip", "127.0.0.1"];
    let by_name = ["--cluster-preferred-endpoint-type", "hostname", "--cluster-announce-hostname", authority.place()];
    up(Server::start_over_tls(&[&settings[..], &by_name].concat(), authority))
}

fn up(server: Server) -> Server {
    server.admin(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).expect("it has all slots");
    let is_up = || {
        matches!(server.admin(&["CLUSTER", "INFO"]), Ok(redis::Value::BulkString(said))
        if String::from_utf8_lossy(&said).contains("cluster_state:ok"))
    };
    assert!((0..100_000).any(|_| is_up()), "the cluster is up");
    server
}

/// A cluster of one server, which callers reach through a port of their own.
pub(crate) fn alone_behind(port_of_callers: impl FnOnce(u16) -> u16) -> Server {
    let server = alone();
    let announced = port_of_callers(server.port()).to_string();
    server.admin(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"]).expect("set");
    server.admin(&["CONFIG", "SET", "cluster-announce-port", &announced]).expect("set");
    server
}
