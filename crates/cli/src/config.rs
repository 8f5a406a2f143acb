//! Configuration: flags over `TRACEKEEP_*` over `tracekeep.toml` over defaults. Unknown keys are errors.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tracekeep::{Contract, StoreDurabilityMode, Term};
use tracekeep_core::model::EffectGate;
use tracekeep_server::Webhook;
use tracekeep_store::gate::{REMEMBER_MAX, Rules};
use tracekeep_store::{Detector, Redaction, RedactionRules};
use tracing_subscriber::EnvFilter;

use crate::args::Common;
use crate::exit::Failure;

/// The file in the working directory.
const FILE: &str = "tracekeep.toml";

/// Where the ledger is unless told.
const LEDGER: &str = "tracekeep.db";

/// Where serve listens unless told.
const LISTEN: &str = "127.0.0.1:4318";

/// What the environment may say; `serve` and `doctor` read the address by themselves.
const VARIABLES: [&str; 18] = [
    "TRACEKEEP_LEDGER",
    "TRACEKEEP_SERVER",
    "TRACEKEEP_LISTEN",
    "TRACEKEEP_MODE",
    "TRACEKEEP_LOG",
    "TRACEKEEP_IDEMPOTENCY_STORE",
    "TRACEKEEP_IDEMPOTENCY_ARBITER",
    "TRACEKEEP_IDEMPOTENCY_REMEMBER_S",
    "TRACEKEEP_REQUIRE_IDEMPOTENCY_KEY",
    "TRACEKEEP_REDIS_URL",
    "TRACEKEEP_REDIS_CA",
    "TRACEKEEP_REDACT",
    "TRACEKEEP_AUDIT",
    "TRACEKEEP_AUDIT_STORE",
    "TRACEKEEP_WEBHOOK_URL",
    "TRACEKEEP_WEBHOOK_SECRET",
    "TRACEKEEP_WEBHOOK_ALLOW_PRIVATE",
    "TRACEKEEP_WEBHOOK_CA",
];

/// Where the idempotency gate keeps what it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GateStore {
    /// In the process: gone with it.
    Memory,
    /// In the ledger's file.
    #[default]
    Sqlite,
    /// In the Redis that `TRACEKEEP_REDIS_URL` names.
    Redis,
}

/// What decides where the gate is kept in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arbiter {
    /// The ledger's own gate: Redis remembers.
    #[default]
    Ledger,
    /// Nothing: Redis alone, and each run says so.
    None,
}

/// How much safety the deployment demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A developer's machine: volatile stores are allowed.
    #[default]
    Local,
    /// As prod, for tests of a deployment.
    Test,
    /// Only what is durable, and nothing open to a network without a key.
    Prod,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ledger: Option<PathBuf>,
    server: Option<String>,
    listen: Option<String>,
    mode: Option<Mode>,
    idempotency_store: Option<GateStore>,
    idempotency_arbiter: Option<Arbiter>,
    idempotency_remember_s: Option<u64>,
    require_idempotency_key: Option<Switch>,
    redis_url: Option<String>,
    redis_ca: Option<PathBuf>,
    redact: Option<Redact>,
    audit: Option<Switch>,
    audit_store: Option<AuditBackend>,
    #[serde(default)]
    webhook: WebhookTable,
    #[serde(default)]
    contracts: BTreeMap<String, Vec<TermOfFile>>,
}

/// Who is told of verdicts to look into: the table `webhook`, or what holds after all layers.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookTable {
    url: Option<String>,
    secret: Option<String>,
    allow_private: Option<bool>,
    ca: Option<PathBuf>,
}

impl fmt::Debug for WebhookTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookTable")
    }
}

