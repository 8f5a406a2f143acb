//! A cluster of six real processes: three primaries, a replica for each.

use std::process::{Command, Stdio};

use crate::real::Server;

/// Six servers that know each other; they end with the value.
#[derive(Debug)]
pub(crate) struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let servers: Vec<_> = (0..6).map(|_| Server::start(&["--cluster-enabled", "yes"])).collect();
        let nodes = servers.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is installed (Debian: apt-get install redis-tools)");
        let said = String::from_utf8_lossy(&made.stdout).into_owned();
        assert!(made.status.success() && said.contains("All 16384 slots covered"), "{said}");
        Self { servers }
    }

    pub(crate) fn url(&self) -> String {
        let nodes: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }
}

/// A cluster of one server, which callers reach through a port of their own.
pub(crate) fn alone_behind(port_of_callers: impl FnOnce(u16) -> u16) -> Server {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    server.admin(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).expect("it has all slots");
    let announced = port_of_callers(server.port()).to_string();
    server.admin(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"]).expect("set");
    server.admin(&["CONFIG", "SET", "cluster-announce-port", &announced]).expect("set");
    let is_up = || {
        matches!(server.admin(&["CLUSTER", "INFO"]), Ok(redis::Value::BulkString(said))
        if String::from_utf8_lossy(&said).contains("cluster_state:ok"))
    };
    assert!((0..100_000).any(|_| is_up()), "the cluster is up");
    server
}
