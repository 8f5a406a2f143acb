//! Which ledger a command works on: a file, or a running server.

use std::path::Path;
use std::sync::Arc;

use tracekeep::KeyFolder;
use tracekeep_client::{HttpAudit, HttpLedger};
use tracekeep_core::id::LedgerId;
use tracekeep_core::model::Op;
use tracekeep_store::{
    AuditStore, Batch, Code, Error, IdempotencyStore, LedgerAudit, LedgerStore, MemoryLedger, Receipt, Signer,
    StoreDurabilityMode, block_on, commit_with_held, needs_held,
};
use tracekeep_store_redis::{
    ArbitratedGate, AuditOptions, Durability, MovingAudit, RedisAuditStore, RedisIdempotencyStore,
};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use crate::config::{Arbiter, Config, GateStore, Mode, Switch};
use crate::exit::Failure;
use crate::print::talk;

/// A ledger to read from: the server that was named, else the file, beside whoever writes to it.
pub(crate) fn reading(config: &Config) -> Result<Arc<dyn LedgerStore>, Failure> {
    if let Some(url) = &config.server {
        return Ok(Arc::new(HttpLedger::connect(url)?));
    }
    if config.is_volatile() {
        return Err(Failure::Usage("a ledger in memory has nothing to read; name a file or a server".to_owned()));
    }
    let options = Options { create: false, read_only: true, ..Options::default() };
    let ledger = SqliteLedger::open(&config.ledger, options).map_err(Failure::at(config.ledger.display()))?;
    Ok(Arc::new(ledger))
}

/// A ledger to write to: the server that was named, else the file, else the server that holds the file.
pub(crate) fn writing(config: &Config) -> Result<Arc<dyn LedgerStore>, Failure> {
    to_write(config, true)
}

/// As `writing`, but of a ledger that is there already: in the wrong folder, nothing is made.
pub(crate) fn writing_what_is_there(config: &Config) -> Result<Arc<dyn LedgerStore>, Failure> {
    to_write(config, false)
}

fn to_write(config: &Config, create: bool) -> Result<Arc<dyn LedgerStore>, Failure> {
    Ok(fronted(config, create)?.ledger)
}

/// A ledger to write to, and what Redis holds in front of it where this process has the file: a server sees to that itself.
#[derive(Clone)]
pub(crate) struct Fronted<'a> {
    pub(crate) ledger: Arc<dyn LedgerStore>,
    config: &'a Config,
    is_here: bool,
}

impl Fronted<'_> {
    /// Commits, what is held of runs that are looked at first.
    pub(crate) fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Result<Receipt, Error>>, Failure> {
        let needing: Vec<&Batch> = batches.iter().filter(|batch| needs_held(batch)).collect();
        let held = if needing.is_empty() {
            None
        } else if needing.into_iter().all(only_erases) {
            self.held_if_there()?
        } else {
            self.held()?
        };
        Ok(match held {
            Some(held) => block_on(commit_with_held(&*self.ledger, &*held, batches)),
            None => self.ledger.commit_blocking(batches),
        })
    }

    /// The same, where it can be reached: an erasure does not wait for it, and what it has of the run goes with its ttl.
    pub(crate) fn held_if_there(&self) -> Result<Option<Arc<dyn AuditStore>>, Failure> {
        match self.held() {
            Err(Failure::At(_, error)) if error.code() == Code::Unreachable.as_str() => {
                talk(&format!("{error}: what Redis holds of audits of erased runs stays there until its ttl is over"));
                Ok(None)
            }
            held => held,
        }
    }

    /// What holds facts in front of the ledger, where it is configured so.
    pub(crate) fn held(&self) -> Result<Option<Arc<dyn AuditStore>>, Failure> {
        if self.is_fronted()? { held_audit(self.config, Arc::clone(&self.ledger)).map(Some) } else { Ok(None) }
    }

    /// Whether facts are held in front of the ledger, be it there or not.
    pub(crate) fn is_fronted(&self) -> Result<bool, Failure> {
        let is_on = self.is_here && self.config.audit == Switch::On;
        Ok(is_on && self.config.audit_mode()? == StoreDurabilityMode::Redis)
    }
}

fn only_erases(batch: &Batch) -> bool {
    batch.ops.iter().all(|op| matches!(op, Op::EraseRun(_)))
}