impl WebhookTable {
    /// What the environment says over this.
    fn under_environment(self) -> Result<Self, Failure> {
        let said = |name| variable(name).map(|said| said.filter(|said| !said.is_empty()));
        let allow = said("TRACEKEEP_WEBHOOK_ALLOW_PRIVATE")?;
        let allow = allow.map(|text| switch("TRACEKEEP_WEBHOOK_ALLOW_PRIVATE", &text)).transpose()?;
        Ok(Self {
            url: said("TRACEKEEP_WEBHOOK_URL")?.or(self.url),
            secret: said("TRACEKEEP_WEBHOOK_SECRET")?.or(self.secret),
            allow_private: allow.map(|switch| switch == Switch::On).or(self.allow_private),
            ca: said("TRACEKEEP_WEBHOOK_CA")?.map(PathBuf::from).or(self.ca),
        })
    }

    /// Who is told, where anybody is; `url` and `allow_private` are what the command line says.
    pub(crate) fn told(&self, url: Option<&str>, allow_private: bool) -> Result<Option<Webhook>, Failure> {
        let Some(url) = url.or(self.url.as_deref()) else { return Ok(None) };
        let unsigned = || Failure::Usage("a webhook is signed: set TRACEKEEP_WEBHOOK_SECRET=whsec_BASE64".to_owned());
        let secret = self.secret.as_deref().ok_or_else(unsigned)?;
        let webhook = Webhook::new(url, secret, allow_private || self.allow_private.unwrap_or(false));
        let wrong = |detail| Failure::Usage(format!("webhook: {detail}"));
        let webhook = webhook.map_err(wrong)?;
        let Some(path) = &self.ca else { return Ok(Some(webhook)) };
        let unreadable = |error| Failure::Usage(format!("TRACEKEEP_WEBHOOK_CA: {}: {error}", path.display()));
        let ca = std::fs::read(path).map_err(unreadable)?;
        webhook.trusting(&ca).map(Some).map_err(wrong)
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Switch {
    #[default]
    On,
    Off,
}

/// Where an audit is kept: as entries of the ledger, wherever that is, or in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditBackend {
    Memory,
    Sqlite,
    /// In the Redis that `TRACEKEEP_REDIS_URL` names, until it is moved into the ledger.
    Redis,
}

/// One thing that a contract expects: `[[contracts.NAME]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermOfFile {
    domain: String,
    action: String,
    deadline_ms: u64,
    #[serde(default)]
    optional: bool,
    #[serde(default = "once")]
    count: u32,
    #[serde(default)]
    liveness: bool,
}

const fn once() -> u32 {
    1
}

fn contracts(file: BTreeMap<String, Vec<TermOfFile>>) -> Result<BTreeMap<String, Contract>, Failure> {
    let contract = |(name, terms): (String, Vec<TermOfFile>)| {
        let terms = terms.into_iter().map(|term| Term {
            domain: term.domain,
            action: term.action,
            deadline_ms: term.deadline_ms,
            optional: term.optional,
            count: term.count,
            liveness: term.liveness,
        });
        match Contract::new(name.clone(), terms.collect()) {
            Ok(contract) => Ok((name, contract)),
            Err(error) => Err(Failure::Usage(format!("{FILE}: contracts.{name}: {error}"))),
        }
    };
    file.into_iter().map(contract).collect()
}

/// What is taken out at the door: the table `redact`, or a file of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redact {
    /// Nothing is taken out.
    #[serde(default)]
    off: bool,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    keep: Vec<String>,
    detectors: Option<Vec<String>>,
}

/// What holds after all layers.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) ledger: PathBuf,
    pub(crate) server: Option<String>,
    pub(crate) listen: String,
    pub(crate) mode: Mode,
    pub(crate) gate: GateStore,
    pub(crate) arbiter: Arbiter,
    remember: Option<Duration>,
    pub(crate) requires_keys: bool,
    pub(crate) redis_url: Option<String>,
    pub(crate) redis_ca: Option<PathBuf>,
    pub(crate) redact: Redaction,
    pub(crate) audit: Switch,
    audit_store: Option<AuditBackend>,
    pub(crate) webhook: WebhookTable,
    pub(crate) contracts: BTreeMap<String, Contract>,
    pub(crate) logs: EnvFilter,
    pub(crate) json: bool,
}

