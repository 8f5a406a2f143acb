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