/// As `writing`, with what is held in front of it; made where it is to be.
pub(crate) fn fronted(config: &Config, create: bool) -> Result<Fronted<'_>, Failure> {
    let there = |ledger: HttpLedger| Fronted { ledger: Arc::new(ledger), config, is_here: false };
    if let Some(url) = &config.server {
        return Ok(there(HttpLedger::connect(url)?));
    }
    lasting(config)?;
    let options =
        Options { create, redact: config.redact.clone(), effect_gate: config.effect_gate(), ..Options::default() };
    let path = &config.ledger;
    match SqliteLedger::open(path, options) {
        Ok(ledger) => Ok(Fronted { ledger: Arc::new(ledger), config, is_here: true }),
        Err(error) if error.code() == Code::LedgerLocked.as_str() => Ok(there(holder(path, error)?)),
        Err(error) => Err(Failure::At(path.display().to_string(), error)),
    }
}

/// Refuses to write to a ledger that ends with the command.
fn lasting(config: &Config) -> Result<(), Failure> {
    if config.is_volatile() {
        let detail = "a ledger in memory would be gone when this command ends; name a file or a server";
        return Err(Failure::Usage(detail.to_owned()));
    }
    Ok(())
}

/// Who signs a ledger, and so makes bundles of it: this process, with the key beside the ledger's file, or the server that
/// holds it.
pub(crate) enum Signing {
    /// This process, for as long as the command takes.
    Here {
        /// The ledger.
        ledger: Arc<dyn LedgerStore>,
        /// What signs it.
        signer: Arc<Signer>,
    },
    /// A server.
    There(HttpLedger),
}

impl Signing {
    /// The ledger.
    pub(crate) fn ledger(&self) -> &dyn LedgerStore {
        match self {
            Self::Here { ledger, .. } => &**ledger,
            Self::There(ledger) => ledger,
        }
    }
}

/// Who signs the ledger. Nothing is made where there is no ledger.
pub(crate) fn signing(config: &Config) -> Result<Signing, Failure> {
    if let Some(url) = &config.server {
        return Ok(Signing::There(HttpLedger::connect(url)?));
    }
    if config.is_volatile() {
        return Err(Failure::Usage("a ledger in memory has nothing to sign; name a file or a server".to_owned()));
    }
    match signing_alone(config) {
        Ok((ledger, signer)) => Ok(Signing::Here { ledger, signer }),
        Err(Failure::At(_, error)) if error.code() == Code::LedgerLocked.as_str() => {
            Ok(Signing::There(holder(&config.ledger, error)?))
        }
        Err(failure) => Err(failure),
    }
}

/// The ledger's file and its signer, where nobody else has it: keys are replaced beside the file, never over a network.
pub(crate) fn signing_alone(config: &Config) -> Result<(Arc<dyn LedgerStore>, Arc<Signer>), Failure> {
    let options = Options {
        create: false,
        redact: config.redact.clone(),
        effect_gate: config.effect_gate(),
        ..Options::default()
    };
    let ledger = SqliteLedger::open(&config.ledger, options).map_err(Failure::at(config.ledger.display()))?;
    let keys = Arc::new(KeyFolder::beside(ledger.path()));
    let ledger: Arc<dyn LedgerStore> = Arc::new(ledger);
    Ok((Arc::clone(&ledger), Arc::new(Signer::new(ledger, keys))))
}

/// The gate to ask: the server that was named, else the one in the ledger's file, else that of the server that holds it.
/// Only one that is to give keys out makes a ledger where there is none.
pub(crate) fn gate(config: &Config, create: bool) -> Result<Arc<dyn IdempotencyStore>, Failure> {
    if let Some(url) = &config.server {
        return Ok(Arc::new(HttpLedger::connect(url)?));
    }
    if config.is_volatile() || config.gate == GateStore::Memory {
        let detail = "a gate in memory would be gone when this command ends; name a server, or set \
                      TRACEKEEP_IDEMPOTENCY_STORE=sqlite and a ledger's file";
        return Err(Failure::Usage(detail.to_owned()));
    }
    let path = &config.ledger;
    if config.gate == GateStore::Redis && config.arbiter == Arbiter::None {
        return in_redis_alone(config);
    }
    let own = Options::default();
    match SqliteLedger::open(path, Options { create, gate: config.gate_rules(own.gate.clone()), ..own }) {
        Ok(ledger) if config.gate == GateStore::Redis => in_redis(config, Arc::new(ledger)),
        Ok(ledger) => Ok(Arc::new(ledger)),
        Err(error) if error.code() == Code::LedgerLocked.as_str() => Ok(Arc::new(holder(path, error)?)),
        Err(error) => Err(Failure::At(path.display().to_string(), error)),
    }
}