/// Where one layer says that the ledger is.
#[derive(Debug, Default)]
struct Whereabouts {
    ledger: Option<PathBuf>,
    server: Option<String>,
}

impl Config {
    /// `redact` is what the command line says of redaction.
    pub(crate) fn load(common: &Common, redact: Option<&str>) -> Result<Self, Failure> {
        known(std::env::vars_os().map(|(name, _)| name))?;
        let file = read(Path::new(FILE))?;
        if common.ledger.is_some() && common.server.is_some() {
            let detail = "--ledger and --server both say where the ledger is: name one of them";
            return Err(Failure::Usage(detail.to_owned()));
        }
        let flags = Whereabouts { ledger: common.ledger.clone(), server: common.server.clone() };
        let env = Whereabouts {
            ledger: std::env::var_os("TRACEKEEP_LEDGER").filter(|path| !path.is_empty()).map(PathBuf::from),
            server: variable("TRACEKEEP_SERVER")?.filter(|url| !url.is_empty()),
        };
        let place = layered([flags, env, Whereabouts { ledger: file.ledger, server: file.server }]);
        let mode = variable("TRACEKEEP_MODE")?.map(|text| mode(&text)).transpose()?.or(file.mode);
        let gate = variable("TRACEKEEP_IDEMPOTENCY_STORE")?.map(|text| gate_store(&text)).transpose()?;
        let demand = "TRACEKEEP_REQUIRE_IDEMPOTENCY_KEY";
        let demanded = variable(demand)?.map(|text| switch(demand, &text)).transpose()?;
        let arbiter = variable("TRACEKEEP_IDEMPOTENCY_ARBITER")?.map(|text| arbiter(&text)).transpose()?;
        let remember = variable("TRACEKEEP_IDEMPOTENCY_REMEMBER_S")?.map(|text| seconds(&text)).transpose()?;
        let audit = variable("TRACEKEEP_AUDIT")?.map(|text| switch("TRACEKEEP_AUDIT", &text)).transpose()?;
        let audit_store = variable("TRACEKEEP_AUDIT_STORE")?.map(|text| audit_backend(&text)).transpose()?;
        let logs = variable("TRACEKEEP_LOG")?.filter(|logs| !logs.is_empty());
        let logs = EnvFilter::try_new(logs.as_deref().unwrap_or("warn"))
            .map_err(|error| Failure::Usage(format!("TRACEKEEP_LOG: {error}")))?;
        let said = variable("TRACEKEEP_REDACT")?.filter(|said| !said.is_empty());
        let redact = match redact.or(said.as_deref()) {
            Some(said) => rules_of(said)?,
            None => {
                rules(file.redact.unwrap_or_default()).map_err(|detail| Failure::Usage(format!("{FILE}: {detail}")))?
            }
        };
        Ok(Self {
            ledger: place.ledger.unwrap_or_else(|| LEDGER.into()),
            server: place.server,
            listen: file.listen.unwrap_or_else(|| LISTEN.to_owned()),
            mode: mode.unwrap_or_default(),
            gate: gate.or(file.idempotency_store).unwrap_or_default(),
            arbiter: arbiter.or(file.idempotency_arbiter).unwrap_or_default(),
            remember: remember.or(file.idempotency_remember_s).map(remembered).transpose()?,
            requires_keys: demanded.or(file.require_idempotency_key) == Some(Switch::On),
            redis_url: variable("TRACEKEEP_REDIS_URL")?.filter(|url| !url.is_empty()).or(file.redis_url),
            redis_ca: variable("TRACEKEEP_REDIS_CA")?
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or(file.redis_ca),
            redact,
            audit: audit.or(file.audit).unwrap_or_default(),
            audit_store: audit_store.or(file.audit_store),
            webhook: file.webhook.under_environment()?,
            contracts: contracts(file.contracts)?,
            logs,
            json: common.json,
        })
    }

