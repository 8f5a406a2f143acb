//! How a gate in Redis is opened, and what is demanded of the server.

use std::time::Duration;

use redis::Value;
use tracekeep_store::gate::Rules;
use tracekeep_store::{Code, Error, Result, Source};

/// How a gate in Redis is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long keys are remembered beyond their ttl. How many there may be is the server's `maxmemory` to say.
    pub rules: Rules,
    /// Where tokens come from.
    pub source: Source,
    /// How long an answer may take; then its outcome is unknown. 2 s unless told.
    pub timeout: Duration,
    /// PEM of the CAs that a server's certificate is checked against, for `rediss` addresses; the public ones unless told.
    pub ca: Option<Vec<u8>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rules: Rules::default(), source: Source::default(), timeout: Duration::from_secs(2), ca: None }
    }
}

/// What outlives a server's end; of several, the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing is promised: the append-only file is off.
    Volatile,
    /// The append-only file is on (`appendonly yes`), and synced now and then: what was acknowledged outlives kill -9, and
    /// power loss takes the last second. Also where the server does not let its `appendfsync` be seen.
    AppendOnly,
    /// The append-only file is on and synced before each answer (`appendfsync always`): what was acknowledged outlives power
    /// loss. A replica that is promoted may lack it all the same.
    Always,
}

/// The oldest version that knows what the scripts use (`PXAT`).
const VERSION_MIN: (u32, u32) = (6, 2);

/// Refuses a server that would forget keys by itself, or is too old.
///
/// `info` is what INFO says, `appendfsync` what CONFIG GET says, where it may be asked.
pub(crate) fn demand(info: &Value, appendfsync: &Value) -> Result<Durability> {
    let mut texts = Vec::new();
    gather(info, &mut texts);
    let all = |name: &str| -> Vec<String> {
        let lines = texts.iter().flat_map(|text| text.lines());
        lines
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
            .collect()
    };
    let (versions, policies) = (all("redis_version"), all("maxmemory_policy"));
    if versions.is_empty() || policies.is_empty() {
        return Err(Error::new(Code::Unreachable, "the server does not say what it is: INFO has no version or policy"));
    }
    for version in versions {
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
            return Err(unsafe_store(format!("Redis {version} is older than 6.2")));
        }
    }
    for policy in policies {
        if policy != "noeviction" {
            let detail = format!("maxmemory-policy is {policy}, which forgets keys: set it to noeviction");
            return Err(unsafe_store(detail));
        }
    }
    let aof = all("aof_enabled");
    if aof.is_empty() || aof.iter().any(|on| on != "1") {
        return Ok(Durability::Volatile);
    }
    let mut policies = Vec::new();
    gather(appendfsync, &mut policies);
    policies.retain(|text| text != "appendfsync");
    let is_always = !policies.is_empty() && policies.iter().all(|policy| policy == "always");
    Ok(if is_always { Durability::Always } else { Durability::AppendOnly })
}

fn unsafe_store(detail: String) -> Error {
    Error::new(Code::UnsafeStore, detail)
}

/// The texts in an answer: one, or one for each node of a cluster.
fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => texts.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => texts.push(text.clone()),
        Value::Array(items) | Value::Set(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| gather(value, texts)),
        _ => {}
    }
}