/// The gate in Redis alone, beside whoever writes to the ledger: the ledger's file is to know of it first.
fn in_redis_alone(config: &Config) -> Result<Arc<dyn IdempotencyStore>, Failure> {
    let path = &config.ledger;
    let open = |options| SqliteLedger::open(path, options).map_err(Failure::at(path.display()));
    let options = Options { create: false, ..Options::default() };
    let ledger = open(Options { read_only: true, ..options.clone() })?;
    if ledger.gate_is_elsewhere()? {
        return in_redis(config, Arc::new(ledger));
    }
    drop(ledger);
    in_redis(config, Arc::new(open(options)?))
}

/// Refuses a gate of this machine's own where the ledger says that its gate is in Redis alone.
pub(crate) fn demand_own_gate(ledger: &SqliteLedger) -> Result<(), Failure> {
    ledger.demand_gate_here().map_err(|error| Failure::Usage(error.detail().to_owned()))
}

/// The ledger's file, so that its own gate decides again; whether it did not.
pub(crate) fn take_gate_back(config: &Config) -> Result<bool, Failure> {
    if config.server.is_some() || config.is_volatile() {
        return Err(Failure::Usage("idem take-back works on a ledger's file: name it with --ledger".to_owned()));
    }
    let options = Options { create: false, ..Options::default() };
    let ledger = SqliteLedger::open(&config.ledger, options).map_err(Failure::at(config.ledger.display()))?;
    Ok(ledger.take_gate_back()?)
}

/// The gate in Redis of a ledger that is open: with it as arbiter, unless the deployment says otherwise.
pub(crate) fn in_redis(config: &Config, ledger: Arc<SqliteLedger>) -> Result<Arc<dyn IdempotencyStore>, Failure> {
    let redis = redis_of(config, &ledger)?;
    Ok(match config.arbiter {
        Arbiter::Ledger => Arc::new(ArbitratedGate::new(redis, ledger)),
        Arbiter::None => {
            if !ledger.gate_is_elsewhere()? {
                ledger.leave_gate_to_redis()?;
            }
            Arc::new(redis)
        }
    })
}

/// The Redis of a ledger's gate, where it may be opened so over that ledger.
fn redis_of(config: &Config, ledger: &SqliteLedger) -> Result<RedisIdempotencyStore, Failure> {
    let redis = redis(config, ledger.ledger())?;
    if config.arbiter == Arbiter::None && ledger.gate_knows_keys()? {
        let detail = "the ledger's own gate decided about keys that it still knows, and Redis alone may give them out again: \
                      set TRACEKEEP_IDEMPOTENCY_ARBITER=ledger until they are forgotten";
        return Err(Failure::Usage(detail.to_owned()));
    }
    Ok(redis)
}

/// What serve would refuse about gate and audits, asked without changing anything; where the ledger is yet to be made, of one
/// that knows nothing. Tells where they are.
pub(crate) fn examine(config: &Config) -> Result<String, Failure> {
    demand_mode(config)?;
    let options = Options { create: false, read_only: true, ..Options::default() };
    let ledger = match SqliteLedger::open(&config.ledger, options) {
        Ok(ledger) => Some(ledger),
        Err(error) if error.code() == Code::NotALedger.as_str() => None,
        Err(error) => return Err(Failure::At(config.ledger.display().to_string(), error)),
    };
    let nothing = MemoryLedger::default();
    match (config.gate, &ledger) {
        (GateStore::Redis, Some(ledger)) => drop(redis_of(config, ledger)?),
        (GateStore::Redis, None) => drop(redis(config, nothing.ledger())?),
        (GateStore::Memory | GateStore::Sqlite, Some(ledger)) => demand_own_gate(ledger)?,
        (GateStore::Memory | GateStore::Sqlite, None) => {}
    }
    if config.audit == Switch::On && config.audit_mode()? == StoreDurabilityMode::Redis {
        let ledger: Arc<dyn LedgerStore> = match ledger {
            Some(ledger) => Arc::new(ledger),
            None => Arc::new(nothing),
        };
        drop(held_audit(config, ledger)?);
    }
    let gate = match (config.gate, config.arbiter) {
        (GateStore::Memory, _) => "in memory",
        (GateStore::Sqlite, _) => "in the ledger's file",
        (GateStore::Redis, Arbiter::Ledger) => "in Redis, and the ledger decides",
        (GateStore::Redis, Arbiter::None) => "in Redis alone",
    };
    Ok(format!("the gate is {gate}"))
}