    /// Where facts of audits are kept first: the setting must fit the ledger.
    pub(crate) fn audit_mode(&self) -> Result<StoreDurabilityMode, Failure> {
        let refuse = |text: &str| Err(Failure::Usage(format!("TRACEKEEP_AUDIT_STORE is {text}")));
        match (self.audit_store, self.is_volatile()) {
            (None | Some(AuditBackend::Memory), true) => Ok(StoreDurabilityMode::Memory),
            (None | Some(AuditBackend::Sqlite), false) => Ok(StoreDurabilityMode::Sqlite),
            (Some(AuditBackend::Redis), false) => Ok(StoreDurabilityMode::Redis),
            (Some(AuditBackend::Redis), true) => {
                refuse("redis, but a ledger in memory has no name that lasts: name a file")
            }
            (Some(AuditBackend::Sqlite), true) => refuse("sqlite, but the ledger is in memory: name a file"),
            (Some(AuditBackend::Memory), false) => {
                refuse("memory, but audits are kept in the ledger: memory is for --ledger :memory: alone")
            }
        }
    }

    /// What each run that is started says of the gate of its effects.
    pub(crate) fn effect_gate(&self) -> Option<EffectGate> {
        (self.gate == GateStore::Redis && self.arbiter == Arbiter::None).then_some(EffectGate::Redis)
    }

    /// What a gate keeps to: its own rules, but for what the deployment says.
    pub(crate) fn gate_rules(&self, own: Rules) -> Rules {
        Rules { remember: self.remember.unwrap_or(own.remember), ..own }
    }

    /// Whether the ledger is to be kept in memory.
    pub(crate) fn is_volatile(&self) -> bool {
        self.ledger.as_os_str() == ":memory:"
    }
}

/// The first layer that names a server or a file decides between them: a file named there cancels the servers below.
fn layered<const N: usize>(layers: [Whereabouts; N]) -> Whereabouts {
    layers.into_iter().fold(Whereabouts::default(), |above, below| Whereabouts {
        server: if above.ledger.is_some() { above.server } else { above.server.or(below.server) },
        ledger: above.ledger.or(below.ledger),
    })
}

/// Refuses a variable that looks like ours and is not.
fn known(names: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    for name in names {
        let name = name.to_string_lossy();
        if name.starts_with("TRACEKEEP_") && !VARIABLES.contains(&&*name) {
            let detail = format!("{name} is not known: the environment says {}", VARIABLES.join(", "));
            return Err(Failure::Usage(detail));
        }
    }
    Ok(())
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    let value = std::env::var_os(name).map(OsString::into_string).transpose();
    value.map_err(|_| Failure::Usage(format!("{name} is not UTF-8")))
}

fn mode(text: &str) -> Result<Mode, Failure> {
    match text {
        "local" => Ok(Mode::Local),
        "test" => Ok(Mode::Test),
        "prod" => Ok(Mode::Prod),
        _ => Err(Failure::Usage("TRACEKEEP_MODE is local, test or prod".to_owned())),
    }
}

fn switch(name: &str, text: &str) -> Result<Switch, Failure> {
    match text {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        _ => Err(Failure::Usage(format!("{name} is on or off"))),
    }
}

fn audit_backend(text: &str) -> Result<AuditBackend, Failure> {
    match text {
        "memory" => Ok(AuditBackend::Memory),
        "sqlite" => Ok(AuditBackend::Sqlite),
        "redis" => Ok(AuditBackend::Redis),
        _ => Err(Failure::Usage("TRACEKEEP_AUDIT_STORE is memory, sqlite or redis".to_owned())),
    }
}

fn gate_store(text: &str) -> Result<GateStore, Failure> {
    match text {
        "memory" => Ok(GateStore::Memory),
        "sqlite" => Ok(GateStore::Sqlite),
        "redis" => Ok(GateStore::Redis),
        _ => Err(Failure::Usage("TRACEKEEP_IDEMPOTENCY_STORE is memory, sqlite or redis".to_owned())),
    }
}

fn seconds(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::Usage("TRACEKEEP_IDEMPOTENCY_REMEMBER_S is a number of seconds".to_owned()))
}

