//! The nodes of a cluster: each is asked what it keeps.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};
use tracekeep_store::{Code, Error};

use crate::address::Address;
use crate::error::refused;
use crate::link::examine;
use crate::options::Durability;

/// A node, by the first of these hosts that answers.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    hosts: Vec<String>,
    port: u16,
    /// It has slots, and is not known to be gone: what it keeps must be known.
    is_needed: bool,
}

/// Asks every node of a cluster: each may be set up in its own way, and replicas are promoted.
pub(crate) async fn examine_all(
    link: &mut ClusterConnection,
    named: &[ConnectionInfo],
    address: &Address,
    timeout: Duration,
) -> RedisResult<Durability> {
    let known: String = redis::cmd("CLUSTER").arg("NODES").query_async(link).await?;
    let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(link).await?;
    let first = named.first().ok_or_else(nobody)?;
    let (ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. }) = first.addr() else {
        return Err(nobody());
    };
    let mut least = None;
    for node in nodes(&known, &preferred(&slots), host) {
        match reach(&node, first, address, timeout).await {
            Ok(mut connection) => {
                let durability = examine(&mut connection).await?;
                least = Some(least.map_or(durability, |least: Durability| least.min(durability)));
            }
            // While it is gone, it is not promoted.
            Err(_) if !node.is_needed => {}
            Err(error) => return Err(error),
        }
    }
    least.ok_or_else(|| refused(Error::new(Code::Unreachable, "no node of the cluster could be asked what it keeps")))
}

async fn reach(
    node: &Node,
    like: &ConnectionInfo,
    address: &Address,
    timeout: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
    let mut reached = Err(nobody());
    for host in node.hosts.iter().cloned() {
        let addr = match like.addr() {
            ConnectionAddr::TcpTls { .. } => {
                ConnectionAddr::TcpTls { host, port: node.port, insecure: false, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, node.port),
        };
        let client = address.client(like.clone().set_addr(addr))?;
        reached = client.get_multiplexed_async_connection_with_config(&config).await;
        if reached.is_ok() {
            break;
        }
    }
    reached
}

fn nobody() -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "a cluster has a node at least"))
}

/// The nodes in what CLUSTER NODES says. (CLUSTER SLOTS leaves replicas out that it has not heard of for long enough.)
///
/// `preferred`: the host that each is to be called by, by its id; `here`: the host of one that does not know its own.
fn nodes(known: &str, preferred: &HashMap<String, String>, here: &str) -> Vec<Node> {
    let node = |line: &str| {
        let mut words = line.split(' ');
        let (id, place, flags) = (words.next()?, words.next()?, words.next()?);
        let is = |name: &str| flags.split(',').any(|flag| flag == name);
        if is("noaddr") || is("handshake") {
            return None;
        }
        let (place, names) = place.split_once(',').unwrap_or((place, ""));
        let (host, port) = place.split('@').next()?.rsplit_once(':')?;
        let name = names.split(',').next().filter(|name| !name.contains('=')).unwrap_or("");
        let hosts = match preferred.get(id) {
            Some(host) => vec![host.clone()],
            None => [name, host].into_iter().filter(|host| !host.is_empty()).map(str::to_owned).collect(),
        };
        let hosts = if hosts.is_empty() { vec![here.to_owned()] } else { hosts };
        // Slots on their way from or to another stand in brackets.
        let has_slots = words.skip(5).any(|slots| !slots.is_empty() && !slots.starts_with('['));
        Some(Node { hosts, port: port.parse().ok()?, is_needed: is("master") && !is("fail") && has_slots })
    };
    known.lines().filter_map(node).collect()
}

/// The hosts that CLUSTER SLOTS says, by the ids of the nodes: what the cluster's client connects to.
fn preferred(slots: &Value) -> HashMap<String, String> {
    let items = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        _ => Vec::new(),
    };
    let text = |value: Option<&Value>| match value {
        Some(Value::BulkString(bytes)) => String::from_utf8(bytes.clone()).ok(),
        Some(Value::SimpleString(text)) => Some(text.clone()),
        _ => None,
    };
    let host = |node: &Value| {
        let node = items(node);
        let host = text(node.first()).filter(|host| !host.is_empty() && host != "?")?;
        Some((text(node.get(2))?, host))
    };
    let ranges = items(slots);
    ranges.iter().flat_map(|range| items(range).into_iter().skip(2)).filter_map(|node| host(&node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(hosts: &[&str], port: u16, is_needed: bool) -> Node {
        Node { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), port, is_needed }
    }

    #[test]
    fn each_node_is_called_by_what_it_announces_and_needed_while_it_has_slots() {
        let known = "a :7000@17000 myself,master - 0 0 1 connected 0-5460\n\
                     b 10.0.0.2:7001@17001,two.example master - 0 0 2 connected 5461-10922 [5461->-a]\n\
                     c 10.0.0.3:7002@17002,,shard-id=f0 master,fail - 0 0 3 connected 10923-16383\n\
                     d 10.0.0.4:7003@17003,shard-id=f0 master - 0 0 4 connected\n\
                     e 10.0.0.5:7004@17004,five.example slave a 0 0 1 connected\n\
                     f 10.0.0.6:7005@17005 master,fail? - 0 0 5 connected 3\n\
                     g 10.0.0.7:7006@17006 master - 0 0 6 connected [93-<-a]\n\
                     h :0@0 master,noaddr - 0 0 7 disconnected 4\n\
                     i 10.0.0.9:7008@17008 handshake - 0 0 8 connected\n";
        let preferred = HashMap::from([("b".to_owned(), "10.0.0.22".to_owned())]);
        let expected = [
            node(&["seed"], 7000, true),
            node(&["10.0.0.22"], 7001, true),
            node(&["10.0.0.3"], 7002, false),
            node(&["10.0.0.4"], 7003, false),
            node(&["five.example", "10.0.0.5"], 7004, false),
            node(&["10.0.0.6"], 7005, true),
            node(&["10.0.0.7"], 7006, false),
        ];
        assert_eq!(nodes(known, &preferred, "seed"), expected);
        assert_eq!(nodes("", &preferred, "seed"), []);
    }

    #[test]
    fn the_hosts_of_slots_are_read_where_they_are_known() {
        let text = |text: &str| Value::BulkString(text.into());
        let node =
            |host: Value, id: &str| Value::Array(vec![host, Value::Int(7000), text(id), Value::Array(Vec::new())]);
        let nodes = [node(text("a.example"), "a"), node(text("?"), "b"), node(Value::Nil, "c"), node(text(""), "d")];
        let range = [Value::Int(0), Value::Int(16383)].into_iter().chain(nodes).collect();
        let slots = Value::Array(vec![Value::Array(range)]);
        assert_eq!(preferred(&slots), HashMap::from([("a".to_owned(), "a.example".to_owned())]));
        assert_eq!(preferred(&Value::Nil), HashMap::new());
    }
}