/// Refuses what a mode does not allow of the stores, before any is opened.
pub(crate) fn demand_mode(config: &Config) -> Result<(), Failure> {
    if config.is_volatile() && config.mode != Mode::Local {
        return Err(Failure::Usage("modes test and prod need a durable ledger: --ledger PATH".to_owned()));
    }
    if config.gate == GateStore::Memory && config.mode != Mode::Local {
        let detail = "modes test and prod need a durable idempotency store: set TRACEKEEP_IDEMPOTENCY_STORE=sqlite \
                      (idempotency_store in tracekeep.toml)";
        return Err(Failure::Usage(detail.to_owned()));
    }
    let audit = config.audit_mode()?;
    if config.audit == Switch::On && config.mode != Mode::Local {
        let setting = "TRACEKEEP_AUDIT_STORE=sqlite with a ledger in a file (--ledger PATH), or TRACEKEEP_AUDIT=off";
        audit.demand(setting).map_err(|error| Failure::Usage(format!("modes test and prod: {error}")))?;
    }
    Ok(())
}

/// The gate of a ledger in the Redis that is configured: the ledger's id is its namespace.
fn redis(config: &Config, ledger: LedgerId) -> Result<RedisIdempotencyStore, Failure> {
    let unnamed = || Failure::Usage("an idempotency store in Redis needs TRACEKEEP_REDIS_URL".to_owned());
    let url = config.redis_url.as_deref().ok_or_else(unnamed)?;
    let own = tracekeep_store_redis::Options::default();
    let options =
        tracekeep_store_redis::Options { ca: redis_ca(config)?, rules: config.gate_rules(own.rules.clone()), ..own };
    // The address may hold a password: it is not shown.
    let store = RedisIdempotencyStore::connect_with(url, &ledger.to_string(), options);
    let store = store.map_err(Failure::at("TRACEKEEP_REDIS_URL"))?;
    if config.arbiter == Arbiter::Ledger || config.mode == Mode::Local {
        return Ok(store);
    }
    let refuse = |why: &str| {
        Err(Failure::Usage(format!(
            "modes test and prod need a durable idempotency store: {why}, or TRACEKEEP_IDEMPOTENCY_ARBITER=ledger, or \
             TRACEKEEP_IDEMPOTENCY_STORE=sqlite"
        )))
    };
    match store.durability() {
        _ if store.fails_over() => refuse(
            "behind sentinels and in a cluster, a replica that is promoted may lack what was answered, and would give a key \
             out again: set TRACEKEEP_REDIS_URL to a single server",
        ),
        Durability::Volatile => refuse("set appendonly yes and appendfsync always in that Redis"),
        Durability::AppendOnly => {
            refuse("set appendfsync always (with everysec, power loss takes the last second) in that Redis")
        }
        Durability::Always => Ok(store),
    }
}

/// The CA that certificates of that Redis are checked against, where one is named.
fn redis_ca(config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    let unreadable = |path: &Path, error| Failure::Usage(format!("TRACEKEEP_REDIS_CA: {}: {error}", path.display()));
    let read = |path: &Path| std::fs::read(path).map_err(|error: std::io::Error| unreadable(path, error));
    config.redis_ca.as_deref().map(read).transpose()
}

/// Where facts of audits go: where a server puts them that was named or holds the ledger's file, else Redis in front of
/// that file where it is configured so, else the file.
pub(crate) fn audit(config: &Config) -> Result<Arc<dyn AuditStore>, Failure> {
    let mode = config.audit_mode()?;
    let there = |ledger: HttpLedger| Ok(Arc::new(HttpAudit::new(Arc::new(ledger), mode)) as Arc<dyn AuditStore>);
    if let Some(url) = &config.server {
        return there(HttpLedger::connect(url)?);
    }
    lasting(config)?;
    let options = Options { create: false, redact: config.redact.clone(), ..Options::default() };
    let path = &config.ledger;
    match SqliteLedger::open(path, options) {
        Ok(ledger) if mode == StoreDurabilityMode::Redis => held_audit(config, Arc::new(ledger)),
        Ok(ledger) => Ok(Arc::new(LedgerAudit::new(Arc::new(ledger), mode))),
        Err(error) if error.code() == Code::LedgerLocked.as_str() => there(holder(path, error)?),
        Err(error) => Err(Failure::At(path.display().to_string(), error)),
    }
}