/// How long keys are known after their ttl.
fn remembered(seconds: u64) -> Result<Duration, Failure> {
    let asked = Duration::from_secs(seconds);
    let detail = || format!("TRACEKEEP_IDEMPOTENCY_REMEMBER_S is at most {} (ten years)", REMEMBER_MAX.as_secs());
    (asked <= REMEMBER_MAX).then_some(asked).ok_or_else(|| Failure::Usage(detail()))
}

fn arbiter(text: &str) -> Result<Arbiter, Failure> {
    match text {
        "ledger" => Ok(Arbiter::Ledger),
        "none" => Ok(Arbiter::None),
        _ => Err(Failure::Usage("TRACEKEEP_IDEMPOTENCY_ARBITER is ledger or none".to_owned())),
    }
}

/// `off`, `default`, or the path of a file.
fn rules_of(said: &str) -> Result<Redaction, Failure> {
    match said {
        "off" => Ok(Redaction::none()),
        "default" => Ok(Redaction::well_known()),
        path => {
            let wrong = |detail: String| Failure::Usage(format!("{path}: {detail}"));
            let text = std::fs::read_to_string(path);
            let text =
                text.map_err(|error| wrong(format!("{error} (redaction is off, default, or a file of rules)")))?;
            rules(toml::from_str(&text).map_err(|error| wrong(error.to_string()))?).map_err(wrong)
        }
    }
}

fn rules(said: Redact) -> Result<Redaction, String> {
    let Redact { off, fields, keep, detectors } = said;
    let mut options = RedactionRules { fields, keep, ..RedactionRules::default() };
    if let Some(names) = detectors {
        let known = |name: String| name.parse().map_err(|_| "detectors are key, token, card and email".to_owned());
        options.detectors = names.into_iter().map(known).collect::<Result<Vec<Detector>, _>>()?;
    }
    let rules = Redaction::new(options).map_err(|error| error.detail().to_owned())?;
    Ok(if off { Redaction::none() } else { rules })
}

fn read(path: &Path) -> Result<File, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_errors() {
        assert!(toml::from_str::<File>("ledger = \"x.db\"\nmode = \"prod\"").is_ok());
        assert!(toml::from_str::<File>("legder = \"x.db\"").is_err());
        assert!(toml::from_str::<File>("mode = \"production\"").is_err());
        assert!(toml::from_str::<File>("audit_store = \"postgres\"").is_err());
        let term = "[[contracts.c]]\ndomain = \"d\"\naction = \"a\"\n";
        let file = |deadline: &str| toml::from_str::<File>(&format!("{term}{deadline}")).map(|file| file.contracts);
        let read = contracts(file("deadline_ms = 5").unwrap()).unwrap();
        assert_eq!(read["c"].expectations(&"r".parse().unwrap())[0].count, 1);
        assert!(file("").is_err(), "a term without a deadline is none");
        assert!(contracts(file("deadline_ms = 0").unwrap()).is_err());
        assert!(toml::from_str::<File>("[redact]\nfields = [\"iban\"]\ndetectors = [\"card\"]").is_ok());
        assert!(toml::from_str::<File>("[redact]\nfeilds = [\"iban\"]").is_err());
    }

    #[test]
    fn redaction_is_on_unless_told() {
        let said = |text: &str| rules(toml::from_str(text).unwrap());
        assert_eq!(said(""), Ok(Redaction::well_known()));
        assert_eq!(said("off = true"), Ok(Redaction::none()));
        assert_eq!(said("detectors = [\"token\", \"key\"]"), Ok(Redaction::well_known()));
        let all =
            said("fields = [\"iban\"]\nkeep = [\"cookie\"]\ndetectors = [\"key\", \"token\", \"card\", \"email\"]");
        assert!(all.unwrap().version().is_some_and(|version| version.starts_with("2-")));
        assert_eq!(said("detectors = [\"cards\"]"), Err("detectors are key, token, card and email".to_owned()));
        assert_eq!(said("keep = [\"iban\"]"), Err("a field to keep is none that would be redacted".to_owned()));
    }
}