/// Who knows what was set aside in front of a ledger.
pub(crate) enum Parked {
    /// This process, which has the file, or can ask Redis.
    Here(Arc<dyn AuditStore>),
    /// The server that has it.
    There(HttpLedger),
}

/// Who knows what was set aside in front of the ledger.
pub(crate) fn parked(config: &Config) -> Result<Parked, Failure> {
    if let Some(url) = &config.server {
        return Ok(Parked::There(HttpLedger::connect(url)?));
    }
    match SqliteLedger::open(&config.ledger, Options { create: false, ..Options::default() }) {
        Err(error) if error.code() == Code::LedgerLocked.as_str() => Ok(Parked::There(holder(&config.ledger, error)?)),
        Err(error) => Err(Failure::At(config.ledger.display().to_string(), error)),
        Ok(ledger) if config.audit_mode()? == StoreDurabilityMode::Redis => {
            Ok(Parked::Here(held_audit(config, Arc::new(ledger))?))
        }
        Ok(ledger) => Ok(Parked::Here(Arc::new(LedgerAudit::new(Arc::new(ledger), StoreDurabilityMode::Sqlite)))),
    }
}

/// Redis in front of a ledger, whose id is the namespace.
pub(crate) fn held_audit(config: &Config, ledger: Arc<dyn LedgerStore>) -> Result<Arc<dyn AuditStore>, Failure> {
    let unnamed = || Failure::Usage("TRACEKEEP_AUDIT_STORE=redis needs TRACEKEEP_REDIS_URL".to_owned());
    let url = config.redis_url.as_deref().ok_or_else(unnamed)?;
    let namespace = ledger.ledger().to_string();
    // The address may hold a password: it is not shown.
    let options = AuditOptions { ca: redis_ca(config)?, redact: config.redact.clone(), ..AuditOptions::default() };
    let hot = RedisAuditStore::connect_with(url, &namespace, options).map_err(Failure::at("TRACEKEEP_REDIS_URL"))?;
    if config.mode != Mode::Local {
        hot.demand_durable().map_err(|error| Failure::Usage(format!("modes test and prod: {error}")))?;
    }
    Ok(Arc::new(MovingAudit::new(Arc::new(hot), ledger)))
}

/// A ledger to search for words in, and whether a search catches the text index up, which takes one who may write: as
/// `writing`, but what nobody can write to is read, and nothing is made.
pub(crate) fn searching(config: &Config) -> Result<(Arc<dyn LedgerStore>, bool), Failure> {
    if config.server.is_some() || config.is_volatile() {
        return Ok((reading(config)?, true));
    }
    match writer(&config.ledger, Options { create: false, ..Options::default() }) {
        Err(Failure::At(_, error)) if READABLE.map(Code::as_str).contains(&error.code()) => {
            Ok((reading(config)?, false))
        }
        writer => Ok((writer?, true)),
    }
}

/// Why a ledger cannot be written to that may be read all the same.
pub(crate) const READABLE: [Code; 3] = [Code::ReadOnly, Code::LedgerLocked, Code::NewerFormat];

fn writer(path: &Path, options: Options) -> Result<Arc<dyn LedgerStore>, Failure> {
    match SqliteLedger::open(path, options) {
        Ok(ledger) => Ok(Arc::new(ledger)),
        Err(error) if error.code() == Code::LedgerLocked.as_str() => Ok(Arc::new(holder(path, error)?)),
        Err(error) => Err(Failure::At(path.display().to_string(), error)),
    }
}

/// The server that holds a ledger, where it is on loopback.
fn holder(path: &Path, locked: Error) -> Result<HttpLedger, Failure> {
    let address = SqliteLedger::holder(path).and_then(|holder| holder.address);
    match address.and_then(|address| address.parse::<std::net::SocketAddr>().ok()) {
        Some(address) if address.ip().is_loopback() => Ok(HttpLedger::connect(&format!("http://{address}"))?),
        _ => Err(Failure::At(path.display().to_string(), locked)),
    }
}
